//! `secretTemplate`, `additionalOutputFormats` and `keystores` of a Certificate whose Secret is there already: it follows an
//! edit without a new certificate (cert-manager's policies `SecretTemplateMismatch`, `AdditionalOutputFormatsMismatch` and
//! `SecretKeystoreFormatMismatch`). Reflector's annotations come this way.

use std::{collections::BTreeMap, sync::Arc};

use portolan_model::{
    Name, NamespacedName,
    input::{Certificate, Maker, Secret},
};

use super::{formats, keystores, rows::TemplateWanted};
use crate::{Cx, secrets::owner};

/// What issuing itself writes, by prefix or whole key; all else comes from the template.
const OWN: [&str; 4] =
    ["cert-manager.io/", "portolan.dev/", "controller.cert-manager.io/fao", "app.kubernetes.io/managed-by"];

pub(super) fn template_wanted(cx: &mut Cx<'_>, certificate: &Arc<Certificate>) {
    let key = NamespacedName::new(certificate.key.namespace.clone(), certificate.secret.clone());
    // The template of the one that writes the Secret counts, and no other's.
    if owner::certificate(cx, &key).as_ref() != Some(&certificate.key) {
        return;
    }
    let Some(secret) = cx.get::<Secret>(&key).filter(|secret| secret.maker == Maker::Issued) else { return };
    // Somebody else's certificate, or an account key: not ours to mark.
    let made_for = secret.annotations.get("cert-manager.io/certificate-name");
    if made_for.is_none_or(|name| *name != *certificate.key.name) {
        return;
    }
    let mut annotations = merged(&certificate.secret_annotations, &secret.annotations);
    let labels = merged(&certificate.secret_labels, &secret.labels);
    let mut data = formats::wanted(&secret, certificate.formats);
    let mut keystores = Vec::new();
    // Without a password those that are there stay; `certificate_states` tells why.
    if let Ok(stores) = keystores::stores(cx, certificate)
        && matches!(secret.tls, Some(Ok(_)))
    {
        let note = keystores::note(&stores, &secret.data);
        if note.is_empty() {
            annotations.remove(keystores::KEYSTORES);
        } else {
            annotations.insert(keystores::KEYSTORES.into(), note);
        }
        let (anew, gone) = keystores::wanted(&secret, stores);
        keystores = anew;
        data.extend(gone.into_iter().map(|entry| (entry, None)));
    }
    if annotations != secret.annotations
        || labels != secret.labels
        || !data.is_empty()
        || !keystores.is_empty()
    {
        cx.emit(TemplateWanted { key, annotations, labels, data, keystores });
    }
}

/// The template, and over it what issuing wrote.
fn merged<V: Clone>(template: &BTreeMap<Name, V>, present: &BTreeMap<Name, V>) -> BTreeMap<Name, V> {
    let own = present.iter().filter(|(key, _)| OWN.iter().any(|own| key.starts_with(own)));
    template.iter().chain(own).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use portolan_engine::Engine;
    use portolan_model::{Object, Origin, intake::intake, yaml};

    use super::*;
    use crate::{World, world};

    fn apply(engine: &mut Engine<World>, text: &str) {
        let (documents, errors) = yaml::load(text);
        assert_eq!(errors, []);
        for document in documents {
            let object = Object::from_json(document.json, Origin::default()).unwrap();
            world::put(engine, &object.key, intake(&object));
        }
        let changes = engine.step(0);
        assert_eq!((changes.errors, changes.conflicts, changes.held.to_vec()), (vec![], vec![], vec![]));
    }

    fn certificate(template: &str) -> String {
        format!(
            "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{name: c, namespace: ns}}\nspec: {{secretName: s, dnsNames: [a.example], issuerRef: {{name: i}}, secretTemplate: {{{template}}}}}\n"
        )
    }

    fn secret(name: &str, annotations: &str, labels: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: ns\n  annotations: {{cert-manager.io/certificate-name: {name}, portolan.dev/issued-at: x, {annotations}}}\n  labels: {{app.kubernetes.io/managed-by: portolan, {labels}}}\n"
        )
    }

    #[test]
    fn an_edited_template_reaches_the_secret_that_is_there() {
        let mut engine = world::engine();
        apply(
            &mut engine,
            &(certificate("annotations: {a: new}, labels: {l: x}")
                + "---\n"
                + &secret("c", "a: old, gone: z", "")),
        );
        let wanted = engine.rows::<TemplateWanted>().next().unwrap().clone();
        let keys: Vec<&str> = wanted.annotations.keys().map(|key| &**key).collect();
        assert_eq!(keys, ["a", "cert-manager.io/certificate-name", "portolan.dev/issued-at"]);
        assert_eq!((&*wanted.annotations["a"], &*wanted.labels["l"]), ("new", "x"));
        assert_eq!(wanted.labels.len(), 2);
        apply(&mut engine, &secret("c", "a: new", "l: x"));
        assert_eq!(engine.rows::<TemplateWanted>().count(), 0, "as it shall be");
        // A Secret that was made for another Certificate, or by nobody here, is left alone.
        apply(&mut engine, &secret("other", "", ""));
        assert_eq!(engine.rows::<TemplateWanted>().count(), 0);
        apply(&mut engine, &secret("c", "", "").replace("managed-by: portolan", "managed-by: me"));
        assert_eq!(engine.rows::<TemplateWanted>().count(), 0);
    }
}
