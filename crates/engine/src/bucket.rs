//! The members of one index value, in key order.

use hashbrown::HashSet;
use tinyvec::TinyVec;

use crate::{
    core::NONE,
    fault::{Fault, planted},
    row::AnyKey,
    slab::Slab,
    slot::Slot,
};

/// What happens to one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Out,
    Changed,
    In,
}

pub struct Bucket {
    pub value: Option<Box<dyn AnyKey>>,
    pub hash: u32,
    /// Members by slot, in key order. Their rows stand there.
    pub slots: TinyVec<[u32; 3]>,
    /// Readers of find, keys and count.
    pub nodes: [u32; 3],
}

impl Default for Bucket {
    fn default() -> Self {
        Self { value: None, hash: 0, slots: TinyVec::new(), nodes: [NONE; 3] }
    }
}

/// Above this many moves at once the bucket is merged anew, instead of moving its tail for each.
const FEW: usize = 16;

impl Bucket {
    pub fn value(&self) -> &dyn AnyKey {
        &**self.value.as_ref().expect("a bucket in use has a value")
    }

    pub fn apply(&mut self, rows: &Slab<Slot>, moves: &[(u32, u32, Move)]) {
        if moves.len() > FEW {
            self.merge(rows, moves);
        } else {
            for (_, slot, what) in moves {
                self.apply_one(rows, *slot, *what);
            }
        }
    }

    fn apply_one(&mut self, rows: &Slab<Slot>, slot: u32, what: Move) {
        if what == Move::Changed {
            return;
        }
        let key = rows[slot].key();
        let found = self.slots.binary_search_by(|other| rows[*other].key().order(key));
        match (what, found) {
            (Move::Out, Ok(at)) => {
                self.slots.remove(at);
            }
            (Move::In, Err(at)) => {
                let at = if planted(Fault::BucketUnordered) { self.slots.len() } else { at };
                self.slots.insert(at, slot);
            }
            _ => {}
        }
    }

    fn merge(&mut self, rows: &Slab<Slot>, moves: &[(u32, u32, Move)]) {
        let of = |wanted| moves.iter().filter(move |(_, _, what)| *what == wanted).map(|(_, slot, _)| *slot);
        let out: HashSet<u32> = of(Move::Out).collect();
        let mut come: Vec<u32> = of(Move::In).collect();
        if out.is_empty() && come.is_empty() {
            return;
        }
        self.slots.retain(|slot| !out.contains(slot));
        come.sort_unstable_by(|a, b| rows[*a].key().order(rows[*b].key()));
        self.slots.extend_from_slice(&come);
        // Two sorted runs, which the standard stable sort merges in linear time.
        self.slots.sort_by(|a, b| rows[*a].key().order(rows[*b].key()));
        // A bucket that lost most of its members gives the memory back.
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to_fit();
        }
    }
}
