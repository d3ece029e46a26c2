//! A value that fits a schema, as far as types, enums and limits say it.

use portolan_schema::schema::{Schema, Types};
use serde_json::{Map, Value, json};

/// Texts of which one fits most patterns.
const TEXTS: [&str; 24] = [
    "a",
    "a.example.com",
    "/a",
    "1s",
    "a.b/c",
    "https://a.example.com",
    "1",
    "8080",
    "2026-11-29T00:00:00Z",
    "0",
    "aGk=",
    "*.example.com",
    "10.0.0.1",
    "10.0.0.0/8",
    "::1",
    "A",
    "a@example.com",
    "1Gi",
    "100m",
    "1h",
    "GET",
    "1.2",
    "/",
    "",
];

pub fn value(schema: &Schema) -> Value {
    deep(schema, 0)
}

fn deep(schema: &Schema, depth: usize) -> Value {
    if let Some(default) = &schema.default {
        return default.clone();
    }
    if let Some(first) = schema.values.first() {
        return first.clone();
    }
    if schema.int_or_string {
        return json!(1);
    }
    let bounds = schema.bounds.as_deref();
    let types = schema.types;
    if types == Types::BOOLEAN {
        json!(true)
    } else if types == Types::INTEGER || types == Types::NUMBER {
        #[allow(clippy::cast_possible_truncation)]
        let least = bounds.and_then(|bounds| bounds.minimum).unwrap_or(1.0).max(1.0) as i64;
        json!(least)
    } else if types == Types::STRING {
        let fits = |text: &&str| {
            let length = text.chars().count() as u64;
            let long = bounds.is_none_or(|bounds| {
                bounds.min_length.is_none_or(|least| length >= least)
                    && bounds.max_length.is_none_or(|most| length <= most)
            });
            long && schema.format.is_none_or(|format| format.fits(text))
                && schema.pattern.as_ref().is_none_or(|pattern| pattern.is_found_in(text) == Some(true))
        };
        json!(TEXTS.iter().copied().find(|text| fits(text)).unwrap_or("a"))
    } else if types == Types::ARRAY {
        let count = bounds.and_then(|bounds| bounds.min_items).unwrap_or(1).max(1);
        let item = schema.items.as_deref().map_or(Value::Null, |items| deep(items, depth + 1));
        Value::Array(vec![item; usize::try_from(count).unwrap()])
    } else if types == Types::OBJECT && depth < 12 {
        let mut map = Map::new();
        for name in &schema.required {
            let child = schema.property(name).map_or(Value::Null, |child| deep(child, depth + 1));
            map.insert(name.to_string(), child);
        }
        if let Some(child) = schema.additional() {
            map.insert("a".into(), deep(child, depth + 1));
        }
        Value::Object(map)
    } else {
        json!({})
    }
}
