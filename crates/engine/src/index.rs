//! An index of a table: buckets of rows by value.

use std::{any::Any, sync::Arc};

use crate::{
    Index, Row,
    bucket::{Bucket, Move},
    core::{Core, NONE, Place, ReadKind},
    fault::{Fault, planted},
    key_map::KeyMap,
    slab::Slab,
    table::Slot,
};

/// An index without its value type.
pub trait AnyIndex<R: Row>: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn name(&self) -> &'static str;
    /// Moves members for rows that changed, and wakes readers and rules.
    fn update(&mut self, rows: &Slab<Slot<R>>, changed: &[(u32, Option<Arc<R>>)], core: &mut Core);
    fn forget_read(&mut self, kind: ReadKind, at: u32);
    fn free_buckets(&mut self);
    /// Value as text, and member slots.
    fn describe(&self, at: u32) -> (String, &[u32]);
    fn len(&self) -> usize;
}

pub struct IndexStore<I: Index> {
    pub position: u8,
    pub places: KeyMap,
    pub buckets: Slab<Bucket<I>>,
    /// Group rules that run for each bucket.
    pub subscribers: Vec<u16>,
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

/// The values of a row in order, each once, in place of what `out` held.
fn values<I: Index>(row: Option<&Arc<I::Row>>, out: &mut Vec<I::Value>) {
    out.clear();
    if let Some(row) = row {
        I::values(row, out);
    }
    if planted(Fault::SecondValueIgnored) {
        out.truncate(1);
    }
    out.sort_unstable();
    out.dedup();
}

impl<I: Index> IndexStore<I> {
    pub fn new(position: u8) -> Self {
        Self {
            position,
            places: KeyMap::default(),
            buckets: Slab::default(),
            subscribers: Vec::new(),
            vacant: Vec::new(),
        }
    }

    pub fn find(&self, value: &I::Value) -> Option<u32> {
        self.places.find(self.places.hash(value), |at| self.buckets[at].value.as_ref() == Some(value))
    }

    fn bucket(&mut self, value: &I::Value) -> u32 {
        let hash = self.places.hash(value);
        if let Some(at) = self.places.find(hash, |at| self.buckets[at].value.as_ref() == Some(value)) {
            return at;
        }
        let at = self.buckets.add(Bucket { value: Some(value.clone()), hash, ..Bucket::default() });
        self.places.insert(hash, at);
        at
    }

    /// Records a read of the present run and gives the bucket.
    pub fn read(
        &mut self,
        core: &mut Core,
        table: u16,
        kind: ReadKind,
        value: &I::Value,
    ) -> Option<&Bucket<I>> {
        if planted(Fault::EmptyBucketForgotten) && self.find(value).is_none() {
            return None;
        }
        let at = self.bucket(value);
        let place = Place { table, index: self.position, kind };
        core.read(&mut self.buckets[at].nodes[nth(kind)], place, at);
        Some(&self.buckets[at])
    }
}

impl<I: Index> AnyIndex<I::Row> for IndexStore<I> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        I::NAME
    }

    fn update(&mut self, rows: &Slab<Slot<I::Row>>, changed: &[(u32, Option<Arc<I::Row>>)], core: &mut Core) {
        let mut moves: Vec<(u32, u32, Move)> = Vec::with_capacity(changed.len());
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (slot, old) in changed {
            values::<I>(old.as_ref(), &mut before);
            values::<I>(rows[*slot].row.as_ref(), &mut after);
            for value in &before {
                let what = if after.binary_search(value).is_ok() { Move::Changed } else { Move::Out };
                moves.push((self.bucket(value), *slot, what));
            }
            for value in after.iter().filter(|value| before.binary_search(value).is_err()) {
                moves.push((self.bucket(value), *slot, Move::In));
            }
        }
        moves.sort_by_key(|(bucket, ..)| *bucket);
        for moves in moves.chunk_by(|a, b| a.0 == b.0) {
            let at = moves[0].0;
            let bucket = &mut self.buckets[at];
            let before = bucket.slots.len();
            bucket.apply(rows, moves);
            let [find, keys, count] = bucket.nodes;
            core.wake(find);
            let wakes_keys =
                |what| what == Move::In || what == Move::Out && !planted(Fault::RemovalWakesNoKeys);
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
    }

    fn forget_read(&mut self, kind: ReadKind, at: u32) {
        self.buckets[at].nodes[nth(kind)] = NONE;
        self.vacant.push(at);
    }

    fn free_buckets(&mut self) {
        for at in std::mem::take(&mut self.vacant) {
            let bucket = &self.buckets[at];
            if bucket.value.is_some() && bucket.slots.is_empty() && bucket.nodes == [NONE; 3] {
                self.places.remove(bucket.hash, at);
                self.buckets.free(at);
            }
        }
    }

    fn describe(&self, at: u32) -> (String, &[u32]) {
        (format!("{:?}", self.buckets[at].value()), &self.buckets[at].slots)
    }

    fn len(&self) -> usize {
        self.places.len()
    }
}
