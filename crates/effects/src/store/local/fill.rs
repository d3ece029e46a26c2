//! Fields that are written into an object which somebody else applies: the content of a mirror that a user wrote.

use portolan_model::{Object, ObjectKey};
use serde_json::{Value, json};

/// Fields over an object that its owner applies without them. They stay when the owner applies it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// The object.
    pub key: ObjectKey,
    /// Top-level fields that replace the object's (`null` removes one); of `metadata`, annotations and labels are merged.
    pub fields: Value,
    /// Whether `data` is put into the object's own instead of replacing it. Not kept on disk: for volatile fields only.
    pub merge: bool,
    /// Annotation and value: once the owner's object no longer has it, the fields go.
    pub while_annotated: (String, String),
    /// Whether the fields are kept in memory only.
    pub volatile: bool,
}

impl Fill {
    /// Whether it belongs over this object.
    pub fn holds(&self, base: &Object) -> bool {
        base.annotation(&self.while_annotated.0) == Some(self.while_annotated.1.as_str())
    }

    /// The object as everybody sees it.
    pub fn over(&self, base: &Object) -> Object {
        let mut json = (*base.json).clone();
        for (field, value) in self.fields.as_object().into_iter().flatten() {
            if field == "metadata" {
                for part in ["annotations", "labels"] {
                    for (key, value) in value.get(part).and_then(Value::as_object).into_iter().flatten() {
                        json["metadata"][part][key] = value.clone();
                    }
                }
            } else if self.merge && field == "data" {
                for (key, value) in value.as_object().into_iter().flatten() {
                    // The API server turns `stringData` into `data`: the owner's value of the key is not there any more.
                    json.get_mut("stringData").and_then(Value::as_object_mut).map(|plain| plain.remove(key));
                    json["data"][key] = value.clone();
                }
            } else if value.is_null() {
                json.as_object_mut().map(|map| map.remove(field));
            } else {
                json[field] = value.clone();
            }
        }
        Object { json: json.into(), ..base.clone() }
    }

    /// As it is kept on disk.
    pub(in crate::store) fn save(&self) -> Value {
        json!({"fields": self.fields, "annotation": self.while_annotated.0, "value": self.while_annotated.1})
    }

    /// From disk; `None` if it cannot be read.
    pub(in crate::store) fn load(key: &ObjectKey, saved: &Value) -> Option<Self> {
        let text = |field: &str| saved.get(field).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            key: key.clone(),
            fields: saved.get("fields")?.clone(),
            while_annotated: (text("annotation")?, text("value")?),
            merge: false,
            volatile: false,
        })
    }
}
