//! Answers to the API.

use std::sync::Arc;

use portolan_core::{
    gitops::ledger,
    policy::rows::Submitted,
    world::{self, Finding},
};
use portolan_model::{Kind, NamespacedName, ObjectKey, input::Certificate};
use serde_json::{Value, json};

use super::{Driver, now};
use crate::{api, host, objects, status};

impl Driver {
    pub(super) fn status(&self) -> Value {
        let mut substitutions = self.reading.substitutions.clone();
        substitutions.extend(self.cx.acme_substitutions());
        let (run, known) = (&self.run, &self.reading.applications);
        let edits = self.edits();
        let mut status = status::status(&self.cx.engine, &self.cx.store, run, &substitutions, known, &edits);
        let problems = self.cx.engine.rows::<Finding>().map(|row| &row.problem);
        let objects = ledger::objects(self.cx.store.list().map(|stored| &stored.object), problems);
        let entries = self.reading.ledger.iter().cloned().chain(ledger::gather(objects));
        status["ledger"] = entries.map(|entry| json!(entry)).collect();
        if self.is_starting() {
            status["starting"] = true.into();
        }
        status
    }

    /// What the repository wants otherwise, and the store has not taken.
    fn edits(&self) -> Vec<status::edits::Edit> {
        let (unjudged, refused) = (&self.reading.unjudged, &self.reading.edits);
        status::edits::of(&self.cx.engine, &self.cx.store, unjudged, refused)
    }

    pub(super) fn answer(&mut self, what: api::What) -> Result<Value, String> {
        let asks = !matches!(what, api::What::Status | api::What::Metrics | api::What::Down);
        if asks && self.is_starting() {
            return Err("the instance is still starting: it reads the repository; try again".to_owned());
        }
        match what {
            api::What::Status => Ok(self.status()),
            api::What::Explain(asked) => {
                status::explain(&self.cx.engine, &self.cx.store, &self.edits(), &host::asked(&asked)?)
            }
            api::What::Objects(query) => objects::find(&self.cx.store, &query),
            api::What::Metrics => Ok(json!({"text": self.metrics()})),
            api::What::Down => Ok(json!({"message": "stopping"})),
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
                    .ok_or_else(|| format!("Certificate {key} does not exist"))?;
                self.forgive(&certificate);
                let wanted = Certificate { renew_at: Some(now()), ..(*certificate).clone() };
                // Until the object is edited.
                let object =
                    ObjectKey { kind: Kind::new("cert-manager.io", "Certificate"), name: key.clone() };
                world::amend(&mut self.cx.engine, &object, Submitted(Arc::new(wanted)));
                self.cx.facts = true;
                Ok(json!({"message": format!("Certificate {key} is being renewed")}))
            }
        }
    }
}
