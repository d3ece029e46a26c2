//! From JSON to schemas.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{
    formats::Format,
    schema::{Additional, Bounds, ListType, Pattern, Rule, Schema, Types, Unions},
};

/// Reads one schema; `child` reads those in it, which stand in a pack as numbers and in a definition whole.
pub(crate) fn schema(map: &Map<String, Value>, child: &mut dyn FnMut(&Value) -> Arc<Schema>) -> Schema {
    let text = |key: &str| map.get(key).and_then(Value::as_str);
    let flag = |key: &str| map.get(key).and_then(Value::as_bool).unwrap_or(false);
    let texts = |key: &str| -> Vec<Box<str>> {
        let all = map.get(key).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(Box::from).collect()
    };
    let int_or_string = flag("x-kubernetes-int-or-string") || text("format") == Some("int-or-string");
    let types =
        if int_or_string { Types::INT_OR_STRING } else { text("type").map_or(Types::ANY, Types::named) };
    let mut properties: Vec<(Box<str>, Arc<Schema>)> =
        fields(map, "properties").map(|(name, value)| (name.as_str().into(), child(value))).collect();
    properties.sort_by(|(a, _), (b, _)| a.cmp(b));
    let additional = match map.get("additionalProperties") {
        None => Additional::Unsaid,
        Some(Value::Bool(true)) => Additional::Any,
        Some(Value::Bool(false)) => Additional::Refused,
        Some(value) => Additional::Schema(child(value)),
    };
    let list = match text("x-kubernetes-list-type") {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(texts("x-kubernetes-list-map-keys")),
        _ => ListType::Atomic,
    };
    let all = |key: &str, child: &mut dyn FnMut(&Value) -> Arc<Schema>| -> Vec<Arc<Schema>> {
        map.get(key).and_then(Value::as_array).into_iter().flatten().map(child).collect()
    };
    let unions = Unions {
        all_of: all("allOf", child),
        any_of: all("anyOf", child),
        one_of: all("oneOf", child),
        not: map.get("not").map(&mut *child),
    };
    let some = !unions.all_of.is_empty()
        || !unions.any_of.is_empty()
        || !unions.one_of.is_empty()
        || unions.not.is_some();
    let rules = map.get("x-kubernetes-validations").cloned();
    Schema {
        types,
        nullable: flag("nullable"),
        int_or_string,
        embedded: flag("x-kubernetes-embedded-resource"),
        preserve: flag("x-kubernetes-preserve-unknown-fields"),
        format: text("format").and_then(|name| Format::named(name, types)),
        properties: properties.into(),
        required: texts("required").into(),
        additional,
        items: map.get("items").map(&mut *child),
        default: map.get("default").filter(|value| !value.is_null()).cloned(),
        values: map.get("enum").and_then(Value::as_array).cloned().unwrap_or_default().into(),
        bounds: bounds(map).map(Box::new),
        pattern: text("pattern").filter(|text| !text.is_empty()).map(|text| Box::new(Pattern::new(text))),
        list,
        unions: some.then(|| Box::new(unions)),
        rules: rules.and_then(|rules| serde_json::from_value::<Box<[Rule]>>(rules).ok()).unwrap_or_default(),
        program: crate::cel::Program::default(),
        go_type: text("go").map(Box::from),
    }
}

fn fields<'a>(map: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    map.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn bounds(map: &Map<String, Value>) -> Option<Bounds> {
    const KEYS: [&str; 10] = [
        "minimum",
        "maximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
    ];
    let number = |key: &str| map.get(key).and_then(Value::as_f64);
    let count = |key: &str| map.get(key).and_then(Value::as_u64);
    let flag = |key: &str| map.get(key).and_then(Value::as_bool).unwrap_or(false);
    KEYS.iter().any(|key| map.contains_key(*key)).then(|| Bounds {
        minimum: number("minimum"),
        maximum: number("maximum"),
        exclusive_minimum: flag("exclusiveMinimum"),
        exclusive_maximum: flag("exclusiveMaximum"),
        multiple_of: number("multipleOf"),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        unique_items: flag("uniqueItems"),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
    })
}

/// Of a definition that says nothing: every field is kept.
pub(crate) fn anything() -> Arc<Schema> {
    Arc::new(Schema { preserve: true, ..Schema::default() })
}

/// A schema as it stands in a CustomResourceDefinition. `depth` bounds what a hostile one can nest.
pub(crate) fn whole(value: &Value, depth: usize) -> Arc<Schema> {
    const DEPTH: usize = 100;
    match value.as_object() {
        Some(map) if depth < DEPTH => Arc::new(schema(map, &mut |child| whole(child, depth + 1))),
        _ => Arc::default(),
    }
}
