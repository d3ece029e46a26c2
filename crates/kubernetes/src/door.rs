//! What happens to an object between the API server's answer and the cache, and back.
//!
//! In: `managedFields` and kubectl's copy of the last applied object are dropped, they are most of many an object's bytes and
//! nobody here reads them. Our own marks are taken out of the annotations: they are what the store knows of an object, as the
//! embedded store keeps beside it.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_effects::store::{Sight, Stored};
use portolan_model::{Kind, Name, NamespacedName, Object, ObjectKey, Origin, Stamp, input::CERT_MANAGER};
use serde_json::{Map, Value, json};

use crate::Resource;

/// Our manager of server-side apply.
pub const FIELD_MANAGER: &str = "portolan";
/// Annotation of what we made: which part of Portolan applies it.
pub const MANAGER: &str = "portolan.dev/manager";
/// Annotation of what we made: the object on whose behalf it is applied.
pub const OWNER: &str = "portolan.dev/applied-for";
/// Manager of what somebody else made. Nothing here applies under that name, so nothing here ever owns it.
pub const ELSEWHERE: &str = "cluster";

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Who an object's marks say applied it.
pub fn manager(json: &Value) -> Name {
    let annotations = &json["metadata"]["annotations"];
    // Made for a Certificate by whoever issued for it before.
    let issued = json["kind"] == "Secret" && annotations["cert-manager.io/certificate-name"].is_string();
    let others = if issued { CERT_MANAGER } else { ELSEWHERE };
    annotations[MANAGER].as_str().unwrap_or(others).into()
}

/// `resourceVersion` as a number. API servers' versions are those of etcd, which are numbers, and may be compared within a
/// resource since Kubernetes 1.35 says so.
pub fn version(json: &Value) -> u64 {
    json["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// An object as the server sent it, of a resource.
///
/// # Errors
/// What of its identity is missing.
pub fn enter(mut json: Value, resource: &Resource, sight: Sight) -> Result<Stored, String> {
    if !json.is_object() {
        return Err("it is no object".into());
    }
    // Lists leave them out of their items, and metadata alone has those of its own kind.
    json["apiVersion"] = resource.api_version().into();
    json["kind"] = json!(*resource.kind);
    let by = manager(&json);
    let owner = json["metadata"]["annotations"][OWNER].as_str().and_then(parse_owner).map(Arc::new);
    if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("selfLink");
        for annotation in [MANAGER, OWNER, LAST_APPLIED] {
            without(metadata, annotation);
        }
    }
    let stamp = Stamp::read(&json);
    let mut object = Object::from_json(json, Origin { owner, ..Origin::default() })?;
    object.stamp = Some(stamp);
    object.json.pack();
    Ok(Stored::found(object, by, sight))
}

fn without(metadata: &mut Map<String, Value>, annotation: &str) {
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    annotations.remove(annotation);
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
}

/// What is sent to apply an object as one of our managers. What only the server sets is left out: what a user copied out of a
/// cluster is no claim about this one.
pub fn leave(object: &Object, manager: &str, uid: Option<&str>) -> Value {
    let mut json = (*object.json).clone();
    if let Some(map) = json.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in Stamp::FIELDS.iter().chain(&["managedFields", "selfLink"]) {
            metadata.remove(*field);
        }
        // As a precondition: the very object that was seen, not one that was made anew under its name.
        if let Some(uid) = uid {
            metadata.insert("uid".into(), uid.into());
        }
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if !annotations.is_object() {
            *annotations = json!({});
        }
        annotations[MANAGER] = manager.into();
        if let Some(owner) = &object.origin.owner {
            annotations[OWNER] = write_owner(owner).into();
        }
    }
    if object.key.kind.is("", "Secret") {
        plain(&mut json);
    }
    json
}

/// `stringData` is written by nobody but whoever makes a Secret, and an apply that keeps it never equals what is stored.
fn plain(json: &mut Value) {
    let texts = json.as_object_mut().and_then(|map| map.remove("stringData"));
    let Some(Value::Object(texts)) = texts else { return };
    if !json["data"].is_object() {
        json["data"] = json!({});
    }
    for (key, text) in texts {
        if let Some(text) = text.as_str() {
            json["data"][key] = STANDARD.encode(text).into();
        }
    }
}

fn write_owner(owner: &ObjectKey) -> String {
    let ObjectKey { kind, name } = owner;
    format!("{}/{}/{}/{}", kind.group, kind.kind, name.namespace, name.name)
}

fn parse_owner(text: &str) -> Option<ObjectKey> {
    let parts: [&str; 4] = text.split('/').collect::<Vec<_>>().try_into().ok()?;
    let [group, kind, namespace, name] = parts;
    Some(ObjectKey { kind: Kind::new(group, kind), name: NamespacedName::new(namespace, name) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn resource(group: &str, kind: &str) -> Resource {
        Resource {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            plural: "things".into(),
            namespaced: true,
            status: true,
        }
    }

    #[test]
    fn what_nobody_reads_stays_outside_and_marks_are_not_shown() {
        let json = json!({"metadata": {
            "name": "a", "namespace": "b", "uid": "u", "resourceVersion": "12", "generation": 3,
            "creationTimestamp": "2026-11-29T10:00:00Z",
            "managedFields": [{"manager": "kubectl"}],
            "annotations": {MANAGER: "git", OWNER: "argoproj.io/Application/argocd/shop", LAST_APPLIED: "{}"},
        }, "spec": {"n": 1}});
        let stored = enter(json, &resource("suite.portolan.dev", "Thing"), Sight::Whole).unwrap();
        assert_eq!(stored.manager, "git");
        let owner = stored.object.origin.owner.clone().unwrap();
        assert_eq!(*owner, ObjectKey::new("argoproj.io", "Application", "argocd", "shop"));
        let stamp = stored.object.stamp.clone().unwrap();
        assert_eq!((&*stamp.uid, stamp.version, stamp.generation), ("u", 12, 3));
        let metadata = &stored.object.json["metadata"];
        assert!(metadata.get("annotations").is_none() && metadata.get("managedFields").is_none());
        assert_eq!(stored.object.json["apiVersion"], "suite.portolan.dev/v1");
        // And out again, with the marks and nothing that only the server sets.
        let sent = leave(&stored.object, "git", None);
        assert_eq!(
            sent["metadata"],
            json!({"name": "a", "namespace": "b", "annotations": {MANAGER: "git", OWNER: "argoproj.io/Application/argocd/shop"}})
        );
        assert_eq!(leave(&stored.object, "git", Some("u"))["metadata"]["uid"], "u");
    }

    #[test]
    fn objects_of_others_are_nobodys_here() {
        let json = json!({"metadata": {"name": "a", "namespace": "b", "annotations": {"x": "y"}}});
        let stored = enter(json, &resource("", "ConfigMap"), Sight::Metadata).unwrap();
        assert_eq!((&*stored.manager, stored.sight), (ELSEWHERE, Sight::Metadata));
        assert!(enter(json!({"metadata": {}}), &resource("", "ConfigMap"), Sight::Whole).is_err());
    }

    #[test]
    fn texts_of_secrets_are_sent_as_the_server_keeps_them() {
        let json = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"k": "v"}, "data": {"k": "b2xk", "o": "bw=="}});
        let object = Object::from_json(json, Origin::default()).unwrap();
        let sent = leave(&object, "git", None);
        assert_eq!((&sent["data"], sent.get("stringData")), (&json!({"k": "dg==", "o": "bw=="}), None));
    }
}
