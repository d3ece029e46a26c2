//! RE2's syntax and limits, without RE2: whether Envoy takes an expression, and how large a program it makes of it.
//! Envoy reads expressions as bytes (RE2's option Latin-1): a character beyond ASCII is several, and `\x{100}` is none.
//! Source: RE2, `doc/syntax.txt` and `re2/parse.cc`; the real one is asked in `crates/envoy/tests/differential.rs`.

mod classes;
mod escapes;
mod parse;

pub use parse::check;

/// Largest program that one expression may come to, in RE2's instructions. Envoy's own limit (100) is lifted, as its
/// control planes do; RE2's memory would end at some 700,000. What is between is time of the data plane: without its
/// lazily built automaton RE2 takes one step an instruction and a byte of the path.
pub const MAX_PROGRAM: u64 = 16_384;

/// RE2: no count, and no product of nested counts, above this.
pub(crate) const MAX_REPEAT: u64 = 1000;

/// The part of a path that every match of `pattern` begins with, by whole path elements; `/` if nothing is known.
pub fn literal_prefix(pattern: &str) -> &str {
    let text = pattern.strip_prefix('^').unwrap_or(pattern);
    if text.contains('|') {
        return "/";
    }
    let special = |c: char| "\\.+*?()[]{}^$".contains(c);
    let cut = text.find(special).unwrap_or(text.len());
    // A repetition belongs to the character before it. Whole elements only: up to a slash that is surely there.
    let optional = text[cut..].starts_with(['*', '?', '{']);
    let sure = if optional { text[..cut].char_indices().next_back().map_or(0, |(at, _)| at) } else { cut };
    match text[..sure].rfind('/') {
        Some(end) if end > 0 && text.starts_with('/') => text[..end].trim_end_matches('/'),
        _ => "/",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn takes_what_re2_takes() {
        for pattern in [
            "/a",
            "/[^/]+/x",
            "a{1000}",
            "a{,5}",
            "{",
            "}",
            "]",
            "a{01}",
            "[]a]",
            "[^]a]",
            "[[:alpha:]]",
            "[a-]",
            "[-a]",
            "[a[b]",
            "[a&&b]",
            r"\C",
            r"\pL",
            r"\p{Greek}",
            r"\P{^Lu}",
            r"\Qa.b",
            r"\Qa\E+",
            r"\012",
            r"\x{00ff}",
            r"\377",
            r"\x41",
            r"\_",
            r"\-",
            r"[\d\-x]",
            "(?i)a",
            "(?im-sU:x)",
            "(?P<n>a)",
            "(?<n>a)",
            "(?:)",
            "()",
            "()*",
            "a|",
            "|",
            "^*",
            "a(?i)*",
            "(a{10}){100}",
            "(a{2,}){500}",
            r"\bx\B",
            r"\A\z",
            "é+",
            "[à-ÿ]",
            "(?P<n>a)(?P<n>b)",
            "a*(?i)*",
            "x{0}",
            "(x{1000}){1}",
            "[[:^digit:]]",
            "[a[:b]",
        ] {
            assert!(check(pattern).is_ok(), "{pattern}: {:?}", check(pattern));
        }
    }

    #[test]
    fn refuses_what_re2_refuses() {
        for pattern in [
            "",
            "*",
            "(",
            ")",
            "a)",
            "[",
            "[a",
            "[]",
            "[b-a]",
            "[[:foo:]]",
            r"\",
            r"\1",
            r"\8",
            r"\q",
            r"\u{61}",
            r"\x{100}",
            r"\400",
            "[à-b]",
            "(?P<é>a)",
            r"\x{}",
            r"\x4",
            r"\p{Foo}",
            r"\pX",
            r"\p{L",
            "(?x)a",
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            "(?P=n)",
            "(?P<>a)",
            "(?P<a-b>a)",
            "(?P<n",
            "(?#c)",
            "(?>a)",
            "a**",
            "a+*",
            "a{2}{3}",
            "a{2}*",
            "a{1001}",
            "a{2,1}",
            "a{0,1001}",
            "(a{10}){101}",
            "((a{10}){10}){11}",
            "|*",
            "(*a)",
            "(?i)*",
            "(?i-)a",
            "(?-)a",
            "(?--i)a",
            r"\Z",
            r"\k<n>",
            r"\E",
            "(?",
            "(?i",
            "[[:alpha:]-",
            r"[\b]",
        ] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn knows_what_a_program_comes_to_at_most() {
        assert!(check("abc").unwrap() < 10);
        assert!(check(r"(?:[^a-cg-ik-mo-q]{500}.{500}){2}(?:\pL{30}){33}").is_err());
        assert!(check(&"(a{1000})".repeat(20)).is_err());
        assert!(check(&"((((".repeat(5000)).is_err());
    }

    #[test]
    fn a_prefix_is_what_surely_begins() {
        for (pattern, prefix) in [
            ("/a{2000}", "/"),
            ("/admin/(?x).*", "/admin"),
            ("/a/b?c", "/a"),
            ("/a/*", "/"),
            ("/a|/b", "/"),
            ("^/x/y/[", "/x/y"),
            ("a/b/", "/"),
            ("", "/"),
            ("/a//b(", "/a"),
            ("/a/{2}", "/"),
        ] {
            assert_eq!(literal_prefix(pattern), prefix, "{pattern}");
        }
    }
}
