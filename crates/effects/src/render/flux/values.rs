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

/// What a value at a `targetPath` means: as `helm --set` reads it (helm `pkg/strvals`), with lists in braces and `\\` before what is
/// meant as it stands; quoted text as text.
///
/// # Errors
/// A sentence, for a list that does not end and for what begins another entry.
pub(super) fn value(text: &str, literal: bool) -> Result<Value, String> {
    const MORE: &str = "goes on after a comma, and what follows is a key of its own to `helm --set`, which has no value; \
        write `\\,` for a comma, or set literal: true";
    if literal {
        return Ok(Value::String(text.to_owned()));
    }
    let quoted = ['\'', '"'].into_iter().any(|quote| text.starts_with(quote) && text.ends_with(quote));
    let text = if quoted { text.trim_matches(['\'', '"']) } else { text };
    let scalar = |word: String| if quoted { Value::String(word) } else { scalar(word) };
    let mut rest = text.chars().peekable();
    if rest.next_if_eq(&'{').is_none() {
        let (word, end) = until(&mut rest, &[',']);
        return match (end, rest.next()) {
            (Some(_), Some(_)) => Err(MORE.to_owned()),
            _ => Ok(scalar(word)),
        };
    }
    let mut list = Vec::new();
    loop {
        let (word, end) = until(&mut rest, &[',', '}']);
        match end {
            None => return Err("is a list that does not end with a brace".to_owned()),
            Some(end) => {
                list.push(scalar(word));
                if end == '}' {
                    break;
                }
            }
        }
    }
    rest.next_if_eq(&',');
    if rest.next().is_some() { Err(MORE.to_owned()) } else { Ok(Value::Array(list)) }
}

/// The text before one of `stops`, and which it was; `None` at the end. A backslash takes the next sign as it stands.
fn until(rest: &mut impl Iterator<Item = char>, stops: &[char]) -> (String, Option<char>) {
    let mut word = String::new();
    while let Some(c) = rest.next() {
        match c {
            c if stops.contains(&c) => return (word, Some(c)),
            '\\' => word.extend(rest.next()),
            c => word.push(c),
        }
    }
    (word, None)
}

fn scalar(text: String) -> Value {
    match text.to_ascii_lowercase().as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        "0" => 0.into(),
        // "007" stays text.
        _ if !text.starts_with('0') => {
            text.parse::<i64>().map_or_else(|_| Value::String(text.clone()), Into::into)
        }
        _ => Value::String(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_typed_as_helm_does() {
        for (text, literal, wanted) in [
            ("value", false, json!("value")),
            ("", false, json!("")),
            ("7", false, json!(7)),
            ("True", false, json!(true)),
            ("NULL", false, json!(null)),
            ("'7'", false, json!("7")),
            ("007", false, json!("007")),
            ("a,b = {c}", true, json!("a,b = {c}")),
            (r"a\,b\\c", false, json!(r"a,b\c")),
            ("a,", false, json!("a")),
            ("a = b", false, json!("a = b")),
            ("{a,7, b}", false, json!(["a", 7, " b"])),
            (r"{a\,b\},c}", false, json!(["a,b}", "c"])),
            ("{}", false, json!([""])),
            ("{a},", false, json!(["a"])),
            ("'{7}'", false, json!(["7"])),
            ("a{b}", false, json!("a{b}")),
        ] {
            assert_eq!(value(text, literal).unwrap(), wanted, "{text}");
        }
        for text in ["a,b", "'a,b'", "{a,b", "{a}b", "{a},b"] {
            assert!(value(text, false).is_err(), "{text}");
        }
    }
}
