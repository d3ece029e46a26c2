//! The Secret that a SealedSecret becomes.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_core::secrets::rows::Over;
use portolan_model::{
    Name, NamespacedName, Object, ObjectKey, Origin, Redacted, input::SealedSecret, intake::MANAGED_BY,
};
use serde_json::{Map, Value, json};

use crate::store::Fill;

/// Makes the Secret as the controller does (`Unseal` in bitnami/sealed-secrets `sealedsecret_expansion.go`): what the
/// template says, the values, and the SealedSecret as its owner. `values` hold what became of Go templates; `uid` is the
/// SealedSecret's.
pub fn secret_object(sealed: &SealedSecret, values: &BTreeMap<Name, Redacted>, uid: &str) -> Object {
    let data = data(sealed, values);
    let mut labels: Map<String, Value> =
        sealed.labels.iter().map(|(key, value)| (key.to_string(), json!(value))).collect();
    labels.insert(MANAGED_BY.0.into(), json!(MANAGED_BY.1));
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": sealed.key.name, "namespace": sealed.key.namespace, "labels": labels,
            "ownerReferences": [{
                "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "name": sealed.key.name, "uid": uid,
                "controller": true,
            }],
        },
        "type": sealed.r#type,
        "data": data,
    });
    if !sealed.annotations.is_empty() {
        object["metadata"]["annotations"] = json!(sealed.annotations);
    }
    if sealed.immutable {
        object["immutable"] = json!(true);
    }
    Object::from_json(object, Origin::default()).expect("kind, name and namespace are set above")
}

fn data(sealed: &SealedSecret, values: &BTreeMap<Name, Redacted>) -> Map<String, Value> {
    let mut data: Map<String, Value> =
        values.iter().map(|(key, value)| (key.to_string(), json!(STANDARD.encode(value.expose())))).collect();
    for (key, text) in &sealed.template {
        // What the engine made of a template is among the values; a sealed value is never overwritten (upstream since 0.37).
        data.entry(key.to_string()).or_insert_with(|| json!(STANDARD.encode(text)));
    }
    data
}

/// What is written into a Secret of the repository that is annotated for it; its type stays. `None` if `over` asks for
/// nothing of the kind.
pub fn fill(sealed: &SealedSecret, values: &BTreeMap<Name, Redacted>, over: Over) -> Option<Fill> {
    let metadata = json!({"annotations": sealed.annotations, "labels": sealed.labels});
    let mut fields = json!({"data": data(sealed, values), "metadata": metadata});
    let merge = matches!(over, Over::Patched { .. });
    if !merge {
        fields["stringData"] = Value::Null;
    }
    let while_annotated = (over.annotation()?.to_owned(), "true".to_owned());
    Some(Fill { key: secret_key(&sealed.key), fields, merge, while_annotated, volatile: true })
}

/// Takes the filling out of a Secret again.
pub fn unfill(key: &NamespacedName, over: Over) -> Option<Fill> {
    let while_annotated = (over.annotation()?.to_owned(), "true".to_owned());
    Some(Fill { key: secret_key(key), fields: json!({}), merge: false, while_annotated, volatile: true })
}

fn secret_key(key: &NamespacedName) -> ObjectKey {
    ObjectKey::new("", "Secret", key.namespace.clone(), key.name.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use portolan_model::{
        Instant,
        input::Secret,
        intake::{Fact, intake},
        yaml,
    };

    use super::*;
    use crate::store::{Store, Write};

    fn sealed() -> SealedSecret {
        let text = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: s, namespace: ns}\nspec:\n  encryptedData: {sealed: AgB4}\n  template: {metadata: {labels: {from: sealed}}}\n";
        let json = yaml::load(text).0.remove(0).json;
        let object = Object::from_json(json, Origin::default()).unwrap();
        let Some(Fact::SealedSecret(sealed)) = intake(&object).fact else { panic!() };
        sealed
    }

    fn base(annotation: &str, more: &str) -> Box<Object> {
        let text = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: ns, annotations: {{{annotation}}}}}\nstringData: {{own: mine, sealed: placeholder{more}}}\n"
        );
        Box::new(Object::from_json(yaml::load(&text).0.remove(0).json, Origin::default()).unwrap())
    }

    fn seen(store: &Store) -> Vec<(String, String)> {
        let Some(Fact::Secret(secret)) = intake(&store.get(&secret_key(&sealed().key)).unwrap().object).fact
        else {
            panic!()
        };
        let Secret { data, labels, .. } = secret;
        let text = |value: &Redacted| String::from_utf8(value.expose().to_vec()).unwrap();
        let mut all: Vec<_> = data.iter().map(|(key, value)| (key.to_string(), text(value))).collect();
        all.extend(labels.iter().map(|(key, value)| (key.to_string(), value.to_string())));
        all
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn a_patched_secret_keeps_what_is_its_own_and_a_managed_one_does_not() {
        let values = BTreeMap::from([("sealed".into(), Redacted::from("opened"))]);
        for (over, annotation) in [
            (Over::Patched { owned: true }, "sealedsecrets.bitnami.com/patch: 'true'"),
            (Over::Managed { independent: false }, "sealedsecrets.bitnami.com/managed: 'true'"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let mut store = Store::open(dir.path()).unwrap();
            let write = |store: &mut Store, write| store.write(vec![write], Instant(0)).unwrap();
            write(&mut store, Write::Apply(base(annotation, ""), "git"));
            write(&mut store, Write::Fill(Box::new(fill(&sealed(), &values, over).unwrap())));
            let own = matches!(over, Over::Patched { .. }).then(|| pair("own", "mine"));
            let wanted = |own: Option<(String, String)>, more: Vec<(String, String)>| -> Vec<_> {
                own.into_iter()
                    .chain(more)
                    .chain([pair("sealed", "opened"), pair("from", "sealed")])
                    .collect()
            };
            assert_eq!(seen(&store), wanted(own.clone(), vec![]), "{over:?}");
            // An edit of the owner shows through where it is patched.
            write(&mut store, Write::Apply(base(annotation, ", q: added"), "git"));
            let more = if own.is_some() { vec![pair("q", "added")] } else { vec![] };
            assert_eq!(seen(&store), wanted(own, more), "{over:?}");
            write(&mut store, Write::Fill(Box::new(unfill(&sealed().key, over).unwrap())));
            assert_eq!(seen(&store)[0], pair("own", "mine"));
            assert!(seen(&store).contains(&pair("sealed", "placeholder")), "{over:?}");
            // What was opened never reaches the disk.
            drop(store);
            let bytes = std::fs::read(dir.path().join("store.redb")).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(&STANDARD.encode("opened")));
        }
        assert!(fill(&sealed(), &values, Over::Nothing).is_none());
    }
}
