//! YAML to JSON with the scalar rules of Go's YAML (what kubectl and Helm use), and a line for every field.
//!
//! Own code because no library gives both: untyped values by Go's rules and positions by field path
//! (design/decisions.md, "YAML").

mod written;

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

pub use written::of_json;

use crate::Lines;

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The value.
    pub json: Value,
    /// First line with content, from 1.
    pub line: u32,
    /// Lines of the fields.
    pub lines: Lines,
    /// Keys that stand twice in one mapping, with the line of the last, which counts.
    pub repeated: Vec<(String, u32)>,
}

/// Why a document could not be read. Other documents of the file still are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What the parser says.
    pub message: String,
}

/// Deepest nesting that is read; deeper documents are an error, not a stack overflow.
const DEPTH: usize = 200;
/// Most nodes of one file, those that aliases add included (the "billion laughs" limit).
const NODES: usize = 1_000_000;
/// Most bytes of text that anchors and aliases may add in one file.
const BYTES: usize = 16 << 20;
/// How many nodes, and how many bytes of text, for each byte of the file beyond what every file may have: what a whole repository
/// grows to is bounded by its size and the number of its files, in whatever order they are read.
const GROWTH: usize = 10;
const FREE: usize = 16 << 10;
/// Most bytes of the names of all fields, each written out from the root. One long key has them without any alias.
const PATHS: usize = 128 << 20;
/// Documents that cannot be read, after which the rest of the file is left alone.
const ERRORS: usize = 50;

/// Reads all documents. Empty documents are left out.
pub fn load(text: &str) -> (Vec<Document>, Vec<YamlError>) {
    let mut loader = Loader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        bytes: 0,
        most: FREE + text.len().saturating_mul(GROWTH),
        paths: 0,
        full: false,
        lines: Vec::new(),
        repeated: Vec::new(),
    };
    let (mut documents, mut errors) = (Vec::new(), Vec::new());
    loop {
        match loader.next() {
            Ok((Event::StreamEnd, _)) => break,
            Ok((Event::DocumentStart(..), _)) => {
                loader.anchors.clear();
                loader.lines.clear();
                loader.repeated.clear();
                match loader.root() {
                    Ok(Some((json, line))) => {
                        let lines = loader.lines.drain(..).collect();
                        let repeated = std::mem::take(&mut loader.repeated);
                        documents.push(Document { json, line, lines, repeated });
                    }
                    Ok(None) => {}
                    Err(error) => {
                        errors.push(error);
                        if !goes_on(&mut loader, &mut errors) {
                            break;
                        }
                    }
                }
            }
            Ok(_) => {}
            Err(error) => {
                errors.push(error);
                if !goes_on(&mut loader, &mut errors) {
                    break;
                }
            }
        }
    }
    (documents, errors)
}

/// Whether to read on after an error.
fn goes_on(loader: &mut Loader<'_>, errors: &mut [YamlError]) -> bool {
    if loader.full {
        return false;
    }
    if errors.len() >= ERRORS {
        if let Some(last) = errors.last_mut() {
            last.message =
                format!("{ERRORS} documents cannot be read; the rest of the file is not looked at");
        }
        return false;
    }
    matches!(loader.parser.proceed_next_document(), Ok(true))
}

struct Loader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Anchor>,
    nodes: usize,
    /// Of texts that anchors and aliases brought.
    bytes: usize,
    /// Most of either that a file of this size may have.
    most: usize,
    /// Of the names of fields in `lines`, of all documents.
    paths: usize,
    /// A limit of the whole file is reached: no document after it is read.
    full: bool,
    /// In the order in which they were met.
    lines: Vec<(String, u32)>,
    repeated: Vec<(String, u32)>,
}

/// What an alias stands for, and what it costs.
#[derive(Clone)]
struct Anchor {
    value: Value,
    nodes: usize,
    bytes: usize,
}

type At = (u32, u32);

