//! JSON and CEL values.

use std::collections::HashMap;

use cel::common::{
    traits,
    types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString},
    value::Val,
};
use serde_json::Value;

/// JSON as a CEL value. Whole numbers are `int`, as in Kubernetes; texts are borrowed.
pub fn from_json<'v>(json: &'v Value) -> Box<dyn Val + 'v> {
    match json {
        Value::Null => Box::new(CelNull),
        Value::Bool(flag) => Box::new(CelBool::from(*flag)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Box::new(CelInt::from(whole)),
            None => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(from_json).collect::<Vec<_>>())),
        Value::Object(map) => {
            let entry = |(key, value): (&'v String, &'v Value)| {
                (CelMapKey::String(CelString::from(key.as_str())), from_json(value))
            };
            Box::new(CelMap::from(map.iter().map(entry).collect::<HashMap<_, _>>()))
        }
    }
}

/// Values in it, and its text in units of 16 bytes: what copying or comparing it costs.
pub fn weight(value: &dyn Val) -> u64 {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return 1 + text.inner().len() as u64 / 16;
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list.inner().iter().fold(1, |sum, item| sum + weight(item.as_ref()));
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        return map
            .inner()
            .iter()
            .fold(1, |sum, (key, item)| sum + weight(key.inner()) + weight(item.as_ref()));
    }
    1
}

/// Elements of anything that can be iterated over.
pub fn items<'b, 'v>(value: &'b (dyn Val + 'v)) -> Vec<&'b (dyn Val + 'v)> {
    let mut all = Vec::new();
    if let Some(iterable) = value.as_iterable() {
        let mut iterator: Box<dyn traits::Iterator<'b, 'v> + 'b> = iterable.iter();
        while let Some(item) = iterator.next() {
            all.push(item);
        }
    }
    all
}
