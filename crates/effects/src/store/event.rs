//! Events: what happened to an object, for people. Repetitions are counted, and old ones go: an event is no state.

use std::sync::Arc;

use portolan_model::{Instant, Name, ObjectKey};
use serde_json::{Value, json};

/// Normal or a warning, as Kubernetes has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum EventKind {
    Normal,
    Warning,
}

/// Something that happened. Equal ones are one event, seen again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// The object it is about.
    pub regarding: ObjectKey,
    /// Normal or a warning.
    pub kind: EventKind,
    /// Why, in one word; a finding's code is one.
    pub reason: Name,
    /// What happened, one sentence.
    pub note: String,
}

/// An event as the store keeps it: a series of one or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What happened.
    pub event: Arc<Event>,
    /// How often.
    pub count: u64,
    /// When for the first time.
    pub first: Instant,
    /// When for the last time.
    pub last: Instant,
    /// Grows with each recording, so that it orders them.
    pub number: u64,
}

impl Recorded {
    /// As `v1` `Event`, the form that `kubectl get events` shows.
    pub fn json(&self) -> Value {
        let Event { regarding, kind, reason, note } = &*self.event;
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "namespace": regarding.name.namespace,
                "name": format!("{}.{:x}", regarding.name.name, self.number),
            },
            "involvedObject": {
                "kind": regarding.kind.kind,
                "namespace": regarding.name.namespace,
                "name": regarding.name.name,
            },
            "type": match kind { EventKind::Normal => "Normal", EventKind::Warning => "Warning" },
            "reason": reason,
            "message": note,
            "count": self.count,
            "firstTimestamp": self.first.rfc3339(),
            "lastTimestamp": self.last.rfc3339(),
            "source": {"component": "portolan"},
        })
    }
}
