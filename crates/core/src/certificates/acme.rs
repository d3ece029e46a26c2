//! ACME (RFC 8555) with DNS-01 as a state machine without I/O.
//!
//! ```text
//!  Directory -> Account -> NewOrder -> Authorization* -> Present* -> Visible* -> Challenge* -> Authorization* (poll)
//!            -> Order (poll) -> Finalize -> Order (poll) -> Certificate -> Done
//! ```
//!
//! [`step`] takes what happened and says what to send next. It never waits, signs or reads a clock: the effect posts
//! what it is told, signs with the account key and hands the answer back. [`OrderState`] holds no secret, so it can
//! be stored as it is and taken up again by [`Event::Start`] after a restart: the order is then read from its URL.
//!
//! Invariants: 429, 503 and `Retry-After` mean wait, never failed; a rejected nonce is retried a bounded number of
//! times; a challenge is answered only for a name that was ordered, and only once every value of its TXT record set
//! is visible; whatever was presented is cleaned up when the order ends.

mod advance;
mod answers;
mod failure;
mod outcome;
mod retry;
mod setbacks;
mod state;
#[cfg(test)]
mod tests;
mod wire;

pub use failure::{Failure, Reason};
pub use outcome::{Event, KeyId, Payload, Response, Send};
pub use state::{
    Authorization, AuthorizationStatus, Directory, End, Limits, Order, OrderState, OrderStatus, Task,
    Tracked, Wanted,
};

use portolan_model::Instant;

/// Takes one event into the order and says what to send next.
///
/// Sends may be carried out side by side; each one but [`Send::WaitUntil`], [`Send::CleanUp`], [`Send::Done`] and
/// [`Send::Failed`] is answered by exactly one event for its [`Task`]. An event for a task that is not under way (a
/// late answer, a stranger's) changes nothing. The latest `WaitUntil` replaces earlier ones.
pub fn step(mut order: OrderState, event: Event, now: Instant) -> (OrderState, Vec<Send>) {
    answers::take(&mut order, event, now);
    let sends = advance::next(&mut order, now);
    (order, sends)
}

/// The TXT value of a DNS-01 challenge: base64url of the SHA-256 of the key authorization (RFC 8555 §8.1, §8.4).
/// `thumbprint` is the account key's RFC 7638 thumbprint in base64url.
pub fn dns01_value(token: &str, thumbprint: &str) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("{token}.{thumbprint}").as_bytes()))
}

/// The name at which the DNS-01 TXT record of `name` stands; the wildcard label is dropped (RFC 8555 §7.1.4, §8.4).
pub fn challenge_fqdn(name: &str) -> String {
    format!("_acme-challenge.{}", name.strip_prefix("*.").unwrap_or(name))
}
