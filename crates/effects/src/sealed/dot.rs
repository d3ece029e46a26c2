//! What Helm's engine takes and the controller's does not: the controller executes over `map[string]string`, and functions of sprig
//! that want a `map[string]interface {}` refuse that (Masterminds/sprig `dict.go`; text/template: "wrong type for value").
//!
//! It is looked for in the text: `.` and `$` where they are the values. What a variable or a `define` holds is not known here.

use crate::render::sets::strict::literal;

/// Which arguments of a function are mappings.
#[derive(Clone, Copy)]
enum Mappings {
    First,
    Last,
    All,
    AllButFirst,
}

/// The functions that want one.
fn mappings(function: &str) -> Option<Mappings> {
    Some(match function {
        "hasKey" | "get" | "set" | "unset" | "pick" | "omit" | "values" => Mappings::First,
        "dig" => Mappings::Last,
        "keys" | "merge" | "mustMerge" | "mergeOverwrite" | "mustMergeOverwrite" => Mappings::All,
        "pluck" => Mappings::AllButFirst,
        _ => return None,
    })
}

/// Part of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Dot,
    Root,
    Open,
    Close,
    Pipe,
    Assign,
    /// A field, a variable, a literal.
    Other,
}

/// An argument, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand<'a> {
    Word(&'a str),
    /// The values.
    Values,
    Other,
}

/// What `.` and `$` are where an action stands.
#[derive(Clone, Copy)]
struct Scope {
    dot: bool,
    root: bool,
}

/// Why the controller cannot execute a template that Helm can; `None` where nothing is seen.
pub(super) fn refused(template: &str) -> Option<String> {
    let mut blocks = vec![Scope { dot: true, root: true }];
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        let (tokens, end) = tokens(&rest[at + 2..]);
        rest = &rest[at + 2 + end..];
        let scope = blocks.last().copied().unwrap_or(Scope { dot: false, root: false });
        let keyword = match tokens.first() {
            Some(Token::Word(word)) => *word,
            _ => "",
        };
        if let Some(function) = wrong(&mut tokens.iter().copied(), scope).1 {
            return Some(format!(
                "the function {function} cannot take all values (`.` or `$`) in a cluster: the controller holds them as \
                 map[string]string, and {function} wants map[string]interface {{}}; name the value instead: .name, or index . \"name\""
            ));
        }
        match keyword {
            "if" => blocks.push(scope),
            "with" | "range" => blocks.push(Scope { dot: false, ..scope }),
            "define" | "block" => blocks.push(Scope { dot: false, root: false }),
            // The block of `with` and `range` that is executed where there is nothing has the dot of outside; not looked into.
            "end" if blocks.len() > 1 => drop(blocks.pop()),
            _ => {}
        }
    }
    None
}

