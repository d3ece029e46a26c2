//! Values that a schema fills in. Source: k8s.io/apiextensions-apiserver `pkg/apiserver/schema/defaulting`.

use serde_json::Value;

use crate::schema::{Additional, Schema};

/// Fills in what is not there, or null where null is no value.
pub fn fill(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, property) in &schema.properties {
                let Some(default) = &property.default else { continue };
                let is_set = map.get(&**name).is_some_and(|is| !is.is_null() || property.nullable);
                if !is_set {
                    map.insert((**name).into(), default.clone());
                }
            }
            let named = !schema.properties.is_empty();
            for (name, value) in map.iter_mut() {
                let property = if named { schema.property(name) } else { None };
                let Some(of) = property.or_else(|| schema.additional()) else { continue };
                if property.is_none()
                    && let Some(default) = instead_of_null(of, value)
                {
                    *value = default;
                }
                fill(of, value);
            }
        }
        Value::Array(items) => {
            let Some(each) = &schema.items else { return };
            for item in items {
                if let Some(default) = instead_of_null(each, item) {
                    *item = default;
                }
                fill(each, item);
            }
        }
        _ => {}
    }
}

/// The default of a null that is no value; without a default it stays.
fn instead_of_null(schema: &Schema, value: &Value) -> Option<Value> {
    if value.is_null() && !schema.nullable { schema.default.clone() } else { None }
}

/// Takes away nulls that are no values and have no default.
pub fn drop_nulls(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => {
            let of = |name: &str| {
                schema.property(name).or(match &schema.additional {
                    Additional::Schema(schema) => Some(schema),
                    _ => None,
                })
            };
            map.retain(|name, value| {
                !value.is_null() || of(name).is_none_or(|of| of.nullable || of.default.is_some())
            });
            for (name, value) in map.iter_mut() {
                if let Some(of) = of(name) {
                    drop_nulls(of, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(each) = &schema.items {
                for item in items {
                    drop_nulls(each, item);
                }
            }
        }
        _ => {}
    }
}
