//! An index of a table: buckets of rows by value.

use std::{any::TypeId, sync::Arc};

use crate::{
    Index,
    bucket::{Bucket, Move},
    core::{Core, NONE, Place, ReadKind},
    fault::{Fault, planted},
    key_map::KeyMap,
    row::{AnyKey, AnyRow, Side, values},
    slab::Slab,
    slot::Slot,
};

/// Shows the values that a row stood and stands under.
type Values = fn(Option<&dyn AnyRow>, Option<&dyn AnyRow>, &mut dyn FnMut(&dyn AnyKey, Side));

pub struct IndexStore {
    pub of: TypeId,
    pub name: &'static str,
    pub position: u8,
    pub buckets: Slab<Bucket>,
    /// Group rules that run for each bucket.
    pub subscribers: Vec<u16>,
    places: KeyMap,
    values: Values,
    vacant: Vec<u32>,
}

/// Which of a bucket's nodes serves a kind of read.
fn nth(kind: ReadKind) -> usize {
    match kind {
        ReadKind::Find | ReadKind::Get => 0,
        ReadKind::Keys => 1,
        ReadKind::Count => 2,
    }
}

impl IndexStore {
    pub fn new<I: Index>(position: u8) -> Self {
        Self::untyped(TypeId::of::<I>(), I::NAME, position, values::<I>)
    }

    fn untyped(of: TypeId, name: &'static str, position: u8, values: Values) -> Self {
        Self {
            of,
            name,
            position,
            places: KeyMap::default(),
            buckets: Slab::default(),
            subscribers: Vec::new(),
            values,
            vacant: Vec::new(),
        }
    }

    pub fn find(&self, value: &dyn AnyKey) -> Option<u32> {
        self.place(self.places.hash(value), value)
    }

    fn place(&self, hash: u32, value: &dyn AnyKey) -> Option<u32> {
        self.places.find(hash, |at| {
            let bucket = &self.buckets[at];
            bucket.hash == hash && bucket.value.as_ref().is_some_and(|other| other.equals(value))
        })
    }

    fn bucket(&mut self, value: &dyn AnyKey) -> u32 {
        let hash = self.places.hash(value);
        if let Some(at) = self.place(hash, value) {
            return at;
        }
        let at = self.buckets.add(Bucket { value: Some(value.boxed()), hash, ..Bucket::default() });
        self.places.insert(at, |at| self.buckets[at].hash);
        at
    }

    /// The buckets that a row stood in and stands in, in order, each once, in place of what the lists held.
    fn stands_in(
        &mut self,
        states: [Option<&Arc<dyn AnyRow>>; 2],
        before: &mut Vec<u32>,
        after: &mut Vec<u32>,
    ) {
        before.clear();
        after.clear();
        let [old, new] = states.map(|row| row.map(|row| &**row));
        (self.values)(old, new, &mut |value, side| {
            let of_it = if side == Side::After { &*after } else { &*before };
            if planted(Fault::SecondValueIgnored) && !of_it.is_empty() {
                return;
            }
            let at = self.bucket(value);
            if side != Side::After {
                before.push(at);
            }
            if side != Side::Before {
                after.push(at);
            }
        });
        for list in [before, after] {
            list.sort_unstable();
            list.dedup();
        }
    }

    /// Records a read of the present run and gives the bucket.
    pub fn read(&mut self, core: &mut Core, table: u16, kind: ReadKind, value: &dyn AnyKey) -> Option<u32> {
        if planted(Fault::EmptyBucketForgotten) && self.find(value).is_none() {
            return None;
        }
        let at = self.bucket(value);
        let place = Place { table, index: self.position, kind };
        core.read(&mut self.buckets[at].nodes[nth(kind)], place, at);
        Some(at)
    }

    /// Moves members for rows that changed, and wakes readers and rules.
    pub fn update(&mut self, rows: &Slab<Slot>, changed: &[(u32, Option<Arc<dyn AnyRow>>)], core: &mut Core) {
        let mut moves: Vec<(u32, u32, Move)> = Vec::with_capacity(changed.len());
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (slot, old) in changed {
            self.stands_in([old.as_ref(), rows[*slot].row()], &mut before, &mut after);
            for bucket in &before {
                let what = if after.binary_search(bucket).is_ok() { Move::Changed } else { Move::Out };
                moves.push((*bucket, *slot, what));
            }
            for bucket in after.iter().filter(|bucket| before.binary_search(bucket).is_err()) {
                moves.push((*bucket, *slot, Move::In));
            }
        }
        moves.sort_by_key(|(bucket, ..)| *bucket);
        for moves in moves.chunk_by(|a, b| a.0 == b.0) {
            self.move_members(rows, moves, core);
        }
    }

    fn move_members(&mut self, rows: &Slab<Slot>, moves: &[(u32, u32, Move)], core: &mut Core) {
        let at = moves[0].0;
        let bucket = &mut self.buckets[at];
        let before = bucket.slots.len();
        bucket.apply(rows, moves);
        let [find, keys, count] = bucket.nodes;
        let stays = moves.iter().all(|(.., what)| *what == Move::Changed);
        if !(stays && planted(Fault::MemberChangeWakesNobody)) {
            core.wake(find);
        }
        let wakes_keys = |what| what == Move::In || what == Move::Out && !planted(Fault::RemovalWakesNoKeys);
        if moves.iter().any(|(.., what)| wakes_keys(*what)) {
            core.wake(keys);
        }
        if bucket.slots.len() != before && !planted(Fault::CountNeverWakes) {
            core.wake(count);
        }
        for rule in &self.subscribers {
            core.queue[usize::from(*rule)].push(at);
        }
        if bucket.slots.is_empty() {
            self.vacant.push(at);
        }
    }

    pub fn forget_read(&mut self, kind: ReadKind, at: u32) {
        self.buckets[at].nodes[nth(kind)] = NONE;
        self.vacant.push(at);
    }

    pub fn free_buckets(&mut self) {
        for at in std::mem::take(&mut self.vacant) {
            let bucket = &self.buckets[at];
            if bucket.value.is_some() && bucket.slots.is_empty() && bucket.nodes == [NONE; 3] {
                self.places.remove(bucket.hash, at);
                self.buckets.free(at);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }
}
