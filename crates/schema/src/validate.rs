//! An object against its schema, with the order, words and counting of kube-openapi's validator, which API servers use.
//! Source: k8s.io/kube-openapi `pkg/validation/validate`, k8s.io/apiextensions-apiserver `pkg/apiserver/validation`.

use std::cmp::Ordering::{Equal, Greater, Less};

use serde_json::{Map, Value};

use crate::{
    cause::{Cause, go_float, quote},
    cel::same_item,
    formats::Format,
    path::Path,
    schema::{Additional, Bounds, Schema, Types, Unions},
};

/// What a schema says of a value.
#[derive(Default)]
struct Found {
    causes: Vec<Cause>,
    /// Checks that were made: of several alternatives that all fail, the one with most is shown.
    checks: u32,
}

impl Found {
    fn add(&mut self, cause: Cause) {
        if !self.causes.contains(&cause) {
            self.causes.push(cause);
        }
    }

    fn merge(&mut self, other: Self) {
        self.checks += other.checks;
        for cause in other.causes {
            self.add(cause);
        }
    }
}

/// Everything that is wrong with a value; what stands as it stood in `old` keeps its faults (KEP-4008).
pub fn validate(schema: &Schema, value: &Value, old: Option<&Value>, path: &Path<'_>) -> Vec<Cause> {
    check(schema, value, old, path).causes
}

/// As `ratchetingValueValidator`: faults of a value, and of all in it, go if the value is what it was. Which older value is meant is told by
/// names of fields and keys of lists of type `map`; inside of `allOf`, `anyOf`, `oneOf` and `not` it is not told.
fn check(schema: &Schema, value: &Value, old: Option<&Value>, path: &Path<'_>) -> Found {
    let mut out = judge(schema, value, old, path);
    if !out.causes.is_empty() && old == Some(value) {
        out.causes.clear();
    }
    out
}

fn judge(schema: &Schema, value: &Value, old: Option<&Value>, path: &Path<'_>) -> Found {
    let mut out = Found::default();
    if value.is_null() {
        if !schema.types.is_any() && !schema.nullable {
            out.add(wrong_type(path, &schema.types.names(), "null"));
        } else {
            out.checks += 1;
        }
        one_of_values(schema, value, path, &mut out);
        return out;
    }
    if !schema.types.is_any() || schema.format.is_some() {
        match of_type(schema, value, path) {
            Some(cause) => out.add(cause),
            None => out.checks += 1,
        }
        out.checks += 1;
    }
    match &schema.unions {
        Some(unions) => combined(unions, value, path, &mut out),
        None => out.checks += 1,
    }
    out.checks += 1;
    match value {
        Value::String(text) => string(schema, text, path, &mut out),
        Value::Number(number) => {
            numeric(schema, number, path, &mut out);
            out.checks += 2;
        }
        Value::Array(items) => {
            list(schema, items, old, path, &mut out);
            out.checks += 2;
        }
        _ => {}
    }
    one_of_values(schema, value, path, &mut out);
    out.checks += 1;
    if let Value::Object(map) = value {
        object(schema, map, old, path, &mut out);
        out.checks += 1;
    }
    out.checks += 1;
    out
}

fn wrong_type(path: &Path<'_>, wanted: &str, is: &str) -> Cause {
    let place = path.dotted();
    let detail = format!("{place} in body must be of type {wanted}: {}", quote(is));
    Cause::type_invalid(place_or_nil(place), is, detail)
}

/// What is at the root has no path.
fn place_or_nil(place: String) -> String {
    if place.is_empty() { "<nil>".to_owned() } else { place }
}

/// A number of Go: what does not fit into 64 bits is a float.
fn is_integer(number: &serde_json::Number) -> bool {
    number.is_i64()
}

/// Above it a float is no exact number any more (`swag.IsFloat64AJSONInteger`).
const EXACT: f64 = 9_007_199_254_740_991.0;

fn of_type(schema: &Schema, value: &Value, path: &Path<'_>) -> Option<Cause> {
    let (is, name, format) = match value {
        Value::Bool(_) => (Types::BOOLEAN, "boolean", ""),
        Value::String(_) => (Types::STRING, "string", ""),
        Value::Number(number) if is_integer(number) => (Types::INTEGER, "integer", "int64"),
        Value::Number(_) => (Types::NUMBER, "number", "float64"),
        Value::Array(_) => (Types::ARRAY, "array", ""),
        Value::Object(_) | Value::Null => (Types::OBJECT, "object", ""),
    };
    let types = schema.types;
    let whole = value.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() <= EXACT);
    let fits = types.has(is)
        || (is == Types::NUMBER && whole && types.has(Types::INTEGER))
        || (is == Types::INTEGER && types.has(Types::NUMBER));
    if let Some(wanted) = schema.format {
        let text_or_list = matches!(value, Value::String(_) | Value::Array(_));
        if !text_or_list && !fits && format != wanted.name() {
            return Some(wrong_type(path, wanted.name(), format));
        }
        if text_or_list && !types.has(Types::NUMBER) && !types.has(Types::INTEGER) {
            return None;
        }
    }
    (!fits).then(|| wrong_type(path, &types.names(), name))
}

