//! What can be wrong with an object, or just right: every field of its kind in every way.

use std::collections::HashMap;

use portolan_schema::schema::{ListType, Schema};
use serde_json::{Value, json};

use super::{
    bases::Base,
    cases::Case,
    edits::{Edit, Place, Step, shown},
    sample,
    values::others,
};

/// How often a schema that stands in several places is tried.
const OFTEN: usize = 2;

/// All cases of a base with one change.
pub fn of(at: usize, base: &Base) -> Vec<Case> {
    let mut all = Changes { at, own: false, ruled: false, cases: Vec::new() };
    all.metadata(base);
    let schema = base.definition.schema();
    for (name, child) in &schema.properties {
        if matches!(&**name, "apiVersion" | "kind" | "metadata" | "status") {
            continue;
        }
        let place = vec![Step::Field(name.to_string())];
        match base.object.get(&**name) {
            Some(value) => all.present(child, value, &place),
            None => all.absent(child, &base.object, &place, &mut HashMap::new()),
        }
        if schema.required.contains(name) {
            all.add("taken away", vec![Edit::take(&place)], &place);
        }
    }
    let mut seen = HashMap::new();
    for (name, child) in &schema.properties {
        if !matches!(&**name, "apiVersion" | "kind" | "metadata" | "status") {
            all.absent(child, &base.object, &vec![Step::Field(name.to_string())], &mut seen);
        }
    }
    all.strict("unknown field", vec![Edit::put(&[Step::Field("spce".into())], json!({}))], &[]);
    all.cases
}

struct Changes {
    at: usize,
    /// The schema around has rules.
    own: bool,
    /// It, or the one that is changed.
    ruled: bool,
    cases: Vec<Case>,
}

impl Changes {
    fn add(&mut self, what: &str, edits: Vec<Edit>, place: &[Step]) {
        let what = format!("{} {what}", shown(place));
        self.cases.push(Case { base: self.at, what, edits, update: false, strict: false, ruled: self.ruled });
    }

    fn strict(&mut self, what: &str, edits: Vec<Edit>, place: &[Step]) {
        self.add(what, edits, place);
        if let Some(case) = self.cases.last().cloned() {
            self.cases.push(Case { strict: true, ..case });
        }
    }

    fn put(&mut self, what: &str, place: &[Step], value: Value) {
        let what = format!("{what} {}", short(&value));
        self.add(&what, vec![Edit::put(place, value)], place);
    }

    /// A value that stands in the base, and everything in it.
    fn present(&mut self, schema: &Schema, value: &Value, place: &Place) {
        let before = self.enter(schema);
        self.around(schema, value, place);
        match value {
            Value::Object(map) => {
                for (key, child) in map {
                    let below = [place.as_slice(), &[Step::Field(key.clone())]].concat();
                    self.add("taken away", vec![Edit::take(&below)], &below);
                    if let Some(schema) = schema.property(key).or_else(|| schema.additional()) {
                        self.present(schema, child, &below);
                    }
                }
                let near = |name: &str| [place.as_slice(), &[Step::Field(name.into())]].concat();
                self.strict("unknown field", vec![Edit::put(&near("unknwon"), json!("x"))], place);
                if schema.additional().is_some() {
                    for key in ["", "a b", "A/b", "a/b/c"] {
                        self.put("key", &near(key), json!("x"));
                    }
                }
            }
            Value::Array(items) => {
                for (at, child) in items.iter().enumerate() {
                    let below = [place.as_slice(), &[Step::Item(at)]].concat();
                    if let Some(schema) = &schema.items {
                        self.present(schema, child, &below);
                    }
                }
                for (at, item) in items.iter().enumerate() {
                    let mut more = items.clone();
                    more.push(item.clone());
                    self.add(&format!("item {at} twice"), vec![Edit::put(place, json!(more))], place);
                }
                if let Some(first) = items.first() {
                    if let ListType::Map(keys) = &schema.list {
                        for key in keys {
                            let below =
                                [place.as_slice(), &[Step::Item(0), Step::Field(key.to_string())]].concat();
                            self.add("key taken away", vec![Edit::take(&below)], &below);
                        }
                    }
                    self.many(schema, first, place);
                }
            }
            _ => {}
        }
        (self.own, self.ruled) = before;
    }

    fn enter(&mut self, schema: &Schema) -> (bool, bool) {
        let before = (self.own, self.ruled);
        let own = !schema.rules.is_empty();
        (self.own, self.ruled) = (own, own || self.own);
        before
    }

    /// As many items as may be, and one more.
    fn many(&mut self, schema: &Schema, first: &Value, place: &Place) {
        let Some(most) =
            schema.bounds.as_ref().and_then(|bounds| bounds.max_items).filter(|most| *most <= 300)
        else {
            return;
        };
        for count in [most, most + 1] {
            let items: Vec<Value> = (0..count)
                .map(|at| {
                    let mut item = first.clone();
                    if let Some(name) = item.get_mut("name").filter(|name| name.is_string()) {
                        *name = json!(format!("n{at}"));
                    } else if item.is_string() {
                        item = json!(format!("h{at}.example.com"));
                    }
                    item
                })
                .collect();
            self.add(&format!("with {count} items"), vec![Edit::put(place, json!(items))], place);
        }
    }

    /// Other values in the place of one.
    fn around(&mut self, schema: &Schema, value: &Value, place: &Place) {
        for other in others(schema) {
            if other != *value {
                self.put("as", place, other);
            }
        }
    }

