//! The embedded store: objects on disk, read from memory.
//!
//! One writer (the driver). A batch of writes is one durable transaction: it is on disk, or the call fails and memory
//! is unchanged; after a failure the file is opened again with the next batch. What is removed is what its manager
//! applied, never anything else. Every row of the disk has a sum: one that is damaged is left out and told. A process
//! killed, or a machine that loses power, at any point leaves the last whole batch.
//!
//! Held objects are like all others, but in memory only: what came out of a SealedSecret never reaches the disk. Statuses,
//! events and the history for watches are in memory too: the first step after a start makes them again.

mod batch;
mod disk;
mod events;
mod fill;
mod guard;
mod history;
mod last;
mod sealed;
mod shared;
mod status;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use portolan_model::{Instant, Json, Name, ObjectKey, Origin};
use serde_json::Value;

use super::{Cache, Capabilities, Event, Noted, Recorded, StoreError, Stored, TooOld, Watch, Write, Written};
use batch::Batch;
use disk::{Disk, Loaded};

pub use batch::takes_over;
pub use events::Events;
pub use fill::Fill;
pub use history::{Following, History};
pub use shared::Shared;

/// The store.
#[derive(Debug)]
pub struct Store {
    disk: Disk,
    objects: BTreeMap<ObjectKey, Stored>,
    /// Objects whose row on the disk cannot be read; see [`Store::damaged`].
    damaged: BTreeSet<ObjectKey>,
    /// See [`Store::lost`].
    lost: bool,
    /// Where objects stand that the repository has and the store does not take.
    refused: BTreeMap<ObjectKey, Origin>,
    /// Lines of objects of charts, of those that were asked for.
    places: BTreeMap<ObjectKey, Origin>,
    /// `status` of objects as JSON text; see [`Store::set_status`]. Those of routes that became live together are the same text.
    statuses: BTreeMap<ObjectKey, Name>,
    events: Events,
    history: Arc<History>,
    version: u64,
    /// Objects that were written since they were packed.
    fresh: Vec<ObjectKey>,
    /// Trees that were made by looking into packed objects since all were packed.
    looked: usize,
}

/// Trees of objects that were looked into and may stay.
const MOST_TREES: usize = 500;

