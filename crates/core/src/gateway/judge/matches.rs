//! Matches: paths, methods, headers, query parameters. Expressions were judged when they were read (`portolan_model::re2`).

use portolan_model::input::{PathMatch, RouteMatch, ValueMatch};

use super::{
    Partly, Wrong,
    text::{QUERY_BYTES, TEXT_BYTES, breaks, is_token, shown},
};

/// Methods of `HTTPMethod`. Envoy takes any text; another one would match nothing.
pub(super) const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Judges the match at position `at`; if it cannot be served, gives what of it can be expressed.
pub(super) fn judge(m: &RouteMatch, at: usize) -> Result<(), Box<Partly>> {
    let mut rest = m.clone();
    let mut paths = vec![m.path.clone()];
    let mut found = Vec::new();
    if let Some((wrong, sent)) = path(&m.path, &format!("matches[{at}].path.value")) {
        paths = sent;
        found.push(wrong);
    }
    if let Some(method) = m.method.as_ref().filter(|method| !METHODS.contains(&&***method)) {
        let message = format!("{} is no method", shown(method));
        found.push(Wrong::new(
            format!("matches[{at}].method"),
            message,
            "use GET, POST or another in capital letters",
        ));
        // HTTP/2 carries any text as a method, so that this one can be sent, and no other was meant.
        if method.len() > TEXT_BYTES {
            rest.method = None;
        }
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
        Some(wrong) => {
            let rest = paths.into_iter().map(|path| RouteMatch { path, ..rest.clone() }).collect();
            Err(Box::new(Partly { wrong, rest }))
        }
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
fn path(path: &PathMatch, field: &str) -> Option<(Wrong, Vec<PathMatch>)> {
    let (text, exact) = match path {
        PathMatch::Exact(text) => (text, true),
        PathMatch::Prefix(text) => (text, false),
        PathMatch::Regex(_) => return None,
    };
    let whole = if text.ends_with('/') { text.to_string() } else { format!("{text}/") };
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
    } else if !text.chars().all(is_of_path) {
        ("has a character that a path cannot have", "write it percent-encoded (RFC 3986)")
    } else if text.len() > TEXT_BYTES {
        ("is longer than any path can be", "shorten it")
    } else {
        return None;
    };
    Some((Wrong::new(field, format!("the path {} {message}", shown(text)), hint), sent(text, exact)))
}

/// The paths that Envoy sees of requests for what is written: after escaped slashes, dots and double slashes are resolved,
/// without what is no part of a path, and with other characters as they are or percent-encoded, in either case of hex.
fn sent(text: &str, exact: bool) -> Vec<PathMatch> {
    let text = &text[..text.find(['?', '#']).unwrap_or(text.len())];
    let text = text.replace("%2f", "/").replace("%2F", "/");
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut path = format!("/{}", parts.join("/"));
    if exact && text.ends_with('/') && path.len() > 1 {
        path.push('/');
    }
    let encoded = |hex: fn(u8) -> String| -> String {
        let one = |c: char| {
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).bytes();
            if is_of_path(c) { c.to_string() } else { bytes.map(hex).collect() }
        };
        path.chars().map(one).collect()
    };
    let mut all = vec![encoded(|byte| format!("%{byte:02X}")), encoded(|byte| format!("%{byte:02x}"))];
    if !path.chars().any(breaks) {
        all.push(path);
    }
    all.dedup();
    for path in &mut all {
        // No request has a longer one; what is cut matches none either.
        let end = (0..=path.len().min(TEXT_BYTES)).rev().find(|at| path.is_char_boundary(*at));
        path.truncate(end.unwrap_or(0));
    }
    all.into_iter()
        .map(|path| if exact { PathMatch::Exact(path.into()) } else { PathMatch::Prefix(path.into()) })
        .collect()
}

/// `pchar` of RFC 3986 and the slash; `%` begins an encoded character.
fn is_of_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@%".contains(c)
}
