//! Edits of a JSON tree, read from the bytes of an input: what a grammar of documents is to a parser of text.

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use serde_json::{Map, Value, json};

/// Most edits of one input.
const EDITS: usize = 12;
/// Most items that one edit makes of one.
const REPEATED: usize = 40;

/// Texts that mean something to one door or another.
const TEXTS: [&str; 48] = [
    "",
    "*",
    "*.example.com",
    "a..b",
    "xn--",
    "-1h",
    "9999999999999999h",
    "2562047h47m16s",
    "1h30m",
    "0s",
    "(((",
    "a{1000}{1000}",
    "(?x)a",
    "a/b/c",
    "../../etc/passwd",
    "/",
    "?",
    "#",
    "%",
    "{{ .x }}",
    "${a}",
    "2026-13-45T99:00:00Z",
    "2026-11-29T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "::1",
    "::ffff:127.0.0.1",
    "127.0.0.1",
    "300.1.1.1",
    "10.0.0.0/8",
    "::/0",
    "10.0.0.0/99",
    "example.com",
    "a.example.com.",
    "_acme-challenge.example.com",
    "True",
    "true",
    "null",
    "18446744073709551616",
    "-0",
    "1e999",
    "100%",
    "5m",
    "Exact",
    "RegularExpression",
    "team-a",
    "a b",
    "\u{202e}",
    "\u{0}",
];

/// The document after the edits that the bytes ask for; what is left of the bytes is nobody's.
pub fn edited(mut document: Value, bytes: &mut Unstructured<'_>, others: &[Value]) -> Value {
    for _ in 0..EDITS {
        if bytes.is_empty() || edit(&mut document, bytes, others).is_err() {
            break;
        }
    }
    document
}

fn edit(document: &mut Value, bytes: &mut Unstructured<'_>, others: &[Value]) -> Result<()> {
    let how: u8 = bytes.arbitrary()?;
    let path = any_path(document, bytes)?;
    match how % 8 {
        0 | 1 => *at(document, &path) = value(bytes, 2)?,
        2 => {
            let Some((last, above)) = path.split_last() else { return Ok(()) };
            match at(document, above) {
                Value::Object(map) => drop(map.remove(last)),
                Value::Array(items) => drop(items.remove(last.parse().unwrap_or(0))),
                _ => {}
            }
        }
        3 => {
            let from = any_path(document, bytes)?;
            let copy = at(document, &from).clone();
            *at(document, &path) = copy;
        }
        4 => {
            let key = if others.is_empty() { text(bytes)? } else { key_of(bytes, others)? };
            let made = value(bytes, 2)?;
            if let Value::Object(map) = at(document, &path) {
                map.insert(key, made);
            }
        }
        5 => {
            let times = bytes.int_in_range(1..=REPEATED)?;
            if let Value::Array(items) = at(document, &path)
                && let Some(last) = items.last().cloned()
            {
                items.extend(std::iter::repeat_n(last, times));
            }
        }
        6 if !others.is_empty() => {
            let other = &others[bytes.choose_index(others.len())?];
            let from = any_path(other, bytes)?;
            let mut other = other.clone();
            *at(document, &path) = at(&mut other, &from).take();
        }
        _ => {
            let target = at(document, &path);
            let inner = target.take();
            *target = if bytes.arbitrary()? { json!([inner]) } else { json!({ "a": inner }) };
        }
    }
    Ok(())
}

/// The value at a path that was found in this tree.
fn at<'v>(value: &'v mut Value, path: &[String]) -> &'v mut Value {
    let mut found = value;
    for part in path {
        found = match found {
            Value::Object(map) => map.entry(part.clone()).or_insert(Value::Null),
            Value::Array(items) => {
                let last = items.len() - 1;
                &mut items[part.parse().unwrap_or(0).min(last)]
            }
            leaf => return leaf,
        };
    }
    found
}

/// A path, chosen step by step: a byte for each level.
fn any_path(value: &Value, bytes: &mut Unstructured<'_>) -> Result<Vec<String>> {
    let mut path = Vec::new();
    let mut at = value;
    loop {
        let count = match at {
            Value::Object(map) => map.len(),
            Value::Array(items) => items.len(),
            _ => 0,
        };
        // One more choice than there are: to stay here.
        let chosen = usize::from(bytes.arbitrary::<u8>()?) % (count + 1);
        if chosen == count {
            return Ok(path);
        }
        at = match at {
            Value::Object(map) => {
                let (key, value) = map.iter().nth(chosen).expect("it was counted");
                path.push(key.clone());
                value
            }
            Value::Array(items) => {
                path.push(chosen.to_string());
                &items[chosen]
            }
            _ => return Ok(path),
        };
    }
}

/// A key that stands somewhere in one of the samples.
fn key_of(bytes: &mut Unstructured<'_>, others: &[Value]) -> Result<String> {
    let other = &others[bytes.choose_index(others.len())?];
    let path = any_path(other, bytes)?;
    Ok(path.into_iter().next_back().unwrap_or_else(|| "spec".to_owned()))
}

/// Any value.
pub fn value(bytes: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    Ok(match bytes.arbitrary::<u8>()? % 12 {
        0 => Value::Null,
        1 => bytes.arbitrary::<bool>()?.into(),
        2 => bytes.arbitrary::<i64>()?.into(),
        3 => i64::from(bytes.arbitrary::<i8>()?).into(),
        4 => json!(f64::from(bytes.arbitrary::<i16>()?) / 8.0),
        5 | 6 => TEXTS[bytes.choose_index(TEXTS.len())?].into(),
        7 => text(bytes)?.into(),
        8 => text(bytes)?.repeat(bytes.int_in_range(1..=300)?).into(),
        9 if depth > 0 => {
            let count = bytes.int_in_range(0..=4)?;
            (0..count).map(|_| value(bytes, depth - 1)).collect::<Result<Vec<_>>>()?.into()
        }
        10 if depth > 0 => {
            let count = bytes.int_in_range(0..=4)?;
            let pairs = (0..count).map(|_| Ok((text(bytes)?, value(bytes, depth - 1)?)));
            Value::Object(pairs.collect::<Result<Map<_, _>>>()?)
        }
        _ => json!({}),
    })
}

/// A short text of the input's own.
pub fn text(bytes: &mut Unstructured<'_>) -> Result<String> {
    let length = usize::from(bytes.arbitrary::<u8>()? % 48).min(bytes.len());
    Ok(String::from_utf8_lossy(bytes.bytes(length)?).into_owned())
}
