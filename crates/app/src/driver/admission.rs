//! What the store takes of the repository, where something is stored already. An object by itself was judged when it was
//! read (`effects::render::place`); here it is judged beside what stands there: by `core::door` and, for the expressions of
//! policies, by `core::policy::edit`; whether policies deny an edit by their rules, over a row of its own.

use portolan_core::{
    door,
    policy::{
        edit,
        rows::{ActiveBinding, Denied},
    },
};
use portolan_effects::{render::Whole, store::Write};
use portolan_model::{Object, ObjectKey, input::Judged};

use super::{Driver, GIT};

impl Driver {
    /// The object to store: as it was read or, if its edit is refused or not judged yet, as it is stored, with where it now
    /// stands. `strict`: policies are in force, or come with what is being read.
    pub(super) fn admitted(&mut self, object: Object, strict: bool, whole: &Whole) -> Object {
        self.drop_edit(&object.key);
        let Some(stored) = self.cx.store.get(&object.key).filter(|stored| stored.manager == GIT) else {
            return object;
        };
        let as_it_is = |object: Object| Object { origin: object.origin, ..stored.object.clone() };
        if stored.object.json == object.json {
            return object;
        }
        let owner = object.origin.owner.as_deref();
        let policy = whole.applications.iter().find(|app| Some(&app.key) == owner).map(|app| &app.policy);
        let object = match policy.and_then(|policy| policy.applied(&stored.object, &object)) {
            Some(json) => Object { json: json.into(), ..object },
            None => object,
        };
        if stored.object.json == object.json {
            return object;
        }
        // What is wrong with it was said when it was read.
        if whole.unfit.contains(&object.key) {
            return as_it_is(object);
        }
        self.reaction.judged_updates += 1;
        let update = door::refused_update(&whole.definitions, &stored.object, &object);
        let policy = || edit::is_looked_at(&object).then(|| edit::refused(&stored.object, &object)).flatten();
        if let Some(problem) = update.or_else(policy) {
            let kept = as_it_is(object);
            self.source.reading.edits.insert(kept.key.clone(), problem);
            return kept;
        }
        if edit::is_looked_at(&object) {
            return object;
        }
        // What is denied as it stands has nothing in force that could be kept.
        if !strict || self.cx.engine.get::<Denied>(&object.key).is_some() {
            return object;
        }
        let Some(judged) = edit::judged(&stored.object, &object) else { return object };
        let kept = as_it_is(object.clone());
        self.cx.engine.put(judged);
        self.source.reading.unjudged.insert(object.key.clone(), object);
        self.source.reading.judges = true;
        self.cx.facts = true;
        kept
    }

    /// Whether edits wait for a judgement: policies are bound, or some of what is read is one.
    pub(super) fn is_strict(&self, objects: &[Object]) -> bool {
        self.cx.engine.rows::<ActiveBinding>().next().is_some() || objects.iter().any(edit::is_looked_at)
    }

    /// The edit of an object is not wanted any more, or another one is.
    pub(super) fn drop_edit(&mut self, key: &ObjectKey) {
        if self.source.reading.unjudged.remove(key).is_some() {
            self.cx.engine.remove::<Judged>(&Judged::edit_of(key));
            self.cx.facts = true;
        }
    }

    /// Stores the edits that no policy denies, or denies any more: in the order of any other change, so that a hostname which they take
    /// away is served until its records are gone.
    pub(super) fn follow_edits(&mut self) {
        let admitted = |key: &&ObjectKey| self.cx.engine.get::<Denied>(&Judged::edit_of(key)).is_none();
        let keys: Vec<ObjectKey> = self.source.reading.unjudged.keys().filter(admitted).cloned().collect();
        let mut writes = Vec::new();
        for key in keys {
            let Some(object) = self.source.reading.unjudged.get(&key).cloned() else { continue };
            self.drop_edit(&key);
            writes.push(Write::Apply(Box::new(object), GIT));
        }
        let writes = self.drained(writes).0;
        if std::mem::take(&mut self.source.reading.judges) {
            self.tell_judged(&writes);
        }
        if !writes.is_empty() {
            self.cx.write_own(writes);
            // What could not be written is read again.
            self.source.reading.forget |= self.cx.unwritten;
        }
    }
}
