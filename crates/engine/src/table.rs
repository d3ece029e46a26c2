//! A typed table: slots with rows, keys and owners, and what happened to them in this stage and this step.

use std::{any::TypeId, collections::BTreeMap, sync::Arc};

use crate::{
    Index, Row,
    core::{Core, InstanceId, NONE, NodeId},
    index::{AnyIndex, IndexStore},
    key_map::KeyMap,
    slab::Slab,
};

/// Rows of one type. Made by [`world!`](crate::world); read through [`Cx`](crate::Cx) and [`Engine`](crate::Engine).
pub struct Table<R: Row> {
    pub(crate) id: u16,
    pub(crate) slots: Slab<Slot<R>>,
    pub(crate) places: KeyMap,
    pub(crate) indexes: Vec<(TypeId, Box<dyn AnyIndex<R>>)>,
    /// Map rules that run for each row.
    pub(crate) subscribers: Vec<u16>,
    /// Facts for the next step, in order of arrival.
    pub(crate) staged: Vec<(R::Key, Option<Arc<R>>)>,
    /// Rows put out in the present stage.
    pub(crate) pending: Vec<(InstanceId, Arc<R>)>,
    /// Rows before the present stage, for touched slots.
    pub(crate) stage_log: Vec<(u32, Option<Arc<R>>)>,
    /// Rows before the stages of this step that changed them, oldest first.
    pub(crate) step_log: Vec<(u32, Option<Arc<R>>)>,
    /// All claims of slots that more than one run wants.
    pub(crate) rivals: BTreeMap<u32, Vec<(InstanceId, Arc<R>)>>,
    /// Slots whose claims changed in this stage.
    pub(crate) disputed: Vec<u32>,
    /// Slots that may be free at the end of the step.
    pub(crate) vacant: Vec<u32>,
    pub(crate) ending: bool,
}

/// A key with its row, or an absent key that somebody reads.
pub struct Slot<R: Row> {
    pub key: Option<R::Key>,
    pub row: Option<Arc<R>>,
    pub hash: u32,
    pub owner: InstanceId,
    pub node: NodeId,
    pub logged: bool,
}

impl<R: Row> Default for Slot<R> {
    fn default() -> Self {
        Self { key: None, row: None, hash: 0, owner: NONE, node: NONE, logged: false }
    }
}

impl<R: Row> Slot<R> {
    pub fn key(&self) -> &R::Key {
        self.key.as_ref().expect("a slot in use has a key")
    }
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Self {
            id: 0,
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
        }
    }
}

impl<R: Row> Table<R> {
    /// Adds an index; used by `world!`.
    #[doc(hidden)]
    #[must_use]
    pub fn with_index<I: Index<Row = R>>(mut self) -> Self {
        let position = u8::try_from(self.indexes.len()).expect("fewer than 255 indexes");
        self.indexes.push((TypeId::of::<I>(), Box::new(IndexStore::<I>::new(position))));
        self
    }

    pub(crate) fn find_slot(&self, key: &R::Key) -> Option<u32> {
        self.places.find(self.places.hash(key), |at| self.slots[at].key.as_ref() == Some(key))
    }

    /// The slot of `key`, made if there is none.
    pub(crate) fn slot(&mut self, key: &R::Key) -> u32 {
        let hash = self.places.hash(key);
        if let Some(at) = self.places.find(hash, |at| self.slots[at].key.as_ref() == Some(key)) {
            return at;
        }
        let at = self.slots.add(Slot { key: Some(key.clone()), hash, ..Slot::default() });
        self.places.insert(hash, at);
        at
    }

    pub(crate) fn get(&self, key: &R::Key) -> Option<&Arc<R>> {
        self.slots[self.find_slot(key)?].row.as_ref()
    }

    pub(crate) fn index<I: Index<Row = R>>(&self) -> &IndexStore<I> {
        let wanted = TypeId::of::<I>();
        let store = self.indexes.iter().find(|(id, _)| *id == wanted);
        store
            .and_then(|(_, index)| index.as_any().downcast_ref())
            .expect("world! lists the index, else this call does not compile")
    }

    pub(crate) fn index_mut<I: Index<Row = R>>(&mut self) -> &mut IndexStore<I> {
        let wanted = TypeId::of::<I>();
        let store = self.indexes.iter_mut().find(|(id, _)| *id == wanted);
        store
            .and_then(|(_, index)| index.as_any_mut().downcast_mut())
            .expect("world! lists the index, else this call does not compile")
    }

    /// Notes the row as it is before this stage changes it.
    pub(crate) fn touch(&mut self, at: u32) {
        let slot = &mut self.slots[at];
        if !slot.logged {
            slot.logged = true;
            self.stage_log.push((at, slot.row.clone()));
        }
    }

    /// Compares touched slots with what they were, and wakes readers, rules and indexes for those that differ.
    pub(crate) fn wake(&mut self, core: &mut Core) {
        let mut changed = std::mem::take(&mut self.stage_log);
        changed.retain_mut(|(at, before)| {
            let slot = &mut self.slots[*at];
            slot.logged = false;
            if slot.row == *before {
                // Keeps the old pointer, so that equal rows stay cheap to compare.
                slot.row = before.take();
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
        self.end(core);
        for (_, index) in &mut self.indexes {
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

    /// Rows in key order.
    pub(crate) fn sorted(&self) -> Vec<&Arc<R>> {
        let mut slots: Vec<_> = self.slots.iter().filter(|slot| slot.row.is_some()).collect();
        slots.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        slots.into_iter().filter_map(|slot| slot.row.as_ref()).collect()
    }
}
