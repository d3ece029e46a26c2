//! The command line of a container as its program sees it: `command` and `args` with `$(NAME)` filled in, as the kubelet does it
//! (`third_party/forked/golang/expansion`). What is set from elsewhere (`valueFrom`) is not known here and stays as it is written.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ComponentValues;

/// Variables of a container; none where the value comes from elsewhere.
pub(super) type Variables = BTreeMap<String, Option<String>>;

/// A word of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Where it stands, such as `args[2]`.
    pub field: String,
    /// With variables filled in.
    pub text: String,
}

/// The words that the program is given.
///
/// # Errors
/// The field and why they are not known: something else is run, or a word is none.
pub(super) fn words(values: &ComponentValues, program: &str) -> Result<Vec<Word>, (String, String)> {
    let variables = variables(values);
    let mut all = Vec::new();
    for field in ["command", "args"] {
        let list = match values.values.get(field) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(list)) => list,
            Some(_) => return Err((field.to_owned(), format!("{field} is no list"))),
        };
        for (at, item) in list.iter().enumerate() {
            let at = format!("{field}[{at}]");
            let Some(text) = item.as_str() else {
                let why = format!("{at} is not text");
                return Err((at, why));
            };
            all.push(Word { field: at, text: fill(text, &variables).0 });
        }
    }
    if all.first().is_some_and(|word| word.field.starts_with("command")) {
        let command = all.remove(0);
        if command.text.rsplit('/').next() != Some(program) {
            let why = format!("the command is {:?}: what it gives to {program} is not known", command.text);
            return Err((command.field, why));
        }
    }
    Ok(all)
}

/// The variables that are set, in their order, each with those before it filled in.
pub(super) fn variables(values: &ComponentValues) -> Variables {
    let mut all = Variables::new();
    for variable in values.values.get("env").and_then(Value::as_array).into_iter().flatten() {
        let Some(name) = variable.get("name").and_then(Value::as_str) else { continue };
        let from = variable.get("valueFrom").filter(|from| !from.is_null());
        let value = match (variable.get("value"), from) {
            (_, Some(from)) => {
                let own =
                    from.pointer("/fieldRef/fieldPath").is_some_and(|path| path == "metadata.namespace");
                own.then(|| values.namespace.to_string())
            }
            (Some(Value::String(text)), None) => match fill(text, &all) {
                (text, false) => Some(text),
                (_, true) => None,
            },
            (Some(Value::Null) | None, None) => Some(String::new()),
            // No API server takes it.
            (Some(_), None) => None,
        };
        all.insert(name.to_owned(), value);
    }
    all
}

/// Where `envFrom` may set variables whose names begin so: what they say is not known.
pub(super) fn from_elsewhere(values: &ComponentValues, prefix: &str) -> Option<String> {
    let all = values.values.get("envFrom").and_then(Value::as_array)?;
    let may = |from: &Value| {
        let own = from.get("prefix").and_then(Value::as_str).unwrap_or_default();
        prefix.starts_with(own) || own.starts_with(prefix)
    };
    all.iter().position(may).map(|at| format!("envFrom[{at}]"))
}

/// Fills in `$(NAME)`; `$$` stands for one `$`. Also whether something of it comes from elsewhere, and stays as it is written.
pub(super) fn fill(text: &str, variables: &Variables) -> (String, bool) {
    let (mut filled, mut elsewhere) = (String::new(), false);
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$$") {
            filled.push('$');
            rest = after;
            continue;
        }
        let end = if rest.starts_with("$(") { rest.find(')') } else { None };
        let Some(end) = end else {
            filled.push('$');
            rest = &rest[1..];
            continue;
        };
        match variables.get(&rest[2..end]) {
            Some(Some(value)) => filled.push_str(value),
            found => {
                elsewhere |= found.is_some();
                filled.push_str(&rest[..=end]);
            }
        }
        rest = &rest[end + 1..];
    }
    filled.push_str(rest);
    (filled, elsewhere)
}

/// Whether a text that was filled in still names a variable that is set from elsewhere.
pub(super) fn is_from_elsewhere(text: &str, variables: &Variables) -> bool {
    variables.iter().any(|(name, value)| value.is_none() && text.contains(&format!("$({name})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_as_the_kubelet_does() {
        let variables: Variables = [("A", Some("one")), ("B", None), ("E", Some(""))]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
            .collect();
        let cases = [
            ("$(A)-$(A)", "one-one", false),
            ("$$(A) $A $", "$(A) $A $", false),
            ("$(none) $(A", "$(none) $(A", false),
            ("x$(E)$(B)", "x$(B)", true),
            ("$$$(A)", "$one", false),
        ];
        for (text, filled, elsewhere) in cases {
            assert_eq!(fill(text, &variables), (filled.to_owned(), elsewhere), "{text}");
        }
    }
}
