//! An object as a user or a controller wrote it, and where it came from.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use crate::{Kind, Name, NamespacedName, ObjectKey};

/// Where a document stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Path relative to the repository root.
    pub file: Name,
    /// First line of the document, from 1.
    pub line: u32,
}

/// Who brought an object into the store, and where its text stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// File and line of the document; `None` for objects made by Portolan.
    pub source: Option<Source>,
    /// Field path (`spec.rules[0].matches`) to line, counted from the first line of the document (which has 0), so that
    /// documents of one layout share one map. For documents read from plain YAML; rendered charts have none: for them
    /// `source` names the template.
    pub lines: Arc<BTreeMap<String, u32>>,
    /// The Argo CD Application that it belongs to; empty for a plain folder.
    pub application: Name,
    /// Sync wave (`argocd.argoproj.io/sync-wave`), 0 if unset.
    pub wave: i32,
}

impl Origin {
    /// Line of `field` or of its nearest parent that is known, else of the document.
    pub fn line_of(&self, field: &str) -> Option<u32> {
        let first = self.source.as_ref()?.line;
        let mut path = field;
        loop {
            if let Some(after) = self.lines.get(path) {
                return Some(first + after);
            }
            match path.rfind(['.', '[']) {
                Some(cut) => path = &path[..cut],
                None => return Some(first),
            }
        }
    }
}

/// A Kubernetes object, untyped, with what the store and the findings need to know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Group, kind, namespace, name.
    pub key: ObjectKey,
    /// API version without the group, such as `v1`.
    pub version: Name,
    /// The whole object as JSON, `apiVersion` and `kind` included. Values of Secrets are in here: never print it.
    pub json: Arc<Value>,
    /// Where it came from.
    pub origin: Origin,
}

impl Object {
    /// Reads the identity out of a JSON object.
    ///
    /// # Errors
    /// A sentence that says which of `apiVersion`, `kind`, `metadata.name` is missing or not text.
    pub fn from_json(json: impl Into<Arc<Value>>, origin: Origin) -> Result<Self, String> {
        let json: Arc<Value> = json.into();
        let text = |path: &[&str]| {
            let mut at = &*json;
            for part in path {
                at = at.get(part)?;
            }
            at.as_str().map(str::to_owned)
        };
        let api_version = text(&["apiVersion"]).ok_or("apiVersion is missing or not text")?;
        let kind = text(&["kind"]).ok_or("kind is missing or not text")?;
        let name = text(&["metadata", "name"]).ok_or("metadata.name is missing or not text")?;
        let namespace = match json.pointer("/metadata/namespace") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            // `namespace: n` is a boolean in YAML 1.1: say so instead of taking it for none.
            Some(other) => return Err(format!("metadata.namespace is {other}, not text: put it in quotes")),
        };
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        Ok(Self {
            key: ObjectKey {
                kind: Kind::new(group, kind.as_str()),
                name: NamespacedName::new(namespace, name),
            },
            version: version.into(),
            json,
            origin,
        })
    }

    /// An annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.json.get("metadata")?.get("annotations")?.get(key)?.as_str()
    }

    /// `metadata.generation`, 1 where the store has not set one.
    pub fn generation(&self) -> i64 {
        self.json.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(1)
    }
}
