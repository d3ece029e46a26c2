//! What the store takes of the repository, where something is stored already. Decided in `core::door` and, for the
//! expressions of policies, in `core::policy::edit`.

use portolan_core::{door, policy::edit};
use portolan_model::{Object, Problem};
use portolan_schema::Definitions;

use super::{Driver, GIT};

impl Driver {
    /// The object to store: as it was read or, if its edit is refused, as it is stored, with where it now stands. The
    /// problem is told until the object is read again.
    pub(super) fn admitted(&mut self, object: Object, definitions: &Definitions) -> Object {
        let Some(stored) = self.store.get(&object.key).filter(|stored| stored.manager == GIT) else {
            return object;
        };
        let Some(problem) = refused(&stored.object, &object, definitions) else { return object };
        let kept = Object { origin: object.origin, ..stored.object.clone() };
        // What is wrong with these was said when they were read.
        if !door::restricts(&kept.key) {
            self.reading.edits.insert(kept.key.clone(), problem);
        }
        kept
    }
}

fn refused(stored: &Object, new: &Object, definitions: &Definitions) -> Option<Problem> {
    if stored.json == new.json {
        return None;
    }
    if let Err(problem) = door::judge(definitions, &new.key, (*new.json).clone(), Some(stored)) {
        return Some(problem);
    }
    if edit::is_looked_at(new) { edit::refused(stored, new) } else { None }
}