    /// Fields that the base does not have: a value that fits, and those that do not, down the schema.
    fn absent(
        &mut self,
        schema: &Schema,
        base: &Value,
        place: &Place,
        seen: &mut HashMap<*const Schema, usize>,
    ) {
        let here = at(base, place);
        let before = self.enter(schema);
        self.absent_here(schema, base, (place, here), seen);
        (self.own, self.ruled) = before;
    }

    fn absent_here(
        &mut self,
        schema: &Schema,
        base: &Value,
        (place, here): (&Place, Option<&Value>),
        seen: &mut HashMap<*const Schema, usize>,
    ) {
        if here.is_none() {
            let times = seen.entry(std::ptr::from_ref(schema)).or_default();
            *times += 1;
            if *times > OFTEN {
                return;
            }
            self.put("added as", place, sample::value(schema));
            for other in others(schema) {
                self.put("added as", place, other);
            }
        }
        for (name, child) in &schema.properties {
            let below = [place.as_slice(), &[Step::Field(name.to_string())]].concat();
            if here.is_some() {
                self.absent(child, base, &below, seen);
            } else {
                let mut around = sample::value(schema);
                if !around.is_object() {
                    around = json!({});
                }
                self.inside(child, &below, (place, &around), seen);
            }
        }
        if let Some(items) = &schema.items {
            let below = [place.as_slice(), &[Step::Item(0)]].concat();
            if here.is_some_and(|list| list.as_array().is_some_and(|list| !list.is_empty())) {
                self.absent(items, base, &below, seen);
            } else if here.is_none() {
                self.inside(items, &below, (place, &json!([])), seen);
            }
        }
    }

    /// Fields of what is not there: what is around them comes first.
    fn inside(
        &mut self,
        schema: &Schema,
        place: &Place,
        around: (&Place, &Value),
        seen: &mut HashMap<*const Schema, usize>,
    ) {
        let times = seen.entry(std::ptr::from_ref(schema)).or_default();
        *times += 1;
        if *times > OFTEN || place.len() > 14 {
            return;
        }
        let before = self.enter(schema);
        let start = |value: Value| vec![Edit::put(around.0, around.1.clone()), Edit::put(place, value)];
        let fitting = sample::value(schema);
        self.add(&format!("inside as {}", short(&fitting)), start(fitting.clone()), place);
        for other in others(schema) {
            self.add(&format!("inside as {}", short(&other)), start(other), place);
        }
        for (name, child) in &schema.properties {
            let below = [place.as_slice(), &[Step::Field(name.to_string())]].concat();
            let mut whole = around.1.clone();
            let relative = place[around.0.len()..].to_vec();
            Edit {
                place: relative,
                value: Some(if fitting.is_object() { fitting.clone() } else { json!({}) }),
            }
            .apply(&mut whole);
            self.inside(child, &below, (around.0, &whole), seen);
        }
        if let Some(items) = &schema.items {
            let below = [place.as_slice(), &[Step::Item(0)]].concat();
            let mut whole = around.1.clone();
            Edit { place: place[around.0.len()..].to_vec(), value: Some(json!([])) }.apply(&mut whole);
            self.inside(items, &below, (around.0, &whole), seen);
        }
        (self.own, self.ruled) = before;
    }

    fn metadata(&mut self, base: &Base) {
        let field = |name: &str| vec![Step::Field("metadata".into()), Step::Field(name.into())];
        let long = |length: usize| "a".repeat(length);
        for name in [
            "A",
            "a_b",
            "-a",
            "a-",
            "a..b",
            "a.b",
            "1a",
            "",
            "a b",
            &long(63),
            &long(64),
            &long(253),
            &long(254),
            "ä",
        ] {
            self.put("as", &field("name"), json!(name));
        }
        // Nothing is generated: `kubectl apply` takes no object without a name either.
        self.add("taken away", vec![Edit::take(&field("name"))], &field("name"));
        for (key, value) in [
            ("a", json!("b")),
            ("a", json!("b c")),
            ("a", json!(1)),
            ("a", json!(true)),
            ("a", Value::Null),
            ("a b", json!("c")),
            ("a/b/c", json!("d")),
            ("A.b/c", json!("d")),
            ("a/", json!("d")),
            ("/a", json!("d")),
            ("", json!("d")),
            (&long(64), json!("a")),
            ("a", json!(long(64))),
            ("a", json!("-")),
        ] {
            let below = [field("labels"), vec![Step::Field(key.to_owned())]].concat();
            self.put("as", &below, value.clone());
            let below = [field("annotations"), vec![Step::Field(key.to_owned())]].concat();
            self.put("as", &below, value);
        }
        for name in ["labels", "annotations", "finalizers", "ownerReferences"] {
            self.put("as", &field(name), json!("a"));
            self.put("as", &field(name), json!(["a"]));
            self.put("as", &field(name), json!({}));
        }
        self.put("as", &field("finalizers"), json!(["example.com/a", "example.com/b"]));
        self.put(
            "as",
            &field("ownerReferences"),
            json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "1"}]),
        );
        self.put(
            "as",
            &field("ownerReferences"),
            json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}]),
        );
        self.strict("unknown field", vec![Edit::put(&field("lables"), json!({}))], &field("lables"));
        self.put("as", &[Step::Field("metadata".into())], json!("a"));
        self.add(
            "taken away",
            vec![Edit::take(&[Step::Field("metadata".into())])],
            &[Step::Field("metadata".into())],
        );
        let _ = base;
    }
}

fn at<'v>(value: &'v Value, place: &[Step]) -> Option<&'v Value> {
    place.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get(name),
        Step::Item(at) => value.get(*at),
    })
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}… ({} characters)", &text[..cut], text.chars().count()),
        None => text,
    }
}
