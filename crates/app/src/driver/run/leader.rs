//! Asking for the Lease, and giving it back at the end. What is asked for is decided in `core::lease`.

use std::time::Duration;

use portolan_core::lease::{Election, Lease, Terms};
use portolan_kubernetes::{Api, Failure};
use portolan_model::{Instant, Name};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::{Event, Told};
use crate::effects::now;

/// Longest wait for an answer: a renewal that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the Lease is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its namespace and name.
    pub namespace: Name,
    /// See [`Self::namespace`].
    pub name: Name,
}

impl Place {
    fn all(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.namespace)
    }

    fn path(&self) -> String {
        format!("{}/{}", self.all(), self.name)
    }
}

/// Who writes, as far as this replica knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// This one does.
    pub leads: bool,
    /// Who stands in the Lease.
    pub holder: Option<Name>,
    /// Why it cannot be asked for.
    pub failure: Option<String>,
}

/// Takes part until it is told to stop; then gives the Lease back, if it is ours.
pub struct Candidate {
    stop: oneshot::Sender<oneshot::Sender<()>>,
}

impl Candidate {
    /// Begins.
    pub fn start(
        api: Api,
        place: Place,
        me: Name,
        terms: Terms,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(take_part(api, place, Election::new(me, terms), terms, events, stopped));
        Self { stop }
    }

    /// Gives up; resolves when the Lease is given back.
    pub async fn stop(self) {
        let (done, finished) = oneshot::channel();
        if self.stop.send(done).is_ok() {
            let _ = finished.await;
        }
    }
}

async fn take_part(
    api: Api,
    place: Place,
    mut election: Election,
    terms: Terms,
    events: mpsc::UnboundedSender<Event>,
    mut stopped: oneshot::Receiver<oneshot::Sender<()>>,
) {
    let begun = tokio::time::Instant::now();
    let mut told = None;
    let mut version = Value::Null;
    let mut failure: Option<String> = None;
    loop {
        let at = begun.elapsed();
        failure = match round(&api, &place, &mut election, &mut version, begun).await {
            Ok(()) => None,
            // Another was quicker, or somebody touched it: it is looked at again soon.
            Err(Failure::Conflict(_)) => failure,
            Err(why) => Some(why.to_string()),
        };
        let next = at + terms.retry;
        loop {
            let present = begun.elapsed();
            let standing = Standing {
                leads: election.leads(present),
                holder: election.holder().cloned(),
                failure: failure.clone(),
            };
            if told.as_ref() != Some(&standing) {
                told = Some(standing.clone());
                if events.send(Event::Cluster(Told::Lease(standing))).is_err() {
                    return;
                }
            }
            // When it is not ours any more is noticed at that moment, and not at the next look.
            let over = election.until().filter(|over| present < *over && *over < next);
            let wake = begun + over.unwrap_or(next);
            tokio::select! {
                done = &mut stopped => {
                    if let Some(lease) = election.released(now()) {
                        let body = body(&place, &lease, &version);
                        let given = tokio::time::timeout(PATIENCE, api.replace(&place.path(), &body)).await;
                        if !matches!(given, Ok(Ok(_))) {
                            tracing::warn!("the Lease could not be given back: another replica takes it when it is over");
                        }
                    }
                    if let Ok(done) = done {
                        let _ = done.send(());
                    }
                    return;
                }
                () = tokio::time::sleep_until(wake) => if over.is_none() { break },
            }
        }
    }
}

/// Looks at the Lease, and takes or renews it where that is due.
async fn round(
    api: &Api,
    place: &Place,
    election: &mut Election,
    version: &mut Value,
    begun: tokio::time::Instant,
) -> Result<(), Failure> {
    let late = |_| Failure::Unanswered(format!("nothing came within {} s", PATIENCE.as_secs()).into());
    let found = tokio::time::timeout(PATIENCE, api.get(&place.path())).await.map_err(late)?;
    let found = match found {
        Ok(json) => Some(json),
        Err(Failure::NotFound(_)) => None,
        Err(failure) => return Err(failure),
    };
    *version = found.as_ref().map_or(Value::Null, |json| json["metadata"]["resourceVersion"].clone());
    let at = begun.elapsed();
    let Some(next) = election.saw(found.as_ref().map(read), at, now()) else { return Ok(()) };
    let body = body(place, &next, version);
    let written = async {
        match found {
            Some(_) => api.replace(&place.path(), &body).await,
            None => api.create(&place.all(), &body).await,
        }
    };
    let answer = tokio::time::timeout(PATIENCE, written).await.map_err(late)??;
    *version = answer.json["metadata"]["resourceVersion"].clone();
    election.wrote(next, at);
    Ok(())
}

/// What stands in a Lease. What is missing or wrong in it is as if it were not there: nobody holds what names nobody.
fn read(json: &Value) -> Lease {
    let spec = &json["spec"];
    let time = |field: &str| spec[field].as_str().and_then(Instant::parse).unwrap_or(Instant(0));
    let number = |field: &str| spec[field].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    Lease {
        holder: spec["holderIdentity"].as_str().unwrap_or_default().into(),
        seconds: number("leaseDurationSeconds"),
        acquired: time("acquireTime"),
        renewed: time("renewTime"),
        transitions: number("leaseTransitions"),
    }
}

/// The object, bound to the version that was seen.
fn body(place: &Place, lease: &Lease, version: &Value) -> Value {
    let micro = |at: Instant| format!("{:.6}", at.timestamp());
    let mut body = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": place.name, "namespace": place.namespace},
        "spec": {
            "holderIdentity": lease.holder, "leaseDurationSeconds": lease.seconds,
            "acquireTime": micro(lease.acquired), "renewTime": micro(lease.renewed),
            "leaseTransitions": lease.transitions,
        },
    });
    if !version.is_null() {
        body["metadata"]["resourceVersion"] = version.clone();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let place = Place { namespace: "portolan-system".into(), name: "portolan".into() };
        let lease = Lease {
            holder: "a".into(),
            seconds: 15,
            acquired: Instant(1_700_000_000_250),
            renewed: Instant(1_700_000_009_500),
            transitions: 2,
        };
        let body = body(&place, &lease, &"12".into());
        assert_eq!(body["spec"]["renewTime"], "2023-11-14T22:13:29.500000Z");
        assert_eq!(body["metadata"]["resourceVersion"], "12");
        assert_eq!(read(&body), lease);
        assert_eq!(read(&json!({"spec": {}})).holder, Name::default());
    }
}
