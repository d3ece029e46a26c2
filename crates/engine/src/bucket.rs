//! The members of one index value, in key order.

use std::sync::Arc;

use hashbrown::HashSet;

use crate::{
    Index,
    core::NONE,
    fault::{Fault, planted},
    slab::Slab,
    table::Slot,
};

/// What happens to one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Out,
    Changed,
    In,
}

pub struct Bucket<I: Index> {
    pub value: Option<I::Value>,
    pub hash: u32,
    /// Members by slot, in key order; `rows` runs in parallel.
    pub slots: Vec<u32>,
    pub rows: Vec<Arc<I::Row>>,
    /// Readers of find, keys and count.
    pub nodes: [u32; 3],
}

impl<I: Index> Default for Bucket<I> {
    fn default() -> Self {
        Self { value: None, hash: 0, slots: Vec::new(), rows: Vec::new(), nodes: [NONE; 3] }
    }
}

/// Above this many moves at once the bucket is merged anew, instead of moving its tail for each.
const FEW: usize = 16;

impl<I: Index> Bucket<I> {
    pub fn value(&self) -> &I::Value {
        self.value.as_ref().expect("a bucket in use has a value")
    }

    pub fn apply(&mut self, rows: &Slab<Slot<I::Row>>, moves: &[(u32, u32, Move)]) {
        if moves.len() > FEW {
            self.merge(rows, moves);
        } else {
            for (_, slot, what) in moves {
                self.apply_one(rows, *slot, *what);
            }
        }
    }

    fn apply_one(&mut self, rows: &Slab<Slot<I::Row>>, slot: u32, what: Move) {
        let key = rows[slot].key();
        let found = self.slots.binary_search_by(|other| rows[*other].key().cmp(key));
        match (what, found, &rows[slot].row) {
            (Move::Out, Ok(at), _) => {
                self.slots.remove(at);
                self.rows.remove(at);
            }
            (Move::Changed, Ok(at), Some(row)) if !planted(Fault::MemberNotReplaced) => {
                self.rows[at] = Arc::clone(row);
            }
            (Move::In, Err(at), Some(row)) => {
                let at = if planted(Fault::BucketUnordered) { self.slots.len() } else { at };
                if self.slots.is_empty() {
                    self.slots.reserve_exact(1);
                    self.rows.reserve_exact(1);
                }
                self.slots.insert(at, slot);
                self.rows.insert(at, Arc::clone(row));
            }
            _ => {}
        }
    }

    fn merge(&mut self, rows: &Slab<Slot<I::Row>>, moves: &[(u32, u32, Move)]) {
        let of = |wanted| moves.iter().filter(move |(_, _, what)| *what == wanted).map(|(_, slot, _)| *slot);
        let out: HashSet<u32> = of(Move::Out).collect();
        self.slots.retain(|slot| !out.contains(slot));
        let mut come: Vec<u32> = of(Move::In).collect();
        come.sort_unstable_by(|a, b| rows[*a].key().cmp(rows[*b].key()));
        self.slots.append(&mut come);
        // Two sorted runs, which the standard stable sort merges in linear time.
        self.slots.sort_by(|a, b| rows[*a].key().cmp(rows[*b].key()));
        self.rows.clear();
        self.rows.extend(self.slots.iter().filter_map(|slot| rows[*slot].row.clone()));
        // A bucket that lost most of its members gives the memory back.
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to_fit();
            self.rows.shrink_to_fit();
        }
    }
}
