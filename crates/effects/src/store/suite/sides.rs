//! What stands beside objects: statuses and events.

use portolan_model::Instant;
use serde_json::{Value, json};

use super::{NOW, Suite, apply, key, object};
use crate::store::{Event, EventKind, ObjectStore};

fn at(seconds: i64) -> Instant {
    NOW.plus_millis(seconds * 1000)
}

fn status(word: &str, reason: &str) -> Value {
    json!({"conditions": [{"type": "Ready", "status": word, "reason": reason}]})
}

impl<S: ObjectStore> Suite<S> {
    pub(super) async fn statuses_stand_apart(&self) {
        let set = async |status: Option<Value>, seconds: i64| {
            self.store.set_status(&key("s"), status, at(seconds)).await.expect("the store takes statuses")
        };
        let read = async || self.store.status(&key("s")).await.expect("the store can be read");
        let time = async || read().await.map(|status| status["conditions"][0]["lastTransitionTime"].clone());
        assert!(!set(Some(status("True", "Fine")), 0).await, "an object that is not there has no status");
        self.one(apply(object("s", json!({"n": 1})))).await;
        let before = self.stamp("s").await;
        assert!(set(Some(status("False", "Pending")), 1).await);
        assert!(!set(Some(status("False", "Pending")), 2).await, "the same again");
        assert!(set(Some(status("False", "Broken")), 3).await);
        assert_eq!(time().await, Some(json!(at(1).rfc3339())), "a reason is no transition");
        assert!(set(Some(status("True", "Fine")), 4).await);
        assert_eq!(time().await, Some(json!(at(4).rfc3339())));
        let after = self.stamp("s").await;
        assert_eq!(after.generation, before.generation, "a status is no new generation");
        if !self.can().status_is_a_change {
            assert_eq!(after, before);
        }
        self.one(apply(object("s", json!({"n": 2})))).await;
        assert_eq!(time().await, Some(json!(at(4).rfc3339())), "applying leaves the status");
        assert!(set(None, 5).await);
        assert_eq!(read().await, None);
        set(Some(status("True", "Fine")), 6).await;
        self.delete("s").await;
        self.one(apply(object("s", json!({"n": 1})))).await;
        assert_eq!(read().await, None, "the status goes with its object");
        self.delete("s").await;
    }

    pub(super) async fn events_are_counted_and_bounded(&self) {
        let event = |name: &str, reason: &str| Event {
            regarding: key(name),
            kind: EventKind::Warning,
            reason: reason.into(),
            note: format!("{reason} happened to {name}"),
        };
        let record = async |event: Event, seconds: i64| {
            self.store.record(event, at(seconds)).await.expect("the store takes events");
        };
        for seconds in [1, 5, 9] {
            record(event("e", "Failed"), seconds).await;
        }
        record(event("e", "Mended"), 6).await;
        record(event("other", "Failed"), 7).await;
        let about =
            async |name: &str| self.store.events(Some(&key(name))).await.expect("the store can be read");
        let seen = about("e").await;
        let told: Vec<_> = seen.iter().map(|e| (&*e.event.reason, e.count, e.first, e.last)).collect();
        assert_eq!(told, [("Failed", 3, at(1), at(9)), ("Mended", 1, at(6), at(6))]);
        let json = seen[0].json();
        assert_eq!((&json["count"], &json["involvedObject"]["name"]), (&json!(3), &json!("e")));
        assert!(self.store.events(None).await.expect("the store can be read").len() >= 3);
        let most = self.can().most_events;
        for n in 0..most {
            record(event(&format!("many-{n}"), "Failed"), 10).await;
        }
        let all = self.store.events(None).await.expect("the store can be read");
        assert!(all.len() <= most, "{} events", all.len());
        assert!(about("e").await.is_empty(), "the oldest go");
        assert_eq!(about(&format!("many-{}", most - 1)).await.len(), 1, "the newest stay");
    }
}
