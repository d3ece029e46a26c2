//! What comes in and what goes out.

use portolan_model::Instant;
use serde_json::Value;

use super::{Failure, Task};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Begin, or take up again after a restart or an end. Nothing is taken to be under way any more.
    Start,
    /// The server answered.
    Response {
        /// To what.
        task: Task,
        /// With what.
        response: Response,
    },
    /// No answer from the server (name, connection, TLS, time-out).
    Unreachable {
        /// To what.
        task: Task,
        /// One sentence, without secrets.
        detail: String,
    },
    /// The TXT value of a [`Task::Present`] is written.
    Presented(Task),
    /// It could not be written.
    NotPresented {
        /// Which.
        task: Task,
        /// Why, one sentence.
        detail: String,
    },
    /// The TXT value of a [`Task::Visible`] is on every server that matters.
    Visible(Task),
    /// It is not, yet.
    NotVisible {
        /// Which.
        task: Task,
        /// Who does not have it, one sentence.
        detail: String,
    },
    /// The time of the last [`Send::WaitUntil`] has come.
    Woken,
}

/// An HTTP answer, as far as ACME needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// `Location`.
    pub location: Option<String>,
    /// `Retry-After` as sent: seconds or an HTTP date.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Send {
    /// GET without a signature.
    Get {
        /// For what.
        task: Task,
        /// Where.
        url: String,
    },
    /// A JWS POST (RFC 8555 §6.2), to be signed with the account key.
    Post {
        /// For what.
        task: Task,
        /// Where; also the protected header's `url`.
        url: String,
        /// Where to get a nonce when none is left over from earlier answers (RFC 8555 §7.2).
        nonce_url: String,
        /// How the protected header names the key.
        key: KeyId,
        /// What is signed.
        payload: Payload,
    },
    /// Add this value to the TXT record set, leaving its other values alone.
    Present {
        /// For what.
        task: Task,
        /// Name of the record set.
        fqdn: String,
        /// The value.
        value: String,
    },
    /// Look whether every authoritative server has the value.
    CheckVisible {
        /// For what.
        task: Task,
        /// Name of the record set.
        fqdn: String,
        /// The value.
        value: String,
    },
    /// Take this value out of the TXT record set. Not answered by an event.
    CleanUp {
        /// Name of the record set.
        fqdn: String,
        /// The value.
        value: String,
    },
    /// Nothing more to do before this time unless an event comes; send [`Event::Woken`] then.
    WaitUntil(Instant),
    /// The chain is there.
    Done {
        /// PEM, leaf first.
        chain: String,
    },
    /// The order ended without a certificate.
    Failed(Failure),
}

/// How a JWS names its key (RFC 8555 §6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyId {
    /// The public key itself (`jwk`): newAccount only.
    Jwk,
    /// The account's URL (`kid`).
    Account(String),
}

/// What a JWS carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The empty string: POST-as-GET (RFC 8555 §6.3).
    Empty,
    /// This JSON.
    Json(Value),
    /// `{"csr": …}`: the effect holds the CSR.
    Csr,
}
