//! What the store takes of the repository. Decided in `core::policy::edit`.

use portolan_core::policy::edit;
use portolan_model::Object;

use super::{Driver, GIT};

impl Driver {
    /// The object to store: as it was read or, if its edit is refused, as it is stored, with where it now stands. The
    /// problem is told until the object is read again.
    pub(super) fn admitted(&mut self, object: Object) -> Object {
        if !edit::is_looked_at(&object) {
            return object;
        }
        let Some(stored) = self.store.get(&object.key).filter(|stored| stored.manager == GIT) else {
            return object;
        };
        let Some(problem) = edit::refused(&stored.object, &object) else { return object };
        let kept = Object { origin: object.origin, ..stored.object.clone() };
        self.reading.edits.insert(kept.key.clone(), problem);
        kept
    }
}
