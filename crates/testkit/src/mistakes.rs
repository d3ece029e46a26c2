//! What is wrong with objects that people write: a type, a name, a word, a field that is missing.

use serde_json::{Value, json};

/// Fields that an object of these kinds cannot be without.
const REQUIRED: [&str; 16] = [
    "name",
    "port",
    "protocol",
    "gatewayClassName",
    "listeners",
    "controllerName",
    "spec",
    "value",
    "type",
    "certificateRefs",
    "backendRef",
    "from",
    "to",
    "kind",
    "namespace",
    "rules",
];
/// Fields with a value out of a list.
const ENUMS: [&str; 9] =
    ["type", "protocol", "from", "kind", "group", "mode", "method", "scheme", "replaceFullPath"];

/// What says which object it is, and what the API server writes.
const GIVEN: [&str; 8] = [
    "/apiVersion",
    "/kind",
    "/metadata",
    "/metadata/name",
    "/metadata/namespace",
    "/metadata/creationTimestamp",
    "/metadata/generation",
    "/status",
];

/// Paths of all values that do not say which object it is.
fn paths(value: &Value, at: &str, out: &mut Vec<String>) {
    let mut each = |name: String, value: &Value| {
        let path = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        if !GIVEN.contains(&&*path) {
            out.push(path.clone());
            paths(value, &path, out);
        } else if path == "/metadata" {
            paths(value, &path, out);
        }
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| each(key.clone(), value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, value)| each(n.to_string(), value)),
        _ => {}
    }
}

/// What may stand in the place of a value: another type, a name that nothing has, a word that is in no list.
fn wrong(key: &str, value: &Value) -> Vec<Value> {
    let mut made = match value {
        Value::Object(_) => vec![json!("text"), json!([]), json!(7)],
        Value::Array(items) => vec![json!("text"), json!({}), json!([items, 7])],
        Value::String(text) => {
            let mut made =
                vec![json!({"a": 1}), json!([text]), json!(true), json!(""), json!("no such: Thing")];
            if ENUMS.contains(&key) {
                made.push(json!(format!("{text}x")));
                made.push(json!(text.to_lowercase() + "-"));
            } else {
                made.extend([json!("no-such-thing"), json!("a..b"), json!("x".repeat(300))]);
            }
            made
        }
        Value::Number(_) => vec![json!("text"), json!([]), json!(-1), json!(0), json!(70_000), json!(1.5)],
        _ => vec![json!("text"), json!({}), json!(7)],
    };
    made.retain(|wrong| wrong != value);
    made
}

/// An object with one thing wrong, in every way, each with words for it.
pub fn mistakes(object: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    paths(object, "", &mut all);
    let mut made = Vec::new();
    for path in all {
        let Some((parent, key)) = path.rsplit_once('/') else { continue };
        let Some(present) = object.pointer(&path) else { continue };
        for value in wrong(key, present) {
            let mut other = object.clone();
            let what = format!("{path} is {}", value.to_string().chars().take(20).collect::<String>());
            if let Some(place) = other.pointer_mut(&path) {
                *place = value;
                made.push((what, other));
            }
        }
        if REQUIRED.contains(&key) {
            let mut other = object.clone();
            if let Some(map) = other.pointer_mut(parent).and_then(Value::as_object_mut) {
                map.remove(key);
                made.push((format!("{path} is missing"), other));
            }
        }
    }
    made
}
