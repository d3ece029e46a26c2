//! `extraArgs` of a chart: command-line flags as a list (`--a=b`, or `--a` and `b` apart) or as a mapping (`a: b`, a
//! list for a flag that repeats).

use serde_json::Value;

/// One flag: name without dashes, and its value; none for a bare switch.
pub(super) type Flag = (String, Option<String>);

/// Reads flags in either form. Entries that are no flags come back as they are in the second list.
pub(super) fn flags(value: &Value) -> (Vec<Flag>, Vec<String>) {
    let (mut flags, mut rest) = (Vec::new(), Vec::new());
    match value {
        Value::Array(items) => {
            rest.extend(items.iter().filter(|item| !item.is_string()).map(ToString::to_string));
            let mut items = items.iter().filter_map(Value::as_str).peekable();
            while let Some(item) = items.next() {
                let Some(flag) = item.strip_prefix("--") else {
                    rest.push(item.to_owned());
                    continue;
                };
                if let Some((name, value)) = flag.split_once('=') {
                    flags.push((name.to_owned(), Some(value.to_owned())));
                } else {
                    let value = items.next_if(|next| !next.starts_with('-')).map(str::to_owned);
                    flags.push((flag.to_owned(), value));
                }
            }
        }
        Value::Object(map) => {
            for (name, value) in map {
                let name = name.trim_start_matches("--");
                let values = match value {
                    Value::Array(values) => values.iter().map(scalar).collect(),
                    value => vec![scalar(value)],
                };
                flags.extend(values.into_iter().map(|value| (name.to_owned(), value)));
            }
        }
        other => rest.push(other.to_string()),
    }
    (flags, rest)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
