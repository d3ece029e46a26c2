//! Secret, ConfigMap, Namespace.

use base64::Engine as _;
use serde_json::Value;

use super::{Out, has, list, text, words};
use crate::path::Path;

static DATA: Path<'static> = Path::top("data");
static BINARY: Path<'static> = Path::top("binaryData");
static IMMUTABLE: Path<'static> = Path::top("immutable");

/// Most bytes of all values.
const SIZE: u64 = 1 << 20;

pub fn secret(object: &Value, old: Option<&Value>, out: &mut Out<'_>) {
    let kind = text(object, "type");
    if let Some(old) = old {
        if kind != text(old, "type") {
            out.invalid(&Path::ROOT.field("type"), kind, "field is immutable");
        }
        unchanged(object, old, &[("data", &DATA)], out);
    }
    let data = &object["data"];
    let mut size = 0;
    for (key, value) in data.as_object().into_iter().flatten() {
        out.each(&DATA.key(key), key.as_str(), words::data_key(key));
        size += bytes(value).len() as u64;
    }
    if size > SIZE {
        out.too_long(&DATA, SIZE);
    }
    let mut need = |key: &str| {
        if data.get(key).is_none() {
            out.required(&DATA.key(key), "");
        }
    };
    match kind {
        "kubernetes.io/service-account-token" => {
            const ACCOUNT: &str = "kubernetes.io/service-account.name";
            if text(&object["metadata"]["annotations"], ACCOUNT).is_empty() {
                out.required(&super::METADATA.field("annotations").key(ACCOUNT), "");
            }
        }
        "kubernetes.io/dockercfg" => docker(data, ".dockercfg", out),
        "kubernetes.io/dockerconfigjson" => docker(data, ".dockerconfigjson", out),
        "kubernetes.io/basic-auth" if data.get("username").is_none() && data.get("password").is_none() => {
            need("username");
            need("password");
        }
        "kubernetes.io/ssh-auth" if text(data, "ssh-privatekey").is_empty() => {
            out.required(&DATA.key("ssh-privatekey"), "");
        }
        "kubernetes.io/tls" => {
            need("tls.crt");
            need("tls.key");
        }
        _ => {}
    }
}

fn docker(data: &Value, key: &str, out: &mut Out<'_>) {
    let Some(value) = data.get(key) else { return out.required(&DATA.key(key), "") };
    let content = bytes(value);
    let is_mapping =
        serde_json::from_slice::<Value>(&content).map(|value| value.is_object() || value.is_null());
    let wrong = match is_mapping {
        Ok(true) => return,
        Ok(false) => "json: cannot unmarshal into Go value of type map[string]interface {}".to_owned(),
        Err(error) if error.is_eof() => "unexpected end of JSON input".to_owned(),
        Err(_) => {
            // Go takes a byte for a character.
            let first = content.iter().find(|byte| !byte.is_ascii_whitespace()).copied().unwrap_or(b' ');
            let first = crate::cause::quote(&char::from(first).to_string());
            format!("invalid character '{}' looking for beginning of value", first.trim_matches('"'))
        }
    };
    out.invalid(&DATA.key(key), "<secret contents redacted>", wrong);
}

fn bytes(value: &Value) -> Vec<u8> {
    let text: String =
        value.as_str().unwrap_or_default().chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
}

/// What has said that it is immutable stays so, with its data.
fn unchanged(object: &Value, old: &Value, fields: &[(&str, &Path<'_>)], out: &mut Out<'_>) {
    if old["immutable"] != true {
        return;
    }
    let words = "field is immutable when `immutable` is set";
    if object["immutable"] != true {
        out.forbidden(&IMMUTABLE, words);
    }
    for (name, path) in fields {
        if object[*name] != old[*name] {
            out.forbidden(path, words);
        }
    }
}

pub fn config_map(object: &Value, old: Option<&Value>, out: &mut Out<'_>) {
    if let Some(old) = old {
        unchanged(object, old, &[("data", &DATA), ("binaryData", &BINARY)], out);
    }
    let mut size = 0;
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        out.each(&DATA.key(key), key.as_str(), words::data_key(key));
        if has(&object["binaryData"], key) {
            out.invalid(&DATA.key(key), key.as_str(), "duplicate of key present in binaryData");
        }
        size += value.as_str().map_or(0, str::len) as u64;
    }
    for (key, value) in object["binaryData"].as_object().into_iter().flatten() {
        out.each(&BINARY.key(key), key.as_str(), words::data_key(key));
        size += bytes(value).len() as u64;
    }
    if size > SIZE {
        out.too_long(&Path::ROOT.field(""), SIZE);
    }
}

pub fn namespace(object: &Value, out: &mut Out<'_>) {
    for name in list(&object["spec"], "finalizers") {
        let name_text = name.as_str().unwrap_or_default();
        let path = super::SPEC.field("finalizers");
        out.each(&path, name_text, words::label_key(name_text));
        finalizer(name, &path, out);
    }
}

/// `validateKubeFinalizerName`.
pub fn finalizer(name: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    let name = name.as_str().unwrap_or_default();
    if !name.contains('/') && !matches!(name, "kubernetes" | "orphan" | "foregroundDeletion") {
        out.invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified");
    }
}
