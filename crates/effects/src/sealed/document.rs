//! A Secret as a SealedSecret: what `kubeseal` makes of it (bitnami/sealed-secrets `pkg/kubeseal/kubeseal.go`,
//! `NewSealedSecret`).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_model::{input::SealingScope, yaml};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{CertificateError, SealingCertificate, label};

/// Why a Secret was not sealed. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The text is not YAML or JSON.
    #[error("the input is no YAML or JSON: line {0}: {1}")]
    NotYaml(u32, String),
    /// There is nothing to seal.
    #[error("the input holds no Secret")]
    Nothing,
    /// Another kind.
    #[error("the input holds a {0}, not a Secret")]
    NotSecret(String),
    /// No name.
    #[error("the Secret has no metadata.name; give one with --name")]
    NoName,
    /// Scope strict or namespace-wide without a namespace.
    #[error("the Secret has no metadata.namespace, which scope {0} needs; give one with --namespace")]
    NoNamespace(SealingScope),
    /// Nothing in it: most likely a mistake.
    #[error("Secret {0} has no data")]
    Empty(String),
    /// A value that cannot be read.
    #[error("{0} of the Secret is not {1}")]
    BadValue(String, &'static str),
    /// The encryption failed.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// How to seal, as far as the command line says it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sealing<'a> {
    /// Scope; `None` takes what the Secret's annotations say.
    pub scope: Option<SealingScope>,
    /// Name instead of the Secret's own.
    pub name: Option<&'a str>,
    /// Namespace instead of the Secret's own.
    pub namespace: Option<&'a str>,
}

/// Reads the Secrets of a YAML or JSON text; the items of a List each.
///
/// # Errors
/// When the text cannot be read or holds no Secret.
pub fn read_secrets(text: &str) -> Result<Vec<Value>, SealError> {
    let (documents, errors) = yaml::load(text);
    if let Some(error) = errors.into_iter().next() {
        return Err(SealError::NotYaml(error.line, error.message));
    }
    let mut secrets = Vec::new();
    for document in documents {
        match document.json {
            Value::Object(mut map) if is_list(&map) => {
                let items = map.remove("items");
                secrets.extend(
                    items
                        .and_then(|items| match items {
                            Value::Array(items) => Some(items),
                            _ => None,
                        })
                        .unwrap_or_default(),
                );
            }
            json => secrets.push(json),
        }
    }
    if secrets.is_empty() { Err(SealError::Nothing) } else { Ok(secrets) }
}

fn is_list(map: &Map<String, Value>) -> bool {
    let is = |field: &str, text: &str| map.get(field).and_then(Value::as_str) == Some(text);
    is("apiVersion", "v1") && is("kind", "List")
}

/// Metadata that the server sets, or that holds values in clear: it must not stand in the template.
const LEFT_OUT: [&str; 9] = [
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "managedFields",
];
const WITH_VALUES: [&str; 2] =
    ["kubectl.kubernetes.io/last-applied-configuration", "kubecfg.ksonnet.io/last-applied-configuration"];

/// Seals every value of a Secret; gives the SealedSecret.
///
/// # Errors
/// See [`SealError`].
pub fn seal_secret(secret: &Value, how: Sealing<'_>, to: &SealingCertificate) -> Result<Value, SealError> {
    let kind = secret.get("kind").and_then(Value::as_str).unwrap_or("document without a kind");
    if kind != "Secret" || secret.get("apiVersion").and_then(Value::as_str) != Some("v1") {
        return Err(SealError::NotSecret(kind.to_owned()));
    }
    let metadata = secret.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = how.name.or_else(|| text("name")).ok_or(SealError::NoName)?.to_owned();
    let namespace = how.namespace.or_else(|| text("namespace")).unwrap_or_default().to_owned();
    let mut annotations = metadata.get("annotations").and_then(Value::as_object).cloned().unwrap_or_default();
    let written = SealingScope::read(|key| annotations.get(key).and_then(Value::as_str));
    let scope = how.scope.unwrap_or(written);
    if scope != SealingScope::Cluster && namespace.is_empty() {
        return Err(SealError::NoNamespace(scope));
    }

    let mut encrypted = Map::new();
    let label = label(scope, &namespace, &name);
    for (key, value) in values(secret)? {
        encrypted.insert(key, Value::String(to.seal(&value, &label)?));
    }
    if encrypted.is_empty() {
        return Err(SealError::Empty(name));
    }

    annotations.retain(|key, _| !WITH_VALUES.contains(&key.as_str()));
    let mut own = Map::new();
    for other in [SealingScope::Namespace, SealingScope::Cluster] {
        let key = other.annotation().expect("only strict has none");
        annotations.remove(key);
        if other == scope {
            annotations.insert(key.to_owned(), json!("true"));
            own.insert(key.to_owned(), json!("true"));
        }
    }
    let mut template = metadata;
    template.retain(|key, _| !LEFT_OUT.contains(&key.as_str()));
    let mut head = Map::new();
    for map in [&mut template, &mut head] {
        map.insert("name".into(), json!(name));
        if !namespace.is_empty() {
            map.insert("namespace".into(), json!(namespace));
        }
    }
    template.remove("annotations");
    for (map, annotations) in [(&mut template, annotations), (&mut head, own)] {
        if !annotations.is_empty() {
            map.insert("annotations".into(), Value::Object(annotations));
        }
    }
    let mut made = json!({"metadata": template});
    for key in ["type", "immutable"] {
        if let Some(value) = secret.get(key).filter(|value| !value.is_null()) {
            made[key] = value.clone();
        }
    }
    Ok(json!({
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "metadata": head,
        "spec": {"encryptedData": encrypted, "template": made},
    }))
}

/// Keys and values, zeroed when they go.
type Values = Vec<(String, Zeroizing<Vec<u8>>)>;

/// The values of a Secret; `stringData` wins over `data`, as in the API server.
fn values(secret: &Value) -> Result<Values, SealError> {
    let mut found = Values::new();
    for field in ["data", "stringData"] {
        let map = match secret.get(field) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(map)) => map,
            Some(_) => return Err(SealError::BadValue(field.to_owned(), "a mapping")),
        };
        for (key, value) in map {
            let bad = |why| SealError::BadValue(format!("{field}.{key}"), why);
            let text = value.as_str().ok_or_else(|| bad("text"))?;
            let bytes = if field == "data" {
                let text = Zeroizing::new(text.split_ascii_whitespace().collect::<String>());
                STANDARD.decode(text.as_bytes()).map_err(|_| bad("base64"))?
            } else {
                text.as_bytes().to_vec()
            };
            found.retain(|(known, _)| known != key);
            found.push((key.clone(), Zeroizing::new(bytes)));
        }
    }
    Ok(found)
}