/// Reads a pipeline up to its end or its closing parenthesis: what it comes to, and the function that is called wrongly.
fn wrong<'a>(tokens: &mut dyn Iterator<Item = Token<'a>>, scope: Scope) -> (Operand<'a>, Option<&'a str>) {
    let (mut command, mut piped): (Vec<Operand<'a>>, _) = (Vec::new(), None);
    loop {
        let token = tokens.next();
        match token {
            Some(Token::Word("if" | "else" | "with" | "range" | "template" | "block"))
                if command.is_empty() => {}
            Some(Token::Word(word)) => command.push(Operand::Word(word)),
            Some(Token::Dot) if scope.dot => command.push(Operand::Values),
            Some(Token::Root) if scope.root => command.push(Operand::Values),
            Some(Token::Dot | Token::Root | Token::Other) => command.push(Operand::Other),
            Some(Token::Assign) => command.clear(),
            Some(Token::Open) => match wrong(tokens, scope) {
                (operand, None) => command.push(operand),
                found => return found,
            },
            Some(Token::Pipe | Token::Close) | None => {
                let function = match command.first() {
                    Some(Operand::Word(function)) => Some(*function),
                    _ => None,
                };
                command.extend(piped);
                if let Some(function) = function.filter(|function| is_wrong(function, &command[1..])) {
                    return (Operand::Other, Some(function));
                }
                let made = match command[..] {
                    [Operand::Values] => Operand::Values,
                    _ => Operand::Other,
                };
                if token != Some(Token::Pipe) {
                    return (made, None);
                }
                piped = Some(made);
                command.clear();
            }
        }
    }
}

fn is_wrong(function: &str, arguments: &[Operand<'_>]) -> bool {
    let is_values = |operand: &Operand<'_>| *operand == Operand::Values;
    match mappings(function) {
        Some(Mappings::First) => arguments.first().is_some_and(is_values),
        Some(Mappings::Last) => arguments.last().is_some_and(is_values),
        Some(Mappings::All) => arguments.iter().any(is_values),
        Some(Mappings::AllButFirst) => arguments.iter().skip(1).any(is_values),
        None => false,
    }
}

/// The parts of an action, and where it ends.
fn tokens(text: &str) -> (Vec<Token<'_>>, usize) {
    let (mut all, mut at) = (Vec::new(), 0);
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if rest.starts_with("}}") {
            return (all, at + 2);
        }
        // Fields belong to what they are of.
        let name = |from: usize| {
            rest[from..].find(|c: char| !is_part(c) && c != '.').map_or(rest.len(), |end| from + end)
        };
        let (token, length) = match c {
            '"' | '`' | '\'' => (Some(Token::Other), literal(rest, c).unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (None, rest.find("*/").map_or(rest.len(), |end| end + 2)),
            '(' => (Some(Token::Open), 1),
            ')' => match name(1) {
                1 => (Some(Token::Close), 1),
                // A field of what is in parentheses: never all values.
                end => {
                    all.push(Token::Close);
                    (Some(Token::Other), end)
                }
            },
            '|' => (Some(Token::Pipe), 1),
            '=' => (Some(Token::Assign), 1),
            '.' | '$' => match name(1) {
                1 => (Some(if c == '.' { Token::Dot } else { Token::Root }), 1),
                end => (Some(Token::Other), end),
            },
            c if is_part(c) => {
                let end = name(0);
                let token = if c.is_ascii_digit() { Token::Other } else { Token::Word(&rest[..end]) };
                (Some(token), end)
            }
            c => (None, c.len_utf8()),
        };
        all.extend(token);
        at += length;
    }
    (all, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_are_no_mapping_for_sprig() {
        for (text, function) in [
            ("{{ hasKey . \"a\" }}", "hasKey"),
            ("{{- if hasKey $ \"a\" -}}x{{ end }}", "hasKey"),
            ("{{ if .a }}b{{ else if (hasKey . \"a\") }}{{ end }}", "hasKey"),
            ("a {{ .b }} {{ get . \"a\" | quote }}", "get"),
            ("{{ range $k := keys . | sortAlpha }}{{ $k }}{{ end }}", "keys"),
            ("{{ range .a }}{{ get $ \"a\" }}{{ end }}", "get"),
            ("{{ . | values | join \",\" }}", "values"),
            ("{{ pick (.) \"a\" | toJson }}", "pick"),
            ("{{ omit . \"a\" | toJson }}", "omit"),
            ("{{ $x := set . \"a\" \"b\" }}", "set"),
            ("{{ unset . \"a\" }}", "unset"),
            ("{{ merge (dict \"a\" 1) . | toJson }}", "merge"),
            ("{{ dig \"a\" \"d\" . }}", "dig"),
            ("{{ . | dig \"a\" \"d\" }}", "dig"),
            ("{{ pluck \"a\" . }}", "pluck"),
            ("{{ with .a }}{{ end }}{{ quote (get . \"a\") }}", "get"),
        ] {
            let why = refused(text).unwrap_or_else(|| panic!("{text} is refused"));
            assert!(
                why.starts_with(&format!("the function {function} cannot take all values")),
                "{text}: {why}"
            );
        }
    }

    #[test]
    fn what_the_controller_executes_is_not_refused() {
        for text in [
            "hasKey . \"a\"",
            "{{ .get }} {{ .keys.a }} {{ $keys := .a }}{{ $keys }}",
            "{{ index . \"a\" }} {{ toJson . }} {{ len $ }}",
            "{{ get (dict \"a\" .b) \"a\" }}",
            "{{ set (dict) \"all\" . | toJson }}",
            "{{ dig \"a\" . (dict \"a\" 1) }}",
            "{{ hasKey (fromJson .a) .b }}",
            "{{ with dict \"a\" 1 }}{{ get . \"a\" }}{{ end }}",
            "{{ range list (dict) }}{{ keys . }}{{ end }}",
            "{{ define \"x\" }}{{ get $ \"a\" }}{{ end }}{{ template \"x\" (dict \"a\" 1) }}",
            "{{/* get . \"a\" */}}{{ \"get . a\" }}{{ `keys .` }}",
            "{{ . | toJson | fromJson | keys }}",
            "{{ get (fromJson .a).b \"c\" }}",
            "{{ .unclosed",
        ] {
            assert_eq!(refused(text), None, "{text}");
        }
    }
}