impl<'a> Loader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, At), YamlError> {
        loop {
            match self.parser.next() {
                None => return Ok((Event::StreamEnd, (0, 0))),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => {
                    let at = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                    return Ok((event, (at(span.start.line()), at(span.start.col()) + 1)));
                }
                Some(Err(error)) => {
                    let mark = error.marker();
                    return Err(YamlError {
                        line: u32::try_from(mark.line()).unwrap_or(u32::MAX),
                        column: u32::try_from(mark.col()).unwrap_or(u32::MAX).saturating_add(1),
                        message: error.to_string(),
                    });
                }
            }
        }
    }

    fn root(&mut self) -> Result<Option<(Value, u32)>, YamlError> {
        let (event, at) = self.next()?;
        if matches!(event, Event::DocumentEnd) {
            return Ok(None);
        }
        let value = self.value(event, at, "", 0)?;
        Ok((!value.is_null()).then_some((value, at.0)))
    }

    fn value(&mut self, event: Event<'a>, at: At, path: &str, depth: usize) -> Result<Value, YamlError> {
        self.nodes += 1;
        let wrong = |message: &str| YamlError { line: at.0, column: at.1, message: message.to_owned() };
        if depth > DEPTH || self.nodes > NODES {
            self.full |= self.nodes > NODES;
            return Err(wrong("nested too deep or too many nodes"));
        }
        let first = self.nodes;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix() == "str");
                (if is_text { Value::String(text.into_owned()) } else { plain(&text) }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    let (event, at) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    let path = format!("{path}[{}]", items.len());
                    self.line(&path, at)?;
                    items.push(as_sent(self.value(event, at, &path, depth + 1)?));
                }
                // Most lists have one item, and room for four is made at first.
                items.shrink_to_fit();
                (Value::Array(items), anchor)
            }
            Event::MappingStart(_, anchor, _) => (self.mapping(path, depth)?, anchor),
            Event::Alias(id) => {
                let anchor = self.anchors.get(&id).ok_or_else(|| wrong("unknown alias"))?;
                let (nodes, bytes) = (anchor.nodes, anchor.bytes);
                self.spend(nodes, bytes, at)?;
                return Ok(self.anchors.get(&id).map(|anchor| anchor.value.clone()).unwrap_or_default());
            }
            _ => return Err(wrong("a value is missing here")),
        };
        if anchor > 0 {
            // What is kept for aliases is a copy too, and anchors may stand in what another one names.
            let (nodes, bytes) = (self.nodes - first + 1, text_of(&value));
            self.spend(nodes, bytes, at)?;
            self.anchors.insert(anchor, Anchor { value: value.clone(), nodes, bytes });
        }
        Ok(value)
    }

    /// Counts what a copy of a value adds.
    fn spend(&mut self, nodes: usize, bytes: usize, at: At) -> Result<(), YamlError> {
        self.nodes += nodes;
        self.bytes += bytes;
        if self.nodes <= NODES.min(self.most) && self.bytes <= BYTES.min(self.most) {
            return Ok(());
        }
        self.full = true;
        let message = "aliases add up to too many nodes or too much text".to_owned();
        Err(YamlError { line: at.0, column: at.1, message })
    }

    /// Notes the line of a field.
    fn line(&mut self, path: &str, at: At) -> Result<(), YamlError> {
        self.paths += path.len();
        if self.paths > PATHS {
            self.full = true;
            let message = "the keys of nested fields add up to too much text".to_owned();
            return Err(YamlError { line: at.0, column: at.1, message });
        }
        self.lines.push((path.to_owned(), at.0));
        Ok(())
    }

    fn mapping(&mut self, path: &str, depth: usize) -> Result<Value, YamlError> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = match self.value(event, at, path, depth + 1)? {
                Value::String(text) => text,
                // As Go's converter to JSON writes them.
                Value::Bool(flag) => flag.to_string(),
                Value::Number(number) => number_key(&number),
                _ => {
                    return Err(YamlError { line: at.0, column: at.1, message: "a key must be text".into() });
                }
            };
            let child = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.line(&child, at)?;
            let (event, value_at) = self.next()?;
            let value = as_sent(self.value(event, value_at, &child, depth + 1)?);
            if key == "<<" {
                merged.push(value);
            } else if map.insert(key, value).is_some() {
                // Go's reader takes the last one.
                self.repeated.push((child, at.0));
            }
        }
        for value in merged.into_iter().flat_map(|v| if let Value::Array(all) = v { all } else { vec![v] }) {
            if let Value::Object(more) = value {
                for (key, value) in more {
                    map.entry(key).or_insert(value);
                }
            }
        }
        Ok(Value::Object(map))
    }
}

