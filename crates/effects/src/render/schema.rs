//! What the JSON schema of a chart's values refers to. Helm would fetch it; nothing is fetched.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use super::stage::Staged;

const FILE: &str = "values.schema.json";
/// Where the drafts of JSON schema themselves stand: Helm has them built in.
const BUILT_IN: [&str; 2] = ["json-schema.org/draft-", "json-schema.org/draft/"];

/// The first reference of a staged chart's schemas that leads out of the chart, in words; `shown` is the chart's path.
pub(super) fn leads_out(staged: &Staged, shown: &str) -> Option<String> {
    staged.files.iter().find_map(|(path, content)| {
        let schema = path.file_name().is_some_and(|name| name == FILE);
        let json: Value = serde_json::from_slice(if schema { content } else { return None }).ok()?;
        let mut own = BTreeSet::new();
        names(&json, &mut own);
        let (place, to) = outside(&json, &own, "")?;
        Some(format!(
            "{}: {place} is {to:?}; nothing is fetched and no other file is read while a chart is rendered. Copy what \
             it refers to into the schema (`$defs`), or set helm.skipSchemaValidation in the Application",
            Path::new(shown).join(path).display()
        ))
    })
}

/// What the document calls itself and its parts: references to those stay inside.
fn names(json: &Value, own: &mut BTreeSet<String>) {
    match json {
        Value::Object(map) => {
            for key in ["$id", "id"] {
                own.extend(map.get(key).and_then(Value::as_str).map(|id| plain(id).to_owned()));
            }
            map.values().for_each(|value| names(value, own));
        }
        Value::Array(items) => items.iter().for_each(|value| names(value, own)),
        _ => {}
    }
}

/// Without the fragment.
fn plain(reference: &str) -> &str {
    reference.split('#').next().unwrap_or_default()
}

fn outside(json: &Value, own: &BTreeSet<String>, at: &str) -> Option<(String, String)> {
    match json {
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            let at = format!("{at}/{key}");
            match value.as_str() {
                Some(to)
                    if matches!(&**key, "$ref" | "$dynamicRef" | "$recursiveRef" | "$schema")
                        && is_outside(to, own) =>
                {
                    Some((at, to.to_owned()))
                }
                _ => outside(value, own, &at),
            }
        }),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(n, value)| outside(value, own, &format!("{at}/{n}")))
        }
        _ => None,
    }
}

fn is_outside(to: &str, own: &BTreeSet<String>) -> bool {
    let plain = plain(to);
    let Some((scheme, rest)) = plain.split_once("://") else { return false };
    let built_in = matches!(&*scheme.to_ascii_lowercase(), "http" | "https")
        && BUILT_IN.iter().any(|known| rest.starts_with(known));
    !built_in && !own.contains(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn told(schema: &Value) -> Option<String> {
        let mut staged = Staged::default();
        staged.files.insert("charts/sub/values.schema.json".into(), schema.to_string().into_bytes());
        leads_out(&staged, "charts/app")
    }

    #[test]
    fn what_leads_out_is_named() {
        for to in ["http://127.0.0.1:18777/x.json", "HTTPS://schemas.example.com/x#/a", "file:///etc/passwd"]
        {
            let text = told(&json!({"properties": {"a": {"allOf": [{"$ref": to}]}}})).unwrap();
            assert!(text.contains("charts/app/charts/sub/values.schema.json"), "{text}");
            assert!(text.contains("/properties/a/allOf/0/$ref") && text.contains(to), "{text}");
        }
        assert!(told(&json!({"$schema": "https://schemas.example.com/meta.json"})).is_some());
    }

    #[test]
    fn what_stays_inside_is_not() {
        let inside = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://schemas.example.com/app.json",
            "$defs": {"a": {"$id": "https://schemas.example.com/a.json"}, "b": {"$schema": "http://json-schema.org/draft-07/schema#"}},
            "properties": {
                "a": {"$ref": "https://schemas.example.com/a.json#/x"}, "b": {"$ref": "#/$defs/b"}, "$ref": {"type": "string"},
                "c": {"description": "see https://example.com", "const": "http://example.com"},
            },
        });
        assert_eq!(told(&inside), None);
    }
}
