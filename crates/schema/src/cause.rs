//! Why an object is refused, in the API server's words.

use std::fmt;

use serde_json::Value;

/// The kind of a cause, as Kubernetes' `field.ErrorType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CauseKind {
    /// A value that must be there is not.
    Required,
    /// A value breaks a rule.
    Invalid,
    /// A value has another type.
    TypeInvalid,
    /// A value is none of those that are allowed.
    NotSupported,
    /// A value that must be unique comes twice.
    Duplicate,
    /// A value may not be set here.
    Forbidden,
    /// A text is too long.
    TooLong,
    /// A text is too short.
    TooShort,
    /// A list or map has too many items.
    TooMany,
    /// A list has too few items.
    TooFew,
    /// Something that is named is not there.
    NotFound,
    /// The server could not judge.
    Internal,
    /// The object cannot be read as its kind at all; the detail is all that is said.
    Decode,
}

/// Why an object is refused. Prints as an API server does.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// Where, as Kubernetes' `field.Path` prints: `spec.rules[0].matches`; `<nil>` for what concerns no field.
    pub path: String,
    /// What kind of fault.
    pub kind: CauseKind,
    /// The value that is printed; `None` where none is. Values of Secrets may be in here.
    pub value: Option<Value>,
    /// What is wrong, after the kind's words.
    pub detail: String,
    /// What to do, where more is known than a server says; not printed.
    pub hint: Option<String>,
}

impl Cause {
    fn new(
        path: impl Into<String>,
        kind: CauseKind,
        value: Option<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), kind, value, detail: detail.into(), hint: None }
    }

    /// `field.Required`.
    pub fn required(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(path, CauseKind::Required, None, detail)
    }

    /// `field.Invalid`.
    pub fn invalid(path: impl Into<String>, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(path, CauseKind::Invalid, Some(value.into()), detail)
    }

    /// `field.TypeInvalid`.
    pub fn type_invalid(path: impl Into<String>, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(path, CauseKind::TypeInvalid, Some(value.into()), detail)
    }

    /// `field.NotSupported`: the values in their order.
    pub fn not_supported<S: AsRef<str>>(
        path: impl Into<String>,
        value: impl Into<Value>,
        supported: impl IntoIterator<Item = S>,
    ) -> Self {
        let quoted: Vec<String> = supported.into_iter().map(|text| quote(text.as_ref())).collect();
        let detail = if quoted.is_empty() {
            String::new()
        } else {
            format!("supported values: {}", quoted.join(", "))
        };
        Self::new(path, CauseKind::NotSupported, Some(value.into()), detail)
    }

    /// `field.Duplicate`.
    pub fn duplicate(path: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(path, CauseKind::Duplicate, Some(value.into()), "")
    }

    /// `field.Forbidden`.
    pub fn forbidden(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(path, CauseKind::Forbidden, None, detail)
    }

    /// `field.TooLong`, which counts bytes in its words.
    pub fn too_long(path: impl Into<String>, most: u64) -> Self {
        let unit = if most == 1 { "byte" } else { "bytes" };
        Self::new(path, CauseKind::TooLong, None, format!("may not be more than {most} {unit}"))
    }

    /// `field.TooMany`.
    pub fn too_many(path: impl Into<String>, actual: u64, most: u64) -> Self {
        let unit = if most == 1 { "item" } else { "items" };
        Self::new(path, CauseKind::TooMany, Some(actual.into()), format!("must have at most {most} {unit}"))
    }

    /// The object cannot be decoded.
    pub fn decode(detail: impl Into<String>) -> Self {
        Self::new("", CauseKind::Decode, None, detail)
    }

    /// Whether CEL rules are not asked any more once this is known (`hasBlockingErr`).
    pub fn blocks_rules(&self) -> bool {
        use CauseKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
        matches!(self.kind, NotSupported | Required | TooLong | TooMany | TypeInvalid)
    }

    /// All but the path: `Invalid value: "x": must be y`.
    pub fn body(&self) -> String {
        let words = match self.kind {
            CauseKind::Required => "Required value",
            CauseKind::Invalid | CauseKind::TypeInvalid => "Invalid value",
            CauseKind::NotSupported => "Unsupported value",
            CauseKind::Duplicate => "Duplicate value",
            CauseKind::Forbidden => "Forbidden",
            CauseKind::TooLong => "Too long",
            CauseKind::TooShort => "Too short",
            CauseKind::TooMany => "Too many",
            CauseKind::TooFew => "Too few",
            CauseKind::NotFound => "Not found",
            CauseKind::Internal => "Internal error",
            CauseKind::Decode => return self.detail.clone(),
        };
        let mut out = words.to_owned();
        if let Some(value) = &self.value {
            out.push_str(": ");
            out.push_str(&printed(value));
        }
        if !self.detail.is_empty() {
            out.push_str(": ");
            out.push_str(&self.detail);
        }
        out
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == CauseKind::Decode {
            return f.write_str(&self.detail);
        }
        write!(f, "{}: {}", self.path, self.body())
    }
}

impl std::error::Error for Cause {}

/// A value as `field.Error` prints it.
fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Number(number) => go_number(number),
        other => go_json(other),
    }
}

/// A number as Go's `%v` prints an `int64` or `float64`.
pub fn go_number(number: &serde_json::Number) -> String {
    if number.is_f64() { number.as_f64().map_or_else(String::new, go_float) } else { number.to_string() }
}

/// Go's `%v` of a `float64`: the shortest digits, with an exponent below 1e-4 and from 1e6 on.
pub fn go_float(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{number}")
}

/// JSON as Go's `json.Marshal` writes it: keys sorted, `<`, `>` and `&` escaped.
fn go_json(value: &Value) -> String {
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// A text as Go's `%q` prints it.
pub fn quote(text: &str) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if !is_printable(c) && (c as u32) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c if !is_printable(c) => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Go's `strconv.IsPrint`, as far as text of manifests goes: no control characters and no spaces but the usual one.
fn is_printable(c: char) -> bool {
    c == ' '
        || !(c.is_control()
            || c.is_whitespace()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn causes_print_as_an_api_server_prints_them() {
        let shown = [
            Cause::required("spec.name", ""),
            Cause::invalid("spec.x", "a\"b\n", "must be y"),
            Cause::not_supported("spec.type", "Foo", ["A", "B"]),
            Cause::too_long("metadata.annotations", 262_144),
            Cause::too_many("spec.rules", 17, 16),
            Cause::duplicate("spec.ports[1]", json!({"name": "<a>"})),
            Cause::invalid("spec.x", json!(1e21), "must be y"),
            Cause::invalid("<nil>", Value::Null, "not checked"),
        ]
        .map(|cause| cause.to_string());
        assert_eq!(
            shown,
            [
                "spec.name: Required value",
                "spec.x: Invalid value: \"a\\\"b\\n\": must be y",
                "spec.type: Unsupported value: \"Foo\": supported values: \"A\", \"B\"",
                "metadata.annotations: Too long: may not be more than 262144 bytes",
                "spec.rules: Too many: 17: must have at most 16 items",
                "spec.ports[1]: Duplicate value: {\"name\":\"\\u003ca\\u003e\"}",
                "spec.x: Invalid value: 1e+21: must be y",
                "<nil>: Invalid value: null: not checked",
            ]
        );
        let floats = [0.5, 100.0, 1e-5, 123_456_789.0, 1e20, 2.5e-7].map(go_float);
        assert_eq!(floats, ["0.5", "100", "1e-05", "1.23456789e+08", "1e+20", "2.5e-07"]);
    }
}
