//! Accounts and orders, in bounded numbers: the oldest goes for a new one.

use std::collections::{HashMap, VecDeque};

use portolan_model::Instant;
use serde_json::{Value, json};

use super::{nonces::random, problem::Problem};
use crate::acme::Jwk;

/// Most accounts and orders that are remembered. An order with its chain takes some 6 kB.
const MOST: usize = 512;

/// Rows under random names, the oldest given up first.
pub(super) struct Shelf<T> {
    rows: HashMap<String, T>,
    order: VecDeque<String>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { rows: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T> Shelf<T> {
    pub(super) fn add(&mut self, row: T) -> Option<String> {
        let id = random(16)?;
        while self.order.len() >= MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.rows.remove(&oldest);
            }
        }
        self.order.push_back(id.clone());
        self.rows.insert(id.clone(), row);
        Some(id)
    }

    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(id)
    }

    pub(super) fn find(&self, mut is: impl FnMut(&T) -> bool) -> Option<(&str, &T)> {
        self.rows.iter().find(|(_, row)| is(row)).map(|(id, row)| (id.as_str(), row))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.rows.values()
    }
}

/// An account.
pub(super) struct Account {
    pub(super) key: Jwk,
    pub(super) contact: Vec<String>,
    pub(super) deactivated: bool,
}

impl Account {
    pub(super) fn json(&self) -> Value {
        let status = if self.deactivated { "deactivated" } else { "valid" };
        json!({ "status": status, "contact": self.contact })
    }
}

/// An order.
pub(super) struct Order {
    /// Name of its account on the shelf.
    pub(super) account: String,
    /// As ordered, `*.` included; sorted.
    pub(super) names: Vec<String>,
    pub(super) made: Instant,
    pub(super) expires: Instant,
    /// One a name, in their order.
    pub(super) authorizations: Vec<Authorization>,
    /// Leaf and intermediate, once issued.
    pub(super) chain: Option<String>,
}

/// Proof that the account controls a name, by one DNS-01 challenge.
pub(super) struct Authorization {
    pub(super) token: String,
    pub(super) state: Proof,
}

/// How far the proof is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Proof {
    /// The client has not asked for validation.
    Pending,
    /// The resolvers are being asked.
    Processing,
    /// Proven.
    Valid(Instant),
    /// Not proven; an authorization has one try only.
    Invalid(Problem),
    /// The client does not want it any more.
    Deactivated,
}

impl Order {
    pub(super) fn status(&self, now: Instant) -> &'static str {
        let dead = |one: &Authorization| matches!(one.state, Proof::Invalid(_) | Proof::Deactivated);
        if self.chain.is_some() {
            "valid"
        } else if self.expires <= now || self.authorizations.iter().any(dead) {
            "invalid"
        } else if self.authorizations.iter().all(|one| matches!(one.state, Proof::Valid(_))) {
            "ready"
        } else {
            "pending"
        }
    }

    /// RFC 8555 §7.1.3.
    pub(super) fn json(&self, id: &str, base: &str, now: Instant) -> Value {
        let names = self.names.iter().map(|name| json!({ "type": "dns", "value": name }));
        let urls = (0..self.names.len()).map(|at| format!("{base}/authorization/{id}/{at}"));
        let mut json = json!({
            "status": self.status(now),
            "expires": self.expires.rfc3339(),
            "identifiers": names.collect::<Vec<_>>(),
            "authorizations": urls.collect::<Vec<_>>(),
            "finalize": format!("{base}/order/{id}/finalize"),
        });
        if self.chain.is_some() {
            json["certificate"] = format!("{base}/certificate/{id}").into();
        }
        let failed = self.authorizations.iter().find_map(|one| match &one.state {
            Proof::Invalid(problem) => Some(problem.json()),
            _ => None,
        });
        if let Some(problem) = failed {
            json["error"] = problem;
        }
        json
    }

    /// RFC 8555 §7.1.4.
    pub(super) fn authorization_json(&self, id: &str, at: usize, base: &str, now: Instant) -> Option<Value> {
        let (one, name) = (self.authorizations.get(at)?, self.names.get(at)?);
        let status = match &one.state {
            Proof::Pending | Proof::Processing if self.expires <= now => "expired",
            Proof::Pending | Proof::Processing => "pending",
            Proof::Valid(_) => "valid",
            Proof::Invalid(_) => "invalid",
            Proof::Deactivated => "deactivated",
        };
        let mut json = json!({
            "status": status,
            "expires": self.expires.rfc3339(),
            "identifier": { "type": "dns", "value": name.strip_prefix("*.").unwrap_or(name) },
            "challenges": [self.challenge_json(id, at, base)?],
        });
        if name.starts_with("*.") {
            json["wildcard"] = true.into();
        }
        Some(json)
    }

    /// RFC 8555 §7.1.5, §8.
    pub(super) fn challenge_json(&self, id: &str, at: usize, base: &str) -> Option<Value> {
        let one = self.authorizations.get(at)?;
        let status = match &one.state {
            Proof::Pending => "pending",
            Proof::Processing => "processing",
            Proof::Valid(_) => "valid",
            Proof::Invalid(_) | Proof::Deactivated => "invalid",
        };
        let mut json = json!({
            "type": "dns-01",
            "url": format!("{base}/challenge/{id}/{at}"),
            "status": status,
            "token": one.token,
        });
        match &one.state {
            Proof::Valid(at) => json["validated"] = at.rfc3339().into(),
            Proof::Invalid(problem) => json["error"] = problem.json(),
            _ => {}
        }
        Some(json)
    }
}

/// Everything that is remembered.
#[derive(Default)]
pub(super) struct Book {
    pub(super) accounts: Shelf<Account>,
    pub(super) orders: Shelf<Order>,
}

impl Book {
    /// An order of that account; others may not even know that it exists.
    pub(super) fn order_of(&mut self, id: &str, account: &str) -> Result<&mut Order, Problem> {
        let order = self.orders.get_mut(id).filter(|order| order.account == account);
        order.ok_or_else(|| Problem::not_found("order"))
    }
}
