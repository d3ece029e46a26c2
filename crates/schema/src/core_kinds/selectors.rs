//! Label selectors.

use serde_json::Value;

use super::{Out, list, text, words};
use crate::{cause::Cause, path::Path};

/// `ValidateLabels`: keys and values, told at the map.
pub fn labels(value: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        out.each(path, key.as_str(), words::label_key(key));
        let value = value.as_str().unwrap_or_default();
        out.each(path, value, words::label_value(value));
    }
}

/// `ValidateLabelSelector`.
pub fn selector(value: &Value, path: &Path<'_>, out: &mut Out<'_>) {
    labels(&value["matchLabels"], &path.field("matchLabels"), out);
    for (at, expression) in list(value, "matchExpressions").iter().enumerate() {
        let path = path.field("matchExpressions");
        let path = path.index(at);
        let values = list(expression, "values");
        match text(expression, "operator") {
            "In" | "NotIn" if values.is_empty() => {
                out.required(&path.field("values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                out.forbidden(
                    &path.field("values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => out.0.push(Cause::invalid(
                path.field("operator").text(),
                other,
                "not a valid selector operator",
            )),
        }
        let key = text(expression, "key");
        out.each(&path.field("key"), key, words::label_key(key));
        for (at, value) in values.iter().enumerate() {
            let value = value.as_str().unwrap_or_default();
            out.each(&path.field("values").index(at), value, words::label_value(value));
        }
    }
}