fn combined(unions: &Unions, value: &Value, path: &Path<'_>, out: &mut Found) {
    let whole = |words: String| Cause::invalid("<nil>", "", format!("{} {words}", quote(&path.dotted())));
    if !unions.any_of.is_empty() {
        let mut best: Option<Found> = None;
        let mut success = None;
        for schema in &unions.any_of {
            let found = check(schema, value, None, path);
            if found.causes.is_empty() {
                success = Some(found);
                break;
            }
            if best.as_ref().is_none_or(|best| found.checks > best.checks) {
                best = Some(found);
            }
        }
        if success.is_none() {
            out.add(whole("must validate at least one schema (anyOf)".into()));
        }
        if let Some(chosen) = success.or(best) {
            out.merge(chosen);
        }
    }
    if !unions.one_of.is_empty() {
        let mut best: Option<Found> = None;
        let mut success: Option<Found> = None;
        let mut valid = 0;
        for schema in &unions.one_of {
            let found = check(schema, value, None, path);
            if found.causes.is_empty() {
                valid += 1;
                best = None;
                success.get_or_insert(found);
            } else if valid == 0 && best.as_ref().is_none_or(|best| found.checks > best.checks) {
                best = Some(found);
            }
        }
        if valid == 1 {
            if let Some(found) = success {
                out.merge(found);
            }
        } else {
            let many = if valid == 0 {
                "Found none valid".to_owned()
            } else {
                format!("Found {valid} valid alternatives")
            };
            out.add(whole(format!("must validate one and only one schema (oneOf). {many}")));
            if let Some(found) = best {
                out.merge(found);
            }
        }
    }
    if !unions.all_of.is_empty() {
        let mut valid = 0;
        for schema in &unions.all_of {
            let found = check(schema, value, None, path);
            valid += usize::from(found.causes.is_empty());
            out.merge(found);
        }
        if valid != unions.all_of.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            out.add(whole(format!("must validate all the schemas (allOf){none}")));
        }
    }
    if let Some(schema) = &unions.not
        && check(schema, value, None, path).causes.is_empty()
    {
        out.add(whole("must not validate the schema (not)".into()));
    }
    out.checks += 1;
}

fn string(schema: &Schema, text: &str, path: &Path<'_>, out: &mut Found) {
    let bounds = schema.bounds.as_deref();
    let limit = |of: fn(&Bounds) -> Option<u64>| bounds.and_then(of);
    let (least, most) = (limit(|b| b.min_length), limit(|b| b.max_length));
    // Every character takes a byte at least.
    let length = |most: u64| text.len() as u64 > most && text.chars().count() as u64 > most;
    let invalid = |words: String| {
        let place = path.dotted();
        let detail = format!("{place} in body {words}");
        Cause::invalid(place_or_nil(place), text, detail)
    };
    if let Some(most) = most.filter(|most| length(*most)) {
        out.add(Cause::too_long(place_or_nil(path.dotted()), most));
    } else if let Some(least) = least.filter(|least| (text.chars().count() as u64) < *least) {
        out.add(invalid(format!("should be at least {least} chars long")));
    } else if let Some(pattern) = &schema.pattern
        && pattern.is_found_in(text) != Some(true)
    {
        out.add(invalid(format!("should match '{}'", pattern.text)));
    }
    out.checks += 1;
    if let Some(format) = schema.format.filter(|format| format.is_of_text()) {
        if !format.fits(text) {
            let place = path.dotted();
            let detail = format!("{place} in body must be of type {}: {}", format.name(), quote(text));
            out.add(Cause::type_invalid(place_or_nil(place), text, detail));
        }
        out.checks += 1;
    }
}

fn numeric(schema: &Schema, number: &serde_json::Number, path: &Path<'_>, out: &mut Found) {
    let integer = number.as_i64();
    let float = number.as_f64().unwrap_or(f64::NAN);
    if let Some(words) = out_of_range(schema, number) {
        out.add(Cause::invalid(
            "<nil>",
            "",
            format!("Checked value must be of type {words} in {}", path.dotted()),
        ));
    }
    let Some(bounds) = schema.bounds.as_deref() else { return };
    let invalid = |words: String| {
        let place = path.dotted();
        let detail = format!("{place} in body {words}");
        Cause::invalid(place_or_nil(place), number.clone(), detail)
    };
    #[expect(clippy::cast_possible_truncation, reason = "as the API server compares and prints integers")]
    let shown = |limit: f64| if integer.is_some() { (limit as i64).to_string() } else { go_float(limit) };
    #[expect(clippy::cast_possible_truncation, reason = "as the API server compares integers")]
    let compare = |limit: f64| match integer {
        Some(integer) => Some(integer.cmp(&(limit as i64))),
        None => float.partial_cmp(&limit),
    };
    if let Some(of) = bounds.multiple_of
        && (float / of).fract() != 0.0
    {
        out.add(invalid(format!("should be a multiple of {}", shown(of))));
    }
    if let Some(least) = bounds.minimum {
        let (exclusive, order) = (bounds.exclusive_minimum, compare(least));
        if order == Some(Less) || (exclusive && order == Some(Equal)) {
            let words = if exclusive { "greater than" } else { "greater than or equal to" };
            out.add(invalid(format!("should be {words} {}", shown(least))));
        }
    }
    if let Some(most) = bounds.maximum {
        let (exclusive, order) = (bounds.exclusive_maximum, compare(most));
        if order == Some(Greater) || (exclusive && order == Some(Equal)) {
            let words = if exclusive { "less than" } else { "less than or equal to" };
            out.add(invalid(format!("should be {words} {}", shown(most))));
        }
    }
}

