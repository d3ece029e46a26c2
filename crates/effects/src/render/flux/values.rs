//! Values of a HelmRelease: those that it refers to, in order, and its own over them. Source: fluxcd/pkg `chartutil`.

use portolan_model::yaml;
use serde_json::{Map, Value};

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_typed_as_helm_does() {
        for (text, literal, value) in [
            ("value", false, json!("value")),
            ("7", false, json!(7)),
            ("true", false, json!(true)),
            ("'7'", false, json!("7")),
            ("007", false, json!("007")),
            ("a,b = {c}", true, json!("a,b = {c}")),
        ] {
            assert_eq!(scalar(text, literal).unwrap(), value, "{text}");
        }
        assert!(scalar("a,b", false).is_err());
    }
}
