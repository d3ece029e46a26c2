//! Certificates of selfSigned and ca issuers.

use std::sync::Arc;

use portolan_core::certificates::rows::{IssueFailure, IssueWanted, Signer, TemplateWanted};
use portolan_effects::{sign, store::Write};
use portolan_engine::Changes;
use portolan_model::{Code, Instant, Object, ObjectKey, input::Secret};
use serde_json::json;

use super::{Driver, Event, OURS, now};

impl Driver {
    /// Begins what is newly wished for, and gives up what no longer is.
    pub(super) fn follow_issues(&mut self, step: &Changes) {
        let wishes: Vec<_> =
            step.of::<IssueWanted>().iter().map(|c| (c.key.clone(), c.after.clone())).collect();
        for (certificate, wanted) in wishes {
            if let Some(wanted) = wanted {
                self.sign(IssueWanted::clone(&wanted));
            } else {
                self.signing.remove(&certificate);
                self.give_up(&certificate);
            }
        }
    }

    /// Annotations and labels of issued Secrets follow the template.
    pub(super) fn follow_templates(&mut self, step: &Changes) {
        let wanted: Vec<_> = step.of::<TemplateWanted>().iter().filter_map(|c| c.after.clone()).collect();
        let mut writes = Vec::new();
        for row in wanted {
            let key = ObjectKey::new("", "Secret", row.key.namespace.clone(), row.key.name.clone());
            let Some(stored) = self.store.get(&key).filter(|stored| stored.manager == OURS) else { continue };
            let mut object = stored.object.clone();
            let json = Arc::make_mut(&mut object.json);
            json["metadata"]["annotations"] = json!(row.annotations);
            json["metadata"]["labels"] = json!(row.labels);
            writes.push(Write::Apply(Box::new(object), OURS));
        }
        if !writes.is_empty() {
            self.write_own(writes);
        }
    }

    pub(super) fn sign(&mut self, wanted: IssueWanted) {
        if self.signing.get(&wanted.key) == Some(&wanted) {
            return;
        }
        self.signing.insert(wanted.key.clone(), wanted.clone());
        if matches!(wanted.signer, Signer::Acme(_)) {
            self.order(wanted);
            return;
        }
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
        self.order_ended(&wanted.key);
        match result {
            Ok(object) => {
                let problem = self.write(vec![Write::Apply(Box::new(object), OURS)]).into_iter().next();
                match problem {
                    None => self.engine.remove::<IssueFailure>(&wanted.key),
                    // Not kept, so it counts as not made: the wish stands and is tried again.
                    Some(problem) => self.issue_failed(wanted, problem.code, problem.message, None),
                }
            }
            Err(message) => self.issue_failed(wanted, Code(312), message, None),
        }
        self.facts = true;
    }

    /// Notes a failure, counted while the request stays the same.
    pub(super) fn issue_failed(
        &mut self,
        wanted: &IssueWanted,
        code: Code,
        message: String,
        not_before: Option<Instant>,
    ) {
        let earlier = self.engine.get::<IssueFailure>(&wanted.key).filter(|f| f.wanted == *wanted);
        self.engine.put(IssueFailure {
            key: wanted.key.clone(),
            wanted: wanted.clone(),
            code,
            message,
            failed_at: now(),
            attempts: earlier.map_or(1, |f| f.attempts.saturating_add(1)),
            not_before,
        });
        self.facts = true;
    }
}
