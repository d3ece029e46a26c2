//! One line of comma-separated values as Go's `encoding/csv` reads it (RFC 4180): values of `cert-manager.io/subject-*`.

/// The values.
///
/// # Errors
/// Why it is no such line.
pub(super) fn values(text: &str) -> Result<Vec<String>, String> {
    let lines = text.trim_matches(['\r', '\n']);
    if lines.is_empty() {
        return Err(format!("no values found after parsing {text:?}"));
    }
    let mut values = Vec::new();
    let mut rest = lines;
    loop {
        let value;
        (value, rest) = if let Some(quoted) = rest.strip_prefix('"') {
            let (value, after) =
                unquoted(quoted).ok_or_else(|| wrong(text, "extraneous or missing \" in quoted-field"))?;
            (value, after)
        } else {
            let end = rest.find([',', '\n']).unwrap_or(rest.len());
            if rest[..end].contains('"') {
                return Err(wrong(text, "bare \" in non-quoted-field"));
            }
            (rest[..end].to_owned(), &rest[end..])
        };
        values.push(value);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(values),
            None if rest.starts_with(['\r', '\n']) => {
                return Err(format!(
                    "refusing to use {text:?} as input as it parses as multiple lines of CSV"
                ));
            }
            None => return Err(wrong(text, "extraneous or missing \" in quoted-field")),
        }
    }
}

fn wrong(text: &str, why: &str) -> String {
    format!("failed to parse {text:?} as CSV: {why}")
}

/// What stands before the closing quote, two of which are one, and what comes after it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut rest) = (String::new(), text);
    loop {
        let at = rest.find('"')?;
        value.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                value.push('"');
                rest = after;
            }
            None => return Some((value, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::values;

    #[test]
    fn lines_are_read_as_go_reads_them() {
        let read = |text: &str| values(text).map_or_else(|why| why, |values| values.join("|"));
        for (text, expected) in [
            ("a", "a"),
            ("a,b", "a|b"),
            ("a,", "a|"),
            ("\"10 Downing Street, Westminster\",Manchester", "10 Downing Street, Westminster|Manchester"),
            ("\"say \"\"hi\"\"\"", "say \"hi\""),
            ("a b\n", "a b"),
            ("", "no values found after parsing \"\""),
            ("a\nb", "refusing to use \"a\\nb\" as input as it parses as multiple lines of CSV"),
            ("a\"b", "failed to parse \"a\\\"b\" as CSV: bare \" in non-quoted-field"),
            ("\"a", "failed to parse \"\\\"a\" as CSV: extraneous or missing \" in quoted-field"),
            ("\"a\"b", "failed to parse \"\\\"a\\\"b\" as CSV: extraneous or missing \" in quoted-field"),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }
}
