//! Matches: paths, methods, headers, query parameters. Expressions were judged when they were read (`portolan_model::re2`).

use portolan_model::input::{PathMatch, RouteMatch, ValueMatch};

use super::{
    Partly, Wrong,
    text::{QUERY_BYTES, TEXT_BYTES, is_token, shown},
};

/// Methods of `HTTPMethod`. Envoy takes any text; another one would match nothing.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Judges the match at position `at`; if it cannot be served, gives what of it can be expressed.
pub(super) fn judge(m: &RouteMatch, at: usize) -> Result<(), Box<Partly>> {
    let mut rest = m.clone();
    let mut found = Vec::new();
    if let Some((wrong, path)) = path(&m.path, &format!("matches[{at}].path.value")) {
        rest.path = path;
        found.push(wrong);
    }
    if let Some(method) = m.method.as_ref().filter(|method| !METHODS.contains(&&***method)) {
        let message = format!("{} is no method", shown(method));
        found.push(Wrong::new(
            format!("matches[{at}].method"),
            message,
            "use GET, POST or another in capital letters",
        ));
        rest.method = None;
    }
    let mut values =
        |list: &str,
         all: &mut Vec<ValueMatch>,
         judge: fn(&ValueMatch) -> Option<(&'static str, String, &'static str)>| {
            let mut position = 0;
            all.retain(|value| {
                let wrong = judge(value);
                if let Some((field, message, hint)) = &wrong {
                    found.push(Wrong::new(
                        format!("matches[{at}].{list}[{position}].{field}"),
                        message,
                        hint,
                    ));
                }
                position += 1;
                wrong.is_none()
            });
        };
    values("headers", &mut rest.headers, header);
    values("queryParams", &mut rest.query, query);
    match found.into_iter().next() {
        None => Ok(()),
        Some(wrong) => Err(Box::new(Partly { wrong, rest })),
    }
}

fn header(value: &ValueMatch) -> Option<(&'static str, String, &'static str)> {
    if !is_token(&value.name) || value.name.len() > TEXT_BYTES {
        let hint =
            "use the name of a header that a request can have; method and path are matches of their own";
        return Some(("name", format!("{} is no header name", shown(&value.name)), hint));
    }
    long(value)
}

fn query(value: &ValueMatch) -> Option<(&'static str, String, &'static str)> {
    let length = value.name.len();
    if !(1..=QUERY_BYTES).contains(&length) {
        let message =
            format!("the name of a query parameter has {length} bytes, and Envoy takes 1 to {QUERY_BYTES}");
        return Some(("name", message, "name the parameter"));
    }
    long(value)
}

fn long(value: &ValueMatch) -> Option<(&'static str, String, &'static str)> {
    let length = value.value.len();
    let message = format!("the value has {length} bytes, more than any request can have");
    (length > TEXT_BYTES).then_some(("value", message, "shorten it"))
}

/// Gateway API's CRDs take a path that begins with a slash, has neither `//` nor `/./` nor `/../` nor an escaped slash, and
/// consists of what may stand in a path (RFC 3986 `pchar`). Envoy refuses of that only `?` and `#` in a prefix; it matches
/// what is left of a path after merging slashes and resolving dots, so that the others match nothing.
fn path(path: &PathMatch, field: &str) -> Option<(Wrong, PathMatch)> {
    let (text, exact) = match path {
        PathMatch::Exact(text) => (text, true),
        PathMatch::Prefix(text) => (text, false),
        PathMatch::Regex(_) => return None,
    };
    let whole = if text.ends_with('/') { text.to_string() } else { format!("{text}/") };
    let bad = |c: char| !(c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@%".contains(c));
    let (message, hint) = if !text.starts_with('/') {
        ("does not begin with a slash", "begin it with a slash")
    } else if text.contains('?') {
        ("has a `?`: a query is not part of the path", "match it with queryParams")
    } else if text.contains('#') {
        ("has a `#`: no client sends a fragment", "remove it")
    } else if whole.contains("//") || whole.contains("/./") || whole.contains("/../") {
        (
            "has `//`, `/./` or `/../`, which are resolved before a path is matched",
            "write the path as it is after that",
        )
    } else if whole.to_ascii_lowercase().contains("%2f") {
        ("has an escaped slash, which is decoded before a path is matched", "write a slash")
    } else if text.chars().any(bad) {
        ("has a character that a path cannot have", "write it percent-encoded (RFC 3986)")
    } else if text.len() > TEXT_BYTES {
        ("is longer than any path can be", "shorten it")
    } else {
        return None;
    };
    Some((Wrong::new(field, format!("the path {} {message}", shown(text)), hint), rest(text, exact)))
}

/// What of such a path surely begins or is the path of a request.
fn rest(text: &str, exact: bool) -> PathMatch {
    let text = format!("/{}", text.trim_start_matches('/'));
    let query = text.find(['?', '#']).unwrap_or(text.len());
    let clean = |part: &str| {
        let ok = |c: char| c.is_ascii_alphanumeric() || "-_~!$&'()*+,;=:@".contains(c);
        !part.is_empty() && part.chars().all(ok)
    };
    let head = &text[..query];
    let mut sure = String::new();
    for part in head.split('/').skip(1).take_while(|part| clean(part)) {
        sure.push('/');
        sure.push_str(part);
    }
    if sure == head && exact && sure.len() <= TEXT_BYTES {
        return PathMatch::Exact(sure.into());
    }
    PathMatch::Prefix(if sure.is_empty() || sure.len() > TEXT_BYTES { "/".into() } else { sure.into() })
}
