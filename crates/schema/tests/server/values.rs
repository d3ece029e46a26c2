//! Values of other types, at limits and over them.

use portolan_schema::schema::{Schema, Types};
use serde_json::{Value, json};

/// Texts that rules in CEL are about.
const RULES: [&str; 17] = [
    "/a//b",
    "/a/./b",
    "/a/../b",
    "/a%2Fb",
    "/a%2fb",
    "/a#b",
    "/a/.",
    "/a/..",
    "/a b",
    "a.cluster.local",
    "10.0.0.1",
    "host",
    "0s",
    "2h",
    "500ms",
    "trust-manager.io/x",
    "*.a.*",
];

/// What else could stand in a value's place.
pub fn others(schema: &Schema) -> Vec<Value> {
    let bounds = schema.bounds.as_deref();
    let mut out = vec![Value::Null];
    let types = schema.types;
    let mut wrong = vec![json!(true), json!("text"), json!(7), json!(1.5), json!(["x"]), json!({"x": "y"})];
    if types == Types::STRING {
        wrong.push(json!(""));
        wrong.extend(["A b", "-", "a..b", "ä", "../x", "UPPER", "*", "a_b"].map(Value::from));
        wrong.extend(RULES.map(Value::from));
        if let Some(bounds) = bounds {
            for length in
                bounds.max_length.into_iter().flat_map(|most| [most, most + 1]).filter(|most| *most < 5_000)
            {
                wrong.push(json!("a".repeat(usize::try_from(length).unwrap())));
            }
        }
        if let Some(Value::String(first)) = schema.values.first() {
            wrong.push(json!(first.to_lowercase()));
            wrong.push(json!(format!("{first}x")));
        }
        wrong.extend(schema.values.iter().cloned());
    } else if types == Types::INTEGER || types == Types::NUMBER || schema.int_or_string {
        wrong.extend([
            json!(0),
            json!(-1),
            json!(65_536),
            json!(1e30),
            json!(3_000_000_000_i64),
            json!(i64::MAX),
        ]);
        wrong.extend([json!("1"), json!("50%")]);
        if let Some(bounds) = bounds {
            for limit in [bounds.minimum, bounds.maximum].into_iter().flatten() {
                #[allow(clippy::cast_possible_truncation)]
                let limit = limit as i64;
                wrong.extend([json!(limit - 1), json!(limit), json!(limit + 1)]);
            }
        }
    } else if types == Types::BOOLEAN {
        wrong.extend([json!(false), json!("true")]);
    } else if types == Types::ARRAY {
        wrong.extend([json!([]), json!([null]), json!([{}])]);
    } else {
        wrong.extend([json!({}), json!({"x": null})]);
    }
    out.append(&mut wrong);
    out
}
