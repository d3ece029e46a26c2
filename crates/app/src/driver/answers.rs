//! Answers to the API.

use std::sync::Arc;

use portolan_core::{
    gitops::ledger,
    policy::rows::Submitted,
    world::{self, Finding},
};
use portolan_model::{Kind, NamespacedName, ObjectKey, input::Certificate};
use serde_json::{Value, json};

use super::{Driver, now, source::Source};
use crate::{api, host, objects, status};

impl<S: Source> Driver<S> {
    pub(super) fn answer(&mut self, what: api::What) -> Result<Value, String> {
        let asks =
            !matches!(what, api::What::Status | api::What::Metrics | api::What::Ready | api::What::Down);
        if asks && S::is_starting(self) {
            return Err("the instance is still starting: it reads the repository; try again".to_owned());
        }
        match what {
            api::What::Status => Ok(S::status(self)),
            api::What::Explain(asked) => {
                let (asked, edits) = (host::asked(&asked)?, S::edits(self));
                Ok(status::explain(&self.cx.engine, &self.cx.store, &edits, &asked))
            }
            api::What::Objects(query) => objects::find(&self.cx.store, &query),
            api::What::Namespaces => Ok(objects::namespaces(&self.cx.store)),
            api::What::Metrics => Ok(json!({"text": self.metrics()})),
            api::What::Ready if S::is_starting(self) => Err("not ready".to_owned()),
            api::What::Ready => Ok(json!({"message": "ready"})),
            api::What::Down => Ok(json!({"message": "stopping"})),
            what @ (api::What::Prune(_) | api::What::Renew(_)) => S::change(self, what),
        }
    }
}

impl Driver {
    pub(super) fn status(&mut self) -> Value {
        let mut substitutions = self.source.reading.substitutions.clone();
        substitutions.extend(self.cx.acme_substitutions());
        let (run, known) = (&self.run, &self.source.reading.applications);
        let edits = self.edits();
        let mut status = status::status(&self.cx.engine, &self.cx.store, run, &substitutions, known, &edits);
        let problems = self.cx.engine.rows::<Finding>().map(|row| &row.problem);
        let objects = ledger::objects(self.cx.store.list().map(|stored| &stored.object), problems);
        let mut entries = self.source.reading.ledger.clone();
        entries.extend(ledger::gather(objects));
        entries.extend(self.cx.parts.entries());
        entries.sort_by(|a, b| (a.fate, &a.of, &a.why).cmp(&(b.fate, &b.of, &b.why)));
        status["ledger"] = json!(entries);
        if self.is_starting() {
            status["starting"] = true.into();
        }
        status
    }

    /// What the repository wants otherwise, and the store has not taken.
    pub(super) fn edits(&self) -> Vec<status::edits::Edit> {
        let (unjudged, refused) = (&self.source.reading.unjudged, &self.source.reading.edits);
        status::edits::of(&self.cx.engine, &self.cx.store, unjudged, refused)
    }

    /// Does what changes something.
    pub(super) fn change(&mut self, what: api::What) -> Result<Value, String> {
        match what {
            api::What::Prune(asked) => {
                let count = self.prune(&asked)?;
                let objects = if count == 1 { "object goes" } else { "objects go" };
                Ok(
                    json!({"message": format!("{count} {objects} that the repository does not bring any more")}),
                )
            }
            api::What::Renew(name) => {
                let (namespace, name) = name.split_once('/').unwrap_or(("", &name));
                let key = NamespacedName::new(namespace, name);
                let certificate = self
                    .cx
                    .engine
                    .get::<Certificate>(&key)
                    .ok_or_else(|| objects::missing(&self.cx.store, "Certificate", &key))?;
                self.forgive(&certificate);
                let wanted = Certificate { renew_at: Some(now()), ..(*certificate).clone() };
                // Until the object is edited.
                let object =
                    ObjectKey { kind: Kind::new("cert-manager.io", "Certificate"), name: key.clone() };
                world::amend(&mut self.cx.engine, &object, Submitted(Arc::new(wanted)));
                self.cx.facts = true;
                Ok(json!({"message": format!("Certificate {key} is being renewed")}))
            }
            _ => Err("nothing is changed by that".to_owned()),
        }
    }
}
