//! Why an order ended without a certificate.

use portolan_model::{Code, Instant};
use serde::{Deserialize, Serialize};

/// An order that ended without a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind.
    pub reason: Reason,
    /// One sentence: what was refused, by whom, with the server's own words.
    pub detail: String,
    /// Earliest time at which another try makes sense. The room may wait longer.
    pub retry_at: Instant,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The server refused a request for good.
    Refused,
    /// The server declared the order or an authorization invalid.
    Invalid,
    /// The order or an authorization ran out before it was finished.
    Expired,
    /// No dns-01 challenge is offered.
    NoDnsChallenge,
    /// The TXT value could not be written.
    NotPresented,
    /// The TXT value did not show on every authoritative server in time.
    NotVisible,
    /// The server did not finish in time.
    TimedOut,
    /// The server gave no usable answer.
    Unavailable,
    /// The server rejected every nonce, even its newest.
    BadNonce,
    /// The server's answer breaks the protocol.
    Protocol,
}

impl Reason {
    /// Stable code of the problem.
    pub const fn code(self) -> Code {
        Code(match self {
            Self::Refused => 340,
            Self::Invalid => 341,
            Self::Expired => 342,
            Self::NoDnsChallenge => 343,
            Self::NotPresented => 344,
            Self::NotVisible => 345,
            Self::TimedOut => 346,
            Self::Unavailable => 347,
            Self::BadNonce => 348,
            Self::Protocol => 349,
        })
    }

    /// What to do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Refused => {
                "correct what the server names (names, contact, account) and renew the certificate"
            }
            Self::Invalid => {
                "see which name the server could not validate and whether its TXT record is reachable from the internet"
            }
            Self::Expired => "nothing to do: a new order is made at the next try",
            Self::NoDnsChallenge => {
                "use an issuer whose server offers dns-01 for this name; wildcards need it (RFC 8555 §7.1.4)"
            }
            Self::NotPresented => "check that the DNS provider's credential may write the challenge's zone",
            Self::NotVisible => {
                "check the zone's delegation: every authoritative server must answer with the TXT value"
            }
            Self::TimedOut => "nothing to do: the same order is taken up again at the next try",
            Self::Unavailable => "check that the issuer's server URL is right and can be reached from here",
            Self::BadNonce => "check for a proxy that caches or balances between ACME servers",
            Self::Protocol => "check that the issuer's server URL is an ACME directory",
        }
    }

    /// cert-manager's `Order.status.state` for it: `invalid` and `expired` are the server's word, `errored` is ours.
    pub const fn order_state(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            _ => "errored",
        }
    }

    /// Whether the server's order is of no more use, so that the next try makes a new one.
    pub(super) const fn spends_order(self) -> bool {
        matches!(self, Self::Refused | Self::Invalid | Self::Expired | Self::NoDnsChallenge | Self::Protocol)
    }

    /// How long to leave it alone at least, in milliseconds. Long where trying again costs rate limit at the server.
    pub(super) const fn pause(self) -> i64 {
        match self {
            Self::Refused | Self::Invalid | Self::NoDnsChallenge | Self::Protocol => 60 * 60_000,
            Self::Expired => 60_000,
            Self::NotPresented | Self::NotVisible | Self::TimedOut | Self::Unavailable | Self::BadNonce => {
                5 * 60_000
            }
        }
    }
}
