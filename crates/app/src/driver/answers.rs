//! Answers to the API.

use std::sync::Arc;

use portolan_core::{
    policy::rows::Submitted,
    status::rows::{EntryPoint, State},
    world,
};
use portolan_model::{NamespacedName, input::Certificate};
use serde_json::{Value, json};

use super::{Driver, now};
use crate::{api, objects, status};

impl Driver {
    pub(super) fn status(&self) -> Value {
        let mut substitutions = self.reading.substitutions.clone();
        substitutions.extend(self.acme_substitutions());
        status::status(&self.engine, &self.store, &self.run, &substitutions, &self.reading.applications)
    }

    pub(super) fn answer(&mut self, what: api::What) -> Result<Value, String> {
        match what {
            api::What::Status => Ok(self.status()),
            api::What::Explain(host) => status::explain(&self.engine, &self.store, &host)
                .ok_or_else(|| format!("no route asks for {host}; hostnames are listed by: portolan status")),
            api::What::Objects(query) => objects::find(&self.store, &query),
            api::What::Metrics => Ok(json!({"text": self.metrics()})),
            api::What::Down => Ok(json!({"message": "stopping"})),
            api::What::Renew(name) => {
                let (namespace, name) = name.split_once('/').unwrap_or(("", &name));
                let key = NamespacedName::new(namespace, name);
                let certificate = self
                    .engine
                    .get::<Certificate>(&key)
                    .ok_or_else(|| format!("Certificate {key} does not exist"))?;
                let wanted = Certificate { renew_at: Some(now()), ..(*certificate).clone() };
                self.engine.put(Submitted(Arc::new(wanted)));
                self.facts = true;
                Ok(json!({"message": format!("Certificate {key} is being renewed")}))
            }
        }
    }

    pub(super) fn metrics(&self) -> String {
        use prometheus_client::{encoding::text::encode, metrics::gauge::Gauge, registry::Registry};
        let mut registry = Registry::with_prefix("portolan");
        let mut gauge = |name: &str, help: &str, value: u64| {
            let made: Gauge = Gauge::default();
            made.set(i64::try_from(value).unwrap_or(i64::MAX));
            registry.register(name, help, made);
        };
        let count =
            |state: State| self.engine.rows::<EntryPoint>().filter(|e| e.state == state).count() as u64;
        gauge("entry_points_live", "Hostnames that answer", count(State::Live));
        gauge("entry_points_pending", "Hostnames on their way", count(State::Pending));
        gauge("entry_points_refused", "Hostnames that need an edit", count(State::Refused));
        gauge("findings", "Problems", self.engine.rows::<world::Finding>().count() as u64);
        gauge("engine_steps", "Steps since start", self.steps);
        gauge("engine_rule_runs", "Rule runs since start", self.runs);
        let mut text = String::new();
        let _ = encode(&mut text, &registry);
        text
    }
}
