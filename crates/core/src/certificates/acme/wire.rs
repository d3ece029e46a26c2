//! The server's JSON, read without trust.

use std::fmt::Write as _;

use portolan_model::Instant;
use serde::Deserialize;

use super::{OrderStatus, Response};

/// Longest text of a server that is shown, in characters.
const LONGEST_DETAIL: usize = 600;

#[derive(Deserialize)]
pub(super) struct DirectoryBody {
    #[serde(rename = "newNonce")]
    pub(super) nonce: String,
    #[serde(rename = "newAccount")]
    pub(super) account: String,
    #[serde(rename = "newOrder")]
    pub(super) order: String,
}

#[derive(Deserialize)]
pub(super) struct OrderBody {
    pub(super) status: OrderStatus,
    pub(super) expires: Option<String>,
    #[serde(default)]
    pub(super) authorizations: Vec<String>,
    #[serde(default)]
    pub(super) finalize: String,
    pub(super) certificate: Option<String>,
    pub(super) error: Option<ProblemBody>,
}

#[derive(Deserialize)]
pub(super) struct AuthorizationBody {
    pub(super) status: String,
    pub(super) identifier: Identifier,
    #[serde(default)]
    pub(super) wildcard: bool,
    #[serde(default)]
    pub(super) challenges: Vec<ChallengeBody>,
}

#[derive(Deserialize)]
pub(super) struct ChallengeBody {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) url: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) token: String,
    pub(super) error: Option<ProblemBody>,
}

#[derive(Clone, Default, Deserialize)]
pub(super) struct Identifier {
    #[serde(default)]
    pub(super) value: String,
}

/// A problem document (RFC 7807, RFC 8555 §6.7).
#[derive(Clone, Default, Deserialize)]
pub(super) struct ProblemBody {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    identifier: Option<Identifier>,
    #[serde(default)]
    subproblems: Vec<ProblemBody>,
}

impl ProblemBody {
    /// The problem of a refused request; an answer that is none still yields its status.
    pub(super) fn of(response: &Response) -> Self {
        serde_json::from_slice(&response.body).unwrap_or_else(|_| Self {
            detail: format!("HTTP status {} without a problem document", response.status),
            ..Self::default()
        })
    }

    /// The last part of an ACME error type: `badNonce`; empty for foreign types.
    pub(super) fn name(&self) -> &str {
        self.kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or_default()
    }

    /// Type and detail, with what concerns single names; short and on one line.
    pub(super) fn text(&self) -> String {
        let mut text = match (self.name(), self.kind.as_str()) {
            ("", "" | "about:blank") => self.detail.clone(),
            ("", kind) => format!("{kind}: {}", self.detail),
            (name, _) => format!("{name}: {}", self.detail),
        };
        for sub in &self.subproblems {
            let of = sub.identifier.as_ref().map_or("", |i| i.value.as_str());
            let _ = write!(text, "; {of}: {} {}", sub.name(), sub.detail);
        }
        one_line(&text)
    }
}

/// A server's words made fit to show: no control characters, bounded.
pub(super) fn one_line(text: &str) -> String {
    let mut clean: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_DETAIL).collect();
    if text.chars().nth(LONGEST_DETAIL).is_some() {
        clean.push('…');
    }
    clean
}

impl OrderBody {
    pub(super) fn expires(&self) -> Option<Instant> {
        self.expires.as_deref().and_then(Instant::parse)
    }
}

impl AuthorizationBody {
    /// The name as it was ordered: wildcard authorizations come without their label (RFC 8555 §7.1.4).
    pub(super) fn name(&self) -> String {
        let name = self.identifier.value.to_ascii_lowercase();
        if self.wildcard && !name.starts_with("*.") { format!("*.{name}") } else { name }
    }
}

/// Whether a token has only characters of base64url and at least 128 bits (RFC 8555 §8).
pub(super) fn token_is_sound(token: &str) -> bool {
    token.len() >= 22 && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
