//! What the store takes of the repository, where something is stored already. Decided in `core::door` and, for the
//! expressions of policies, in `core::policy::edit`; whether policies deny an edit by their rules, over a row of its own.

use portolan_core::{
    door,
    policy::{
        edit,
        rows::{ActiveBinding, Denied},
    },
};
use portolan_effects::store::Write;
use portolan_model::{Object, ObjectKey, Problem, input::Judged};
use portolan_schema::Definitions;

use super::{Driver, GIT};

impl Driver {
    /// The object to store: as it was read or, if its edit is refused or not judged yet, as it is stored, with where it now
    /// stands. `strict`: policies are in force, or come with what is being read.
    pub(super) fn admitted(&mut self, object: Object, strict: bool, definitions: &Definitions) -> Object {
        self.drop_edit(&object.key);
        let Some(stored) = self.store.get(&object.key).filter(|stored| stored.manager == GIT) else {
            return object;
        };
        let as_it_is = |object: Object| Object { origin: object.origin, ..stored.object.clone() };
        if let Some(problem) = refused(&stored.object, &object, definitions) {
            let kept = as_it_is(object);
            // What is wrong with these was said when they were read.
            if !door::restricts(&kept.key) {
                self.reading.edits.insert(kept.key.clone(), problem);
            }
            return kept;
        }
        if edit::is_looked_at(&object) {
            return object;
        }
        // What is denied as it stands has nothing in force that could be kept.
        if !strict || self.engine.get::<Denied>(&object.key).is_some() {
            return object;
        }
        let Some(judged) = edit::judged(&stored.object, &object) else { return object };
        let kept = as_it_is(object.clone());
        self.engine.put(judged);
        self.reading.unjudged.insert(object.key.clone(), object);
        self.facts = true;
        kept
    }

    /// Whether edits wait for a judgement: policies are bound, or some of what is read is one.
    pub(super) fn is_strict(&self, objects: &[Object]) -> bool {
        self.engine.rows::<ActiveBinding>().next().is_some() || objects.iter().any(edit::is_looked_at)
    }

    /// The edit of an object is not wanted any more, or another one is.
    pub(super) fn drop_edit(&mut self, key: &ObjectKey) {
        if self.reading.unjudged.remove(key).is_some() {
            self.engine.remove::<Judged>(&Judged::edit_of(key));
            self.facts = true;
        }
    }

    /// Stores the edits that no policy denies, or denies any more.
    pub(super) fn follow_edits(&mut self) {
        let admitted = |key: &&ObjectKey| self.engine.get::<Denied>(&Judged::edit_of(key)).is_none();
        let keys: Vec<ObjectKey> = self.reading.unjudged.keys().filter(admitted).cloned().collect();
        let mut writes = Vec::new();
        for key in keys {
            let Some(object) = self.reading.unjudged.get(&key).cloned() else { continue };
            self.drop_edit(&key);
            writes.push(Write::Apply(Box::new(object), GIT));
        }
        if !writes.is_empty() {
            self.write_own(writes);
            // What could not be written is read again.
            self.reading.forget |= self.unwritten;
        }
    }
}

fn refused(stored: &Object, new: &Object, definitions: &Definitions) -> Option<Problem> {
    if stored.json == new.json {
        return None;
    }
    if let Err(problem) = door::judge(definitions, &new.key, (*new.json).clone(), Some(stored)) {
        return Some(*problem);
    }
    if edit::is_looked_at(new) { edit::refused(stored, new) } else { None }
}
