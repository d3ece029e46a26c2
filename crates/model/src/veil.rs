//! Secrets in what is wrong: a document that somebody means to be a Secret is one before it is valid, and what is said of it
//! must not say it.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::nearest;

/// Kinds that hold secrets, in whatever group and version somebody writes them.
const KINDS: [&str; 4] = ["Secret", "SealedSecret", "SecretList", "SealedSecretList"];
/// Fields that only such kinds have.
const FIELDS: [&str; 2] = ["stringdata", "encrypteddata"];
/// Parts of the names of values that are secret.
const WORDS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "credential",
    "privatekey",
    "private_key",
    "private-key",
    "accesskey",
    "tls.key",
];
/// Names of fields of any kind whose text is a secret itself, without `-` and `_`; what ends in `Ref` or `Name` only leads to one.
const TEXTS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "token",
    "apikey",
    "apitoken",
    "clientsecret",
    "secretkey",
    "secretaccesskey",
    "privatekey",
    "hmackey",
];
const COVER: &str = "[redacted]";

/// Whether a kind's name says, or nearly says, that its objects hold secrets.
pub fn is_secret_kind(kind: &str) -> bool {
    let kind = kind.trim();
    // SecretStore, ExternalSecret and their like hold none, and are not near.
    nearest(kind, KINDS)
        .is_some_and(|near| near.len().abs_diff(kind.len()) <= 1 || kind.eq_ignore_ascii_case("secrets"))
}

/// Whether a document means to be a Secret or a SealedSecret.
pub fn means_secret(json: &Value) -> bool {
    let Some(map) = json.as_object() else { return false };
    let field = |name: &str| {
        map.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    field("kind").and_then(Value::as_str).is_some_and(is_secret_kind)
        || FIELDS.iter().any(|name| field(name).is_some())
}

/// Whether a field of this name holds a secret as its text, in whatever kind, such as `keystores.jks.password`.
pub fn is_secret_field(name: &str) -> bool {
    // Each field of each document is asked about, so nothing is copied.
    let from_end =
        || name.bytes().rev().filter(|c| !matches!(c, b'-' | b'_')).map(|c| c.to_ascii_lowercase());
    TEXTS.iter().any(|text| {
        let mut letters = from_end();
        text.bytes().rev().all(|letter| letters.next() == Some(letter))
    })
}

/// Texts that are not to be shown.
#[derive(Debug, Default)]
pub struct Veil(Vec<String>);

impl Veil {
    /// All values of a document that means to be a Secret; of any other those whose fields say that they are secret.
    pub fn of_document(json: &Value) -> Self {
        let mut all = Vec::new();
        if means_secret(json) {
            for (key, value) in json.as_object().into_iter().flatten() {
                match &*key.to_ascii_lowercase() {
                    "apiversion" | "kind" | "type" | "immutable" => {}
                    "metadata" => {
                        leaves(value.get("annotations").unwrap_or(&Value::Null), &mut all);
                    }
                    _ => leaves(value, &mut all),
                }
            }
        } else {
            fields(json, &mut all);
        }
        Self::of(&all)
    }

    /// Values whose names say that they are secret, such as the values of a chart.
    pub fn of_values<'a>(values: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut all = Vec::new();
        values.into_iter().for_each(|value| named(value, &mut all));
        Self::of(&all)
    }

    /// One value of a name, if the name says that it is secret.
    pub fn add(&mut self, name: &str, value: &str) {
        if is_secret_name(name) {
            self.0.extend(forms(value));
        }
    }

    /// A text that is secret by where it stands.
    pub fn add_secret(&mut self, text: &str) {
        self.0.extend(forms(text));
    }

    /// What another hides too.
    pub fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// A patch: a part of an object, or a list of operations (RFC 6902). All values of one that is meant for a Secret.
    pub fn of_patch(json: &Value, of_secret: bool) -> Self {
        let of_data = |operation: &Value| {
            let path = operation["path"].as_str().unwrap_or_default().to_ascii_lowercase();
            path.starts_with("/data") || path.starts_with("/stringdata")
        };
        let mut all = Vec::new();
        match json {
            Value::Array(operations) => {
                for operation in operations.iter().filter(|operation| of_secret || of_data(operation)) {
                    leaves(&operation["value"], &mut all);
                }
            }
            _ if of_secret => {
                for field in ["data", "stringData"] {
                    leaves(&json[field], &mut all);
                }
            }
            _ => {}
        }
        let mut veil = Self::of(&all);
        veil.join(Self::of_document(json));
        veil
    }

    fn of(all: &[String]) -> Self {
        Self(all.iter().flat_map(|text| forms(text)).collect())
    }

    /// The text without them.
    pub fn cover<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // Long ones first: one may hold another.
        let mut all: Vec<&str> = self.0.iter().map(String::as_str).collect();
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        let mut out = Cow::Borrowed(text);
        for hidden in all {
            if out.contains(hidden) {
                let with = if hidden.starts_with('"') { format!("\"{COVER}\"") } else { COVER.to_owned() };
                out = Cow::Owned(out.replace(hidden, &with));
            }
        }
        out
    }
}

