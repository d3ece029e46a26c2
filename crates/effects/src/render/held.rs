//! Applications that Argo CD would not sync as a whole for one of their objects: their project does not permit it
//! (`controller/sync.go`, `validateSyncPermissions`), or another Application has it and theirs says `FailOnSharedResource=true`.
//! What is live of them stays as it is, and nothing else of them is applied.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_model::ObjectKey;

use super::part::PartKey;

/// Which Applications are held back, and by which objects.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Parts with objects that are not permitted.
    forbidden: BTreeMap<ObjectKey, BTreeSet<Arc<PartKey>>>,
    /// Objects that another Application has.
    shared: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// The same by object.
    sharing: BTreeMap<ObjectKey, Vec<ObjectKey>>,
    /// Those that were held back before this reading.
    before: BTreeSet<ObjectKey>,
}

impl Held {
    /// Whether nothing of an Application is applied.
    pub(super) fn is(&self, application: &ObjectKey) -> bool {
        self.forbidden.contains_key(application) || self.shared.contains_key(application)
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeSet<ObjectKey> {
        self.forbidden.keys().chain(self.shared.keys()).cloned().collect()
    }

    /// Notes whether a part holds objects that are not permitted.
    pub(super) fn forbids(&mut self, part: &Arc<PartKey>, any: bool) {
        let application = &part.application;
        if any {
            self.forbidden.entry(application.clone()).or_default().insert(Arc::clone(part));
        } else if let Some(parts) = self.forbidden.get_mut(application) {
            parts.remove(part);
            if parts.is_empty() {
                self.forbidden.remove(application);
            }
        }
    }

    /// Notes which Applications refuse to share an object with the one that has it.
    pub(super) fn shares(&mut self, object: &ObjectKey, by: Vec<ObjectKey>) {
        for application in self.sharing.remove(object).unwrap_or_default() {
            if let Some(objects) = self.shared.get_mut(&application) {
                objects.remove(object);
                if objects.is_empty() {
                    self.shared.remove(&application);
                }
            }
        }
        for application in &by {
            self.shared.entry(application.clone()).or_default().insert(object.clone());
        }
        if !by.is_empty() {
            self.sharing.insert(object.clone(), by);
        }
    }

    /// Those that were held back when this was asked last, and are not any more: their objects are wanted again.
    pub(super) fn released(&mut self) -> BTreeSet<ObjectKey> {
        let now = self.all();
        let before = std::mem::replace(&mut self.before, now);
        before.into_iter().filter(|application| !self.is(application)).collect()
    }
}
