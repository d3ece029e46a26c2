//! Patterns of schemas are in Go's syntax (RE2), where classes like `\d` are of ASCII.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use regex::Regex;

/// Programs by pattern: kinds have many in common.
static PROGRAMS: LazyLock<Mutex<HashMap<Box<str>, Option<Regex>>>> = LazyLock::new(Mutex::default);
/// Programs that are known; at one more all are forgotten, and stay where they are used.
const KNOWN: usize = 4096;

/// The program of a pattern; `None` if it is none.
pub(crate) fn compile(pattern: &str) -> Option<Regex> {
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = programs.get(pattern) {
        return known.clone();
    }
    let made = Regex::new(&translate(pattern)).ok();
    if programs.len() >= KNOWN {
        programs.clear();
    }
    programs.insert(pattern.into(), made.clone());
    made
}

/// The same in the syntax of the crate `regex`.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern.chars().peekable();
    // Inside of a class: how many characters of it were seen.
    let mut class: Option<usize> = None;
    while let Some(c) = rest.next() {
        let inside = class.is_some();
        match c {
            '\\' => match rest.next() {
                Some('d') => out.push_str(if inside { "0-9" } else { "[0-9]" }),
                Some('w') => out.push_str(if inside { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
                Some('s') => out.push_str(if inside { "\\t\\n\\f\\r " } else { "[\\t\\n\\f\\r ]" }),
                Some('D') => out.push_str("[^0-9]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('S') => out.push_str("[^\\t\\n\\f\\r ]"),
                Some('b') if !inside => out.push_str("(?-u:\\b)"),
                Some('B') if !inside => out.push_str("(?-u:\\B)"),
                Some('Q') => {
                    let quoted: String = rest.by_ref().collect();
                    let (literal, after) = quoted.split_once("\\E").unwrap_or((&quoted, ""));
                    out.push_str(&regex::escape(literal));
                    out.push_str(&translate(after));
                    return out;
                }
                // These are no escapes of a character there.
                Some(c @ ('<' | '>')) => out.push(c),
                Some(c) => {
                    out.push('\\');
                    out.push(c);
                }
                None => out.push('\\'),
            },
            '[' if !inside => {
                class = Some(0);
                out.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // The first bracket is a character of the class.
                if rest.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            '[' => match rest.peek() {
                Some(':') => {
                    out.push('[');
                    for c in rest.by_ref() {
                        out.push(c);
                        if c == ']' {
                            break;
                        }
                    }
                }
                _ => out.push_str("\\["),
            },
            ']' if inside => {
                class = None;
                out.push(']');
            }
            // Two of them are an operation on classes there.
            '&' | '~' if inside => {
                out.push('\\');
                out.push(c);
            }
            '-' if inside && rest.peek() == Some(&'-') => out.push_str("\\-"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        let found = |pattern: &str, text: &str| compile(pattern).map(|program| program.is_match(text));
        assert_eq!(found(r"^\d+$", "12"), Some(true));
        assert_eq!(found(r"^\d+$", "١٢"), Some(false), "Arabic digits are none in Go");
        assert_eq!(found(r"^[\w-]+$", "a-é"), Some(false));
        assert_eq!(found(r"^.$", "é"), Some(true), "a point is a character, not a byte");
        assert_eq!(found("b", "abc"), Some(true), "found anywhere");
        assert_eq!(found("^[a[&&b]$", "["), Some(true));
        assert_eq!(found("^[]a]$", "]"), Some(true));
        assert_eq!(found("^[[:alpha:]]$", "x"), Some(true));
        assert_eq!(found(r"^\Qa.b\E.$", "a.bc"), Some(true));
        assert_eq!(found(r"^[^\S]$", " "), Some(true));
        assert_eq!(found("a$", "a\n"), Some(false));
        assert_eq!(found("(", "("), None);
    }
}
