//! Changes of headers.

use portolan_model::input::HeaderChange;

use super::{
    Wrong,
    text::{HEADER_BYTES, HEADERS, breaks, is_token, shown},
};

/// Judges a RequestHeaderModifier or ResponseHeaderModifier that stands at `field`.
pub(super) fn judge(change: &HeaderChange, field: &str) -> Option<Wrong> {
    for (list, pairs) in [("set", &change.set), ("add", &change.add)] {
        for (at, (header, text)) in pairs.iter().enumerate() {
            let here = format!("{field}.{list}[{at}]");
            let wrong = name(header, &format!("{here}.name"))
                .or_else(|| framing(header, &format!("{here}.name")))
                .or_else(|| value(text, &format!("{here}.value")));
            if wrong.is_some() {
                return wrong;
            }
        }
    }
    for (at, header) in change.remove.iter().enumerate() {
        if let Some(wrong) = name(header, &format!("{field}.remove[{at}]")) {
            return Some(wrong);
        }
    }
    None
}

/// Judges what only a RequestHeaderModifier may not set: by headers under this name Envoy takes orders (timeouts, retries,
/// where to send), also by one that a rule has written. To remove one is nothing: a client's never arrives.
pub(super) fn orders(change: &HeaderChange, field: &str) -> Option<Wrong> {
    for (list, pairs) in [("set", &change.set), ("add", &change.add)] {
        let order = |name: &str| name.to_ascii_lowercase().starts_with("x-envoy-");
        if let Some(at) = pairs.iter().position(|(name, _)| order(name)) {
            let message = format!("header {} would be an order to Envoy itself", shown(&pairs[at].0));
            let hint = "use timeouts and other fields of the rule, or another name";
            return Some(Wrong::new(format!("{field}.{list}[{at}].name"), message, hint));
        }
    }
    None
}

/// Counts what several filters of one rule or backend add together.
pub(super) fn count<'a>(changes: impl Iterator<Item = &'a HeaderChange>, field: &str) -> Option<Wrong> {
    let all: usize = changes.map(|change| change.set.len() + change.add.len()).sum();
    let message = format!("{all} headers are set and added, and Envoy takes {HEADERS}");
    (all > HEADERS).then(|| Wrong::new(field, message, "set and add fewer headers"))
}

/// Envoy lets no configuration change `Host` or what begins with a colon: other settings are there for that.
fn name(text: &str, field: &str) -> Option<Wrong> {
    let lower = text.to_ascii_lowercase();
    if lower == "host" || lower.starts_with(':') {
        let message = format!("header {} cannot be changed by a header modifier", shown(text));
        return Some(Wrong::new(field, message, "use the filter URLRewrite with a hostname or path instead"));
    }
    if !is_token(text) {
        let message = format!("{} is no header name", shown(text));
        return Some(Wrong::new(field, message, "use letters, digits and hyphens"));
    }
    let message = format!("the header name has {} bytes, and Envoy takes {HEADER_BYTES}", text.len());
    (text.len() > HEADER_BYTES).then(|| Wrong::new(field, message, "shorten it"))
}

/// Envoy sends what is written here beside the body as it is (tried with 1.40): its end would be taken for the next message
/// of the connection (RFC 9112 §6.3), which may be another host's.
fn framing(text: &str, field: &str) -> Option<Wrong> {
    let frames = ["content-length", "transfer-encoding"].iter().any(|name| text.eq_ignore_ascii_case(name));
    let message = format!("header {} says where a message ends, and only its sender knows that", shown(text));
    frames.then(|| Wrong::new(field, message, "leave it out: Envoy writes it"))
}

fn value(text: &str, field: &str) -> Option<Wrong> {
    if text.chars().any(breaks) {
        let message =
            format!("the header value {} has a line break or another control character", shown(text));
        return Some(Wrong::new(field, message, "write it on one line (in YAML: `>-`, or without a block)"));
    }
    // The encoder doubles each `%`, which Envoy would take for a substitution.
    let bytes = text.len() + text.bytes().filter(|b| *b == b'%').count();
    let message =
        format!("the header value has {bytes} bytes (`%` counts twice), and Envoy takes {HEADER_BYTES}");
    (bytes > HEADER_BYTES).then(|| Wrong::new(field, message, "shorten it"))
}
