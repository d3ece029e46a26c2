//! What of a store is in memory: what the driver and those who show something read and note without waiting.

use portolan_model::{Instant, ObjectKey, Origin};
use serde_json::Value;

use super::{Event, Recorded, Stored};

/// The side of an [`ObjectStore`](super::ObjectStore) that is never a round trip: what was seen last, and what is noted about it.
/// It stays as it is between two calls of its owner, so that what rules have seen and what is shown beside is the same.
pub trait Cache {
    /// One object.
    fn get(&self, key: &ObjectKey) -> Option<&Stored>;

    /// All objects, in order of their keys.
    fn list(&self) -> Box<dyn Iterator<Item = &Stored> + '_>;

    /// The status of an object as it is or is about to be.
    fn status(&self, key: &ObjectKey) -> Option<Value>;

    /// Sets the status of an object, or takes it away; `true` if something changed. Where that is a round trip it is done later,
    /// and again until it is done.
    fn set_status(&mut self, key: &ObjectKey, status: Option<Value>, now: Instant) -> bool;

    /// Records an event; one that was recorded before is counted.
    fn record(&mut self, event: Event, now: Instant);

    /// Events about an object, or all, oldest first.
    fn events(&self, regarding: Option<&ObjectKey>) -> Vec<Recorded>;

    /// Where an object stands in the repository that brings it, also if what stands there was not taken.
    fn origin(&self, key: &ObjectKey) -> Option<&Origin> {
        self.get(key).map(|stored| &stored.object.origin)
    }
}
