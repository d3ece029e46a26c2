//! A table: slots with rows, keys and owners, and what happened to them in this stage and this step. Untyped: see
//! [`row`](crate::row).

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use crate::{
    Index, Row,
    changes::TableChanges,
    core::{Core, InstanceId, NONE, Place, ROW},
    fault::{Fault, planted},
    index::IndexStore,
    key_map::KeyMap,
    row::{AnyKey, AnyRow, same, typed},
    slab::Slab,
    slot::Slot,
};

/// A row that a run puts out.
pub type Claim = (InstanceId, Arc<dyn AnyRow>);
/// A row before a stage, by its slot.
pub type Logged = (u32, Option<Arc<dyn AnyRow>>);

/// Rows of one type. Made by [`world!`](crate::world); read through [`Cx`](crate::Cx) and [`Engine`](crate::Engine).
#[doc(hidden)]
pub struct Table {
    pub(crate) id: u16,
    pub(crate) name: &'static str,
    pub(crate) row: TypeId,
    pub(crate) slots: Slab<Slot>,
    pub(crate) places: KeyMap,
    pub(crate) indexes: Vec<IndexStore>,
    /// Map rules that run for each row.
    pub(crate) subscribers: Vec<u16>,
    /// Facts for the next step, in order of arrival.
    pub(crate) staged: Vec<Staged>,
    /// Rows put out in the present stage.
    pub(crate) pending: Vec<Claim>,
    /// Rows before the present stage, for touched slots.
    pub(crate) stage_log: Vec<Logged>,
    /// Rows before the stages of this step that changed them, oldest first.
    pub(crate) step_log: Vec<Logged>,
    /// All claims of slots that more than one run wants.
    pub(crate) rivals: BTreeMap<u32, Vec<Claim>>,
    /// Slots whose claims changed in this stage.
    pub(crate) disputed: Vec<u32>,
    /// Slots that may be free at the end of the step.
    pub(crate) vacant: Vec<u32>,
    pub(crate) ending: bool,
    /// A `Vec<Arc<R>>` of all rows in key order, from when it is asked for until a row changes.
    pub(crate) view: OnceLock<Box<dyn Any + Send + Sync>>,
}

/// A fact that waits for the next step.
pub enum Staged {
    Put(Arc<dyn AnyRow>),
    Remove(Box<dyn AnyKey>),
}

/// The rows of slots, typed.
pub fn gather<R: Row>(slots: &Slab<Slot>, members: &[u32]) -> Vec<Arc<R>> {
    let mut rows = Vec::with_capacity(members.len());
    for at in members {
        if let Some(row) = slots[*at].row() {
            rows.push(typed(row));
        }
    }
    rows
}

impl Table {
    /// An empty table of `R`.
    pub fn of<R: Row>() -> Self {
        Self::untyped(R::NAME, TypeId::of::<R>())
    }

    fn untyped(name: &'static str, row: TypeId) -> Self {
        Self {
            id: 0,
            name,
            row,
            slots: Slab::default(),
            places: KeyMap::default(),
            indexes: Vec::new(),
            subscribers: Vec::new(),
            staged: Vec::new(),
            pending: Vec::new(),
            stage_log: Vec::new(),
            step_log: Vec::new(),
            rivals: BTreeMap::new(),
            disputed: Vec::new(),
            vacant: Vec::new(),
            ending: false,
            view: OnceLock::new(),
        }
    }

    /// Adds an index; used by `world!`.
    #[must_use]
    pub fn with_index<I: Index>(mut self) -> Self {
        let position = u8::try_from(self.indexes.len()).expect("fewer than 255 indexes");
        self.indexes.push(IndexStore::new::<I>(position));
        self
    }

    pub(crate) fn find_slot(&self, key: &dyn AnyKey) -> Option<u32> {
        self.place(self.places.hash(key), key)
    }

