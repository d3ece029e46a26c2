//! The Secret that a SealedSecret becomes.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_model::{Name, Object, Origin, Redacted, input::SealedSecret, intake::MANAGED_BY};
use serde_json::{Map, Value, json};

/// Makes the Secret as the controller does (`Unseal` in bitnami/sealed-secrets `sealedsecret_expansion.go`): what the
/// template says, the values, and the SealedSecret as its owner. `uid` is the SealedSecret's.
pub fn secret_object(sealed: &SealedSecret, values: &BTreeMap<Name, Redacted>, uid: &str) -> Object {
    let mut data: Map<String, Value> =
        values.iter().map(|(key, value)| (key.to_string(), json!(STANDARD.encode(value.expose())))).collect();
    // As upstream: a key of the template wins over a sealed one.
    data.extend(sealed.template.iter().map(|(key, text)| (key.to_string(), json!(STANDARD.encode(text)))));
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
