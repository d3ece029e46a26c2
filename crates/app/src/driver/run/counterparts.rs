//! Looking for controllers that do what a capability does. What follows is decided in `core::capability`.

use std::{collections::BTreeMap, time::Duration};

use portolan_core::capability::{Capability, Counterpart, Sighting};
use portolan_kubernetes::{Api, Failure};
use portolan_model::Instant;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Event, Told};
use crate::effects::now;

/// How often it is looked: one that is installed beside us is noticed within a minute.
const PAUSE: Duration = Duration::from_mins(1);
/// How far the clock of another machine may be behind before its Lease counts as given up.
const SKEW: i64 = 60_000;

/// What is there of all counterparts.
pub type Sightings = BTreeMap<Capability, Sighting>;

/// Looks at all of them.
pub async fn look(api: &Api) -> Sightings {
    let mut seen = Sightings::new();
    for capability in Capability::ALL {
        let Some(counterpart) = capability.counterpart() else { continue };
        seen.insert(capability, of(api, &counterpart).await);
    }
    seen
}

/// Goes on looking, for good, and tells what is other than before.
pub async fn follow(api: Api, mut before: Sightings, events: mpsc::UnboundedSender<Event>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let mut seen = look(&api).await;
        for (capability, sighting) in &mut seen {
            // That it cannot be asked for a moment says nothing of what was seen.
            if let (Sighting::Unknown(_), Some(known)) = (&*sighting, before.get(capability)) {
                *sighting = known.clone();
            }
        }
        if seen != before {
            before.clone_from(&seen);
            if events.send(Event::Cluster(Told::Counterparts(seen))).is_err() {
                return;
            }
        }
    }
}

async fn of(api: &Api, counterpart: &Counterpart) -> Sighting {
    if let Some(name) = counterpart.lease {
        let path = format!("/apis/coordination.k8s.io/v1/leases?fieldSelector=metadata.name%3D{name}");
        return sighting(api.get(&path).await, |json| live_lease(json, now()));
    }
    let names = counterpart.deployments.join(",");
    let path = format!("/apis/apps/v1/deployments?labelSelector=app.kubernetes.io/name%20in%20({names})");
    sighting(api.get(&path).await, live_deployment)
}

fn sighting(answer: Result<Value, Failure>, live: impl Fn(&Value) -> bool) -> Sighting {
    let list = match answer {
        Ok(list) => list,
        // The whole kind is not served.
        Err(Failure::NotFound(_)) => return Sighting::Absent,
        Err(why) => return Sighting::Unknown(why.to_string()),
    };
    let mut items = list["items"].as_array().into_iter().flatten().filter(|item| live(item));
    items.next().map_or(Sighting::Absent, |item| {
        let text = |field: &str| item["metadata"][field].as_str().unwrap_or_default();
        let kind = if item["spec"].get("holderIdentity").is_some() { "Lease" } else { "Deployment" };
        Sighting::Live(format!("{kind} {}/{}", text("namespace"), text("name")))
    })
}

/// Somebody holds it and has renewed it in time.
fn live_lease(lease: &Value, now: Instant) -> bool {
    let spec = &lease["spec"];
    let held = spec["holderIdentity"].as_str().is_some_and(|holder| !holder.is_empty());
    let renewed = spec["renewTime"].as_str().and_then(Instant::parse);
    let lasts = spec["leaseDurationSeconds"].as_i64().unwrap_or(15).clamp(1, 3_600) * 1_000;
    held && renewed.is_some_and(|renewed| renewed.0 + lasts + SKEW > now.0)
}

/// Some of its Pods run.
fn live_deployment(deployment: &Value) -> bool {
    deployment["status"]["availableReplicas"].as_i64().is_some_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_that_runs_is_told_from_one_that_was_left() {
        let now = Instant(1_700_000_100_000);
        let lease = |holder: &str, renewed: i64| {
            let renewed = format!("{:.6}", Instant(renewed).timestamp());
            json!({"spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed}})
        };
        assert!(live_lease(&lease("x", now.0 - 2_000), now));
        assert!(live_lease(&lease("x", now.0 - 50_000), now), "a clock may be behind");
        assert!(!live_lease(&lease("x", now.0 - 86_400_000), now), "what was left behind is nobody");
        assert!(!live_lease(&lease("", now.0), now), "given back");
        assert!(live_deployment(&json!({"status": {"availableReplicas": 1}})));
        assert!(!live_deployment(&json!({"spec": {"replicas": 0}, "status": {}})));
    }

    #[test]
    fn what_may_not_be_looked_at_is_not_absent() {
        let live = |_: &Value| true;
        let item = json!({"metadata": {"namespace": "a", "name": "b"}, "spec": {"holderIdentity": "x"}});
        assert_eq!(sighting(Ok(json!({"items": [item]})), live), Sighting::Live("Lease a/b".into()));
        assert_eq!(sighting(Ok(json!({"items": []})), live), Sighting::Absent);
        let refused = sighting(Err(Failure::Forbidden("leases is forbidden".into())), live);
        assert!(matches!(refused, Sighting::Unknown(why) if why.contains("forbidden")));
        assert_eq!(sighting(Err(Failure::NotFound("no".into())), live), Sighting::Absent);
    }
}
