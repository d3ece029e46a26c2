//! Names of fields as CEL can write them (Kubernetes, `apiserver/pkg/cel/escaping.go`).

use std::borrow::Cow;

/// Words that CEL keeps for itself.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Whether CEL keeps the word for itself.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

/// The name as CEL writes it; `None` if it cannot.
pub fn escape(name: &str) -> Option<Cow<'_, str>> {
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__").into());
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c)) {
        return None;
    }
    if !name.contains(['-', '.', '/']) && !name.contains("__") {
        return Some(name.into());
    }
    let name = name.replace("__", "__underscores__").replace('.', "__dot__");
    Some(name.replace('-', "__dash__").replace('/', "__slash__").into())
}

/// The name of a field that CEL writes so; `None` if it is none.
pub fn unescape(name: &str) -> Option<Cow<'_, str>> {
    if !name.contains("__") {
        return Some(name.into());
    }
    let mut out = String::new();
    let mut rest = name;
    while let Some(start) = rest.find("__") {
        out.push_str(&rest[..start]);
        let inner = &rest[start + 2..];
        let end = inner.find("__").filter(|end| *end > 0 && !inner[..*end].contains('_'));
        let Some(end) = end else {
            out.push_str("__");
            rest = inner;
            continue;
        };
        let word = &inner[..end];
        match word {
            "underscores" => out.push_str("__"),
            "dot" => out.push('.'),
            "dash" => out.push('-'),
            "slash" => out.push('/'),
            word if RESERVED.contains(&word) && word.len() + 4 == name.len() => out.push_str(word),
            _ => return None,
        }
        rest = &inner[end + 2..];
    }
    out.push_str(rest);
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_back() {
        for (plain, escaped) in [
            ("name", "name"),
            ("namespace", "__namespace__"),
            ("a.b", "a__dot__b"),
            ("x-y/z", "x__dash__y__slash__z"),
            ("a__b", "a__underscores__b"),
            ("_a", "_a"),
            ("a_b", "a_b"),
        ] {
            assert_eq!(escape(plain).as_deref(), Some(escaped));
            assert_eq!(unescape(escaped).as_deref(), Some(plain));
        }
        assert_eq!((escape("1a"), escape("a b"), escape("")), (None, None, None));
        assert_eq!((unescape("a__b__c"), unescape("x__namespace__")), (None, None));
    }
}
