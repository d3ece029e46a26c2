//! `templatePatch`: a strategic merge patch of Kubernetes (apimachinery `strategicpatch`) of an Application, of whose lists only
//! the finalizers are merged.

use serde_json::{Map, Value};

const DIRECTIVE: &str = "$patch";
const DELETE: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";
const RETAIN: &str = "$retainKeys";

/// Lays a patch over an Application.
///
/// # Errors
/// A directive that there is not.
pub(super) fn lay(application: &mut Value, patch: Value) -> Result<(), String> {
    merge(application, patch, &[])
}

fn merge(value: &mut Value, patch: Value, path: &[&str]) -> Result<(), String> {
    let mut patch = match patch {
        Value::Object(patch) => patch,
        Value::Array(more) if path == ["metadata", "finalizers"] => {
            add(value, more);
            return Ok(());
        }
        patch => {
            *value = patch;
            return Ok(());
        }
    };
    match patch.remove(DIRECTIVE) {
        None => {}
        Some(directive) if directive == "replace" => {
            *value = Value::Object(patch);
            return Ok(());
        }
        Some(directive) if directive == "delete" => {
            // What is deleted is an empty mapping, which says nothing.
            *value = Value::Object(Map::new());
            return Ok(());
        }
        Some(directive) if directive == "merge" => {}
        Some(directive) => return Err(format!("unknown patch type: {directive}")),
    }
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Some(fields) = value.as_object_mut() else { return Ok(()) };
    if let Some(Value::Array(kept)) = patch.remove(RETAIN) {
        fields.retain(|field, _| kept.iter().any(|one| one == field));
    }
    for (field, part) in patch {
        if let Some(list) = field.strip_prefix(DELETE) {
            if let (Some(Value::Array(all)), Value::Array(gone)) = (fields.get_mut(list), part) {
                all.retain(|one| !gone.contains(one));
            }
        } else if part.is_null() {
            fields.remove(&field);
        } else if !field.starts_with(ORDER) {
            let below: Vec<&str> = path.iter().copied().chain([field.as_str()]).collect();
            merge(fields.entry(field.clone()).or_insert(Value::Null), part, &below)?;
        }
    }
    Ok(())
}

/// Adds to a list what it has not.
fn add(value: &mut Value, more: Vec<Value>) {
    let Value::Array(all) = value else {
        *value = Value::Array(more);
        return;
    };
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    /// As `strategicpatch.StrictMergePatch` of an Application gives it.
    #[test]
    fn lists_are_replaced_but_for_finalizers_and_directives_are_followed() {
        let old = json!({
            "metadata": {"finalizers": ["a", "b"], "labels": {"x": "1", "y": "2"}},
            "spec": {"info": [{"name": "a"}], "source": {"path": "p", "helm": {"releaseName": "x", "values": "v"}}},
        });
        for (patch, at, wanted) in [
            (json!({"metadata": {"finalizers": ["c", "a"]}}), "/metadata/finalizers", json!(["a", "b", "c"])),
            (
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
                "/metadata/finalizers",
                json!(["b"]),
            ),
            (json!({"spec": {"info": [{"name": "b"}]}}), "/spec/info", json!([{"name": "b"}])),
            (json!({"spec": {"source": {"helm": {"$patch": "delete"}}}}), "/spec/source/helm", json!({})),
            (
                json!({"spec": {"source": {"helm": {"$patch": "replace", "values": "w"}}}}),
                "/spec/source/helm",
                json!({"values": "w"}),
            ),
            (json!({"spec": {"source": {"helm": null}}}), "/spec/source", json!({"path": "p"})),
            (
                json!({"metadata": {"labels": {"$retainKeys": ["y"], "y": "3"}}}),
                "/metadata/labels",
                json!({"y": "3"}),
            ),
        ] {
            let mut value = old.clone();
            lay(&mut value, patch.clone()).unwrap();
            assert_eq!(value.pointer(at), Some(&wanted), "{patch}");
        }
        assert!(lay(&mut old.clone(), json!({"spec": {"$patch": "drop"}})).is_err());
    }
}
