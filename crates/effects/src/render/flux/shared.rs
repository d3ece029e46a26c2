//! Values as Go's maps are: who merges two mappings may hold parts of both, so that what is put into one at a path stands in the
//! other as well. Flux merges a HelmRelease's own values with the others before each `targetPath`, and once more at the end: a path
//! below a mapping that only they have wins over them, and one below a mapping of both does not. Sources: fluxcd/pkg `chartutil`
//! (`ChartValuesFromReferences`, `MergeMaps`), helm `pkg/strvals`.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use serde_json::{Map, Value};

/// The largest index of a list that is written to.
const MOST_ITEMS: usize = 65_536;

/// A mapping that others may hold too.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Rc<RefCell<BTreeMap<String, Node>>>);

#[derive(Clone, Debug)]
enum Node {
    Map(Shared),
    List(Rc<RefCell<Vec<Node>>>),
    Leaf(Value),
    /// A whole number that was put at a path: Helm reads those as such, and all others as numbers with a fraction.
    Whole(i64),
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(map) => Self::Map(map.into()),
            Value::Array(list) => {
                Self::List(Rc::new(RefCell::new(list.into_iter().map(Self::from).collect())))
            }
            leaf => Self::Leaf(leaf),
        }
    }
}

impl From<Map<String, Value>> for Shared {
    fn from(map: Map<String, Value>) -> Self {
        Self(Rc::new(RefCell::new(map.into_iter().map(|(key, value)| (key, value.into())).collect())))
    }
}

impl Node {
    fn value(&self) -> Value {
        match self {
            Self::Map(map) => Value::Object(map.to_map()),
            Self::List(list) => Value::Array(list.borrow().iter().map(Self::value).collect()),
            Self::Leaf(value) => value.clone(),
            Self::Whole(number) => (*number).into(),
        }
    }

    /// What is put at a path.
    fn of_path(value: Value) -> Self {
        match value {
            Value::Number(number) if number.is_i64() => Self::Whole(number.as_i64().unwrap_or_default()),
            Value::Array(list) => {
                Self::List(Rc::new(RefCell::new(list.into_iter().map(Self::of_path).collect())))
            }
            other => other.into(),
        }
    }

    fn whole(&self, path: &str, found: &mut Vec<(String, i64)>) {
        match self {
            Self::Map(map) => map.whole_below(path, found),
            Self::List(list) => {
                for (n, item) in list.borrow().iter().enumerate() {
                    item.whole(&format!("{path}[{n}]"), found);
                }
            }
            Self::Whole(number) => found.push((path.to_owned(), *number)),
            Self::Leaf(_) => {}
        }
    }
}

impl Shared {
    /// What stands in it now.
    pub(super) fn to_map(&self) -> Map<String, Value> {
        self.0.borrow().iter().map(|(key, node)| (key.clone(), node.value())).collect()
    }

    /// The whole numbers that were put at paths and still stand there: path, as [`Self::put`] takes it, and number.
    pub(super) fn whole(&self) -> Vec<(String, i64)> {
        let mut found = Vec::new();
        self.whole_below("", &mut found);
        found
    }

    fn whole_below(&self, path: &str, found: &mut Vec<(String, i64)>) {
        for (name, node) in self.0.borrow().iter() {
            let mut below = path.to_owned();
            if !path.is_empty() {
                below.push('.');
            }
            for c in name.chars() {
                if matches!(c, '\\' | '.' | '[' | ',' | '=') {
                    below.push('\\');
                }
                below.push(c);
            }
            node.whole(&below, found);
        }
    }

    /// A new mapping with `over` laid on this one: a mapping of both is a new one too, all else is held together.
    pub(super) fn merged(&self, over: &Self) -> Self {
        let mut out = self.0.borrow().clone();
        for (key, node) in over.0.borrow().iter() {
            let node = match (out.get(key), node) {
                (Some(Node::Map(old)), Node::Map(new)) => Node::Map(old.merged(new)),
                (_, node) => node.clone(),
            };
            out.insert(key.clone(), node);
        }
        Self(Rc::new(RefCell::new(out)))
    }

    /// Puts a value at a path of names and indices: `a.b[0].c`, with `\.` for a dot in a name.
    ///
    /// # Errors
    /// A sentence about the path: it is none, or leads through what is neither mapping nor list.
    pub(super) fn put(&self, path: &str, value: Value) -> Result<(), String> {
        let wrong = || format!("{path:?} is no path of names and indices");
        let steps = steps(path).ok_or_else(wrong)?;
        let Some((Step::Name(first), rest)) = steps.split_first() else { return Err(wrong()) };
        self.put_below(first, rest, value).map_err(|what| {
            format!("{path:?} leads through {what}, and Helm refuses to put a value below it")
        })
    }

