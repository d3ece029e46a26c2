//! Certificates of selfSigned and ca issuers.

use portolan_core::certificates::rows::{IssueFailure, IssueWanted, Signer};
use portolan_effects::{sign, store::Write};
use portolan_model::{Instant, Object, input::Secret};

use super::{Driver, Event, OURS, now};

impl Driver {
    pub(super) fn sign(&mut self, wanted: IssueWanted) {
        if self.signing.get(&wanted.key) == Some(&wanted) {
            return;
        }
        self.signing.insert(wanted.key.clone(), wanted.clone());
        let ca = match &wanted.signer {
            Signer::Ca(secret) => self.engine.get::<Secret>(secret),
            Signer::SelfSigned | Signer::Acme(_) => None,
        };
        let present = self.engine.get::<Secret>(&wanted.secret);
        let events = self.events.clone();
        tokio::task::spawn_blocking(move || {
            let result = sign::sign(&wanted, ca.as_deref(), present.as_deref(), now());
            let _ = events.send(Event::Signed(Box::new(wanted), result));
        });
    }

    pub(super) fn signed(&mut self, wanted: &IssueWanted, result: Result<Object, String>) {
        // Only the latest wish counts: a certificate for a request that changed meanwhile is thrown away.
        if self.signing.get(&wanted.key) != Some(wanted) {
            return;
        }
        self.signing.remove(&wanted.key);
        match result {
            Ok(object) => {
                self.engine.remove::<IssueFailure>(&wanted.key);
                self.write_own(vec![Write::Apply(Box::new(object), OURS)]);
            }
            Err(message) => self.issue_failed(wanted, message, None),
        }
        self.facts = true;
    }

    /// Notes a failure, counted while the request stays the same.
    pub(super) fn issue_failed(
        &mut self,
        wanted: &IssueWanted,
        message: String,
        not_before: Option<Instant>,
    ) {
        let earlier = self.engine.get::<IssueFailure>(&wanted.key).filter(|f| f.wanted == *wanted);
        self.engine.put(IssueFailure {
            key: wanted.key.clone(),
            wanted: wanted.clone(),
            message,
            failed_at: now(),
            attempts: earlier.map_or(1, |f| f.attempts.saturating_add(1)),
            not_before,
        });
        self.facts = true;
    }
}
