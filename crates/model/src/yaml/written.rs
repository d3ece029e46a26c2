//! JSON as a text that every reader of YAML takes for the same.

use std::fmt::Write as _;

use serde_json::Value;

/// The text of a value. JSON is YAML but for some characters in texts: DEL, C1, U+FEFF, U+FFFE and U+FFFF may not stand in a
/// file of YAML (YAML 1.2.2 §5.1), and U+0085, U+2028 and U+2029 end a line to readers of YAML 1.1, such as Go's, which folds
/// them. They are written as numbers.
pub fn of_json(json: &Value) -> String {
    let text = json.to_string();
    let special = |c: char| {
        matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    if !text.contains(special) {
        return text;
    }
    let mut written = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if special(c) {
            // Writing to a String cannot fail. None of them stands outside of a text.
            let _ = write!(written, "\\u{:04x}", u32::from(c));
        } else {
            written.push(c);
        }
    }
    written
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn every_character_is_read_again_as_itself() {
        let all: String = (1..=0xffff_u32).filter_map(char::from_u32).chain(['\u{1f600}']).collect();
        let value = json!({ &all[..127]: all });
        let text = of_json(&value);
        let (documents, errors) = super::super::load(&text);
        assert_eq!(errors, []);
        assert_eq!(documents[0].json, value);
        assert!(text.contains("\\u007f") && text.contains("\\u2028") && text.contains("\\uffff"));
        assert!(
            !text.contains(['\u{7f}', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}', '\u{fffe}', '\u{ffff}'])
        );
        assert_eq!(of_json(&json!([1, "é"])), "[1,\"é\"]");
    }
}
