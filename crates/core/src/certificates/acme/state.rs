//! What is known of one order. Serialisable, without secrets.

use std::collections::BTreeMap;

use portolan_model::Instant;
use serde::{Deserialize, Serialize};

use super::Failure;

/// One order: what is wanted, what the server said, and what is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderState {
    /// What is asked for.
    pub wanted: Wanted,
    /// How long and how often to try.
    pub limits: Limits,
    /// The server's directory, once read.
    pub directory: Option<Directory>,
    /// The account's URL (the JWS `kid`), once registered.
    pub account: Option<String>,
    /// The order as the server last showed it.
    pub order: Option<Order>,
    /// One per authorization URL of the order, in its order.
    pub authorizations: Vec<Authorization>,
    /// Number of the first authorization. Goes up with every new list, so that a late answer to an authorization of
    /// an order that was given up meets nothing.
    pub first: usize,
    /// How it ended; [`super::Event::Start`] begins anew.
    pub end: Option<End>,
    /// Requests and checks that are under way or wait for their time.
    pub tracked: Vec<Tracked>,
    /// TXT values that were presented and not yet cleaned up, as (fqdn, value).
    pub presented: Vec<(String, String)>,
    /// How often the account or the order had to be made again since the start.
    pub restarts: u32,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// URL of the directory.
    pub directory: String,
    /// Contact URLs of the account (`mailto:…`).
    pub contact: Vec<String>,
    /// DNS names in lower case; wildcards as `*.example.com`.
    pub names: Vec<String>,
    /// RFC 7638 thumbprint of the account key, base64url. Public: it stands hashed in the TXT record.
    pub thumbprint: String,
}

/// Bounds. Lengths in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Rejected nonces in a row for one request.
    pub bad_nonces: u32,
    /// Failures in a row (no answer, 5xx without `Retry-After`, a record that cannot be written) for one request.
    pub failures: u32,
    /// From presenting a TXT value to seeing it on every authoritative server.
    pub visible: i64,
    /// From answering a challenge to a final authorization, while the server names no time itself.
    pub validation: i64,
    /// From ready to finalized, while the server names no time itself.
    pub processing: i64,
    /// First pause between two looks; grows by half.
    pub poll_first: i64,
    /// Longest pause between two looks.
    pub poll_longest: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bad_nonces: 10,
            failures: 8,
            visible: 5 * 60_000,
            validation: 10 * 60_000,
            processing: 10 * 60_000,
            poll_first: 1_000,
            poll_longest: 15_000,
        }
    }
}

/// The URLs of a directory that are used (RFC 8555 §7.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// `newNonce`.
    pub new_nonce: String,
    /// `newAccount`.
    pub new_account: String,
    /// `newOrder`.
    pub new_order: String,
}

/// An order as the server last showed it (RFC 8555 §7.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its URL.
    pub url: String,
    /// Its status; [`OrderStatus::Unknown`] until it is read again after a restart.
    pub status: OrderStatus,
    /// Where to send the CSR.
    pub finalize: String,
    /// When the server forgets it.
    pub expires: Option<Instant>,
    /// Where the certificate is, once valid.
    pub certificate: Option<String>,
}

/// Status of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// Not read yet.
    Unknown,
    /// Authorizations are open.
    Pending,
    /// May be finalized.
    Ready,
    /// The certificate is being made.
    Processing,
    /// The certificate is there.
    Valid,
    /// Over without a certificate.
    Invalid,
}

/// An authorization (RFC 8555 §7.1.4) with its DNS-01 challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Its URL.
    pub url: String,
    /// Status; `Unknown` until read.
    pub status: AuthorizationStatus,
    /// The name as ordered, `*.` included; empty until read.
    pub name: String,
    /// URL of the dns-01 challenge; empty until read or when the authorization was valid already.
    pub challenge: String,
    /// The challenge's token.
    pub token: String,
    /// Name of the TXT record set. Apex and wildcard share one.
    pub fqdn: String,
    /// The TXT value.
    pub value: String,
    /// The TXT value is written.
    pub presented: bool,
    /// Every authoritative server answers with the TXT value.
    pub visible: bool,
    /// The server was told to validate.
    pub answered: bool,
    /// Why it is not further, for the status; empty when there is nothing to say.
    pub waiting: String,
}

