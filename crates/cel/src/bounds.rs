//! Limits that are checked on the text, before anything recurses over the expression.

use super::Fault;

/// Longest expression in bytes. Those of policies in the field have some hundred; Kubernetes has no limit of its own.
const LENGTH: usize = 32 * 1024;
/// Deepest nesting of operations and brackets. Parsing and evaluation recurse; at this depth they need a small part of
/// their stack in an unoptimised build (`cel/tests.rs`, `the_deepest_expressions_fit_the_stack`).
const DEPTH: usize = 80;

/// One level of brackets.
#[derive(Default)]
struct Level {
    /// Operators of the present chain of operands, since the last separator.
    chain: usize,
    /// Deepest brackets in the present chain: of several operands the deepest counts.
    inner: usize,
    /// Deepest chain so far.
    deepest: usize,
    /// Conditionals, which nest to the right.
    conditionals: usize,
}

impl Level {
    fn separate(&mut self) {
        self.deepest = self.deepest.max(self.chain + self.inner);
        (self.chain, self.inner) = (0, 0);
    }

    fn depth(&self) -> usize {
        self.deepest.max(self.chain + self.inner) + self.conditionals
    }
}

/// Refuses an expression that is too long or too deep. `&&` and `||` are balanced by the parser and do not deepen.
pub fn check(source: &str) -> Result<(), Fault> {
    let fault = |at: usize, message: String, hint: &str| {
        let (line, column) = position(source, at);
        Err(Fault { line, column, message, hint: hint.to_owned() })
    };
    if source.len() > LENGTH {
        let message = format!("the expression has {} bytes; the longest allowed has {LENGTH}", source.len());
        return fault(0, message, "split it into variables or several validations");
    }
    let mut levels = vec![Level::default()];
    let mut at = 0;
    let bytes = source.as_bytes();
    while let Some(&byte) = bytes.get(at) {
        let here = at;
        at += 1;
        let outermost = levels.len() == 1;
        let level = levels.last_mut().expect("the outermost level stays");
        match byte {
            b'\'' | b'"' => at = after_text(bytes, here),
            b'/' if bytes.get(at) == Some(&b'/') => {
                at += bytes[at..].iter().position(|b| *b == b'\n').unwrap_or(bytes.len() - at);
            }
            b'(' | b'[' | b'{' => {
                level.chain += 1;
                levels.push(Level::default());
            }
            b')' | b']' | b'}' if !outermost => {
                let inner = levels.pop().expect("more than one level").depth();
                let around = levels.last_mut().expect("the outermost level stays");
                around.inner = around.inner.max(inner);
            }
            b',' | b':' => level.separate(),
            b'?' => {
                // `a.?b`, `a[?b]`, `[?a]` and `{?k: v}` are no conditionals.
                if !here.checked_sub(1).is_some_and(|before| b".[,{".contains(&bytes[before])) {
                    level.conditionals += 1;
                }
                level.separate();
            }
            b'&' | b'|' if bytes.get(at) == Some(&byte) => {
                at += 1;
                level.separate();
            }
            b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'!' => level.chain += 1,
            b'i' if source[here..].starts_with("in") && word(bytes, here, 2) => level.chain += 1,
            _ => {}
        }
        let open = levels.len() - 1;
        let around = levels[..open].iter().map(|l| l.chain + l.conditionals).sum::<usize>();
        let depth = around + levels[open].depth();
        if depth > DEPTH {
            let message = format!("the expression is nested deeper than {DEPTH} operations");
            return fault(here, message, "split it into variables");
        }
    }
    Ok(())
}

/// Whether `length` bytes from `at` are a word of their own.
fn word(bytes: &[u8], at: usize, length: usize) -> bool {
    let part = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    !part(at.checked_sub(1).and_then(|before| bytes.get(before))) && !part(bytes.get(at + length))
}

/// Position after the text literal that begins at `start`; the end if it never ends.
fn after_text(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    // The last letters before the quote are the literal's own prefix: r"…" takes no escapes.
    let raw = start > 0 && bytes[start - 1].eq_ignore_ascii_case(&b'r')
        || start > 1 && bytes[start - 2].eq_ignore_ascii_case(&b'r');
    let triple = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if triple { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if !raw => at += 1,
            byte if byte == quote && !triple => return at + 1,
            byte if byte == quote && bytes[at..].starts_with(&[quote; 3]) => return at + 3,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// Line and column, from 1, of a byte.
pub fn position(source: &str, at: usize) -> (usize, usize) {
    let before = &source.as_bytes()[..at.min(source.len())];
    let line = before.split(|b| *b == b'\n').count();
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    (line, column)
}
