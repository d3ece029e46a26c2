//! Secrets, ConfigMaps and SealedSecrets.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    node::{Node, Root},
    tls,
};
use crate::{
    Name, Redacted, Severity,
    input::{ConfigMap, Maker, SealedSecret, SealingScope, Secret},
};

/// Label on every object that Portolan makes.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "portolan");

/// Annotations of a Secret that was issued.
const MADE_FOR: [&str; 2] = ["portolan.dev/issued-at", "cert-manager.io/certificate-name"];

pub(super) fn secret(root: &mut Root<'_>) -> Secret {
    let node = root.node();
    let mut data = std::collections::BTreeMap::new();
    for (key, text) in node.get("data").map() {
        let field = node.get("data").get(&key);
        match STANDARD.decode(text.replace(['\n', '\r'], "")) {
            Ok(bytes) => {
                data.insert(key, Redacted::new(bytes));
            }
            Err(_) => {
                root.invalid(&field, format!("value of {key} is not base64"), "encode it, or use stringData");
            }
        }
    }
    for (key, text) in node.get("stringData").map() {
        data.insert(key, Redacted::new(text.into_bytes()));
    }
    let labels = root.labels();
    let tls = data.get("tls.crt").map(|chain| tls::read(chain, data.get("tls.key")));
    Secret {
        key: root.object.key.name.clone(),
        r#type: node.get("type").name_or("Opaque"),
        maker: maker(root),
        annotations: root.annotations(),
        labels,
        data,
        tls,
    }
}

/// Who made the object, by the marks that we leave on what we make. The store knows better ([`super::Intake::written_by`]).
fn maker(root: &Root<'_>) -> Maker {
    if root.labels().get(MANAGED_BY.0).is_none_or(|by| *by != MANAGED_BY.1) {
        return Maker::Repository;
    }
    let sealed = |owner: &Node<'_>| {
        let version = owner.get("apiVersion");
        version.text().is_some_and(|version| version.starts_with("bitnami.com/"))
            && owner.get("kind").text() == Some("SealedSecret")
    };
    let owners = root.node().get("metadata").get("ownerReferences").items();
    if owners.iter().any(sealed) {
        Maker::Unsealed
    } else if MADE_FOR.iter().any(|key| root.object.annotation(key).is_some()) {
        // Before the marks of mirrors: a Certificate's template may carry those too.
        Maker::Issued
    } else if root.object.annotation("reflector.v1.k8s.emberstack.com/reflects").is_some() {
        Maker::Mirrored
    } else {
        Maker::Account
    }
}

const OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// A map from text to text whose other values are findings.
fn texts(root: &mut Root<'_>, node: &Node<'_>) -> std::collections::BTreeMap<Name, String> {
    match node.value {
        Value::Object(map) => {
            for (key, value) in map.iter().filter(|(_, value)| !value.is_string()) {
                let message = format!("value of {key} is {}, not text", kind_of(value));
                let hint = match value {
                    Value::Null => "write its value, or leave the key out",
                    Value::Array(_) | Value::Object(_) => "write its value as text, or leave the key out",
                    _ => "put it in quotes",
                };
                root.invalid(&node.get(key), message, hint);
            }
        }
        Value::Null => {}
        other => {
            let message = format!("{} is {}, not a mapping", node.path, kind_of(other));
            root.invalid(node, message, "write it as key: value lines");
        }
    }
    node.map()
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

pub(super) fn config_map(root: &mut Root<'_>) -> ConfigMap {
    let node = root.node();
    root.only(&node, &[&OBJECT[..], &["data", "binaryData", "immutable"]].concat());
    let data = texts(root, &node.get("data"));
    let mut binary = std::collections::BTreeMap::new();
    for (key, text) in texts(root, &node.get("binaryData")) {
        if STANDARD.decode(&text).is_ok() {
            binary.insert(key, Name::from(text));
        } else {
            let field = node.get("binaryData").get(&key);
            root.invalid(&field, format!("value of {key} is not base64"), "encode it, or use data");
        }
    }
    ConfigMap {
        key: root.object.key.name.clone(),
        data,
        binary,
        annotations: root.annotations(),
        maker: maker(root),
    }
}

pub(super) fn sealed_secret(root: &mut Root<'_>) -> SealedSecret {
    let (node, spec) = (root.node(), root.spec());
    root.only(&node, &[&OBJECT[..], &["spec", "status"]].concat());
    root.only(&spec, &["encryptedData", "template", "data"]);
    let template = spec.get("template");
    root.only(&template, &["metadata", "type", "immutable", "data"]);
    if spec.get("data").present() {
        root.problem(
            150,
            Severity::Error,
            "spec.data",
            "spec.data is the form from before per-key sealing, which is not opened".into(),
            "seal the Secret again, with portolan seal or a kubeseal since 2019",
        );
    } else if !spec.get("encryptedData").present() {
        let field = spec.get("encryptedData");
        root.invalid(&field, "spec.encryptedData is missing", "seal a Secret with portolan seal or kubeseal");
    }
    let mut encrypted = std::collections::BTreeMap::new();
    let wrong = |field: &str| {
        let node = spec.get(field);
        let texts = node.value.as_object().map_or(!node.present(), |map| map.values().all(Value::is_string));
        (!texts).then(|| format!("{}: Invalid value: must be a mapping of text to text", node.path))
    };
    let refused = wrong("encryptedData").or_else(|| {
        (!spec.get("encryptedData").present()).then(|| "spec.encryptedData: Required value".into())
    });
    for (key, text) in texts(root, &spec.get("encryptedData")) {
        // As Go's decoder, which passes over line breaks: block scalars have them.
        let text = text.replace(['\n', '\r'], "");
        if text.is_empty() || STANDARD.decode(&text).is_err() {
            let field = spec.get("encryptedData").get(&key);
            let hint = "copy the whole value, on one line, as portolan seal or kubeseal printed it";
            root.invalid(&field, format!("value of {key} is not base64"), hint);
        }
        // Kept even so: a Secret that lacks a key without anybody saying why would be worse than none.
        encrypted.insert(key, Name::new(&text));
    }
    let metadata = template.get("metadata");
    SealedSecret {
        key: root.object.key.name.clone(),
        generation: root.object.generation(),
        scope: SealingScope::read(|key| root.object.annotation(key)),
        encrypted,
        r#type: template.get("type").name_or("Opaque"),
        labels: texts(root, &metadata.get("labels")).into_iter().map(|(k, v)| (k, Name::from(v))).collect(),
        annotations: texts(root, &metadata.get("annotations")),
        template: texts(root, &template.get("data")),
        immutable: template.get("immutable").flag(),
        refused,
    }
}