/// Of a number that its type cannot hold, the type's words.
fn out_of_range(schema: &Schema, number: &serde_json::Number) -> Option<String> {
    let format = schema.format.map(Format::name);
    if schema.types == Types::INTEGER {
        let whole = number.as_i64().map(i128::from).or_else(|| {
            let float = number.as_f64()?;
            #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
            (float.fract() == 0.0 && float.abs() < 1e30).then_some(float as i128)
        });
        let fits = whole.is_some_and(|whole| {
            if format == Some("int32") { i32::try_from(whole).is_ok() } else { i64::try_from(whole).is_ok() }
        });
        return (!fits).then(|| match format {
            Some(format) => format!("integer with format {format}"),
            None => "integer (default format)".to_owned(),
        });
    }
    let small = schema.types == Types::NUMBER && format == Some("float");
    let wide = number.as_f64().is_some_and(|float| float.abs() > f64::from(f32::MAX));
    (small && wide).then(|| "number with format float".to_owned())
}

fn list(schema: &Schema, items: &[Value], old: Option<&Value>, path: &Path<'_>, out: &mut Found) {
    if let Some(each) = &schema.items {
        for (at, item) in items.iter().enumerate() {
            let old = old.and_then(Value::as_array).and_then(|old| same_item(schema, old, item));
            out.merge(check(each, item, old, &path.index(at)));
        }
    }
    let Some(bounds) = schema.bounds.as_deref() else { return };
    let place = || place_or_nil(path.dotted());
    let size = items.len() as u64;
    if let Some(least) = bounds.min_items.filter(|least| size < *least) {
        let detail = format!("{} in body should have at least {least} items", path.dotted());
        out.add(Cause::invalid(place(), size, detail));
    }
    if let Some(most) = bounds.max_items.filter(|most| size > *most) {
        out.add(Cause::too_many(place(), size, most));
    }
    if bounds.unique_items && items.iter().enumerate().any(|(at, item)| items[..at].contains(item)) {
        let detail = format!("{} in body shouldn't contain duplicates", path.dotted());
        out.add(Cause::invalid(place(), "", detail));
    }
}

fn one_of_values(schema: &Schema, value: &Value, path: &Path<'_>, out: &mut Found) {
    let same = |one: &Value| match (one.as_f64(), value.as_f64()) {
        (Some(one), Some(other)) => one.to_bits() == other.to_bits(),
        _ => one == value,
    };
    if schema.values.is_empty() || schema.values.iter().any(same) {
        return;
    }
    let shown = schema.values.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned));
    out.add(Cause::not_supported(place_or_nil(path.dotted()), value.clone(), shown));
}

fn object(schema: &Schema, map: &Map<String, Value>, old: Option<&Value>, path: &Path<'_>, out: &mut Found) {
    let before = |key: &str| old.and_then(|old| old.get(key));
    let bounds = schema.bounds.as_deref();
    let size = map.len() as u64;
    let place = || place_or_nil(path.dotted());
    if let Some(least) = bounds.and_then(|b| b.min_properties).filter(|least| size < *least) {
        let detail = format!("{} in body should have at least {least} properties", path.dotted());
        out.add(Cause::invalid(place(), size, detail));
    }
    if let Some(most) = bounds.and_then(|b| b.max_properties).filter(|most| size > *most) {
        out.add(Cause::too_many(place(), size, most));
    }
    let unnamed = |map| unnamed(schema, map);
    match &schema.additional {
        Additional::Refused => {
            for (key, _) in unnamed(map) {
                let detail = format!("{}.{key} in body is a forbidden property", path.dotted());
                out.add(Cause::invalid(place(), key.as_str(), detail));
            }
        }
        Additional::Schema(each) => {
            for (key, value) in unnamed(map) {
                out.merge(check(each, value, before(key), &path.key(key)));
            }
        }
        Additional::Unsaid | Additional::Any => {}
    }
    if !schema.properties.is_empty() {
        for (name, value) in map {
            if let Some(property) = schema.property(name) {
                out.merge(check(property, value, before(name), &path.field(name)));
            }
        }
    }
    for name in &schema.required {
        if !map.contains_key(&**name) {
            out.add(Cause::required(path.field(name).dotted(), ""));
        }
    }
}

fn unnamed<'a>(
    schema: &'a Schema,
    map: &'a Map<String, Value>,
) -> impl Iterator<Item = (&'a String, &'a Value)> + 'a {
    map.iter().filter(|(key, _)| schema.property(key).is_none())
}
