//! Who owns which row: what runs put out becomes rows, and more than one claim on a key becomes a conflict.

use std::sync::Arc;

use crate::{
    core::{FACT, InstanceId, NONE},
    fault::{Fault, planted},
    row::{AnyRow, same},
    table::{Staged, Table},
};

impl Table {
    /// Takes in the facts that were put and removed since the last step.
    pub(crate) fn take_facts(&mut self) {
        for staged in std::mem::take(&mut self.staged) {
            match staged {
                Staged::Put(row) => {
                    let at = self.slot_of(&row);
                    let alone = matches!(self.slots[at].owner, FACT | NONE) && !self.rivals.contains_key(&at);
                    if alone || planted(Fault::PutTakesOver) {
                        self.show(at, FACT, row);
                    } else {
                        // A source has the key too.
                        self.release(FACT, at, false);
                        self.claim(FACT, at, row);
                    }
                }
                Staged::Remove(key) => {
                    if let Some(at) = self.find_slot(&*key) {
                        self.release(FACT, at, false);
                    }
                }
            }
        }
    }

    /// Makes what a stage's runs put out the rows of this table. `old` is what the same runs owned before, by owner
    /// and slot. All rows go first, then rows come: a key that moves between two inputs is no conflict.
    /// Gives the new outputs, and the runs whose rows differ from before.
    pub(crate) fn take_outputs(
        &mut self,
        old: &[(InstanceId, u32)],
        outputs: &mut Vec<(InstanceId, u32)>,
        differ: &mut Vec<InstanceId>,
    ) {
        let pending = std::mem::take(&mut self.pending);
        let mut new: Vec<(InstanceId, u32, Arc<dyn AnyRow>)> =
            pending.into_iter().map(|(owner, row)| (owner, self.slot_of(&row), row)).collect();
        new.sort_by_key(|(owner, at, _)| (*owner, *at));
        new.dedup_by(|b, a| (a.0, a.1) == (b.0, b.1) && same(Some(&a.2), Some(&b.2)));
        if planted(Fault::InsertBeforeRemove) {
            self.come(new.clone(), outputs, differ);
            outputs.clear();
        }
        for (owner, at) in old {
            let again = new.binary_search_by_key(&(owner, at), |(owner, at, _)| (owner, at)).is_ok();
            if !again {
                differ.push(*owner);
            }
            self.release(*owner, *at, again);
        }
        if planted(Fault::InsertBeforeRemove) {
            outputs.extend(new.iter().map(|(owner, at, _)| (*owner, *at)));
            return;
        }
        self.come(new, outputs, differ);
    }

    fn come(
        &mut self,
        new: Vec<(InstanceId, u32, Arc<dyn AnyRow>)>,
        outputs: &mut Vec<(InstanceId, u32)>,
        differ: &mut Vec<InstanceId>,
    ) {
        let mut last = (NONE, NONE);
        for (owner, at, row) in new {
            let second = last == (owner, at);
            last = (owner, at);
            if self.claim(owner, at, row) && differ.last() != Some(&owner) {
                differ.push(owner);
            }
            if !second {
                outputs.push(last);
            }
        }
    }

    /// All claims that end are withdrawn by now, so whoever stands here is a rival; the same run too, if it has put out
    /// another row under this key. Gives whether something differs from before.
    fn claim(&mut self, owner: InstanceId, at: u32, row: Arc<dyn AnyRow>) -> bool {
        let slot = &self.slots[at];
        let present = slot.owner;
        if let Some(claims) = self.rivals.get_mut(&at) {
            claims.push((owner, row));
            self.disputed.push(at);
        } else if present == NONE {
            let differs = !same(slot.row(), Some(&row));
            if differs {
                self.touch(at);
                self.slots[at].set(Some(row));
            }
            self.slots[at].owner = owner;
            return differs;
        } else if let Some(first) = slot.row().cloned() {
            self.rivals.insert(at, vec![(present, first), (owner, row)]);
            self.disputed.push(at);
        }
        true
    }

    /// Withdraws the claims of `owner`; `again`: it puts out this key again, so its row stays to be compared.
    fn release(&mut self, owner: InstanceId, at: u32, again: bool) {
        if let Some(claims) = self.rivals.get_mut(&at) {
            claims.retain(|(other, _)| *other != owner);
            if claims.len() > 1 {
                self.disputed.push(at);
                return;
            }
            let last = claims.pop();
            self.rivals.remove(&at);
            match last {
                None => self.vacate(at),
                Some((owner, row)) => self.show(at, owner, row),
            }
        } else if self.slots[at].owner == owner {
            if again {
                self.slots[at].owner = NONE;
            } else {
                self.vacate(at);
            }
        }
    }

    fn show(&mut self, at: u32, owner: InstanceId, row: Arc<dyn AnyRow>) {
        self.touch(at);
        self.slots[at].set(Some(row));
        self.slots[at].owner = owner;
    }

    fn vacate(&mut self, at: u32) {
        self.touch(at);
        self.slots[at].set(None);
        self.slots[at].owner = NONE;
        self.vacant.push(at);
    }

    /// Who claims a slot, if more than one run does.
    pub(crate) fn claims(&self, at: u32) -> Vec<InstanceId> {
        self.rivals
            .get(&at)
            .map(|claims| claims.iter().map(|(owner, _)| *owner).collect())
            .unwrap_or_default()
    }

    /// Shows the `nth` claim.
    pub(crate) fn decide(&mut self, at: u32, nth: usize) {
        if planted(Fault::FirstComerWins) {
            return;
        }
        if let Some((owner, row)) = self.rivals.get(&at).and_then(|claims| claims.get(nth)) {
            let (owner, row) = (*owner, Arc::clone(row));
            self.show(at, owner, row);
        }
    }

    /// Frees slots that hold no row and that nobody reads.
    pub(crate) fn free_slots(&mut self) {
        for at in std::mem::take(&mut self.vacant) {
            let slot = &mut self.slots[at];
            if !slot.is_absent() {
                continue;
            }
            if slot.node == NONE {
                self.places.remove(slot.hash, at);
                self.slots.free(at);
            } else {
                slot.keep_key();
            }
        }
        for index in &mut self.indexes {
            index.free_buckets();
        }
        self.ending = false;
    }

    /// Drops what `owner`, which panicked in this stage, put out last.
    pub(crate) fn discard(&mut self, owner: InstanceId) {
        while self.pending.last().is_some_and(|(other, _)| *other == owner) {
            self.pending.pop();
        }
    }

    /// Slots whose claims changed in this stage, each once.
    pub(crate) fn take_disputed(&mut self) -> Vec<u32> {
        let mut disputed = std::mem::take(&mut self.disputed);
        disputed.sort_unstable();
        disputed.dedup();
        disputed
    }
}