    fn put_below(&self, name: &str, rest: &[Step], value: Value) -> Result<(), &'static str> {
        let old = self.0.borrow().get(name).cloned();
        let new = put(old, rest, value)?;
        self.0.borrow_mut().insert(name.to_owned(), new);
        Ok(())
    }
}

/// What stands in place of `old` once the value is put below it: the same mapping or list where it can be.
fn put(old: Option<Node>, steps: &[Step], value: Value) -> Result<Node, &'static str> {
    match steps.split_first() {
        None => Ok(Node::of_path(value)),
        Some((Step::Name(name), rest)) => {
            let map = match old {
                None => Shared::default(),
                Some(Node::Map(map)) => map,
                Some(Node::List(_)) => return Err("a list"),
                Some(Node::Leaf(_) | Node::Whole(_)) => return Err("what is no mapping"),
            };
            map.put_below(name, rest, value)?;
            Ok(Node::Map(map))
        }
        Some((Step::Index(index), rest)) => {
            let list = match old {
                None => Rc::default(),
                Some(Node::List(list)) => list,
                Some(_) => return Err("what is no list"),
            };
            let item = list.borrow().get(*index).cloned();
            // In a list, null and text give way to a mapping, and null to a list.
            let item = match (item, rest.first()) {
                (Some(Node::Map(map)), Some(Step::Name(_))) => Some(Node::Map(map)),
                (_, Some(Step::Name(_))) | (Some(Node::Leaf(Value::Null)), Some(Step::Index(_))) => None,
                (item, _) => item,
            };
            let item = put(item, rest, value)?;
            if *index < list.borrow().len() {
                list.borrow_mut()[*index] = item;
                return Ok(Node::List(list));
            }
            // One that grows is another list; whoever holds the old one does not see it.
            let mut grown = list.borrow().clone();
            grown.resize(*index, Node::Leaf(Value::Null));
            grown.push(item);
            Ok(Node::List(Rc::new(RefCell::new(grown))))
        }
    }
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

    fn shared(value: Value) -> Shared {
        let Value::Object(map) = value else { panic!("{value} is no mapping") };
        map.into()
    }

    #[test]
    fn values_at_paths() {
        let values = shared(json!({"nested": {"list": ["a", "b", null]}, "text": "x"}));
        for (path, value) in [
            ("nested.list[0]", json!("value")),
            ("nested.list[2].deep", json!(1)),
            ("new.list[1].name", json!(7)),
            ("new.lists[0][1]", json!(8)),
            (r"a.dotted\.name", json!("7")),
        ] {
            values.put(path, value).unwrap();
        }
        let wanted = json!({
            "nested": {"list": ["value", "b", {"deep": 1}]}, "text": "x",
            "new": {"list": [null, {"name": 7}], "lists": [[null, 8]]}, "a": {"dotted.name": "7"},
        });
        assert_eq!(Value::Object(values.to_map()), wanted);
        for path in [
            "",
            ".a",
            "a..b",
            "a[x]",
            "a[99999999999]",
            "[0]",
            "a[65536]",
            "a\\",
            "text.deeper",
            "text[0]",
            "nested[0]",
        ] {
            assert!(values.put(path, Value::Null).is_err(), "{path}");
        }
        assert_eq!(Value::Object(values.to_map()), wanted, "what is refused changes nothing");
    }

    #[test]
    fn whole_numbers_at_paths_are_known_where_they_still_stand() {
        let values = shared(json!({"own": 7, "over": {"a": 1}}));
        for (path, value) in [
            ("account", json!(123_456_789_012_i64)),
            (r"a.dotted\.name[1].n", json!(-1)),
            ("list", json!(["a", 8])),
            ("over.a", json!(9)),
            ("text", json!("10")),
        ] {
            values.put(path, value).unwrap();
        }
        let end = values.merged(&shared(json!({"over": {"a": 2}})));
        let wanted = [(r"a.dotted\.name[1].n", -1), ("account", 123_456_789_012), ("list[1]", 8)];
        assert_eq!(end.whole(), wanted.map(|(path, number)| (path.to_owned(), number)));
        assert_eq!(end.to_map()["account"], json!(123_456_789_012_i64));
    }

    #[test]
    fn what_is_merged_is_held_together() {
        let own = shared(json!({"only": {"a": 1}, "both": {"a": 1}, "list": [1], "text": 1}));
        let result = shared(json!({"both": {"b": 2}})).merged(&own);
        for path in ["only.a", "both.a", "list[0]", "list[1]", "text", "new.a"] {
            result.put(path, json!("path")).unwrap();
        }
        let end = result.merged(&own);
        let wanted = json!({
            "only": {"a": "path"}, "both": {"a": 1, "b": 2}, "list": ["path"], "text": 1, "new": {"a": "path"},
        });
        assert_eq!(Value::Object(end.to_map()), wanted);
    }
}
