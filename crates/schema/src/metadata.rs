//! The rules of `metadata` that hold for every kind. Source: k8s.io/apimachinery `pkg/api/validation/objectmeta.go`.

use serde_json::{Map, Value};

use crate::{cause::Cause, names};

/// Most bytes of all annotations.
const ANNOTATIONS: usize = 256 << 10;

/// What a kind wants of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameRule {
    /// Labels of DNS, separated by points.
    #[default]
    Subdomain,
    /// One label of DNS.
    Label,
    /// One label of DNS that begins with a letter.
    Label1035,
}

impl NameRule {
    fn wrong(self, name: &str) -> Vec<String> {
        match self {
            Self::Subdomain => names::subdomain(name),
            Self::Label => names::label(name),
            Self::Label1035 => names::dns_1035(name),
        }
    }
}

/// What is wrong with the metadata of an object.
pub fn validate(metadata: &Map<String, Value>, namespaced: bool, rule: NameRule, out: &mut Vec<Cause>) {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default();
    let generate = text("generateName");
    if !generate.is_empty() {
        // What is appended makes the last dash a part of a name.
        let masked = match generate.strip_suffix('-') {
            Some(stem) if !stem.is_empty() => {
                format!("{}a", &stem[..stem.len() - stem.chars().last().map_or(0, char::len_utf8)])
            }
            _ => generate.to_owned(),
        };
        out.extend(
            rule.wrong(&masked)
                .into_iter()
                .map(|words| Cause::invalid("metadata.generateName", generate, words)),
        );
    }
    let name = text("name");
    if name.is_empty() {
        out.push(Cause::required("metadata.name", "name or generateName is required"));
    } else {
        out.extend(rule.wrong(name).into_iter().map(|words| Cause::invalid("metadata.name", name, words)));
    }
    let namespace = text("namespace");
    if namespaced {
        if namespace.is_empty() {
            out.push(Cause::required("metadata.namespace", ""));
        } else {
            let wrong = names::label(namespace).into_iter();
            out.extend(wrong.map(|words| Cause::invalid("metadata.namespace", namespace, words)));
        }
    } else if !namespace.is_empty() {
        out.push(Cause::forbidden("metadata.namespace", "not allowed on this type"));
    }
    if let Some(number) = metadata.get("generation").and_then(Value::as_i64).filter(|number| *number < 0) {
        out.push(Cause::invalid("metadata.generation", number, "must be greater than or equal to 0"));
    }
    maps(metadata, out);
    owners(metadata, out);
    finalizers(metadata, out);
}

fn maps(metadata: &Map<String, Value>, out: &mut Vec<Cause>) {
    let all = |key: &str| metadata.get(key).and_then(Value::as_object).into_iter().flatten();
    for (key, value) in all("labels") {
        let at = "metadata.labels";
        out.extend(names::label_key(key).into_iter().map(|words| Cause::invalid(at, key.as_str(), words)));
        let value = value.as_str().unwrap_or_default();
        out.extend(names::label_value(value).into_iter().map(|words| Cause::invalid(at, value, words)));
    }
    let mut size = 0;
    for (key, value) in all("annotations") {
        let wrong = names::label_key(&key.to_lowercase()).into_iter();
        out.extend(wrong.map(|words| Cause::invalid("metadata.annotations", key.as_str(), words)));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS {
        out.push(Cause::too_long("metadata.annotations", ANNOTATIONS as u64));
    }
}

fn owners(metadata: &Map<String, Value>, out: &mut Vec<Cause>) {
    let mut controller: Option<String> = None;
    let owners = metadata.get("ownerReferences").and_then(Value::as_array);
    for owner in owners.into_iter().flatten() {
        let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        // The list's own place is told of all owners: `ValidateOwnerReferences` adds no index.
        let at = |field: &str| format!("metadata.ownerReferences.{field}");
        if text("apiVersion").rsplit('/').next().unwrap_or_default().is_empty() {
            out.push(Cause::invalid(at("apiVersion"), text("apiVersion"), "version must not be empty"));
        }
        for field in ["kind", "name", "uid"] {
            if text(field).is_empty() {
                out.push(Cause::invalid(at(field), text(field), "must not be empty"));
            }
        }
        // `BannedOwners`.
        if text("apiVersion") == "v1" && text("kind") == "Event" {
            let words = "/v1, Kind=Event is disallowed from being an owner";
            out.push(Cause::invalid("metadata.ownerReferences", owner.clone(), words));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let name = format!("{}/{}", text("kind"), text("name"));
            if let Some(first) = &controller {
                let words = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                );
                let all = owners.cloned().map_or(Value::Null, Value::Array);
                out.push(Cause::invalid("metadata.ownerReferences", all, words));
            } else {
                controller = Some(name);
            }
        }
    }
}

fn finalizers(metadata: &Map<String, Value>, out: &mut Vec<Cause>) {
    let all: Vec<&str> = metadata
        .get("finalizers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for finalizer in &all {
        let wrong = names::label_key(finalizer).into_iter();
        out.extend(wrong.map(|words| Cause::invalid("metadata.finalizers", *finalizer, words)));
    }
    if all.contains(&"orphan") && all.contains(&"foregroundDeletion") {
        let words = "finalizer orphan and foregroundDeletion cannot be both set";
        out.push(Cause::invalid("metadata.finalizers", all.clone(), words));
    }
}
