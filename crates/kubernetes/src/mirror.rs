//! What of the API server the driver has taken up.
//!
//! The streams go on while the driver thinks. What it reads must be what its rules have seen, so it has a map of its own, brought up
//! to date object by object as changes are told. An object's JSON is text that both share.

use std::collections::{BTreeMap, BTreeSet};

use portolan_effects::store::{Cache, Event, Recorded, Stored};
use portolan_model::{Instant, Kind, NamespacedName, ObjectKey};
use serde_json::Value;

use crate::KubernetesStore;

/// The driver's side of a [`KubernetesStore`].
pub struct Mirror {
    store: KubernetesStore,
    seen: BTreeMap<ObjectKey, Stored>,
}

impl Mirror {
    /// Nothing is taken up yet.
    pub const fn new(store: KubernetesStore) -> Self {
        Self { store, seen: BTreeMap::new() }
    }

    /// The store.
    pub const fn store(&self) -> &KubernetesStore {
        &self.store
    }

    /// Takes up what is there of an object now; `None` if it is gone. What is not seen any more stays as it was.
    pub fn take(&mut self, key: &ObjectKey) -> Option<&Stored> {
        let Some(stored) = self.store.seen(key) else {
            self.seen.remove(key);
            return None;
        };
        self.seen.insert(key.clone(), stored);
        self.seen.get(key)
    }

    /// Objects that are there or were taken up: what has to be looked at where it is not known which have changed.
    pub fn all(&self) -> BTreeSet<ObjectKey> {
        self.store.keys().into_iter().chain(self.seen.keys().cloned()).collect()
    }

    /// How many objects of a kind were taken up.
    pub fn count(&self, kind: &Kind) -> usize {
        let first = ObjectKey { kind: kind.clone(), name: NamespacedName::default() };
        self.seen.range(first..).take_while(|(key, _)| key.kind == *kind).count()
    }

    /// Nobody will look into an object for a while: it is kept as text.
    pub fn pack(&mut self, key: &ObjectKey) {
        if let Some(stored) = self.seen.get_mut(key) {
            stored.object.json.pack();
        }
    }
}

impl Cache for Mirror {
    fn get(&self, key: &ObjectKey) -> Option<&Stored> {
        self.seen.get(key)
    }

    fn list(&self) -> Box<dyn Iterator<Item = &Stored> + '_> {
        Box::new(self.seen.values())
    }

    fn status(&self, key: &ObjectKey) -> Option<Value> {
        self.store.shown(key)
    }

    fn set_status(&mut self, key: &ObjectKey, status: Option<Value>, now: Instant) -> bool {
        self.store.ask_status(key, status, now)
    }

    fn record(&mut self, event: Event, now: Instant) {
        self.store.note(event, now);
    }

    fn events(&self, regarding: Option<&ObjectKey>) -> Vec<Recorded> {
        self.store.noted(regarding)
    }
}
