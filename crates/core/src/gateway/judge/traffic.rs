//! Timeouts, retries and sessions: what closes the whole rule.

use portolan_model::input::{Carrier, Session, Traffic};

use super::{
    Wrong,
    text::{HEADER_BYTES, breaks, is_token, shown},
};

/// The longest duration of GEP-2257, `99999h` four times. Envoy's own end is 2^63 nanoseconds.
const LONGEST_MS: u64 = 4 * 99_999 * 3_600_000;

/// What of it cannot be expressed, one finding a field.
pub(super) fn judge(traffic: &Traffic) -> Vec<Wrong> {
    let backoff = traffic.retry.as_ref().and_then(|retry| retry.backoff);
    let lifetime = traffic.session.as_ref().and_then(|session| session.lifetime);
    let times = [
        ("timeouts.request", traffic.request_timeout),
        ("timeouts.backendRequest", traffic.backend_timeout),
        ("retry.backoff", backoff),
        ("sessionPersistence.absoluteTimeout", lifetime),
    ];
    let mut found = Vec::new();
    for (field, time) in times {
        if time.is_some_and(|ms| ms > LONGEST_MS) {
            let message = format!("{field} is longer than any that can be expressed");
            found.push(Wrong::new(field, message, "use at most 99999h, or 0s for none"));
        }
    }
    let codes = traffic.retry.iter().flat_map(|retry| retry.codes.iter().enumerate());
    for (at, code) in codes.filter(|(_, code)| !(400..=599).contains(*code)) {
        let message = format!("{code} is no status of an error");
        found.push(Wrong::new(format!("retry.codes[{at}]"), message, "use codes from 400 to 599"));
    }
    found.extend(traffic.session.as_ref().and_then(session));
    found
}

fn session(session: &Session) -> Option<Wrong> {
    let token = |text: &str, field: &str, what: &str| {
        let message = format!("{} is no name of a {what}", shown(text));
        (!is_token(text) || text.len() > HEADER_BYTES).then(|| {
            Wrong::new(format!("sessionPersistence.{field}"), message, "use letters, digits and hyphens")
        })
    };
    match &session.carrier {
        Carrier::Header(name) => token(name, "header.name", "header"),
        Carrier::Cookie { name, path } => {
            // Whatever stands behind a semicolon would be another attribute (RFC 6265 §4.1.1).
            let ends = path.chars().any(|c| breaks(c) || c == ';' || c == '\t') || path.len() > HEADER_BYTES;
            let path = ends.then(|| {
                let message = format!("{} is no path of a cookie", shown(path));
                Wrong::new("sessionPersistence.cookie.path", message, "write a path such as /app")
            });
            name.as_ref().and_then(|name| token(name, "cookie.name", "cookie")).or(path)
        }
    }
}
