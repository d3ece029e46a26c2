//! Events about users' objects: counted in memory, and told to the API server as `events.k8s.io/v1`, where one that repeats is
//! a series of one object.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use portolan_effects::store::{Event, EventKind, Events, Recorded};
use portolan_model::{Instant, ObjectKey};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{Failure, backoff::Backoff, client::MERGE, door::FIELD_MANAGER, follow::Following, pace::Pace};

const PATH: &str = "/apis/events.k8s.io/v1/namespaces";
/// `reportingController`.
const CONTROLLER: &str = "portolan.dev/portolan";
/// How often a series is told anew, at most.
const SERIES: Duration = Duration::from_secs(10);
/// Longest `note` that an API server takes, in bytes.
const NOTE: usize = 1024;

/// Events, and which of them the API server has.
pub(crate) struct Recorder {
    kept: Mutex<Kept>,
    wake: watch::Sender<()>,
}

#[derive(Default)]
struct Kept {
    events: Events,
    /// To be told, by the number of the recording: the oldest first. At most as many as are kept.
    untold: BTreeMap<u64, Recorded>,
    /// Number under which an event waits to be told.
    waiting: BTreeMap<Arc<Event>, u64>,
    /// Events that were told: when for the first time, and not before when again.
    told: BTreeMap<Arc<Event>, (Instant, tokio::time::Instant)>,
}

