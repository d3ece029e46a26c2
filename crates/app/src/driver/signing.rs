//! Certificates of selfSigned and ca issuers.

use portolan_core::certificates::rows::{IssueFailure, IssueWanted, Signer};
use portolan_effects::{sign, store::Write};
use portolan_model::{Object, input::Secret};

use super::{Driver, Event, OURS, now};

impl Driver {
    pub(super) fn sign(&mut self, wanted: IssueWanted) {
        if self.signing.get(&wanted.key) == Some(&wanted) {
            return;
        }
        self.signing.insert(wanted.key.clone(), wanted.clone());
        let ca = match &wanted.signer {
            Signer::SelfSigned => None,
            Signer::Ca(secret) => self.engine.get::<Secret>(secret),
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
            Err(message) => {
                let retry_at = now().plus_millis(60_000);
                self.engine.put(IssueFailure {
                    key: wanted.key.clone(),
                    wanted: wanted.clone(),
                    message,
                    retry_at,
                });
            }
        }
        self.facts = true;
    }
}
