//! Certificates of selfSigned and ca issuers.

use std::sync::Arc;

use portolan_core::certificates::rows::{
    Issuance, IssuanceKey, IssueFailure, IssueWanted, OrderProgress, Outcome, Signer, TemplateWanted,
};
use portolan_effects::{
    issue::{Issued, PrivateKey, request_pem},
    sign,
    store::Write,
};
use portolan_engine::Changes;
use portolan_model::{Code, Instant, Object, ObjectKey, input::Secret};

use super::{Driver, Event, OURS, now};

/// A certificate that was made.
pub struct Made {
    secret: Object,
    issued: Issued,
}

/// A certificate that is being made.
pub struct Signing {
    pub wanted: Arc<IssueWanted>,
    /// The request, PEM, once it is made. Kept here too: a fact that was put cannot be read back before the next step.
    request: Option<String>,
}

impl Made {
    /// The Secret for it, which holds the key.
    pub(super) fn new(wanted: &IssueWanted, issued: Issued, key: &PrivateKey) -> Result<Box<Self>, String> {
        let secret = sign::secret(wanted, &issued, key, now())?;
        Ok(Box::new(Self { secret, issued }))
    }
}

impl Driver {
    /// Begins what is newly wanted, and gives up what no longer is.
    pub(super) fn follow_issues(&mut self, step: &Changes) {
        let all_wanted: Vec<_> =
            step.of::<IssueWanted>().iter().map(|c| (c.key.clone(), c.after.clone())).collect();
        for (certificate, wanted) in all_wanted {
            if let Some(wanted) = wanted {
                self.sign(wanted);
            } else {
                if let Some(given_up) = self.signing.remove(&certificate) {
                    self.forget(&(certificate.clone(), given_up.wanted.revision));
                }
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
            let Some(present) = self.engine.get::<Secret>(&row.key) else { continue };
            let mut object = stored.object.clone();
            let mut followed = Ok(());
            object.json.edit(|json| followed = sign::follow(json, &row, &present, now()));
            if let Err(error) = followed {
                tracing::error!(secret = %row.key, %error, "the Secret does not follow its Certificate");
                continue;
            }
            writes.push(Write::Apply(Box::new(object), OURS));
        }
        if !writes.is_empty() {
            self.write_own(writes);
        }
    }

    pub(super) fn sign(&mut self, wanted: Arc<IssueWanted>) {
        if self.signing.get(&wanted.key).is_some_and(|signing| signing.wanted == wanted) {
            return;
        }
        let signing = Signing { wanted: Arc::clone(&wanted), request: None };
        self.signing.insert(wanted.key.clone(), signing);
        // What an earlier attempt at this revision left.
        self.forget(&(wanted.key.clone(), wanted.revision));
        if let Some(why) = self.in_place_of_a_ca(&wanted) {
            if let Some(signing) = self.signing.remove(&wanted.key) {
                self.issue_failed(&signing, Code(312), why, None);
            }
            return;
        }
        if matches!(wanted.signer, Signer::Acme(_)) {
            self.order(&wanted);
            return;
        }
        let ca = match &wanted.signer {
            Signer::Ca(secret) => self.engine.get::<Secret>(secret),
            Signer::SelfSigned | Signer::Acme(_) | Signer::Temporary => None,
        };
        let present = self.engine.get::<Secret>(&wanted.secret);
        let events = self.events.clone();
        tokio::task::spawn_blocking(move || {
            let result = sign::prepare(&wanted, present.as_deref()).and_then(|prepared| {
                let own = Box::new((*wanted).clone());
                let _ = events.send(Event::Requested(own, request_pem(&prepared.request)));
                let issued = sign::sign(&wanted, ca.as_deref(), &prepared.key, now())?;
                Made::new(&wanted, issued, &prepared.key)
            });
            let _ = events.send(Event::Signed(Box::new((*wanted).clone()), result));
        });
    }

    pub(super) fn forget(&mut self, issuance: &IssuanceKey) {
        self.engine.remove::<Issuance>(issuance);
        self.engine.remove::<OrderProgress>(issuance);
        self.facts = true;
    }

    /// The key is made and the request signed: what is asked of the issuer can be shown.
    pub(super) fn requested(&mut self, wanted: &IssueWanted, request: String) {
        let signing = self.signing.get_mut(&wanted.key).filter(|signing| *signing.wanted == *wanted);
        let Some(signing) = signing else { return };
        signing.request = Some(request.clone());
        let (key, wanted) = ((wanted.key.clone(), wanted.revision), Arc::clone(&signing.wanted));
        self.engine.put(Issuance { key, wanted, request, outcome: Outcome::Pending });
        self.facts = true;
    }

    /// Takes out what has ended. Only the latest request counts: what was made for a request that changed meanwhile is thrown
    /// away.
    pub(super) fn end_signing(&mut self, wanted: &IssueWanted) -> Option<Signing> {
        if *self.signing.get(&wanted.key)?.wanted != *wanted {
            return None;
        }
        self.signing.remove(&wanted.key)
    }

    pub(super) fn signed(&mut self, wanted: &IssueWanted, result: Result<Box<Made>, String>) {
        let Some(signing) = self.end_signing(wanted) else { return };
        self.give_up(&wanted.key);
        match result {
            Ok(made) => {
                let problem = self.write(vec![Write::Apply(Box::new(made.secret), OURS)]).into_iter().next();
                match problem {
                    None => {
                        self.engine.remove::<IssueFailure>(&wanted.key);
                        let (certificate, ca) = (made.issued.chain, made.issued.ca);
                        self.came_of(&signing, Outcome::Issued { certificate, ca });
                    }
                    // Not kept, so it counts as not made: the request stands and is tried again.
                    Some(problem) => self.issue_failed(&signing, problem.code, problem.message, None),
                }
            }
            Err(message) => self.issue_failed(&signing, Code(312), message, None),
        }
        self.facts = true;
    }

    /// Notes what came of an issuance whose request was made.
    fn came_of(&mut self, signing: &Signing, outcome: Outcome) {
        if let Some(request) = signing.request.clone() {
            let wanted = Arc::clone(&signing.wanted);
            let key = (wanted.key.clone(), wanted.revision);
            self.engine.put(Issuance { key, wanted, request, outcome });
        }
    }

    /// What was issued and could not be kept is issued again, now that the store can be written.
    pub(super) fn issue_again(&mut self) {
        let unkept: Vec<_> = self
            .engine
            .rows::<IssueFailure>()
            .filter(|failure| failure.code == Code(102))
            .map(|failure| failure.key.clone())
            .collect();
        for key in unkept {
            self.engine.remove::<IssueFailure>(&key);
            self.facts = true;
        }
        self.make_temporaries_again();
    }

    /// Notes a failure, counted while the request stays the same.
    pub(super) fn issue_failed(
        &mut self,
        signing: &Signing,
        code: Code,
        message: String,
        not_before: Option<Instant>,
    ) {
        let (at, wanted) = (now(), &signing.wanted);
        self.came_of(signing, Outcome::Failed { message: message.clone(), at });
        let earlier = self.engine.get::<IssueFailure>(&wanted.key).filter(|f| f.wanted == **wanted);
        self.engine.put(IssueFailure {
            key: wanted.key.clone(),
            wanted: (**wanted).clone(),
            code,
            message,
            failed_at: at,
            attempts: earlier.map_or(1, |f| f.attempts.saturating_add(1)),
            not_before,
        });
        self.facts = true;
    }
}
