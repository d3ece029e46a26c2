//! The glob dialects of Argo CD.

use std::fmt::Write as _;

use regex::Regex;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Glob(Regex);

/// What differs between them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// gobwas/glob without separators.
    Loose,
    /// Git's pathspecs (`wildmatch` of Git).
    Pathspec,
    /// bmatcuk/doublestar.
    Path,
    /// gobwas/glob with `/` as separator.
    Segments,
    /// `path/filepath.Match`: neither braces nor `**`, and `!` is a letter.
    Names,
}

impl Glob {
    /// For `directory.include` and `exclude`, and what a project says of servers and namespaces: `*` crosses slashes (Argo CD matches without separators).
    pub fn loose(pattern: &str) -> Option<Self> {
        Self::new(pattern, Dialect::Loose)
    }

    /// For files of a Git generator, which Argo CD asks Git for: `*` crosses slashes.
    pub fn pathspec(pattern: &str) -> Option<Self> {
        Self::new(pattern, Dialect::Pathspec)
    }

    /// For `helm.valueFiles`: `*` stays in one folder, `**` crosses.
    pub fn path(pattern: &str) -> Option<Self> {
        Self::new(pattern, Dialect::Path)
    }

    /// For `sourceRepos` of a project: `*` stays between slashes, `**` crosses.
    pub fn segments(pattern: &str) -> Option<Self> {
        Self::new(pattern, Dialect::Segments)
    }

    /// For groups, kinds and names in the lists of a project.
    pub fn names(pattern: &str) -> Option<Self> {
        Self::new(pattern, Dialect::Names)
    }

    fn new(pattern: &str, dialect: Dialect) -> Option<Self> {
        let names = dialect == Dialect::Names;
        let crosses = matches!(dialect, Dialect::Loose | Dialect::Pathspec);
        let gobwas = matches!(dialect, Dialect::Loose | Dialect::Segments);
        let (any, one) = if crosses { (".*", ".") } else { ("[^/]*", "[^/]") };
        let mut text = String::from("^");
        let mut depth = 0_usize;
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' if !names && chars.peek() == Some(&'*') => {
                    chars.next();
                    if dialect == Dialect::Path && chars.peek() == Some(&'/') {
                        chars.next();
                        text += "(?:.*/)?";
                    } else {
                        text += ".*";
                    }
                }
                '*' => text += any,
                '?' => text += one,
                '{' if !names => {
                    depth += 1;
                    text += "(?:";
                }
                '}' if depth > 0 => {
                    depth -= 1;
                    text.push(')');
                }
                ',' if depth > 0 => text.push('|'),
                '[' if gobwas => text += &gobwas_set(&mut chars)?,
                '[' => text += &set(&mut chars, dialect)?,
                '\\' => match chars.next() {
                    Some(c) => {
                        let _ = write!(text, "{}", regex::escape(c.encode_utf8(&mut [0; 4])));
                    }
                    // gobwas drops one at the end.
                    None if gobwas => {}
                    None => return None,
                },
                c => {
                    let _ = write!(text, "{}", regex::escape(c.encode_utf8(&mut [0; 4])));
                }
            }
        }
        // gobwas takes braces that are not closed to end with the pattern; to the others they are an error, as to `Regex`.
        if gobwas {
            text.extend(std::iter::repeat_n(')', depth));
        }
        text.push('$');
        Regex::new(&text).ok().map(Self)
    }

    /// Whether the whole text is of the pattern.
    pub fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

/// The rest of a set such as `[a-z]`, `[!a]` or `[^a]`, which no slash is in.
fn set(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, dialect: Dialect) -> Option<String> {
    let not = chars.next_if(|c| *c == '!' && dialect != Dialect::Names || *c == '^').is_some();
    let mut text = String::from(if not { "[^" } else { "[" });
    if not && dialect != Dialect::Pathspec {
        text.push('/');
    }
    let mut empty = true;
    loop {
        match chars.next()? {
            ']' if !empty => break,
            '\\' => {
                let c = chars.next()?;
                let _ = write!(text, "\\x{{{:x}}}", u32::from(c));
            }
            // A range stays one.
            '-' if !empty && chars.peek().is_some_and(|c| *c != ']') => text.push('-'),
            c => {
                let _ = write!(text, "\\x{{{:x}}}", u32::from(c));
            }
        }
        empty = false;
    }
    text.push(']');
    Some(text)
}

