//! Secrets, ConfigMaps and SealedSecrets.

use base64::{Engine as _, engine::general_purpose::STANDARD};

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

pub(super) fn config_map(root: &mut Root<'_>) -> ConfigMap {
    let node = root.node();
    let data = node.get("data").map();
    let mut binary = std::collections::BTreeMap::new();
    for (key, text) in node.get("binaryData").map() {
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
    let spec = root.spec();
    let template = spec.get("template");
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
    let refused =
        (!spec.get("encryptedData").present()).then(|| "spec.encryptedData: Required value".to_owned());
    for (key, text) in spec.get("encryptedData").map() {
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
        labels: metadata.get("labels").map().into_iter().map(|(k, v)| (k, Name::from(v))).collect(),
        annotations: metadata.get("annotations").map(),
        template: template.get("data").map(),
        immutable: template.get("immutable").flag(),
        refused,
    }
}