impl Recorder {
    pub fn new() -> Self {
        Self { kept: Mutex::default(), wake: watch::Sender::new(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an event.
    pub fn record(&self, event: Event, now: Instant) {
        let mut kept = self.lock();
        let recorded = kept.events.record(event, now);
        if let Some(before) = kept.waiting.insert(Arc::clone(&recorded.event), recorded.number) {
            kept.untold.remove(&before);
        }
        kept.untold.insert(recorded.number, recorded);
        while kept.untold.len() > Events::MOST {
            let Some((_, oldest)) = kept.untold.pop_first() else { break };
            kept.waiting.remove(&oldest.event);
        }
        while kept.told.len() > Events::MOST {
            kept.told.pop_first();
        }
        drop(kept);
        self.wake.send_replace(());
    }

    /// Events about an object, or all, oldest first.
    pub fn list(&self, regarding: Option<&ObjectKey>) -> Vec<Recorded> {
        self.lock().events.list(regarding)
    }

    /// The next that may be told, or when the next may.
    fn next(&self) -> Result<Recorded, Option<tokio::time::Instant>> {
        let now = tokio::time::Instant::now();
        let kept = self.lock();
        let mut soonest = None;
        for recorded in kept.untold.values() {
            match kept.told.get(&recorded.event) {
                Some((_, again)) if *again > now => {
                    soonest =
                        Some(soonest.map_or(*again, |soonest: tokio::time::Instant| soonest.min(*again)));
                }
                _ => return Ok(recorded.clone()),
            }
        }
        Err(soonest)
    }

    fn done(&self, recorded: &Recorded, first: Instant) {
        let mut kept = self.lock();
        // One that was recorded again meanwhile waits under another number.
        if kept.untold.remove(&recorded.number).is_some() {
            kept.waiting.remove(&recorded.event);
        }
        kept.told.insert(Arc::clone(&recorded.event), (first, tokio::time::Instant::now() + SERIES));
    }

    /// Tells them for good, while `leads` says so.
    pub async fn run(self: Arc<Self>, shared: Following, mut leads: watch::Receiver<bool>) {
        let pace = Pace::new(shared.options.events_a_second);
        let mut backoff = Backoff::new(shared.options.least_wait, shared.options.most_wait);
        let mut wake = self.wake.subscribe();
        loop {
            wake.mark_unchanged();
            if leads.wait_for(|leads| *leads).await.is_err() {
                return;
            }
            let recorded = match self.next() {
                Ok(recorded) => recorded,
                Err(soonest) => {
                    let wait = async {
                        match soonest {
                            Some(at) => tokio::time::sleep_until(at).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        woken = wake.changed() => if woken.is_err() { return },
                        () = wait => {}
                    }
                    continue;
                }
            };
            pace.take().await;
            let before = self.lock().told.get(&recorded.event).map(|(first, _)| *first);
            let first = before.unwrap_or(recorded.first);
            match tell(&shared, &recorded, first, before.is_some()).await {
                Ok(()) => {
                    backoff.reset();
                    self.done(&recorded, first);
                }
                Err(failure) if failure.passes() => backoff.wait(failure.after()).await,
                // An event is no state: one that is not taken is let go.
                Err(failure) => {
                    tracing::debug!(object = %recorded.event.regarding, %failure, "an event was not taken");
                    self.done(&recorded, first);
                }
            }
        }
    }
}

async fn tell(shared: &Following, recorded: &Recorded, first: Instant, again: bool) -> Result<(), Failure> {
    let regarding = &recorded.event.regarding;
    let namespace = if regarding.name.namespace.is_empty() { "default" } else { &*regarding.name.namespace };
    let path = format!("{PATH}/{namespace}/events");
    let object = shared.cache.lock().objects.get(regarding).map(|stored| stored.object.clone());
    let (uid, api) = object.map_or((None, regarding.kind.group.to_string()), |object| {
        let group = &regarding.kind.group;
        let api =
            if group.is_empty() { object.version.to_string() } else { format!("{group}/{}", object.version) };
        (object.stamp.map(|stamp| stamp.uid.to_string()), api)
    });
    let instance: String = shared.options.instance.chars().take(128).collect();
    let event = json(recorded, &api, uid.as_deref(), &instance, namespace, first);
    let name = event["metadata"]["name"].as_str().unwrap_or_default();
    let query = format!("?fieldManager={FIELD_MANAGER}");
    if again {
        let patch = json!({"series": event["series"]});
        match shared.api.patch(&format!("{path}/{name}{query}"), MERGE, &patch).await {
            // It has expired: events are kept for an hour.
            Err(Failure::NotFound(_)) => {}
            done => return done.map(drop),
        }
    }
    match shared.api.create(&format!("{path}{query}"), &event).await {
        // An answer that was lost: it is there.
        Ok(_) | Err(Failure::Conflict(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// As `events.k8s.io/v1`.
fn json(
    recorded: &Recorded,
    api: &str,
    uid: Option<&str>,
    instance: &str,
    namespace: &str,
    first: Instant,
) -> Value {
    let Event { regarding, kind, reason, note } = &*recorded.event;
    let mut hash = DefaultHasher::new();
    (&regarding.kind, &regarding.name, *kind == EventKind::Warning, &**reason, note).hash(&mut hash);
    (uid, instance, first.0).hash(&mut hash);
    let reason: String = reason.chars().take(128).collect();
    let mut out = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            // The same whenever the same is told, so that it is not told twice.
            "name": format!("{}.{:016x}", shortened(&regarding.name.name, 200), hash.finish()),
            "namespace": namespace,
        },
        "eventTime": micro(first),
        "reportingController": CONTROLLER,
        "reportingInstance": instance,
        "action": reason,
        "reason": reason,
        "regarding": {
            "apiVersion": api, "kind": regarding.kind.kind, "name": regarding.name.name,
            "namespace": regarding.name.namespace, "uid": uid.unwrap_or_default(),
        },
        "note": shortened(note, NOTE),
        "type": match kind { EventKind::Normal => "Normal", EventKind::Warning => "Warning" },
    });
    if recorded.count > 1 {
        out["series"] = json!({"count": recorded.count, "lastObservedTime": micro(recorded.last)});
    }
    out
}

/// At most so many bytes of a text.
fn shortened(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// `MicroTime`.
fn micro(at: Instant) -> String {
    format!("{:.6}", at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_events_are_one_object() {
        let event = Event {
            regarding: ObjectKey::new("gateway.networking.k8s.io", "Gateway", "infra", "edge"),
            kind: EventKind::Warning,
            reason: "PTL-0201".into(),
            note: "ö".repeat(2000),
        };
        let recorder = Recorder::new();
        recorder.record(event.clone(), Instant(1_700_000_000_000));
        let one = recorder.next().expect("it is to be told");
        recorder.record(event.clone(), Instant(1_700_000_009_500));
        recorder.done(&one, one.first);
        assert!(recorder.next().is_err(), "a series is not told again at once");
        let again = recorder.list(None).remove(0);
        let told = |recorded: &Recorded| {
            json(recorded, "gateway.networking.k8s.io/v1", Some("u"), "pod-1", "infra", recorded.first)
        };
        assert_eq!(told(&one)["metadata"], told(&again)["metadata"], "one object");
        assert_eq!(told(&one).get("series"), None);
        assert_eq!(
            told(&again)["series"],
            json!({"count": 2, "lastObservedTime": "2023-11-14T22:13:29.500000Z"})
        );
        let note = told(&one)["note"].as_str().map(str::len);
        assert_eq!(note, Some(NOTE), "bytes, and no half character");
    }
}
