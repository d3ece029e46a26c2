//! Texts of others as they may stand on a terminal or in a log: what a person does not see, or what a terminal obeys, is
//! written out.

use std::borrow::Cow;

/// Whether a character stands as itself: neither control, line break, direction mark, zero-width nor unassigned.
fn is_plain(c: char) -> bool {
    // What Rust's own escape leaves alone; of what is printable it escapes these.
    matches!(c, '"' | '\'' | '\\' | ' '..='~') || (c as u32 >= 0xa0 && c.escape_debug().len() == 1)
}

/// The text in one line, with everything that is not plain as `\n`, `\t` or `\u{202e}`.
pub fn text(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_plain(c) {
            out.push(c);
        } else {
            out.extend(c.escape_debug());
        }
    }
    Cow::Owned(out)
}

/// The same of lines: line breaks stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| c == '\n' || is_plain(c)) {
        return Cow::Borrowed(text);
    }
    let all: Vec<Cow<'_, str>> = text.split('\n').map(self::text).collect();
    Cow::Owned(all.join("\n"))
}

/// JSON or YAML that was written by a serializer, with the escapes that both have in quoted texts in place of what is not
/// plain. Line breaks between the parts stay; in texts there are none any more.
pub fn quoted(written: &str) -> Cow<'_, str> {
    if written.chars().all(|c| c == '\n' || is_plain(c)) {
        return Cow::Borrowed(written);
    }
    let mut out = String::with_capacity(written.len() + 8);
    for c in written.chars() {
        if c == '\n' || is_plain(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                use std::fmt::Write as _;
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(out)
}

/// Most characters of a text that is told: a value may have millions, and each finding stands in every table, log and answer.
const TOLD: usize = 4000;

/// The text without what of it would fill a screen many times. What must not be said is covered before: of a part nobody knows it.
pub fn brief(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(TOLD) {
        Some((at, _)) => Cow::Owned(format!("{}… (of {} characters)", &text[..at], text.chars().count())),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        for (bad, good) in [
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("\u{202e}dlrow\u{2066}\u{200f}", "\\u{202e}dlrow\\u{2066}\\u{200f}"),
            ("a\u{200b}b\u{feff}c\u{ad}d\u{2060}", "a\\u{200b}b\\u{feff}c\\u{ad}d\\u{2060}"),
            ("\u{2028}\u{2029}\u{e0041}\u{fe0f}", "\\u{2028}\\u{2029}\\u{e0041}\\u{fe0f}"),
            ("\0\u{7}\u{8}", "\\0\\u{7}\\u{8}"),
        ] {
            assert_eq!(text(bad), good);
            assert!(quoted(bad).is_ascii(), "{}", quoted(bad));
        }
        for plain in ["a \"b\" 'c' \\d", "Zürich, 東京, Ωμέγα — „ja“ … €", ""] {
            assert_eq!(text(plain), plain);
            assert_eq!(quoted(plain), plain);
        }
        assert_eq!(lines("a\nb\u{1b}"), "a\nb\\u{1b}");
    }

    #[test]
    fn json_says_the_same() {
        let value = serde_json::json!({"a\u{202e}": ["\u{1b}[2J", "\u{e0041}\u{9b}", "ü\n"]});
        let written = serde_json::to_string_pretty(&value).unwrap();
        let shown = quoted(&written);
        assert!(shown.chars().all(|c| c == '\n' || is_plain(c)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn what_is_told_is_brief() {
        let text = "é".repeat(4000);
        assert_eq!(brief(&text), text);
        assert_eq!(brief(&format!("{text}abc")), format!("{text}… (of 4003 characters)"));
    }
}
