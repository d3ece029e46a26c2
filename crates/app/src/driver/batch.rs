//! What a reading means for the store: objects, the namespaces that they need, and what may go.

use std::collections::BTreeSet;

use portolan_core::gitops::namespaces;
use portolan_effects::{render::Whole, store::Write};
use portolan_model::{Name, Object, ObjectKey};

use super::{Driver, GIT, OURS};

impl Driver {
    /// What has to be written for these objects, and what may go.
    pub(super) fn writes(&mut self, objects: Vec<Object>, whole: &Whole) -> Vec<Write> {
        let mut writes = Vec::with_capacity(objects.len());
        let strict = self.is_strict(&objects);
        for object in objects {
            let object = self.admitted(object, strict, whole);
            let stored = self.cx.store.get(&object.key);
            if namespaces::is(&object.key) {
                if stored.is_some_and(|stored| stored.manager == OURS && namespaces::is_made(&stored.object))
                {
                    // Made by us for want of this one.
                    writes.push(Write::Delete(object.key.clone(), OURS));
                }
            } else if !self.cx.store.may_apply(&object.key, GIT) {
                self.source.reading.refused.insert(object.key.clone(), object.clone());
            }
            writes.push(Write::Apply(Box::new(object), GIT));
        }
        let coming = writes.iter().filter(|write| matches!(write, Write::Apply(..))).map(Write::key);
        let missing = namespaces::missing(coming, |key| self.cx.store.get(key).is_some());
        let mut made: Vec<Write> =
            missing.iter().map(|name| Write::Apply(Box::new(namespaces::made(name)), OURS)).collect();
        made.append(&mut writes);
        let store = &self.cx.store;
        self.source.reading.unwanted.retain(|key| store.get(key).is_some_and(|stored| stored.manager == GIT));
        let gone = self.pruned(whole, &made);
        made.extend(gone);
        let mut writes = self.in_order(made);
        self.keep_namespaces(&mut writes);
        writes
    }

    /// A namespace that the repository no longer brings, and whose objects it still does, is made by us.
    fn keep_namespaces(&self, writes: &mut Vec<Write>) {
        let deleted: BTreeSet<&ObjectKey> = writes
            .iter()
            .filter_map(|write| match write {
                Write::Delete(key, _) => Some(key),
                _ => None,
            })
            .collect();
        let lost: Vec<&Name> = writes
            .iter()
            .filter_map(|write| match write {
                Write::Delete(key, GIT) if namespaces::is(key) => Some(&key.name.name),
                _ => None,
            })
            .collect();
        if lost.is_empty() {
            return;
        }
        let stored = self.cx.store.list().filter(|stored| stored.manager == GIT);
        let stored = stored.map(|stored| &stored.object.key).filter(|key| !deleted.contains(key));
        let coming = writes.iter().filter(|write| matches!(write, Write::Apply(_, GIT))).map(Write::key);
        let kept = namespaces::still_used(lost, stored.chain(coming));
        writes.extend(kept.iter().map(|name| Write::Apply(Box::new(namespaces::made(name)), OURS)));
    }
}
