//! Changes of an object: what a case is made of, and what a server's defaults come to.

use serde_json::{Value, json};

/// A place in an object: names of fields and positions in lists.
pub type Place = Vec<Step>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Field(String),
    Item(usize),
}

/// A value that is put in a place, or nothing: it is taken away.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    pub place: Place,
    pub value: Option<Value>,
}

impl Edit {
    pub fn put(place: &[Step], value: Value) -> Self {
        Self { place: place.to_vec(), value: Some(value) }
    }

    pub fn take(place: &[Step]) -> Self {
        Self { place: place.to_vec(), value: None }
    }

    /// What is in the way is replaced.
    pub fn apply(&self, object: &mut Value) {
        let Some((last, before)) = self.place.split_last() else { return };
        let mut at = object;
        for step in before {
            at = enter(at, step);
        }
        match (last, &self.value) {
            (_, Some(value)) => *enter(at, last) = value.clone(),
            (Step::Field(name), None) => {
                at.as_object_mut().map(|map| map.remove(name));
            }
            (Step::Item(position), None) => {
                if let Some(list) = at.as_array_mut().filter(|list| list.len() > *position) {
                    list.remove(*position);
                }
            }
        }
    }

    pub fn write(&self) -> Value {
        let place: Vec<Value> = self
            .place
            .iter()
            .map(|step| match step {
                Step::Field(name) => json!(name),
                Step::Item(position) => json!(position),
            })
            .collect();
        match &self.value {
            Some(value) => json!([place, value]),
            None => json!([place]),
        }
    }

    pub fn read(value: &Value) -> Self {
        let steps = value[0].as_array().unwrap().iter();
        let place = steps
            .map(|step| match step {
                Value::String(name) => Step::Field(name.clone()),
                number => Step::Item(usize::try_from(number.as_u64().unwrap()).unwrap()),
            })
            .collect();
        Self { place, value: value.get(1).cloned() }
    }
}

fn enter<'v>(at: &'v mut Value, step: &Step) -> &'v mut Value {
    match step {
        Step::Field(name) => {
            if !at.is_object() {
                *at = json!({});
            }
            at.as_object_mut().unwrap().entry(name.clone()).or_insert(Value::Null)
        }
        Step::Item(position) => {
            if !at.is_array() {
                *at = json!([]);
            }
            let list = at.as_array_mut().unwrap();
            while list.len() <= *position {
                list.push(Value::Null);
            }
            &mut list[*position]
        }
    }
}

/// What makes `to` of `from`.
pub fn difference(from: &Value, to: &Value) -> Vec<Edit> {
    let mut out = Vec::new();
    compare(from, to, &mut Vec::new(), &mut out);
    out
}

fn compare(from: &Value, to: &Value, place: &mut Place, out: &mut Vec<Edit>) {
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            for key in from.keys().filter(|key| !to.contains_key(*key)) {
                place.push(Step::Field(key.clone()));
                out.push(Edit::take(place));
                place.pop();
            }
            for (key, value) in to {
                place.push(Step::Field(key.clone()));
                match from.get(key) {
                    Some(before) => compare(before, value, place, out),
                    None => out.push(Edit::put(place, value.clone())),
                }
                place.pop();
            }
        }
        (Value::Array(from), Value::Array(to)) if from.len() == to.len() => {
            for (at, (from, to)) in from.iter().zip(to).enumerate() {
                place.push(Step::Item(at));
                compare(from, to, place, out);
                place.pop();
            }
        }
        (from, to) if from == to => {}
        _ => out.push(Edit::put(place, to.clone())),
    }
}

/// As findings write it.
pub fn shown(place: &[Step]) -> String {
    let mut out = String::new();
    for step in place {
        match step {
            Step::Field(name) if out.is_empty() => out.push_str(name),
            Step::Field(name) => out.extend([".", name]),
            Step::Item(position) => out.extend(["[", &position.to_string(), "]"]),
        }
    }
    out
}
