//! What the engine does with a table without knowing its type.

use std::{any::TypeId, sync::Arc};

use crate::{
    Change, Row, Table,
    changes::{Published, TableChanges},
    core::{Core, InstanceId, Place, ROW},
    fault::{Fault, planted},
};

/// A table without its row type. Its methods are the engine's own.
#[doc(hidden)]
pub trait AnyTable {
    fn set_id(&mut self, id: u16);
    fn name(&self) -> &'static str;
    /// Takes in staged facts and wakes what they change.
    fn accept(&mut self, core: &mut Core);
    /// Takes in what runs put out; `wake` comes after conflicts are decided. Notes runs whose rows differ from before.
    fn settle(
        &mut self,
        old: &[(InstanceId, u32)],
        outputs: &mut Vec<(InstanceId, u32)>,
        differ: &mut Vec<InstanceId>,
    );
    /// Drops what `owner`, which panicked in this stage, put out last.
    fn discard(&mut self, owner: InstanceId);
    fn take_disputed(&mut self) -> Vec<u32>;
    fn claimants(&self, at: u32) -> Vec<InstanceId>;
    fn award(&mut self, at: u32, nth: usize);
    fn wake_readers(&mut self, core: &mut Core);
    /// Net changes of the step, if any.
    fn publish(&mut self) -> Option<(TypeId, Published)>;
    fn forget(&mut self, place: Place, at: u32, core: &mut Core);
    fn free(&mut self);
    /// Index name, key or value as text, number of rows there, keys of the first few.
    fn describe(&self, place: Place, at: u32) -> (Option<&'static str>, String, usize, Vec<String>);
    /// Slots that more than one run claims, with their keys as text.
    fn contested(&self) -> Vec<(u32, String)>;
    /// All rows as text, in key order.
    fn dump(&self) -> Vec<String>;
    /// Keys and buckets in use.
    fn places(&self) -> usize;
    fn rows(&self) -> usize;
}

const SAMPLE: usize = 3;

impl<R: Row> AnyTable for Table<R> {
    fn set_id(&mut self, id: u16) {
        self.id = id;
    }

    fn name(&self) -> &'static str {
        R::NAME
    }

    fn accept(&mut self, core: &mut Core) {
        self.take_facts();
        self.wake(core);
    }

    fn settle(
        &mut self,
        old: &[(InstanceId, u32)],
        outputs: &mut Vec<(InstanceId, u32)>,
        differ: &mut Vec<InstanceId>,
    ) {
        self.take_outputs(old, outputs, differ);
    }

    fn discard(&mut self, owner: InstanceId) {
        while self.pending.last().is_some_and(|(other, _)| *other == owner) {
            self.pending.pop();
        }
    }

    fn take_disputed(&mut self) -> Vec<u32> {
        let mut disputed = std::mem::take(&mut self.disputed);
        disputed.sort_unstable();
        disputed.dedup();
        disputed
    }

    fn claimants(&self, at: u32) -> Vec<InstanceId> {
        self.claims(at)
    }

    fn award(&mut self, at: u32, nth: usize) {
        self.decide(at, nth);
    }

    fn wake_readers(&mut self, core: &mut Core) {
        self.wake(core);
    }

    fn publish(&mut self) -> Option<(TypeId, Published)> {
        let mut log = std::mem::take(&mut self.step_log);
        if planted(Fault::BetweenIsBefore) {
            log.reverse();
        }
        log.sort_by_key(|(at, _)| *at);
        log.dedup_by_key(|(at, _)| *at);
        log.retain(|(at, before)| self.slots[*at].row != *before);
        let changes = log.into_iter().map(|(at, before)| {
            let slot = &self.slots[at];
            Change { key: slot.key().clone(), before, after: slot.row.clone() }
        });
        let changes: Vec<Change<R>> = changes.collect();
        (!changes.is_empty()).then(|| (TypeId::of::<R>(), Arc::new(TableChanges::new(changes)) as Published))
    }

    fn forget(&mut self, place: Place, at: u32, core: &mut Core) {
        if place.index == ROW {
            self.forget_read(at, core);
        } else {
            self.indexes[usize::from(place.index)].1.forget_read(place.kind, at);
            self.end(core);
        }
    }

    fn free(&mut self) {
        self.free_slots();
    }

    fn describe(&self, place: Place, at: u32) -> (Option<&'static str>, String, usize, Vec<String>) {
        if place.index == ROW {
            let slot = &self.slots[at];
            return (None, format!("{:?}", slot.key()), usize::from(slot.row.is_some()), Vec::new());
        }
        let index = &self.indexes[usize::from(place.index)].1;
        let (value, members) = index.describe(at);
        let sample = members.iter().take(SAMPLE).map(|at| format!("{:?}", self.slots[*at].key())).collect();
        (Some(index.name()), value, members.len(), sample)
    }

    fn contested(&self) -> Vec<(u32, String)> {
        let mut slots: Vec<_> = self.rivals.keys().copied().collect();
        slots.sort_unstable_by(|a, b| self.slots[*a].key().cmp(self.slots[*b].key()));
        slots.into_iter().map(|at| (at, format!("{:?}", self.slots[at].key()))).collect()
    }

    fn dump(&self) -> Vec<String> {
        self.sorted().into_iter().map(|row| format!("{}: {row:?}", R::NAME)).collect()
    }

    fn places(&self) -> usize {
        self.places.len() + self.indexes.iter().map(|(_, index)| index.len()).sum::<usize>()
    }

    fn rows(&self) -> usize {
        self.slots.iter().filter(|slot| slot.row.is_some()).count()
    }
}