/// Status of an authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorizationStatus {
    /// Not read yet.
    Unknown,
    /// The challenge is open.
    Pending,
    /// Proven.
    Valid,
}

/// How an order ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The chain as PEM, leaf first.
    Done(String),
    /// Why not.
    Failed(Failure),
}

/// One thing to ask of the outside world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Task {
    /// Read the directory.
    Directory,
    /// Register, or find, the account.
    Account,
    /// Create the order.
    NewOrder,
    /// Read the order.
    Order,
    /// Read this authorization; see [`OrderState::authorization`] for the number.
    Authorization(usize),
    /// Write this authorization's TXT value.
    Present(usize),
    /// Look whether this authorization's TXT value can be seen.
    Visible(usize),
    /// Tell the server to validate this authorization's challenge.
    Challenge(usize),
    /// Send the CSR.
    Finalize,
    /// Download the chain.
    Certificate,
}

/// A task that was begun at least once since it last made progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    /// Which.
    pub task: Task,
    /// Sent, the event is awaited.
    pub under_way: bool,
    /// Not to be sent again before.
    pub not_before: Instant,
    /// First sent.
    pub since: Instant,
    /// Looks that found no progress: sets the pause.
    pub looks: u32,
    /// Failures in a row.
    pub failures: u32,
    /// Rejected nonces in a row.
    pub bad_nonces: u32,
}

impl OrderState {
    /// A new order that has not begun.
    pub fn new(wanted: Wanted, limits: Limits) -> Self {
        Self {
            wanted,
            limits,
            directory: None,
            account: None,
            order: None,
            authorizations: Vec::new(),
            first: 0,
            end: None,
            tracked: Vec::new(),
            presented: Vec::new(),
            restarts: 0,
        }
    }

    /// The order's status as cert-manager's `Order.status.state` has it; empty before there is an order.
    pub fn status(&self) -> &'static str {
        match (&self.end, &self.order) {
            (Some(End::Done(_)), _) => "valid",
            (Some(End::Failed(failure)), _) => failure.reason.order_state(),
            (None, None) => "",
            (None, Some(order)) => match order.status {
                OrderStatus::Unknown | OrderStatus::Pending => "pending",
                OrderStatus::Ready => "ready",
                // The chain is still to be fetched: for a reader the order is not through yet.
                OrderStatus::Processing | OrderStatus::Valid => "processing",
                OrderStatus::Invalid => "invalid",
            },
        }
    }

    /// The authorizations of each TXT record set, by its name.
    pub fn record_sets(&self) -> BTreeMap<&str, Vec<&Authorization>> {
        let mut sets: BTreeMap<&str, Vec<&Authorization>> = BTreeMap::new();
        for one in self.authorizations.iter().filter(|a| !a.fqdn.is_empty()) {
            sets.entry(&one.fqdn).or_default().push(one);
        }
        sets
    }

    /// The authorization that a task's number means, while the order still has it.
    pub fn authorization(&self, number: usize) -> Option<&Authorization> {
        self.authorizations.get(number.checked_sub(self.first)?)
    }

    pub(super) fn authorization_mut(&mut self, number: usize) -> Option<&mut Authorization> {
        self.authorizations.get_mut(number.checked_sub(self.first)?)
    }

    /// A new list under new numbers.
    pub(super) fn set_authorizations(&mut self, list: Vec<Authorization>) {
        self.first += self.authorizations.len();
        self.authorizations = list;
    }

    /// The task's record, made when it is first begun.
    pub(super) fn track(&mut self, task: Task, now: Instant) -> &mut Tracked {
        let at = self.tracked.iter().position(|t| t.task == task).unwrap_or_else(|| {
            self.tracked.push(Tracked {
                task,
                under_way: false,
                not_before: now,
                since: now,
                looks: 0,
                failures: 0,
                bad_nonces: 0,
            });
            self.tracked.len() - 1
        });
        &mut self.tracked[at]
    }

    pub(super) fn untrack(&mut self, task: Task) {
        self.tracked.retain(|t| t.task != task);
    }

    /// Forgets the order and all that hangs on it; what was presented stays noted for cleaning up.
    pub(super) fn forget_order(&mut self) {
        self.order = None;
        self.set_authorizations(Vec::new());
        self.tracked.retain(|t| matches!(t.task, Task::Directory | Task::Account | Task::NewOrder));
    }
}