impl Store {
    /// Opens or creates the store in a state directory and reads it whole.
    ///
    /// # Errors
    /// When the file cannot be opened, read or created; or when it is damaged as a whole.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Disk::open(dir).and_then(Self::load)
    }

    fn load(mut disk: Disk) -> Result<Self, StoreError> {
        let Loaded { objects, version, damaged, lost } = disk.load()?;
        let fresh = objects.keys().cloned().collect();
        Ok(Self {
            fresh,
            looked: 0,
            disk,
            objects,
            damaged,
            lost,
            refused: BTreeMap::new(),
            places: BTreeMap::new(),
            statuses: BTreeMap::new(),
            events: Events::default(),
            history: Arc::new(History::new(version)),
            version,
        })
    }

    /// What it can do.
    pub const fn capabilities() -> Capabilities {
        Capabilities { atomic: true, memory_only: true, status_is_a_change: false, most_events: events::MOST }
    }

    /// All objects, in order of their keys.
    pub fn list(&self) -> impl Iterator<Item = &Stored> {
        self.objects.values()
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<&Stored> {
        self.objects.get(key)
    }

    /// Objects whose row on the disk was damaged when it was read: they are not there, and were. Writing one again ends it.
    pub fn damaged(&self) -> &BTreeSet<ObjectKey> {
        &self.damaged
    }

    /// Whether the last commit of the run before was damaged and is not there. What it wrote for the first time is among
    /// [`Store::damaged`]; of what it replaced or removed, what stood before is here.
    pub fn lost(&self) -> bool {
        self.lost
    }

    /// Somebody says that a damaged object may be made anew; `true` if it was one.
    pub fn forgive(&mut self, key: &ObjectKey) -> bool {
        self.damaged.remove(key)
    }

    /// Whether what `manager` applies under the key is taken.
    pub fn may_apply(&self, key: &ObjectKey, manager: &str) -> bool {
        let other = self.objects.get(key).map(|stored| &stored.manager);
        other.is_none_or(|other| *other == *manager || batch::takes_over(key, manager, other))
    }

    /// Where an object stands in the repository, also if what stands there was not taken.
    pub fn origin(&self, key: &ObjectKey) -> Option<&Origin> {
        let stored = || self.objects.get(key).map(|stored| &stored.object.origin);
        self.refused.get(key).or_else(|| self.places.get(key)).or_else(stored)
    }

    /// Notes, in memory only, the lines at which objects of charts stand in their templates; `None` for one that is read anew.
    pub fn place(&mut self, key: &ObjectKey, origin: Option<Origin>) {
        match origin {
            Some(origin) => drop(self.places.insert(key.clone(), origin)),
            None => drop(self.places.remove(key)),
        }
    }

    /// Notes, in memory only, where objects stand that were not taken.
    pub fn set_refused(&mut self, refused: BTreeMap<ObjectKey, Origin>) {
        self.refused = refused;
    }

    /// The version of the latest change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Changes after a version.
    ///
    /// # Errors
    /// When they are not known any more; no change before the start of this process is.
    pub fn watch(&self, after: u64) -> Result<Box<dyn Watch>, TooOld> {
        Ok(Box::new(Following::new(&self.history, after)?))
    }

    /// Does all writes in one durable transaction. `now` stamps what is created.
    ///
    /// # Errors
    /// When the disk refuses; nothing of the batch has happened then.
    pub fn write(&mut self, writes: Vec<Write>, now: Instant) -> Result<Vec<Written>, StoreError> {
        let mut batch = Batch::new(&self.objects, self.version, now);
        let done = writes.into_iter().map(|write| batch.take(write)).collect();
        let Batch { next, moved, version, .. } = batch;
        self.disk.commit(&next, &self.objects, &self.damaged, version)?;
        self.version = version;
        for object in moved {
            if let Some(stored) = self.objects.get_mut(&object.key) {
                stored.follow(object);
            }
        }
        let mut noted = Vec::with_capacity(next.len());
        for (key, (stored, version)) in next {
            if stored.as_ref().is_some_and(|stored| !stored.volatile) {
                self.damaged.remove(&key);
            }
            noted.push(Noted { key: key.clone(), version, deleted: stored.is_none() });
            if let Some(stored) = stored {
                self.fresh.push(key.clone());
                self.objects.insert(key, stored);
            } else {
                self.objects.remove(&key);
                self.statuses.remove(&key);
            }
        }
        self.history.note(noted);
        Ok(done)
    }

    /// Keeps objects as text from here on, until somebody looks into them: for when those who write are done. Work is by
    /// what was written and looked into since.
    pub fn pack(&mut self) {
        for key in std::mem::take(&mut self.fresh) {
            if let Some(stored) = self.objects.get_mut(&key) {
                stored.pack();
            }
        }
        self.looked += Json::unpacked();
        if self.looked > MOST_TREES {
            self.looked = 0;
            self.objects.values_mut().for_each(Stored::pack);
        }
    }

    /// Records an event; one that was recorded before is counted.
    pub fn record(&mut self, event: Event, now: Instant) {
        self.events.record(event, now);
    }

    /// Events about an object, or all, oldest first.
    pub fn events(&self, regarding: Option<&ObjectKey>) -> Vec<Recorded> {
        self.events.list(regarding)
    }
}

impl Cache for Store {
    fn get(&self, key: &ObjectKey) -> Option<&Stored> {
        self.get(key)
    }

    fn list(&self) -> Box<dyn Iterator<Item = &Stored> + '_> {
        Box::new(self.list())
    }

    fn status(&self, key: &ObjectKey) -> Option<Value> {
        self.status(key)
    }

    fn set_status(&mut self, key: &ObjectKey, status: Option<Value>, now: Instant) -> bool {
        self.set_status(key, status, now)
    }

    fn record(&mut self, event: Event, now: Instant) {
        self.record(event, now);
    }

    fn events(&self, regarding: Option<&ObjectKey>) -> Vec<Recorded> {
        self.events(regarding)
    }

    fn origin(&self, key: &ObjectKey) -> Option<&Origin> {
        self.origin(key)
    }
}
