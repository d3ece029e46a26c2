//! An object as a user or a controller wrote it, and where it came from.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use crate::{Instant, Json, Kind, Lines, Name, NamespacedName, ObjectKey};

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
    /// documents of one layout share one map. For documents read from plain YAML; rendered charts have none before they are
    /// asked for: for them `source` names the template.
    pub lines: Lines,
    /// Fields that stand elsewhere: in a patch of a kustomization, or where the value of a chart stands that they come from (of
    /// those that were asked for).
    pub elsewhere: Option<Arc<BTreeMap<Name, (Placed, Source)>>>,
    /// The Argo CD Application that it belongs to; empty for a plain folder.
    pub application: Name,
    /// What applies it: an Application, a set of them, what Flux has in their place, or the root. The store keeps it, as a
    /// cluster keeps Argo CD's tracking annotation. `None` for objects made by Portolan.
    pub owner: Option<Arc<ObjectKey>>,
    /// Sync wave (`argocd.argoproj.io/sync-wave`), 0 if unset.
    pub wave: i32,
}

/// How well the place of a field is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The line is that of the field.
    Exact,
    /// It is that of what holds the field, or would.
    Near,
    /// Only the file is known.
    File,
    /// It is that of the chart's value which the field comes from.
    Value,
}

/// A place in the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// How well it is known.
    pub placed: Placed,
    /// Path relative to the repository root.
    pub file: &'a Name,
    /// From 1.
    pub line: Option<u32>,
}

impl Placed {
    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Near => "near",
            Self::File => "file",
            Self::Value => "value",
        }
    }
}

impl Origin {
    /// Whether nothing is known of where it stands but the file: it comes of a template.
    pub fn is_of_file_alone(&self) -> bool {
        self.source.is_some() && self.lines.is_empty()
    }

    /// Where the document stands, as `file:line`; the file alone where the line is that of a template. `None` for objects made by
    /// Portolan.
    pub fn shown(&self) -> Option<String> {
        let source = self.source.as_ref()?;
        if self.lines.is_empty() {
            return Some(source.file.to_string());
        }
        Some(format!("{}:{}", source.file, source.line))
    }

    /// The place of a field, and how well it is known; `None` for objects made by Portolan.
    pub fn place_of(&self, field: &str) -> Option<Place<'_>> {
        if let Some((placed, at)) = self.elsewhere.as_ref().and_then(|all| all.get(field)) {
            return Some(Place { placed: *placed, file: &at.file, line: Some(at.line) });
        }
        let file = &self.source.as_ref()?.file;
        let (placed, line) = if self.lines.is_empty() {
            (Placed::File, None)
        } else if field.is_empty() || self.line_of_own(field).is_some() {
            (Placed::Exact, self.line_of(field))
        } else {
            (Placed::Near, self.line_of(field))
        };
        Some(Place { placed, file, line })
    }

    /// Line of just this field, counted as `lines` are. A key in brackets, as findings have those of annotations, stands there
    /// behind a dot.
    fn line_of_own(&self, field: &str) -> Option<u32> {
        let in_brackets = || {
            let (above, key) = field.strip_suffix(']')?.split_once('[')?;
            self.lines.get(&format!("{above}.{key}"))
        };
        self.lines.get(field).or_else(in_brackets)
    }

    /// Line of `field` or of its nearest parent that is known, else of the document.
    pub fn line_of(&self, field: &str) -> Option<u32> {
        let first = self.source.as_ref()?.line;
        let mut path = field;
        loop {
            if let Some(after) = self.line_of_own(path) {
                return Some(first + after);
            }
            match path.rfind(['.', '[']) {
                Some(cut) => path = &path[..cut],
                None => return Some(first),
            }
        }
    }
}

/// What the store knows about an object besides what was written. It stands apart, so that the object's JSON is the one
/// that was read, shared and not copied.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    /// `metadata.uid`: another object of the same name has another one.
    pub uid: Arc<str>,
    /// `metadata.creationTimestamp`.
    pub created: Instant,
    /// `metadata.generation`: grows when anything besides metadata and status changes.
    pub generation: i64,
    /// `metadata.resourceVersion`: grows with every change in the store.
    pub version: u64,
}

impl Stamp {
    /// The fields of `metadata` that a stamp stands for.
    pub const FIELDS: [&'static str; 4] = ["uid", "creationTimestamp", "generation", "resourceVersion"];

    /// What an object says about itself.
    pub fn read(json: &Value) -> Self {
        let field = |name: &str| json.get("metadata").and_then(|metadata| metadata.get(name));
        let text = |name: &str| field(name).and_then(Value::as_str);
        Self {
            uid: text("uid").unwrap_or_default().into(),
            created: text("creationTimestamp").and_then(Instant::parse).unwrap_or_default(),
            generation: field("generation").and_then(Value::as_i64).unwrap_or(1),
            version: text("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0),
        }
    }

    fn write(&self, metadata: &mut Map<String, Value>) {
        metadata.insert("uid".into(), (*self.uid).into());
        metadata.insert("creationTimestamp".into(), self.created.rfc3339().into());
        metadata.insert("generation".into(), self.generation.into());
        metadata.insert("resourceVersion".into(), self.version.to_string().into());
    }
}

/// A Kubernetes object, untyped, with what the store and the findings need to know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Group, kind, namespace, name.
    pub key: ObjectKey,
    /// API version without the group, such as `v1`.
    pub version: Name,
    /// The whole object as it was written, `apiVersion` and `kind` included. Values of Secrets are in here: never print
    /// it. Of an object in the store, the fields that [`Stamp`] stands for and `status` are not valid.
    pub json: Json,
    /// Where it came from.
    pub origin: Origin,
    /// What the store knows about it; `None` outside the store.
    pub stamp: Option<Stamp>,
}

impl Object {
    /// Reads the identity out of a JSON object.
    ///
    /// # Errors
    /// A sentence that says which of `apiVersion`, `kind`, `metadata.name` is missing or not text.
    pub fn from_json(json: impl Into<Json>, origin: Origin) -> Result<Self, String> {
        let json: Json = json.into();
        let (key, version) = Self::identity(&json)?;
        Ok(Self { key, version, json, origin, stamp: None })
    }

