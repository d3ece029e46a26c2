//! Reading fields with their paths, so that every problem names the field.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Code, Name, Object, Problem, Severity};

/// The object that is read and the problems found so far.
pub(super) struct Root<'a> {
    pub object: &'a Object,
    pub problems: Vec<Problem>,
}

/// A value with its path.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub value: &'a Value,
    pub path: String,
}

static NULL: Value = Value::Null;

impl<'a> Root<'a> {
    pub fn new(object: &'a Object) -> Self {
        Self { object, problems: Vec::new() }
    }

    pub fn node(&self) -> Node<'a> {
        Node::of(&self.object.json)
    }

    pub fn spec(&self) -> Node<'a> {
        self.node().get("spec")
    }

    pub fn problem(&mut self, code: u16, severity: Severity, field: &str, message: String, hint: &str) {
        self.problems.push(Problem {
            object: self.object.key.clone(),
            code: Code(code),
            field: field.into(),
            severity,
            message,
            hint: hint.to_owned(),
        });
    }

    /// A field that must have another form.
    pub fn invalid(&mut self, node: &Node<'_>, message: impl Into<String>, hint: &str) {
        self.problem(1, Severity::Error, &node.path, message.into(), hint);
    }

    /// Names fields that the kind does not have.
    pub fn only(&mut self, node: &Node<'_>, known: &[&str]) {
        let Value::Object(map) = node.value else { return };
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            let near = known.iter().find(|k| k.eq_ignore_ascii_case(key));
            let hint = near.map_or_else(
                || "remove it or check its spelling; it has no effect".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            self.problem(
                3,
                Severity::Warning,
                &node.get(key).path,
                format!("field {key} is not known here"),
                &hint,
            );
        }
    }

    pub fn labels(&self) -> BTreeMap<Name, Name> {
        self.node().get("metadata").get("labels").map().into_iter().map(|(k, v)| (k, Name::from(v))).collect()
    }

    pub fn annotations(&self) -> BTreeMap<Name, String> {
        self.node().get("metadata").get("annotations").map()
    }

    /// Annotations that decisions read; others would only make rows wide.
    pub fn edge_annotations(&self) -> BTreeMap<Name, String> {
        const PREFIXES: [&str; 3] =
            ["external-dns.alpha.kubernetes.io/", "external-dns.kubernetes.io/", "portolan.dev/"];
        self.annotations().into_iter().filter(|(k, _)| PREFIXES.iter().any(|p| k.starts_with(p))).collect()
    }
}

impl<'a> Node<'a> {
    /// A whole object.
    pub fn of(value: &'a Value) -> Self {
        Node { value, path: String::new() }
    }

    /// A place of the object that holds it, for what is said of it.
    pub fn at(&self, path: &str) -> Node<'a> {
        Node { value: self.value, path: path.to_owned() }
    }

    pub fn get(&self, key: &str) -> Node<'a> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Node { value: self.value.get(key).unwrap_or(&NULL), path }
    }

    pub fn present(&self) -> bool {
        !self.value.is_null()
    }

    pub fn items(&self) -> Vec<Node<'a>> {
        let Value::Array(items) = self.value else { return Vec::new() };
        let node = |(at, value)| Node { value, path: format!("{}[{at}]", self.path) };
        items.iter().enumerate().map(node).collect()
    }

    pub fn text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub fn name(&self) -> Name {
        Name::new(self.text().unwrap_or_default())
    }

    pub fn name_or(&self, default: &str) -> Name {
        Name::new(self.text().filter(|t| !t.is_empty()).unwrap_or(default))
    }

    pub fn opt(&self) -> Option<Name> {
        self.text().filter(|t| !t.is_empty()).map(Name::new)
    }

    pub fn names(&self) -> Vec<Name> {
        self.items().iter().filter_map(Node::opt).collect()
    }

    /// As [`names`](Self::names), with the empty text kept: the core API group is one.
    pub fn names_and_empty(&self) -> Vec<Name> {
        self.items().iter().filter_map(Node::text).map(Name::new).collect()
    }

    pub fn u32(&self) -> Option<u32> {
        self.value.as_u64().and_then(|n| u32::try_from(n).ok())
    }

    pub fn port(&self) -> Option<u16> {
        self.value.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0)
    }

    pub fn flag(&self) -> bool {
        self.value.as_bool().unwrap_or(false)
    }

    /// A map from text to text; values that are not text are left out.
    pub fn map(&self) -> BTreeMap<Name, String> {
        let Value::Object(map) = self.value else { return BTreeMap::new() };
        map.iter().filter_map(|(k, v)| Some((Name::new(k), v.as_str()?.to_owned()))).collect()
    }
}

/// Why a text is no duration, in Go's words.
pub(super) fn wrong_duration(text: &str) -> Option<String> {
    if duration(text).is_some() {
        return None;
    }
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let mut rest = text.trim_start_matches(['-', '+']);
    while let Some(after) = digits(rest).filter(|at| *at > 0).map(|at| &rest[at..]) {
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let unit = &after[..end];
        if !["ns", "us", "µs", "ms", "s", "m", "h"].contains(&unit) {
            return Some(format!("time: unknown unit {unit:?} in duration {text:?}"));
        }
        rest = &after[end..];
    }
    let number = !rest.is_empty() && digits(rest).is_none();
    let what = if number { "missing unit in" } else { "invalid" };
    Some(format!("time: {what} duration {text:?}"))
}

/// Go's `time.ParseDuration` in milliseconds, as far as the kinds use it (`2160h`, `1h30m`, `1.5s`, `500ms`).
pub(super) fn duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut total = 0.0_f64;
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, factor) = [
            ("ms", 1.0),
            ("us", 0.001),
            ("µs", 0.001),
            ("ns", 0.000_001),
            ("h", 3_600_000.0),
            ("m", 60_000.0),
            ("s", 1000.0),
        ]
        .into_iter()
        .find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        total += number * factor;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded on the next line")]
    (total < 1e15).then_some(sign * total.round() as i64)
}
