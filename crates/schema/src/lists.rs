//! Lists whose items must differ. Source: k8s.io/apiextensions-apiserver `pkg/apiserver/schema/listtype`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    cause::Cause,
    path::Path,
    schema::{ListType, Schema},
};

/// What comes twice in lists that are sets or maps.
pub fn validate(schema: &Schema, value: &Value, path: &Path<'_>, out: &mut Vec<Cause>) {
    match value {
        Value::Array(items) => {
            match &schema.list {
                ListType::Atomic => {}
                ListType::Set => {
                    for at in twice(items.iter().map(Clone::clone)) {
                        out.push(Cause::duplicate(path.index(at).text(), items[at].clone()));
                    }
                }
                ListType::Map(keys) => by_keys(keys, items, path, out),
            }
            if let Some(each) = &schema.items {
                for (at, item) in items.iter().enumerate() {
                    validate(each, item, &path.index(at), out);
                }
            }
        }
        Value::Object(map) => {
            for (name, value) in map {
                if let Some(property) = schema.property(name) {
                    validate(property, value, &path.field(name), out);
                } else if let Some(each) = schema.additional() {
                    validate(each, value, &path.key(name), out);
                }
            }
        }
        _ => {}
    }
}

fn by_keys(keys: &[Box<str>], items: &[Value], path: &Path<'_>, out: &mut Vec<Cause>) {
    if let Some((at, item)) = items.iter().enumerate().find(|(_, item)| !item.is_object() && !item.is_null())
    {
        let words = "must be an object for an array of list-type map";
        out.push(Cause::invalid(path.index(at).text(), item.clone(), words));
        return;
    }
    let key = |item: &Value| {
        let fields = keys.iter().filter_map(|key| Some(((**key).to_owned(), item.get(&**key)?.clone())));
        Value::Object(fields.collect::<Map<String, Value>>())
    };
    for at in twice(items.iter().map(key)) {
        out.push(Cause::duplicate(path.index(at).text(), key(&items[at])));
    }
}

/// Each value's second place.
fn twice(values: impl ExactSizeIterator<Item = Value>) -> Vec<usize> {
    if values.len() <= 1 {
        return Vec::new();
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut out = Vec::new();
    for (at, value) in values.enumerate() {
        let text = match &value {
            Value::Number(number) if number.is_f64() => json!(number.as_f64()).to_string(),
            other => other.to_string(),
        };
        let count = seen.entry(text).or_default();
        *count += 1;
        if *count == 2 {
            out.push(at);
        }
    }
    out
}
