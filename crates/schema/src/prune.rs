//! Fields that a schema does not know: taken away, and named. Source: k8s.io/apiextensions-apiserver
//! `pkg/apiserver/schema/pruning`.

use serde_json::Value;

use crate::{
    near::nearest,
    path::Path,
    schema::{Additional, Schema},
};

/// A field that the object has and its kind does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unknown {
    /// Where it stood: `spec.rules[0].matchs`.
    pub path: String,
    /// A field of the kind that is called much the same.
    pub nearest: Option<String>,
}

const META: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Prunes what `schema` does not know; `root` is the object itself or one in it.
pub fn prune(schema: &Schema, value: &mut Value, path: &Path<'_>, root: bool, out: &mut Vec<Unknown>) {
    let object = root || schema.embedded;
    match value {
        Value::Object(map) => {
            // Nothing to look up where all keys have one schema.
            let mut lost = Vec::new();
            for (name, value) in map.iter_mut() {
                if object && META.contains(&name.as_str()) {
                    continue;
                }
                if let Some(property) = schema.property(name) {
                    prune(property, value, &path.field(name), false, out);
                } else {
                    match &schema.additional {
                        Additional::Schema(each) => prune(each, value, &path.field(name), false, out),
                        // Values of no schema lose all fields that they have.
                        Additional::Any if !schema.preserve => strip(value, &path.field(name), out),
                        Additional::Any => {}
                        _ if schema.preserve => {}
                        _ => lost.push(name.clone()),
                    }
                }
            }
            for name in lost {
                map.remove(&name);
                let known = schema.properties.iter().map(|(known, _)| &**known);
                out.push(Unknown { path: path.field(&name).dotted(), nearest: nearest(&name, known) });
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                match &schema.items {
                    Some(each) => prune(each, item, &path.index(at), false, out),
                    None if schema.preserve => {}
                    None => strip(item, &path.index(at), out),
                }
            }
        }
        _ => {}
    }
}

fn strip(value: &mut Value, path: &Path<'_>, out: &mut Vec<Unknown>) {
    match value {
        Value::Object(map) => {
            for name in map.keys() {
                out.push(Unknown { path: path.field(name).dotted(), nearest: None });
            }
            map.clear();
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                strip(item, &path.index(at), out);
            }
        }
        _ => {}
    }
}
