//! Keeps the CA under xDS ([`private_ca`]) in a Secret of our namespace. Any replica may make or renew it: what is written is bound to
//! what was seen, so of two that try one is told to look again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_effects::private_ca::{Kept, Shown};
use portolan_kubernetes::{Api, Failure, backoff::Backoff};
use portolan_model::{Instant, Name, Redacted};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::super::{Told, leader::Place};
use crate::{driver::Event, effects::now};

/// How often it is looked whether it is another.
const LOOK: Duration = Duration::from_mins(1);
/// Waits after a failure.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

/// Keeps it.
pub struct Authority {
    /// Where the Secret is asked for.
    pub api: Api,
    /// Its place.
    pub place: Place,
    /// Names of this server, for its certificate.
    pub names: Vec<String>,
    /// What is shown to Envoys.
    pub shown: Arc<Shown>,
    /// Whether the Secret may be written: who only observes writes nothing.
    pub acts: watch::Receiver<bool>,
    /// Who is told of what is to be trusted.
    pub events: mpsc::UnboundedSender<Event>,
}

/// What was done last.
#[derive(Default)]
struct Done {
    kept: Option<Kept>,
    renewal: Option<Instant>,
}

impl Authority {
    /// Until nobody listens any more.
    pub async fn keep(mut self) {
        let mut done = Done::default();
        let mut backoff = Backoff::new(WAITS[0], WAITS[1]);
        let mut told: Option<Option<String>> = None;
        // Whether it may write is known in a moment.
        let _ = tokio::time::timeout(WAITS[0], self.acts.wait_for(|acts| *acts)).await;
        loop {
            let failure = match self.round(&mut done).await {
                Ok(()) => None,
                // Another was quicker.
                Err(Trouble::Api(Failure::Conflict(_))) => continue,
                Err(trouble) => Some(trouble.to_string()),
            };
            if told.as_ref() != Some(&failure) {
                told = Some(failure.clone());
                let bundle = done.kept.as_ref().map(Kept::bundle);
                if self.events.send(Event::Cluster(Told::Trust { bundle, failure: failure.clone() })).is_err()
                {
                    return;
                }
            }
            if failure.is_some() {
                tokio::select! {
                    () = backoff.wait(None) => {}
                    _ = self.acts.changed() => {}
                }
            } else {
                backoff.reset();
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.place.namespace)
    }

    /// Looks at the Secret, makes or renews what is due, and shows a certificate of it.
    async fn round(&mut self, done: &mut Done) -> Result<(), Trouble> {
        let (all, now) = (self.path(), now());
        let path = format!("{all}/{}", self.place.name);
        let acts = *self.acts.borrow_and_update();
        let kept = match self.api.get(&path).await {
            Ok(json) => {
                let kept = Kept::read(&read(&json)).map_err(|why| Trouble::Damaged(why.to_string()))?;
                match kept.due(now).map_err(Trouble::made)?.filter(|_| acts) {
                    None => kept,
                    Some(next) => {
                        let body = self.body(&next, json["metadata"]["resourceVersion"].clone())?;
                        self.api.replace(&path, &body).await?;
                        tracing::info!("the CA under xDS was renewed");
                        next
                    }
                }
            }
            Err(Failure::NotFound(_)) if acts => {
                let made = Kept::generate(now).map_err(Trouble::made)?;
                self.api.create(&all, &self.body(&made, Value::Null)?).await?;
                tracing::info!("a CA under xDS was made");
                made
            }
            Err(Failure::NotFound(_)) => return Err(Trouble::Absent),
            Err(failure) => return Err(failure.into()),
        };
        let same = done.kept.as_ref().is_some_and(|before| before.signs_as(&kept));
        if !same || done.renewal.is_none_or(|renewal| renewal <= now) {
            let leaf = kept.leaf(&self.names, now).map_err(Trouble::made)?;
            done.renewal = Some(leaf.renewal);
            self.shown.show(leaf).map_err(|why| Trouble::Made(why.to_string()))?;
        }
        let other = done.kept.as_ref().is_none_or(|before| before.bundle() != kept.bundle());
        if other {
            let told = Told::Trust { bundle: Some(kept.bundle()), failure: None };
            let _ = self.events.send(Event::Cluster(told));
        }
        done.kept = Some(kept);
        Ok(())
    }

    fn body(&self, kept: &Kept, version: Value) -> Result<Value, Trouble> {
        let data = kept.write().map_err(Trouble::made)?;
        let data: BTreeMap<&str, String> =
            data.iter().map(|(key, value)| (&**key, STANDARD.encode(value.expose()))).collect();
        let mut body = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": self.place.name, "namespace": self.place.namespace,
                "labels": {"app.kubernetes.io/managed-by": "portolan", "app.kubernetes.io/component": "xds"},
            },
            "data": data,
        });
        if !version.is_null() {
            body["metadata"]["resourceVersion"] = version;
        }
        Ok(body)
    }
}

/// The data of a Secret; what is no base64 is left out, and missed by whoever reads it.
fn read(json: &Value) -> BTreeMap<Name, Redacted> {
    let data = json["data"].as_object().into_iter().flatten();
    data.filter_map(|(key, value)| {
        let value = STANDARD.decode(value.as_str()?).ok()?;
        Some((key.as_str().into(), Redacted::new(value)))
    })
    .collect()
}

/// Why there is no certificate to show. Nothing of it holds key material.
#[derive(Debug)]
enum Trouble {
    Api(Failure),
    Damaged(String),
    Absent,
    Made(String),
}

impl Trouble {
    fn made(why: impl std::fmt::Display) -> Self {
        Self::Made(why.to_string())
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Api(failure)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Api(failure) => write!(f, "it cannot be read or written: {failure}"),
            Self::Damaged(why) => write!(f, "what it holds is no CA: {why}"),
            Self::Absent => f.write_str("it is not there, and who only observes makes none"),
            Self::Made(why) => write!(f, "no certificate can be made of it: {why}"),
        }
    }
}
