//! The two glob dialects of Argo CD.

use std::fmt::Write as _;

use regex::Regex;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Glob(Regex);

impl Glob {
    /// For `directory.include` and `exclude`: `*` crosses slashes (Argo CD matches without separators).
    pub(super) fn loose(pattern: &str) -> Option<Self> {
        Self::new(pattern, true)
    }

    /// For `helm.valueFiles`: `*` stays in one folder, `**` crosses.
    pub(super) fn path(pattern: &str) -> Option<Self> {
        Self::new(pattern, false)
    }

    fn new(pattern: &str, loose: bool) -> Option<Self> {
        let (any, one) = if loose { (".*", ".") } else { ("[^/]*", "[^/]") };
        let mut text = String::from("^");
        let mut depth = 0_u32;
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' if chars.peek() == Some(&'*') => {
                    chars.next();
                    if !loose && chars.peek() == Some(&'/') {
                        chars.next();
                        text += "(?:.*/)?";
                    } else {
                        text += ".*";
                    }
                }
                '*' => text += any,
                '?' => text += one,
                '{' => {
                    depth += 1;
                    text += "(?:";
                }
                '}' if depth > 0 => {
                    depth -= 1;
                    text.push(')');
                }
                ',' if depth > 0 => text.push('|'),
                c => {
                    let _ = write!(text, "{}", regex::escape(c.encode_utf8(&mut [0; 4])));
                }
            }
        }
        text.push('$');
        Regex::new(&text).ok().map(Self)
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

/// Whether a value file's name is a pattern.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '{'])
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
    }
}
