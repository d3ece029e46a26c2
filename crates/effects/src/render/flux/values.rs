//! Values of a HelmRelease: those that it refers to, in order, and its own over them. Source: fluxcd/pkg `chartutil`.

use portolan_model::yaml;
use serde_json::{Map, Value};

/// The largest index of a list that is written to.
const MOST_ITEMS: usize = 65_536;

/// Lays `over` on `values`: mappings are merged, anything else is replaced.
pub(super) fn merge(values: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (values.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => drop(values.insert(key, value)),
        }
    }
}

/// A document of values.
///
/// # Errors
/// A sentence; what stands in it is not quoted, as it may be secret.
pub(super) fn read(text: &str) -> Result<Map<String, Value>, String> {
    let (documents, errors) = yaml::load(text);
    if let Some(error) = errors.first() {
        return Err(format!("is no YAML at line {}", error.line));
    }
    match documents.into_iter().next().map(|document| document.json) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err("holds no mapping".to_owned()),
    }
}

/// What a value at a `targetPath` means: as `helm --set` reads it, quoted text as text.
///
/// # Errors
/// A sentence, for lists and what else begins a new entry.
pub(super) fn scalar(text: &str, literal: bool) -> Result<Value, String> {
    if literal {
        return Ok(Value::String(text.to_owned()));
    }
    for quote in ['\'', '"'] {
        if text.starts_with(quote) && text.ends_with(quote) {
            return Ok(Value::String(text.trim_matches(['\'', '"']).to_owned()));
        }
    }
    if text.contains([',', '{', '}', '\\']) {
        return Err("has a comma, a brace or a backslash, which `helm --set` takes for more than text; \
                    set literal: true"
            .to_owned());
    }
    Ok(match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        "0" => 0.into(),
        // "007" stays text.
        _ if !text.starts_with('0') => {
            text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Into::into)
        }
        _ => Value::String(text.to_owned()),
    })
}

/// Puts a value at a path of names and indices: `a.b[0].c`, with `\.` for a dot in a name.
///
/// # Errors
/// A sentence about the path.
pub(super) fn put(values: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), String> {
    let wrong = || format!("{path:?} is no path of names and indices");
    let mut steps = steps(path).ok_or_else(wrong)?.into_iter();
    let Some(Step::Name(first)) = steps.next() else { return Err(wrong()) };
    let mut at = values.entry(first).or_insert(Value::Null);
    for step in steps {
        at = match step {
            Step::Name(name) => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                at.as_object_mut().ok_or_else(wrong)?.entry(name).or_insert(Value::Null)
            }
            Step::Index(index) => {
                if !at.is_array() {
                    *at = Value::Array(Vec::new());
                }
                let list = at.as_array_mut().ok_or_else(wrong)?;
                if list.len() <= index {
                    list.resize(index + 1, Value::Null);
                }
                &mut list[index]
            }
        };
    }
    *at = value;
    Ok(())
}

enum Step {
    Name(String),
    Index(usize),
}

fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut name = String::new();
    let mut rest = path.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => name.push(rest.next()?),
            '.' | '[' => {
                if !name.is_empty() {
                    steps.push(Step::Name(std::mem::take(&mut name)));
                } else if !matches!(steps.last(), Some(Step::Index(_))) {
                    return None;
                }
                if c == '[' {
                    let index: String = rest.by_ref().take_while(|c| *c != ']').collect();
                    steps.push(Step::Index(index.parse().ok().filter(|index| *index < MOST_ITEMS)?));
                }
            }
            c => name.push(c),
        }
    }
    if !name.is_empty() {
        steps.push(Step::Name(name));
    }
    (!steps.is_empty()).then_some(steps)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn mappings_are_merged_and_all_else_replaced() {
        let mut values = map(&json!({"a": {"b": 1, "c": [1, 2]}, "d": {"x": 1}, "e": 1}));
        merge(&mut values, map(&json!({"a": {"c": [3]}, "d": "text", "e": null})));
        assert_eq!(Value::Object(values), json!({"a": {"b": 1, "c": [3]}, "d": "text", "e": null}));
    }

    #[test]
    fn values_at_paths() {
        let mut values = map(&json!({"nested": {"list": ["a", "b"]}, "text": "x"}));
        for (path, text, literal) in [
            ("nested.list[0]", "value", false),
            ("new.list[1].name", "7", false),
            ("text.deeper", "true", false),
            (r"a.dotted\.name", "'7'", false),
            ("plain", "007", false),
            ("conf", "a,b = {c}", true),
        ] {
            put(&mut values, path, scalar(text, literal).unwrap()).unwrap();
        }
        let wanted = json!({
            "nested": {"list": ["value", "b"]}, "new": {"list": [null, {"name": 7}]}, "text": {"deeper": true},
            "a": {"dotted.name": "7"}, "plain": "007", "conf": "a,b = {c}",
        });
        assert_eq!(Value::Object(values.clone()), wanted);
        for path in ["", ".a", "a..b", "a[x]", "a[99999999999]", "[0]", "a[65536]", "a\\"] {
            assert!(put(&mut values, path, Value::Null).is_err(), "{path}");
        }
        assert!(scalar("a,b", false).is_err());
    }
}
