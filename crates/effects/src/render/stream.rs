//! How a file is cut into documents before YAML is asked. Source: apimachinery `pkg/util/yaml/decoder.go` (`YAMLOrJSONDecoder`), which
//! Argo CD and kubectl read files with.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// A stream of JSON values as YAML documents, on the same lines; any other text as it is.
pub(super) fn as_yaml(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with('{') {
        return Cow::Borrowed(text);
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut ends = Vec::new();
    while let Some(value) = values.next() {
        if value.is_err() {
            return Cow::Borrowed(text);
        }
        ends.push(values.byte_offset());
    }
    if ends.len() < 2 {
        return Cow::Borrowed(text);
    }
    let mut yaml = String::with_capacity(text.len() + 5 * ends.len());
    let mut from = 0;
    for end in ends {
        let value = text[from..end].trim_start();
        let space = &text[from..end - value.len()];
        match space.rfind('\n') {
            _ if from == 0 => yaml.push_str(space),
            Some(last) => yaml.push_str(&space[..last]),
            None => {}
        }
        if from > 0 {
            yaml.push_str("\n--- ");
        }
        yaml.push_str(value);
        from = end;
    }
    Cow::Owned(yaml)
}

/// The first line at which a file is cut in a way that its documents cannot be read, and why: documents are cut at lines that
/// begin with `---`, so that a directive stands in a document of its own, before the line that would begin one.
pub(super) fn misframed(text: &str) -> Option<(u32, String)> {
    if matches!(as_yaml(text), Cow::Owned(_)) {
        return None;
    }
    let mut begun = false;
    for (n, line) in (1..).zip(text.lines()) {
        if let Some(rest) = line.strip_prefix("---") {
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                return Some((n, format!("invalid Yaml document separator: {rest}")));
            }
            begun = false;
        } else if !begun && line.starts_with('%') {
            return Some((n, format!("yaml: line {n}: did not find expected <document start>")));
        } else {
            let line = line.trim();
            begun |= !line.is_empty() && !line.starts_with('#');
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_json_are_documents() {
        for (text, wanted) in [
            ("{\"a\": 1}\n{\"b\": 2}\n", "{\"a\": 1}\n--- {\"b\": 2}"),
            (" {\"a\": 1}{\"b\": [2]}", " {\"a\": 1}\n--- {\"b\": [2]}"),
            ("{\"a\": 1}\n\n null {}", "{\"a\": 1}\n\n--- null\n--- {}"),
            // One is YAML as it stands, and so is what is no JSON.
            ("{\"a\": 1}\n", "{\"a\": 1}\n"),
            ("{a: 1}\n---\n{b: 2}\n", "{a: 1}\n---\n{b: 2}\n"),
            ("a: 1\n", "a: 1\n"),
        ] {
            assert_eq!(as_yaml(text), wanted, "{text}");
        }
    }

    #[test]
    fn documents_are_cut_at_lines() {
        let line = |text: &str| misframed(text).map(|(line, _)| line);
        assert_eq!(line("# c\n%YAML 1.1\n---\na: 1\n"), Some(2));
        assert_eq!(line("a: 1\n---\n%TAG ! x\n---\n"), Some(3));
        assert_eq!(line("a: 1\n--- # x\nb: 1\n--- {c: 1}\n"), Some(4));
        assert_eq!(line("a: 1\n----\n"), Some(2));
        assert_eq!(line("a: |\n  % x\n  --- y\n---\n---  \n# %\nb: 1\n"), None);
        assert_eq!(line("{\"a\": 1}\n{\"b\": 2}\n"), None);
    }
}
