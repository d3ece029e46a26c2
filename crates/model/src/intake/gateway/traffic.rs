//! How the requests of a rule are sent: timeouts, retries, sessions.

use std::sync::Arc;

use super::super::node::Node;
use crate::input::{Carrier, Retry, Session, Traffic};

/// `None` if nothing is written about it.
pub(super) fn traffic(rule: &Node<'_>) -> Option<Arc<Traffic>> {
    let timeout = |field: &str| millis(&rule.get("timeouts").get(field));
    let made = Traffic {
        request_timeout: timeout("request"),
        backend_timeout: timeout("backendRequest"),
        retry: retry(&rule.get("retry")),
        session: session(&rule.get("sessionPersistence")),
    };
    (made != Traffic::default()).then(|| Arc::new(made))
}

fn millis(node: &Node<'_>) -> Option<u64> {
    node.millis().and_then(|millis| u64::try_from(millis).ok())
}

fn retry(node: &Node<'_>) -> Option<Retry> {
    node.present().then(|| Retry {
        codes: node.get("codes").items().iter().filter_map(Node::u32).collect(),
        attempts: node.get("attempts").u32().unwrap_or(1),
        backoff: millis(&node.get("backoff")),
    })
}

fn session(node: &Node<'_>) -> Option<Session> {
    if !node.present() {
        return None;
    }
    // A cookie that ends with its browser may be given up earlier by `absoluteTimeout`, so `lifetimeType` says nothing more.
    let carrier = if let Some("Header") = node.get("type").text() {
        Carrier::Header(node.get("header").get("name").name())
    } else {
        let cookie = node.get("cookie");
        Carrier::Cookie { name: cookie.get("name").opt(), path: cookie.get("path").name_or("/") }
    };
    Some(Session { carrier, lifetime: millis(&node.get("absoluteTimeout")) })
}