/// The rest of a set as gobwas/glob has it (`syntax/lexer`): one range, or signs as they stand; `!` alone is a negation, and slashes
/// are signs like others.
fn gobwas_set(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let sign = |c: char| format!("\\x{{{:x}}}", u32::from(c));
    let not = chars.next_if_eq(&'!').is_some();
    let mut text = String::from(if not { "[^" } else { "[" });
    let first = chars.next()?;
    if chars.next_if_eq(&'-').is_some() {
        let last = chars.next().filter(|last| first <= *last)?;
        let _ = write!(text, "{}-{}", sign(first), sign(last));
        chars.next_if_eq(&']')?;
    } else {
        let mut next = Some(first);
        let mut empty = true;
        loop {
            match next? {
                ']' if empty => return None,
                ']' => break,
                '\\' => text += &sign(chars.next()?),
                c => text += &sign(c),
            }
            empty = false;
            next = chars.next();
        }
    }
    text.push(']');
    Some(text)
}

/// Whether a value file's name is a pattern.
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '{', '['])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn dialects() {
        let loose = Glob::loose("{config,apps/*}.yaml").unwrap();
        assert!(loose.matches("config.yaml") && loose.matches("apps/a/b.yaml") && !loose.matches("x.yaml"));
        let path = Glob::path("envs/*/values.yaml").unwrap();
        assert!(path.matches("envs/a/values.yaml") && !path.matches("envs/a/b/values.yaml"));
        let deep = Glob::path("envs/**/values.yaml").unwrap();
        assert!(deep.matches("envs/values.yaml") && deep.matches("envs/a/b/values.yaml"));
        let segments = Glob::segments("a/{b,c}*/**/d").unwrap();
        assert!(
            segments.matches("a/bx/y/z/d") && !segments.matches("a/b/d") && !segments.matches("a/b/x/y/d/")
        );
        let names = Glob::names("{a}*[!x]").unwrap();
        assert!(
            names.matches("{a}b!") && names.matches("{a}x") && !names.matches("ax") && !names.matches("{a}b")
        );
    }

    /// What gobwas/glob v0.2.3 says.
    #[test]
    fn gobwas() {
        for (pattern, yes, no) in [
            ("{a.yaml", &["a.yaml"][..], &["{a.yaml", "b.yaml"][..]),
            ("{a,{b,c", &["a", "b", "c"], &["{a", "a,b"]),
            ("a\\", &["a"], &["a\\"]),
            ("a}", &["a}"], &["a"]),
            ("[a-c]x", &["bx"], &["dx", "-x"]),
            ("[!a-c]x", &["dx", "/x"], &["ax"]),
            ("[^ab]x", &["^x", "ax"], &["cx"]),
            ("[ab-d]x", &["-x", "dx"], &["cx"]),
            ("[-a]x", &["-x", "ax"], &["bx"]),
            (r"[\]a]x", &["]x", "ax"], &["bx"]),
        ] {
            for glob in [Glob::loose(pattern).unwrap(), Glob::segments(pattern).unwrap()] {
                assert!(yes.iter().all(|text| glob.matches(text)), "{pattern}");
                assert!(!no.iter().any(|text| glob.matches(text)), "{pattern}");
            }
        }
        for pattern in ["[ab.yaml", "[a-zA-Z]x", "[a-c1-3]x", "[a-]x", "[]a]x", "[c-a]x", "[]", "[!", "["] {
            assert!(Glob::loose(pattern).is_none() && Glob::segments(pattern).is_none(), "{pattern}");
        }
        // Git's pathspecs are no globs of gobwas.
        let git = Glob::pathspec("[^a-c1-3]*/[!x]").unwrap();
        assert!(git.matches("zz/a/y") && !git.matches("b/y") && Glob::pathspec("{a").is_none());
    }

    #[test]
    fn sets() {
        for (pattern, yes, no) in [
            (
                "[1-3]0-*.yaml",
                &["10-a.yaml", "30-.yaml"][..],
                &["40-a.yaml", "[1-3]0-a.yaml", "-0-a.yaml"][..],
            ),
            ("[ab].yaml", &["a.yaml", "b.yaml"], &["c.yaml", "ab.yaml"]),
            ("[!ab]x", &["cx"], &["ax", "/x"]),
            ("[^a-c]x", &["dx", "-x"], &["bx"]),
            ("[a-]x", &["ax", "-x"], &["bx"]),
            ("[]a]x", &["]x", "ax"], &["bx"]),
            (r"[\]a]x", &["]x", "ax"], &["bx"]),
            (r"a\*", &["a*"], &["ab"]),
        ] {
            let glob = Glob::path(pattern).unwrap();
            assert!(yes.iter().all(|path| glob.matches(path)), "{pattern}");
            assert!(!no.iter().any(|path| glob.matches(path)), "{pattern}");
        }
        assert!(Glob::path("[a").is_none() && Glob::path("a\\").is_none());
    }
}