    fn place(&self, hash: u32, key: &dyn AnyKey) -> Option<u32> {
        self.places.find(hash, |at| {
            let slot = &self.slots[at];
            slot.hash == hash && slot.some_key().is_some_and(|other| other.equals(key))
        })
    }

    fn slot_for(&mut self, key: &dyn AnyKey, made: impl FnOnce(u32) -> Slot) -> u32 {
        let hash = self.places.hash(key);
        if let Some(at) = self.place(hash, key) {
            return at;
        }
        let at = self.slots.add(made(hash));
        self.places.insert(at, |at| self.slots[at].hash);
        at
    }

    /// The slot of `key`, made if there is none.
    pub(crate) fn slot(&mut self, key: &dyn AnyKey) -> u32 {
        self.slot_for(key, |hash| Slot::absent(key, hash))
    }

    /// The slot of a row's key, made if there is none: for a row that is put there in this stage.
    pub(crate) fn slot_of(&mut self, row: &Arc<dyn AnyRow>) -> u32 {
        self.slot_for(row.key(), |hash| Slot::to_come(row, hash))
    }

    pub(crate) fn get(&self, key: &dyn AnyKey) -> Option<&Arc<dyn AnyRow>> {
        self.slots[self.find_slot(key)?].row()
    }

    /// Where an index stands among those of the table.
    pub(crate) fn position(&self, index: TypeId) -> u8 {
        let store = self.indexes.iter().find(|store| store.of == index);
        store.expect("world! lists the index, else this call does not compile").position
    }

    /// Notes the row as it is before this stage changes it.
    pub(crate) fn touch(&mut self, at: u32) {
        let slot = &mut self.slots[at];
        if !slot.logged {
            slot.logged = true;
            self.stage_log.push((at, slot.row().cloned()));
        }
    }

    /// Compares touched slots with what they were, and wakes readers, rules and indexes for those that differ.
    pub(crate) fn wake(&mut self, core: &mut Core) {
        let mut changed = std::mem::take(&mut self.stage_log);
        changed.retain_mut(|(at, before)| {
            let slot = &mut self.slots[*at];
            slot.logged = false;
            if same(slot.row(), before.as_ref()) {
                // Keeps the old pointer, so that equal rows stay cheap to compare.
                slot.set(before.take());
                return false;
            }
            core.wake(slot.node);
            for rule in &self.subscribers {
                core.queue[usize::from(*rule)].push(*at);
            }
            true
        });
        if changed.is_empty() && self.vacant.is_empty() {
            return;
        }
        self.view.take();
        self.end(core);
        for index in &mut self.indexes {
            index.update(&self.slots, &changed, core);
        }
        self.step_log.append(&mut changed);
    }

    /// Has the end of the step look at this table.
    pub(crate) fn end(&mut self, core: &mut Core) {
        if !self.ending {
            self.ending = true;
            core.ending.push(self.id);
        }
    }

    /// Net changes of the step, if any.
    pub(crate) fn publish(&mut self) -> Option<Arc<TableChanges>> {
        let mut log = std::mem::take(&mut self.step_log);
        if planted(Fault::BetweenIsBefore) {
            log.reverse();
        }
        log.sort_by_key(|(at, _)| *at);
        log.dedup_by_key(|(at, _)| *at);
        log.retain(|(at, before)| !same(self.slots[*at].row(), before.as_ref()));
        let changes = log.into_iter().map(|(at, before)| (before, self.slots[at].row().cloned()));
        let changes: Vec<_> = changes.collect();
        (!changes.is_empty()).then(|| Arc::new(TableChanges::new(self.row, changes)))
    }

    pub(crate) fn forget(&mut self, place: Place, at: u32, core: &mut Core) {
        if place.index == ROW {
            self.slots[at].node = NONE;
            self.vacant.push(at);
        } else {
            self.indexes[usize::from(place.index)].forget_read(place.kind, at);
        }
        self.end(core);
    }
}
