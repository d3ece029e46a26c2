//! What the store takes of the repository. Decided in `core::policy::edit`.

use std::collections::BTreeMap;

use portolan_core::policy::edit;
use portolan_model::{Object, ObjectKey, Problem};

use super::{Driver, GIT};

impl Driver {
    /// The object to store: as it was read or, if its edit is refused, as it is stored, with where it now stands.
    pub(super) fn admitted(
        &self,
        object: Object,
        problems: &mut BTreeMap<ObjectKey, Vec<Problem>>,
    ) -> Object {
        if !edit::is_looked_at(&object) {
            return object;
        }
        let Some(stored) = self.store.get(&object.key).filter(|stored| stored.manager == GIT) else {
            return object;
        };
        let Some(problem) = edit::refused(&stored.object, &object) else { return object };
        problems.entry(object.key.clone()).or_default().push(problem);
        Object { origin: object.origin, ..stored.object.clone() }
    }
}
