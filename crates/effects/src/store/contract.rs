//! What every store of objects does. [`suite::check`](super::suite::check) proves it for one.
//!
//! # Promises
//!
//! - **Versions.** Every change of an object gives it a resource version that is larger than every one before, over
//!   restarts and removals too. A version is compared for order and equality, and means nothing else. Versions of `list`,
//!   `watch` and [`Noted`] are places in the order of changes: compare them among themselves. A store that is fed by several
//!   streams may number a change higher than the object's own version, never lower.
//! - **Generation** grows when anything besides `metadata` and `status` changes. An object that is removed and made again
//!   has another uid and begins at 1.
//! - **Apply** is by manager, and an object has one: the first who applied it. What another applies is
//!   [`Written::OwnedBy`] and changes nothing, but for Secrets and ConfigMaps whose makers have an order
//!   ([`Maker`](portolan_model::input::Maker)): one that stands before takes over. Applying what is there already is [`Written::Unchanged`] and gives no new
//!   version.
//! - **What applies an object** ([`Origin::owner`](portolan_model::Origin)) is kept with it, also over restarts.
//! - **Delete** removes what its manager applied, and with a precondition only the very object, or the very state of it,
//!   that was seen; else [`Written::Stale`].
//! - **Fill** lays fields over an object whoever applied it, and they stay when its owner applies it again.
//! - **A batch** has one outcome a write, in order, and later writes see earlier ones. Where
//!   [`Capabilities::atomic`] is set, an error means that nothing of it has happened; where not, what became of each is its own
//!   outcome, and one that [`Failed`](Written::Failed) harms no other.
//! - **Acknowledged is kept.** After `write` returns, what was applied survives a killed process. What was held does not
//!   reach a disk where [`Capabilities::memory_only`] is set.
//! - **Watch** tells every object that changed after a version, in order of versions: at least its latest change, removals
//!   too. A version from which it cannot tell that any more is [`TooOld`], an answer and never silence: list again.
//! - **Status** stands apart: it changes no generation, and applying an object never touches it. Times of transition move
//!   with the status of their own condition only.
//! - **Events** are counted when they repeat, and bounded: the oldest go.
//! - **What is not seen is not gone.** A store that cannot look at a kind says so ([`ObjectStore::views`]) and tells no removal
//!   of it: what was seen last stays, marked ([`Stored::sight`]). What it leaves out of an object is marked too.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use portolan_model::{Instant, Kind, ObjectKey};
use serde_json::Value;

use super::{Event, Recorded, Stored, View, Write, Written};

/// What a store can do; what it cannot is data too, so that nothing above asks which store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// A batch happens whole or not at all.
    pub atomic: bool,
    /// `Write::Hold` never leaves memory; else it is an `Apply`.
    pub memory_only: bool,
    /// A status gives its object a new resource version.
    pub status_is_a_change: bool,
    /// Most events that are kept.
    pub most_events: usize,
}

/// One change that a watch tells. The object itself is read with `get`: whoever is late reads what is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The object.
    pub key: ObjectKey,
    /// Place of the change in the order of all: the object's version after it, or higher; for a removal, that of it.
    pub version: u64,
    /// It is gone.
    pub deleted: bool,
}

/// Why a store failed.
#[derive(Debug, thiserror::Error)]
#[error("the store in {place} cannot be {what}: {source}")]
pub struct StoreError {
    /// Where the store is: a file, or an address.
    place: String,
    /// `opened`, `read` or `written`.
    what: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    /// An error of the store at `place`.
    pub fn new(
        place: &str,
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { place: place.to_owned(), what, source: source.into() }
    }
}

/// A watch cannot tell what changed since a version any more. List, and watch from the listed version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "changes after version {asked} are not known any more; the earliest that can be watched from is {oldest}"
)]
pub struct TooOld {
    /// The version that was asked from.
    pub asked: u64,
    /// The earliest version from which all changes are known.
    pub oldest: u64,
}

/// Changes one after the other, as long as it is kept.
#[async_trait]
pub trait Watch: Send {
    /// The next change; waits until there is one.
    ///
    /// # Errors
    /// When it was asked too rarely and changes are lost.
    async fn next(&mut self) -> Result<Noted, TooOld>;
}

/// A store of objects. Reads are answered from memory in every store (Kubernetes: from the watch's cache), so they are
/// never a round trip; writes may be one.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// All objects, or those of a kind, in order of keys, and the version as of which they are complete.
    async fn list(&self, kind: Option<&Kind>) -> Result<(Vec<Stored>, u64), StoreError>;

    /// One object.
    async fn get(&self, key: &ObjectKey) -> Result<Option<Stored>, StoreError>;

    /// Changes after a version.
    async fn watch(&self, after: u64) -> Result<Box<dyn Watch>, TooOld>;

    /// Does the writes in order. `now` stamps what is created, where the store has no clock of its own.
    async fn write(&self, writes: Vec<Write>, now: Instant) -> Result<Vec<Written>, StoreError>;

    /// Sets the status of an object, or takes it away; `true` if something changed.
    async fn set_status(
        &self,
        key: &ObjectKey,
        status: Option<Value>,
        now: Instant,
    ) -> Result<bool, StoreError>;

    /// The status of an object.
    async fn status(&self, key: &ObjectKey) -> Result<Option<Value>, StoreError>;

    /// Records an event.
    async fn record(&self, event: Event, now: Instant) -> Result<(), StoreError>;

    /// Events about an object, or all, oldest first.
    async fn events(&self, regarding: Option<&ObjectKey>) -> Result<Vec<Recorded>, StoreError>;

    /// Kinds that are looked at and how; a kind that is not named is seen whole, as all are in a store of its own.
    async fn views(&self) -> BTreeMap<Kind, View> {
        BTreeMap::new()
    }

    /// Which objects are looked into, all of them each time. A store that leaves out the content of Secrets and ConfigMaps
    /// ([`Sight::Metadata`](super::Sight)) reads that of these, and tells each as a change when it has it.
    async fn look_into(&self, _keys: BTreeSet<ObjectKey>) {}
}