/// Bytes of all texts in a value.
fn text_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_of).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + text_of(value)).sum(),
        _ => 0,
    }
}

/// A number as the key of a mapping: what is not whole as `strconv.FormatFloat(key, 'g', -1, 32)` writes it.
fn number_key(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else { return number.to_string() };
    #[expect(clippy::cast_possible_truncation, reason = "as Go does")]
    let float = float as f32;
    if float == 0.0 || (1e-4..1e6).contains(&float.abs()) {
        return float.to_string();
    }
    let text = format!("{float:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// A plain scalar by the rules of Go's YAML: YAML 1.1 booleans, octal with a leading 0, underscores in numbers.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return Value::String(text.to_owned());
    }
    let digits = text.replace('_', "");
    let (negative, rest) = match digits.as_bytes().first() {
        Some(b'-') => (true, &digits[1..]),
        Some(b'+') => (false, &digits[1..]),
        _ => (false, &digits[..]),
    };
    let radix =
        |prefix: &str, radix| rest.strip_prefix(prefix).and_then(|d| u64::from_str_radix(d, radix).ok());
    let unsigned = radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2)).or_else(|| {
        if rest.len() > 1 && rest.starts_with('0') {
            u64::from_str_radix(&rest[1..], 8).ok()
        } else {
            rest.bytes().all(|b| b.is_ascii_digit()).then(|| rest.parse().ok()).flatten()
        }
    });
    if let Some(unsigned) = unsigned {
        if !negative {
            return Value::Number(unsigned.into());
        }
        if let Ok(signed) = i64::try_from(unsigned) {
            return Value::Number((-signed).into());
        }
    }
    let float = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+');
    if rest.chars().all(float)
        && rest.contains(|c: char| c.is_ascii_digit())
        && let Some(number) = digits.parse::<f64>().ok().and_then(Number::from_f64)
    {
        return Value::Number(number);
    }
    Value::String(text.to_owned())
}