    /// Which object it is, and the API version without the group.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn identity(json: &Value) -> Result<(ObjectKey, Name), String> {
        let text = |path: &[&str]| {
            let mut at = json;
            for part in path {
                at = at.get(part)?;
            }
            at.as_str().map(str::to_owned)
        };
        let api_version = text(&["apiVersion"]).ok_or("apiVersion is missing or not text")?;
        let kind = text(&["kind"]).ok_or("kind is missing or not text")?;
        let name = match json.pointer("/metadata/name") {
            Some(other @ (Value::Bool(_) | Value::Number(_))) => {
                return Err(not_text("metadata.name", other));
            }
            _ => text(&["metadata", "name"]).ok_or("metadata.name is missing or not text")?,
        };
        let namespace = match json.pointer("/metadata/namespace") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            // Said instead of taking it for none.
            Some(other) => return Err(not_text("metadata.namespace", other)),
        };
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let key =
            ObjectKey { kind: Kind::new(group, kind.as_str()), name: NamespacedName::new(namespace, name) };
        Ok((key, version.into()))
    }

    /// An annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.json.get("metadata")?.get("annotations")?.get(key)?.as_str()
    }

    /// `metadata.generation`, 1 where nobody has set one.
    pub fn generation(&self) -> i64 {
        match &self.stamp {
            Some(stamp) => stamp.generation,
            None => self.json.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(1),
        }
    }

    /// `metadata.creationTimestamp`, the epoch where nobody has set one.
    pub fn created(&self) -> Instant {
        match &self.stamp {
            Some(stamp) => stamp.created,
            None => Stamp::read(&self.json).created,
        }
    }

    /// The object as an API server would show it: with the store's `metadata`, without `status`. A copy, for showing.
    pub fn stamped(&self) -> Value {
        let mut json = (*self.json).clone();
        if let (Some(stamp), Some(map)) = (&self.stamp, json.as_object_mut()) {
            map.remove("status");
            if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
                stamp.write(metadata);
            }
        }
        json
    }
}

/// A name that YAML 1.1 reads as something else.
fn not_text(field: &str, found: &Value) -> String {
    let why = if found.is_boolean() {
        " (unquoted y, n, yes, no, on, off, true and false are booleans in YAML)"
    } else {
        ""
    };
    format!("{field} is {found}, not text{why}: put it in quotes")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_that_yaml_reads_as_something_else_is_said() {
        let said = |name: serde_json::Value, namespace: serde_json::Value| {
            let json = json!({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": name, "namespace": namespace}});
            Object::identity(&json).unwrap_err()
        };
        let booleans =
            "(unquoted y, n, yes, no, on, off, true and false are booleans in YAML): put it in quotes";
        let (namespace, name) = (said(json!("a"), json!(false)), said(json!(true), json!("a")));
        assert_eq!(namespace, format!("metadata.namespace is false, not text {booleans}"));
        assert_eq!(name, format!("metadata.name is true, not text {booleans}"));
        assert_eq!(said(json!(7), json!("a")), "metadata.name is 7, not text: put it in quotes");
        assert_eq!(said(json!(null), json!("a")), "metadata.name is missing or not text");
    }

    #[test]
    fn the_stamp_counts_and_not_what_was_written_in_its_place() {
        let json = json!({"apiVersion": "v1", "kind": "Thing", "status": {"by": "hand"}, "metadata": {
            "name": "n", "uid": "written", "generation": 7, "resourceVersion": "x",
            "creationTimestamp": "2020-01-01T00:00:00Z",
        }});
        let mut object = Object::from_json(json, Origin::default()).unwrap();
        assert_eq!((object.generation(), object.created().rfc3339().as_str()), (7, "2020-01-01T00:00:00Z"));
        assert_eq!(object.stamped(), *object.json, "outside the store it is what it says");
        let stamp = Stamp { uid: "u".into(), created: Instant(1000), generation: 2, version: 40 };
        object.stamp = Some(stamp.clone());
        assert_eq!((object.generation(), object.created()), (2, Instant(1000)));
        let shown = object.stamped();
        assert_eq!(Stamp::read(&shown), stamp);
        assert_eq!((&shown["metadata"]["name"], shown.get("status")), (&json!("n"), None));
    }
}
