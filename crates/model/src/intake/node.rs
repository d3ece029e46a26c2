//! Reading fields with their paths, so that every problem names the field.

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::Value;

use crate::{Code, Name, Object, Problem, Severity};

/// What was found while fields were read.
///
/// The door (`portolan_core::door`) guarantees the types of every kind that it knows. A repository's own definition can allow
/// others, and then nothing is made of an object: wrong is not unset, and a row that leaves out what could not be read says
/// something else than its author.
#[derive(Debug, Default)]
pub(super) struct Reads {
    misfits: RefCell<Vec<Misfit>>,
    /// Every field that was asked for, without the places in lists.
    #[cfg(test)]
    pub seen: RefCell<std::collections::BTreeSet<String>>,
}

/// A value of another type than its field has.
#[derive(Debug)]
pub(super) struct Misfit {
    pub path: String,
    /// What stands there.
    pub is: &'static str,
    /// What belongs there.
    pub wanted: &'static str,
}

impl Reads {
    /// The values that did not fit, each once.
    pub fn take_misfits(&self) -> Vec<Misfit> {
        let mut all = self.misfits.take();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all.dedup_by(|a, b| a.path == b.path);
        all
    }
}

/// The object that is read and the problems found so far.
pub(super) struct Root<'a> {
    pub object: &'a Object,
    pub problems: Vec<Problem>,
    reads: &'a Reads,
}

/// A value with its path.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub value: &'a Value,
    pub path: String,
    /// Where misfits are noted; nowhere of an object that was judged before.
    reads: Option<&'a Reads>,
}

static NULL: Value = Value::Null;

impl<'a> Root<'a> {
    pub fn new(object: &'a Object, reads: &'a Reads) -> Self {
        Self { object, problems: Vec::new(), reads }
    }

    pub fn node(&self) -> Node<'a> {
        Node { reads: Some(self.reads), ..Node::of(&self.object.json) }
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
        Node { value, path: String::new(), reads: None }
    }

    /// A place of the object that holds it, for what is said of it.
    pub fn at(&self, path: &str) -> Node<'a> {
        Node { value: self.value, path: path.to_owned(), reads: self.reads }
    }

    pub fn get(&self, key: &str) -> Node<'a> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        #[cfg(test)]
        if let Some(reads) = self.reads {
            let place = path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest));
            reads.seen.borrow_mut().insert(place.collect());
        }
        Node { value: self.value.get(key).unwrap_or(&NULL), path, reads: self.reads }
    }

    fn misfit(&self, wanted: &'static str) {
        if let Some(reads) = self.reads {
            let is = kind_of(self.value);
            reads.misfits.borrow_mut().push(Misfit { path: self.path.clone(), is, wanted });
        }
    }

    /// What `read` makes of a value that is there; one that it makes nothing of does not fit.
    fn read<T>(&self, wanted: &'static str, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        if self.value.is_null() {
            return None;
        }
        let read = read(self.value);
        if read.is_none() {
            self.misfit(wanted);
        }
        read
    }

    pub fn present(&self) -> bool {
        !self.value.is_null()
    }

    pub fn items(&self) -> Vec<Node<'a>> {
        let Some(items) = self.read("a list", Value::as_array) else { return Vec::new() };
        let node = |(at, value)| Node { value, path: format!("{}[{at}]", self.path), reads: self.reads };
        items.iter().enumerate().map(node).collect()
    }

    pub fn text(&self) -> Option<&'a str> {
        self.read("text", Value::as_str)
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

    /// As [`opt`](Self::opt), where the empty text would say that all are meant.
    pub fn filled(&self) -> Option<Name> {
        self.read("a name", |value| value.as_str().filter(|text| !text.is_empty()).map(Name::new))
    }

    pub fn names(&self) -> Vec<Name> {
        self.items().iter().filter_map(Node::opt).collect()
    }

    /// As [`names`](Self::names), with the empty text kept: the core API group is one.
    pub fn names_and_empty(&self) -> Vec<Name> {
        self.items().iter().filter_map(Node::text).map(Name::new).collect()
    }

    pub fn u32(&self) -> Option<u32> {
        self.read("a whole number", |value| value.as_u64().and_then(|n| u32::try_from(n).ok()))
    }

    /// A whole number of either sign.
    pub fn whole(&self) -> Option<i64> {
        self.read("a whole number", Value::as_i64)
    }

    pub fn port(&self) -> Option<u16> {
        let port = |value: &Value| value.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
        self.read("a port", port)
    }

    /// A port that has to be there.
    pub fn required_port(&self) -> u16 {
        if self.value.is_null() {
            self.misfit("a port");
        }
        self.port().unwrap_or_default()
    }

    pub fn flag(&self) -> bool {
        self.set_flag().unwrap_or(false)
    }

    /// As [`flag`](Self::flag), with what is not written told apart.
    pub fn set_flag(&self) -> Option<bool> {
        self.read("true or false", Value::as_bool)
    }

    /// A duration in milliseconds.
    pub fn millis(&self) -> Option<i64> {
        self.read("a duration", |value| duration(value.as_str()?))
    }

    /// Names of the fields that are written.
    pub fn keys(&self) -> Vec<&'a str> {
        let map = self.read("a mapping", Value::as_object);
        map.into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    /// A map from text to text.
    pub fn map(&self) -> BTreeMap<Name, String> {
        let mut made = BTreeMap::new();
        for key in self.keys() {
            let value = self.get(key);
            if let Some(text) = value.text() {
                made.insert(Name::new(key), text.to_owned());
            } else if value.value.is_null() {
                value.misfit("text");
            }
        }
        made
    }
}

/// What a value is, in words.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// Why a text is no duration, in Go's words.
pub fn wrong_duration(text: &str) -> Option<String> {
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
pub fn duration(text: &str) -> Option<i64> {
    /// What 64 bits of nanoseconds hold, in milliseconds.
    const BOUND: f64 = 9_223_372_036_854.775;
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
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
    (total < BOUND).then_some(sign * total.round() as i64)
}
