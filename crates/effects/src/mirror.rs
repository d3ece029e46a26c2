//! Mirrors as objects, as reflector writes them (emberstack/kubernetes-reflector `ResourceMirror.cs`): content and type
//! of the source, its name and version in annotations; no labels or annotations of the source.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_core::secrets::{
    AUTO_REFLECTS, REFLECTED_AT, REFLECTED_VERSION, REFLECTS,
    rows::{Mirror, MirrorContent},
};
use portolan_model::{Instant, Object, ObjectKey, Origin, intake::MANAGED_BY};
use serde_json::{Value, json};

use crate::store::Fill;

/// A mirror that Portolan makes. `version` is the source's `resourceVersion`.
pub fn object(mirror: &Mirror, version: &str, now: Instant) -> Object {
    let key = mirror.key.object();
    let mut json = json!({
        "apiVersion": "v1",
        "kind": key.kind.kind,
        "metadata": {
            "name": key.name.name, "namespace": key.name.namespace,
            "labels": {MANAGED_BY.0: MANAGED_BY.1},
            "annotations": annotations(mirror, version, now),
        },
    });
    for (field, value) in content(mirror) {
        if !value.is_null() {
            json[field] = value;
        }
    }
    if let MirrorContent::Secret { r#type, .. } = &*mirror.content {
        json["type"] = json!(r#type);
    }
    Object::from_json(json, Origin::default()).expect("kind, name and namespace are set above")
}

/// What is written into a mirror that a user wrote; it keeps its type. `asked` is its `reflects` annotation as written.
pub fn fill(mirror: &Mirror, asked: &str, version: &str, now: Instant) -> Fill {
    let mut fields = json!({"metadata": {"annotations": annotations(mirror, version, now)}});
    // The user's text stays: it is what the filling hangs on.
    fields["metadata"]["annotations"][REFLECTS] = json!(asked);
    for (field, value) in content(mirror) {
        fields[field] = value;
    }
    Fill {
        key: mirror.key.object(),
        fields,
        merge: false,
        while_annotated: (REFLECTS.to_owned(), asked.to_owned()),
        volatile: mirror.volatile,
    }
}

/// Takes what was filled in out of a mirror that a user wrote.
pub fn unfill(key: &ObjectKey, asked: &str) -> Fill {
    Fill {
        key: key.clone(),
        fields: json!({}),
        merge: false,
        while_annotated: (REFLECTS.to_owned(), asked.to_owned()),
        volatile: false,
    }
}

fn annotations(mirror: &Mirror, version: &str, now: Instant) -> Value {
    json!({
        AUTO_REFLECTS: if mirror.auto { "True" } else { "False" },
        REFLECTS: mirror.source.to_string(),
        REFLECTED_VERSION: version,
        REFLECTED_AT: now.rfc3339(),
    })
}

/// The fields that are copied; `null` for one that must not be there.
fn content(mirror: &Mirror) -> Vec<(&'static str, Value)> {
    match &*mirror.content {
        MirrorContent::Secret { data, .. } => {
            let data: serde_json::Map<String, Value> = data
                .iter()
                .map(|(key, value)| (key.to_string(), json!(STANDARD.encode(value.expose()))))
                .collect();
            vec![("data", Value::Object(data)), ("stringData", Value::Null)]
        }
        MirrorContent::ConfigMap { data, binary } => {
            let binary = if binary.is_empty() { Value::Null } else { json!(binary) };
            vec![("data", json!(data)), ("binaryData", binary)]
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use portolan_core::secrets::rows::{MirrorKey, MirrorKind};
    use portolan_model::{
        NamespacedName, Redacted,
        input::Maker,
        intake::{Fact, intake},
    };

    use super::*;

    fn mirror(auto: bool) -> Mirror {
        let content = MirrorContent::Secret {
            r#type: "kubernetes.io/tls".into(),
            data: [("tls.key".into(), Redacted::from("key"))].into(),
        };
        Mirror {
            key: MirrorKey { kind: MirrorKind::Secret, name: NamespacedName::new("b", "tls") },
            auto,
            source: NamespacedName::new("a", "tls"),
            content: Arc::new(content),
            volatile: false,
        }
    }

    #[test]
    fn a_mirror_carries_the_marks_of_reflector_and_nothing_else_of_its_source() {
        let object = object(&mirror(true), "17", Instant(0));
        assert_eq!(
            object.json["metadata"],
            json!({
                "name": "tls", "namespace": "b", "labels": {"app.kubernetes.io/managed-by": "portolan"},
                "annotations": {
                    "reflector.v1.k8s.emberstack.com/reflects": "a/tls",
                    "reflector.v1.k8s.emberstack.com/auto-reflects": "True",
                    "reflector.v1.k8s.emberstack.com/reflected-version": "17",
                    "reflector.v1.k8s.emberstack.com/reflected-at": "1970-01-01T00:00:00Z",
                },
            })
        );
        let Some(Fact::Secret(read)) = intake(&object).fact else { panic!() };
        assert_eq!((read.maker, &*read.r#type), (Maker::Mirrored, "kubernetes.io/tls"));
        assert_eq!(read.data["tls.key"].expose(), b"key");
    }

    #[test]
    fn a_filled_mirror_stays_the_users() {
        let fill = fill(&mirror(false), " a/tls", "17", Instant(0));
        assert_eq!(fill.while_annotated.1, " a/tls");
        assert_eq!(fill.fields["metadata"]["annotations"][AUTO_REFLECTS], "False");
        assert_eq!(fill.fields["metadata"]["annotations"][REFLECTS], " a/tls");
        assert_eq!((&fill.fields["data"]["tls.key"], fill.fields.get("type")), (&json!("a2V5"), None));
    }
}
