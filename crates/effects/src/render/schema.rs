//! What the JSON schema of a chart's values refers to. Helm would fetch it; nothing is fetched.

mod archive;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use serde_json::Value;

const FILE: &str = "values.schema.json";
/// Larger schemas are not looked into, so not rendered with.
const MOST_BYTES: usize = 4 << 20;
/// Where the drafts of JSON schema themselves stand: Helm has them built in.
const BUILT_IN: [&str; 2] = ["json-schema.org/draft-", "json-schema.org/draft/"];

/// The first reference of a staged chart's schemas that leads out of the chart, in words; `shown` is the chart's path.
pub(super) fn leads_out(files: &BTreeMap<PathBuf, Vec<u8>>, shown: &str) -> Option<String> {
    in_files(files, shown).or_else(|| archive::charts(files, shown, &in_files))
}

/// The same without charts that are archives.
fn in_files(files: &BTreeMap<PathBuf, Vec<u8>>, shown: &str) -> Option<String> {
    files.iter().find_map(|(path, content)| {
        let schema = path.file_name().is_some_and(|name| name == FILE);
        if !schema {
            return None;
        }
        let place = Path::new(shown).join(path);
        if content.len() > MOST_BYTES {
            return Some(format!("{} is larger than {} MiB", place.display(), MOST_BYTES >> 20));
        }
        let json: Value = serde_json::from_slice(content).ok()?;
        let mut own = BTreeSet::new();
        names(&json, &mut own);
        let inside = |file: &Path| {
            let folder = path.parent().unwrap_or(Path::new(""));
            plainly(&folder.join(file)).is_some_and(|file| files.contains_key(&file))
        };
        let (at, to) = outside(&json, &Inside { own: &own, file: &inside }, "")?;
        Some(format!(
            "{}: {at} is {to:?}; nothing is fetched and no file outside the chart is read while it is rendered. Copy \
             what it refers to into the schema (`$defs`), or set helm.skipSchemaValidation in the Application",
            place.display()
        ))
    })
}

/// What a reference may lead to.
struct Inside<'a> {
    /// Names of the document and its parts.
    own: &'a BTreeSet<String>,
    /// Files of the chart, beside the schema.
    file: &'a dyn Fn(&Path) -> bool,
}

/// The path without `.` and `..`; none if it leads out of the chart.
fn plainly(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                if !clean.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
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

fn outside(json: &Value, inside: &Inside<'_>, at: &str) -> Option<(String, String)> {
    match json {
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            let at = format!("{at}/{key}");
            match value.as_str() {
                Some(to)
                    if matches!(&**key, "$ref" | "$dynamicRef" | "$recursiveRef" | "$schema")
                        && is_outside(to, inside) =>
                {
                    Some((at, to.to_owned()))
                }
                _ => outside(value, inside, &at),
            }
        }),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(n, value)| outside(value, inside, &format!("{at}/{n}")))
        }
        _ => None,
    }
}

/// Whether a reference leads to anything but the document, its named parts, the drafts and files of the chart. A relative one is
/// a file beside the schema; a name that the document has given to nothing is as good as one.
fn is_outside(to: &str, inside: &Inside<'_>) -> bool {
    let plain = plain(to);
    if plain.is_empty() || inside.own.contains(plain) {
        return false;
    }
    let Some((scheme, rest)) = plain.split_once("://") else {
        // `file:/etc/passwd`, `//host/x`, `/etc/passwd`, `%2e%2e/x` and what else there may be: only a plain name is a file.
        return plain.contains([':', '%', '\\', '?']) || !(inside.file)(Path::new(plain));
    };
    let built_in = matches!(&*scheme.to_ascii_lowercase(), "http" | "https")
        && BUILT_IN.iter().any(|known| rest.starts_with(known));
    !built_in
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn told(schema: &Value) -> Option<String> {
        let mut files = BTreeMap::new();
        files.insert("charts/sub/values.schema.json".into(), schema.to_string().into_bytes());
        files.insert("schemas/a.json".into(), b"{}".to_vec());
        leads_out(&files, "charts/app")
    }

    #[test]
    fn what_leads_out_is_named() {
        for to in [
            "http://127.0.0.1:18777/x.json",
            "HTTPS://schemas.example.com/x#/a",
            "file:///etc/passwd",
            "file:/etc/passwd",
            "/etc/passwd",
            "//127.0.0.1/x.json",
            "../../../../etc/passwd",
            "none.json",
            "..%2f..%2fx",
            "data:,{}",
        ] {
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
                "d": {"$ref": "../../schemas/a.json#/x"},
                "c": {"description": "see https://example.com", "const": "http://example.com"},
            },
        });
        assert_eq!(told(&inside), None);
    }
}
