//! What a batch of writes comes to. Nothing is changed here: the outcome goes to disk first.

use std::{collections::BTreeMap, sync::Arc};

use portolan_model::{Instant, Json, Name, Object, ObjectKey, Stamp, input::Maker};
use serde_json::{Map, Value};

use super::{Fill, Stored, Write, Written};
use crate::store::{Precondition, Sight};

/// The present objects, and what the writes taken so far make of them.
pub(super) struct Batch<'a> {
    objects: &'a BTreeMap<ObjectKey, Stored>,
    /// Objects that differ, `None` for those that go, with the version of the change.
    pub next: BTreeMap<ObjectKey, (Option<Stored>, u64)>,
    /// Objects that are unchanged, as they were applied: they may stand elsewhere in the repository now.
    pub moved: Vec<Object>,
    /// Version of the latest change.
    pub version: u64,
    now: Instant,
}

impl<'a> Batch<'a> {
    pub fn new(objects: &'a BTreeMap<ObjectKey, Stored>, version: u64, now: Instant) -> Self {
        Self { objects, next: BTreeMap::new(), moved: Vec::new(), version, now }
    }

    /// Takes the next write. It sees what those before it did.
    pub fn take(&mut self, write: Write) -> Written {
        match write {
            Write::Apply(object, manager) => self.apply(object, manager, false),
            Write::Hold(object, manager) => self.apply(object, manager, true),
            Write::Fill(fill) => self.fill(*fill),
            Write::Delete(key, manager) => self.delete(key, manager, &Precondition::default()),
            Write::DeleteIf(key, manager, precondition) => self.delete(key, manager, &precondition),
        }
    }

    fn present(&self, key: &ObjectKey) -> Option<&Stored> {
        match self.next.get(key) {
            Some((stored, _)) => stored.as_ref(),
            None => self.objects.get(key),
        }
    }

    fn apply(&mut self, object: Box<Object>, manager: &str, volatile: bool) -> Written {
        let old = self.present(&object.key);
        if let Some(old) = old {
            if old.manager != *manager && !takes_over(&object.key, manager, &old.manager) {
                return Written::OwnedBy(object.key, old.manager.clone());
            }
            // What applies it is written too: after a restart it decides what may go.
            let owned = old.object.origin.owner == object.origin.owner;
            if owned
                && old.manager == *manager
                && old.volatile == volatile
                && same(&old.base().json, &object.json)
            {
                let moved = old.base().json != object.json || old.object.origin != object.origin;
                if moved {
                    self.moved.push(*object);
                }
                return Written::Unchanged;
            }
        }
        let created = old.is_none();
        let fill = old.and_then(|old| old.filled.as_ref()).map(|filled| &filled.1);
        let fill = fill.filter(|fill| fill.holds(&object)).cloned();
        let key = object.key.clone();
        self.put(*object, fill, Name::new(manager), volatile);
        if created { Written::Created(key) } else { Written::Changed(key) }
    }

    fn fill(&mut self, fill: Fill) -> Written {
        let Some(old) = self.present(&fill.key) else { return Written::Unchanged };
        let kept = old.filled.as_ref().is_some_and(|filled| filled.1 == fill);
        if kept || !fill.holds(old.base()) {
            return Written::Unchanged;
        }
        let (key, base) = (fill.key.clone(), old.base().clone());
        let (manager, volatile) = (old.manager.clone(), old.volatile);
        self.put(base, Some(fill), manager, volatile);
        Written::Changed(key)
    }

    fn delete(&mut self, key: ObjectKey, manager: &str, precondition: &Precondition) -> Written {
        match self.present(&key) {
            None => Written::Unchanged,
            Some(old) if old.manager != *manager => Written::OwnedBy(key, old.manager.clone()),
            Some(old) if !precondition.holds(&old.object) => Written::Stale(key),
            Some(_) => {
                self.version += 1;
                self.next.insert(key.clone(), (None, self.version));
                Written::Deleted(key)
            }
        }
    }

    /// Stores an object as its owner applied it, with what is filled in.
    fn put(&mut self, mut base: Object, fill: Option<Fill>, manager: Name, volatile: bool) {
        // A stamp that the object had elsewhere is not its stamp here.
        base.stamp = None;
        let version = self.version + 1;
        let mut object = fill.as_ref().map_or_else(|| base.clone(), |fill| fill.over(&base));
        let old = self.present(&object.key).map(|old| &old.object);
        object.stamp = Some(stamp(&object, old, version, self.now));
        let filled = fill.map(|fill| Box::new((base, fill)));
        self.version = version;
        self.next.insert(
            object.key.clone(),
            (Some(Stored { object, manager, volatile, sight: Sight::Whole, filled }), version),
        );
    }
}

impl Stored {
    /// Takes over where an unchanged object stands now, and its JSON.
    pub(super) fn follow(&mut self, applied: Object) {
        self.object.origin = applied.origin.clone();
        match &mut self.filled {
            Some(filled) => (filled.0.json, filled.0.origin) = (applied.json, applied.origin),
            None => self.object.json = applied.json,
        }
        self.pack();
    }

    /// Lets go of the trees of its JSON.
    pub(super) fn pack(&mut self) {
        self.object.json.pack();
        if let Some(filled) = &mut self.filled {
            filled.0.json.pack();
        }
    }
}

/// What an API server would set: generation grows when anything besides metadata and status changes.
fn stamp(object: &Object, old: Option<&Object>, version: u64, now: Instant) -> Stamp {
    let known = old.and_then(|old| Some((old, old.stamp.as_ref()?)));
    let generation = match known {
        None => 1,
        Some((old, stamp)) if same_spec(&old.json, &object.json) => stamp.generation,
        Some((_, stamp)) => stamp.generation + 1,
    };
    Stamp {
        uid: known
            .map_or_else(|| format!("{:016x}-{version:08x}", now.0).into(), |(_, s)| Arc::clone(&s.uid)),
        // Whole seconds, as Kubernetes keeps them: the older of two routes is decided by this.
        created: known.map_or(Instant(now.seconds() * 1000), |(_, stamp)| stamp.created),
        generation,
        version,
    }
}

/// Whether a manager may write over an object of another: of what Portolan makes too, by the order of the makers.
pub fn takes_over(key: &ObjectKey, manager: &str, other: &str) -> bool {
    matches!(
        (&*key.kind.group, &*key.kind.kind),
        ("", "Secret" | "ConfigMap") | ("cert-manager.io", "Certificate")
    ) && Maker::takes_over(manager, other)
}

fn rest<'a>(map: &'a Map<String, Value>, out: &[&str]) -> impl Iterator<Item = (&'a String, &'a Value)> {
    map.iter().filter(move |(key, _)| !out.contains(&key.as_str()))
}

/// Whether both say the same, apart from what the store sets and `status`. It copies nothing: a reading compares every
/// object of the repository, and mostly finds the very same text.
fn same(old: &Json, new: &Json) -> bool {
    if old == new {
        return true;
    }
    match (old.get("metadata").and_then(Value::as_object), new.get("metadata").and_then(Value::as_object)) {
        (Some(before), Some(after)) => {
            rest(before, &Stamp::FIELDS).eq(rest(after, &Stamp::FIELDS)) && same_spec(old, new)
        }
        _ => false,
    }
}

/// The same apart from metadata and status.
fn same_spec(old: &Value, new: &Value) -> bool {
    const OTHER: [&str; 2] = ["metadata", "status"];
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => rest(old, &OTHER).eq(rest(new, &OTHER)),
        _ => old == new,
    }
}
