//! Helm's templates in `extraArgs` (the chart gives them to `tpl`): texts in quotes, the namespace, and values. Others are not
//! understood.

use serde_json::Value;

use super::super::ComponentValues;
use crate::dns::template;

/// The text with its templates filled in.
///
/// # Errors
/// What is not understood.
pub(super) fn fill(text: &str, values: &ComponentValues) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let (before, after) = rest.split_at(at);
        let end = template::close(after).ok_or("a {{ is not closed")?;
        filled.push_str(before);
        filled.push_str(&action(after[2..end].trim(), values)?);
        rest = &after[end + 2..];
    }
    filled.push_str(rest);
    Ok(filled)
}

fn action(action: &str, values: &ComponentValues) -> Result<String, String> {
    if let Some(text) = action.strip_prefix('`').and_then(|text| text.strip_suffix('`')) {
        return Ok(text.to_owned());
    }
    if action.starts_with('"') {
        return serde_json::from_str(action).map_err(|_| format!("{action} is no text"));
    }
    if action == ".Release.Namespace" {
        return Ok(values.namespace.to_string());
    }
    let found = action.strip_prefix(".Values.").and_then(|path| {
        let plain = path.chars().all(|c| c.is_alphanumeric() || "._".contains(c));
        path.split('.').filter(|_| plain).try_fold(&values.values, |at, part| at.get(part))
    });
    match found {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
        _ => Err(format!("{{{{ {action} }}}} is not understood")),
    }
}