/// A float as clients of Kubernetes send it: Go's JSON has no fraction and below 1e21 no exponent of one that is whole
/// (`1e+06`, as Helm prints large values, is `1000000`), and the server reads that as an integer.
fn as_sent(value: Value) -> Value {
    // All that a 64-bit integer holds; the rest is a float to the server too.
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    let float = value.as_f64().filter(|float| value.is_f64() && float.fract() == 0.0);
    match float.filter(|float| (-BOUND..BOUND).contains(float)) {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within the bounds")]
        Some(float) => Value::from(float as i64),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn one(text: &str) -> Value {
        let (mut documents, errors) = load(text);
        assert_eq!(errors, []);
        documents.remove(0).json
    }

    #[test]
    fn scalars_follow_go() {
        assert_eq!(
            one(
                "[yes, NO, 017, 0x1f, 08, 1_000, 1.5, 1e3, 1e+06, 80.0, -0.0, 1e20, '1', \"yes\", ~, -3, 10.0.0.1, 2160h, !!str 5]"
            ),
            json!([
                true, false, 15, 31, 8, 1000, 1.5, 1000, 1_000_000, 80, 0, 1e20, "1", "yes", null, -3,
                "10.0.0.1", "2160h", "5"
            ])
        );
    }

    #[test]
    fn lines_and_documents_survive_a_broken_neighbour() {
        let (documents, errors) = load("a: 1\n---\nb: [1\n---\nc:\n  d:\n    - e: 1\n    - e: 2\n");
        assert_eq!(documents.len(), 2);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].line >= 3, "{errors:?}");
        assert_eq!(documents[1].lines.get("c.d[1].e"), Some(8));
        assert_eq!(documents[1].line, 5);
    }

    #[test]
    fn aliases_merge_keys_and_bombs() {
        assert_eq!(
            one("a: &x {k: 1}\nb:\n  <<: *x\n  l: 2\n"),
            json!({"a": {"k": 1}, "b": {"k": 1, "l": 2}})
        );
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..9 {
            let line = format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(","));
            bomb.push_str(&line);
        }
        let (_, errors) = load(&bomb);
        assert!(errors[0].message.contains("too many"));
    }

    #[test]
    fn texts_of_aliases_are_bounded() {
        let mut bomb = format!("a: &a {}\nall:\n", "x".repeat(100_000));
        (0..200).for_each(|_| bomb.push_str("- *a\n"));
        bomb.push_str("---\nafter: 1\n");
        let (documents, errors) = load(&bomb);
        assert_eq!((documents.len(), errors.len()), (0, 1));
        assert!(errors[0].message.contains("too much text"), "{}", errors[0].message);
    }

    /// A small file does not grow to megabytes: there may be thousands of them.
    #[test]
    fn small_files_grow_little_and_anchors_count_too() {
        let long = "x".repeat(40_000);
        let (documents, errors) = load(&format!("a: &a {long}\nb: [*a, *a, *a]\n"));
        assert_eq!((documents.len(), errors.len()), (1, 0));
        let (_, errors) = load(&format!("a: &a {long}\nb: [{}]\n", ["*a"; 40].join(",")));
        assert!(errors[0].message.contains("too much text"), "{errors:?}");
        // Nodes without any text: 300 bytes that came to a million of them.
        let mut nothing = "a0: &a0 [~,~,~,~,~,~,~,~,~,~]\n".to_owned();
        for n in 1..5 {
            let line = format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(","));
            nothing.push_str(&line);
        }
        let (_, errors) = load(&nothing);
        assert!(errors[0].message.contains("too many nodes"), "{errors:?}");
        // No alias at all: each anchor keeps a copy of all that is in it.
        let anchors: Vec<String> = (0..150).map(|n| format!("&a{n} [")).collect();
        let anchors = anchors.concat();
        let (_, errors) = load(&format!("{anchors}{}{}", "y".repeat(100_000), "]".repeat(150)));
        assert!(errors[0].message.contains("too much text"), "{errors:?}");
    }

    #[test]
    fn names_of_fields_are_bounded_in_all() {
        let text = format!("? {}\n: [{}]\n", "k".repeat(1 << 20), "1,".repeat(1000));
        let (documents, errors) = load(&text);
        assert_eq!((documents.len(), errors.len()), (0, 1));
        assert!(errors[0].message.contains("keys of nested fields"), "{errors:?}");
    }

    #[test]
    fn broken_documents_are_counted() {
        let (documents, errors) = load(&"---\na: [\n".repeat(10_000));
        assert!(documents.is_empty() && errors.len() == ERRORS, "{}", errors.len());
        assert!(errors[ERRORS - 1].message.contains("not looked at"), "{:?}", errors[ERRORS - 1]);
        let deep = "[".repeat(1_000_000);
        assert_eq!(load(&deep).1.len(), 1);
    }

    #[test]
    fn keys_are_texts_as_go_writes_them_and_the_last_of_two_counts() {
        assert_eq!(
            one("{9000: a, 1.5: b, on: c, 017: d, 'x': e, 1e6: f, 1e3: g}"),
            json!({"9000": "a", "1.5": "b", "true": "c", "15": "d", "x": "e", "1e+06": "f", "1000": "g"})
        );
        let (documents, errors) = load("a: 1\nb:\n  c: 2\n  c: 3\na: 3\n");
        assert_eq!(errors, []);
        assert_eq!(documents[0].json, json!({"a": 3, "b": {"c": 3}}));
        assert_eq!(documents[0].repeated, [("b.c".to_owned(), 4), ("a".to_owned(), 5)]);
        let (_, errors) = load("a: 1\n? [1]\n: 2\n");
        assert_eq!(errors[0].message, "a key must be text");
    }
}