/// Ways in which a message may quote a value. A short one is looked for in quotes only: `a` is part of every sentence.
fn forms(text: &str) -> Vec<String> {
    let mut all = vec![text.to_owned(), text.trim().to_owned(), text.trim().to_lowercase()];
    // Messages name the first line of what has several.
    all.extend(text.lines().map(|line| line.trim().to_owned()));
    if let Some(decoded) = STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
        all.push(decoded.trim().to_owned());
        all.push(decoded);
    }
    let written: Vec<String> = all.iter().map(|text| Value::from(&**text).to_string()).collect();
    all.retain(|text| text.chars().count() >= 4);
    // Without its quotes, as part of a longer text.
    all.extend(written.iter().filter(|text| text.len() >= 6).map(|text| text[1..text.len() - 1].to_owned()));
    all.extend(written.into_iter().filter(|text| text.len() > 2));
    all
}

fn leaves(json: &Value, out: &mut Vec<String>) {
    match json {
        Value::String(text) => out.push(text.clone()),
        Value::Number(number) => out.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, out)),
        Value::Object(map) => map.values().for_each(|value| leaves(value, out)),
        Value::Bool(_) | Value::Null => {}
    }
}

/// What stands right in a field that holds a secret.
fn fields(json: &Value, out: &mut Vec<String>) {
    match json {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(_) | Value::Number(_) if is_secret_field(key) => leaves(value, out),
                    _ => fields(value, out),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, out)),
        _ => {}
    }
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

fn named(json: &Value, out: &mut Vec<String>) {
    match json {
        Value::Object(map) => {
            for (key, value) in map {
                if is_secret_name(key) { leaves(value, out) } else { named(value, out) }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| named(item, out)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_means_to_be_a_secret_is_one() {
        for kind in [
            "Secret",
            "secret",
            "SECRET",
            "Secrets",
            "Secert",
            "Secrt",
            "SealedSecret",
            "sealedsecret",
            " Secret",
        ] {
            assert!(means_secret(&json!({"kind": kind})), "{kind}");
        }
        for kind in ["SecretStore", "ExternalSecret", "ClusterSecretStore", "Service", "ConfigMap", ""] {
            assert!(!means_secret(&json!({"kind": kind})), "{kind}");
        }
        assert!(means_secret(&json!({"Kind": "Secret"})) && means_secret(&json!({"stringdata": {}})));
        assert!(!means_secret(&json!(["Secret"])));
    }

    #[test]
    fn no_form_of_a_value_is_said() {
        let json = json!({"kind": "secret", "metadata": {"name": "name-of-it", "annotations": {"a": "in-annotation"}},
            "Data": "text-as-data", "stringdata": {"a": "hunter2 hunter2", "b": 12345, "c": "bGl0ZXJhbGx5"},
            "data": {"d": "line one\nline two", "e": "ab"}});
        let veil = Veil::of_document(&json);
        for said in [
            "Invalid value: \"hunter2 hunter2\"",
            "12345 is no text",
            "literally",
            "bGl0ZXJhbGx5",
            "text-as-data",
            "\"line one\\nline two\"",
            "at line two",
            "in-annotation",
            "Invalid value: \"ab\"",
        ] {
            let covered = veil.cover(said);
            assert!(covered.contains(COVER), "{covered}");
            for part in ["hunter2", "12345", "literally", "bGl0", "text-as", "line one", "line two", "\"ab\""]
            {
                assert!(!covered.contains(part), "{covered}");
            }
        }
        assert_eq!(veil.cover("about name-of-it"), "about name-of-it");
        assert_eq!(
            Veil::of_document(&json!({"kind": "ConfigMap", "data": {"a": "value"}})).cover("value"),
            "value"
        );
    }

    #[test]
    fn fields_of_other_kinds_that_hold_one() {
        for name in ["password", "clientSecret", "api-key", "API_TOKEN", "adminPassword", "secretAccessKey"] {
            assert!(is_secret_field(name), "{name}");
        }
        for name in
            ["passwordSecretRef", "secretName", "secretRef", "tokenUrl", "key", "passwords", "privateKeyRef"]
        {
            assert!(!is_secret_field(name), "{name}");
        }
        let json = json!({"kind": "Certificate", "spec": {"secretName": "tls-of-it", "privateKey": {"size": 2048},
            "keystores": {"jks": {"password": "hunter2!"}, "pkcs12": {"password": 123_456}}}});
        let covered = Veil::of_document(&json);
        assert_eq!(covered.cover("hunter2! 123456 tls-of-it 2048"), "[redacted] [redacted] tls-of-it 2048");
    }

    #[test]
    fn values_of_charts_by_their_names() {
        let values =
            json!({"db": {"adminPassword": "hunter2", "host": "db.example.com"}, "secrets": [{"x": "deep"}]});
        let veil = Veil::of_values([&values]);
        assert_eq!(veil.cover("hunter2 at db.example.com, deep"), "[redacted] at db.example.com, [redacted]");
    }
}
