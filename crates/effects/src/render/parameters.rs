//! Parameters of an Application as Helm's flags. Everybody on the machine reads the arguments of a process: a value goes by a
//! file of our copy wherever Helm takes the same from it.

use super::application::Parameter;

/// How one parameter is handed over.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given<'a> {
    /// `--set` or `--set-string`, with the text behind it.
    Argument(&'static str, String),
    /// `--set-file` of a file with this content.
    File(&'a str, &'a str),
}

/// `files`: names that are set from files anyway.
pub(super) fn given<'a>(parameters: &'a [Parameter], files: &[&str]) -> Vec<Given<'a>> {
    parameters
        .iter()
        .enumerate()
        .map(|(n, parameter)| {
            let others = parameters.iter().enumerate().filter(|(other, _)| *other != n);
            let others = others.map(|(_, other)| &*other.name).chain(files.iter().copied());
            // Helm sets files last: what names the same value, or one around it, stays in its order.
            let alone = others.into_iter().all(|other| !meets(&parameter.name, other));
            if alone && is_plain_text(parameter) {
                Given::File(&parameter.name, &parameter.value)
            } else {
                argument(parameter)
            }
        })
        .collect()
}

/// The parameter as Argo CD hands it over.
pub(super) fn argument<'a>(parameter: &Parameter) -> Given<'a> {
    let flag = if parameter.force_string { "--set-string" } else { "--set" };
    Given::Argument(flag, format!("{}={}", parameter.name, clean(&parameter.value)))
}

/// Whether one names the other, or a value inside it.
fn meets(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether `--set` of the value is the text as it stands: no list, no escapes, and nothing that Helm takes for a number, a
/// truth or null (`strvals`, `typedVal`).
fn is_plain_text(Parameter { name, value, force_string }: &Parameter) -> bool {
    let typed = ["true", "false", "null", "0"].iter().any(|word| value.eq_ignore_ascii_case(word))
        || !value.starts_with('0') && value.parse::<i64>().is_ok();
    let text = *force_string || !typed;
    // With either in its name it sets more than one value.
    let one = is_one_name(name) && !name.contains('\\');
    one && text && !value.is_empty() && !value.contains('\\') && !value.starts_with('{')
}

/// Whether Helm takes the name of a `--set-file` for one name: a comma or an equals sign in it begins a file of the name's
/// own choice.
pub(super) fn is_one_name(name: &str) -> bool {
    let mut rest = name.chars();
    while let Some(c) = rest.next() {
        match c {
            // What is written after it stands for itself; at the end it would be our own equals sign.
            '\\' if rest.next().is_none() => return false,
            ',' | '=' => return false,
            _ => {}
        }
    }
    !name.is_empty()
}

/// Commas in a parameter's value are text, except in a list `{a,b}` (Argo CD, `cleanSetParameters`).
fn clean(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    let mut out = String::with_capacity(value.len());
    let mut before = ' ';
    for c in value.chars() {
        if c == ',' && before != '\\' {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: &str, value: &str, force_string: bool) -> Parameter {
        Parameter { name: name.into(), value: value.into(), force_string }
    }

    #[test]
    fn commas_of_parameters() {
        assert_eq!(clean("a,b"), "a\\,b");
        assert_eq!(clean("a\\,b"), "a\\,b");
        assert_eq!(clean("{a,b}"), "{a,b}");
    }

    #[test]
    fn names_of_file_parameters() {
        for name in ["a", "a.b[0].c", "a\\,b", "a\\=b", "a\\\\", "a b"] {
            assert!(is_one_name(name), "{name}");
        }
        for name in ["leak=/etc/passwd,k", "a,b", "a=b", "a\\", "a\\\\,b", "a\\\\=b,c\\", ""] {
            assert!(!is_one_name(name), "{name}");
        }
    }

    #[test]
    fn texts_go_by_files_and_what_helm_reads_as_more_does_not() {
        for (value, force_string, by_file) in [
            ("hunter2", false, true),
            ("a,b=c", false, true),
            ("007", false, true),
            ("1.5", false, true),
            (" true", false, true),
            ("two\nlines", false, true),
            ("12", true, true),
            ("true", true, true),
            ("12", false, false),
            ("-1", false, false),
            ("0", false, false),
            ("NULL", false, false),
            ("False", false, false),
            ("{a,b}", false, false),
            ("{a", true, false),
            ("a\\,b", true, false),
            ("", true, false),
        ] {
            let all = [parameter("a.b", value, force_string)];
            assert_eq!(
                matches!(given(&all, &[])[..], [Given::File("a.b", _)]),
                by_file,
                "{value} {force_string}"
            );
        }
    }

    #[test]
    fn what_names_the_same_value_stays_in_its_order() {
        let files = |names: &[&str], set: &[&str]| {
            let all: Vec<Parameter> = names.iter().map(|name| parameter(name, "x", false)).collect();
            given(&all, set).iter().filter(|given| matches!(given, Given::File(..))).count()
        };
        assert_eq!(files(&["a.b", "a.c", "ab", "l[0]", "l[1]"], &["a.d"]), 5);
        assert_eq!(files(&["a.b", "a"], &[]), 0);
        assert_eq!(files(&["a", "a", "b"], &[]), 1);
        assert_eq!(files(&["l", "l[0]"], &[]), 0);
        assert_eq!(files(&["a.b"], &["a"]), 0);
        assert_eq!(files(&["a,b", "c=d,e", "f\\.g"], &[]), 0);
    }
}
