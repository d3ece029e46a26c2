//! What is asked of a table: its rows in order, and what it tells of itself as text and numbers.

use std::{cmp::Ordering, sync::Arc};

use crate::{
    Row,
    core::{Place, ROW},
    row::{AnyKey, mistyped},
    table::{Table, gather},
};

const SAMPLE: usize = 3;

/// What stands at a place.
pub struct Told {
    /// The index, if the place is a bucket.
    pub index: Option<&'static str>,
    /// Key or value.
    pub what: String,
    /// How many rows.
    pub count: usize,
    /// Keys of the first few members of a bucket.
    pub sample: Vec<String>,
}

impl Table {
    /// Slots with rows, in key order.
    pub(crate) fn sorted(&self) -> Vec<u32> {
        let all = (0_u32..).zip(self.slots.iter());
        let mut slots: Vec<u32> = all.filter(|(_, slot)| slot.row().is_some()).map(|(at, _)| at).collect();
        slots.sort_unstable_by(|a, b| self.slots[*a].key().order(self.slots[*b].key()));
        slots
    }

    /// All rows in key order.
    pub(crate) fn view<R: Row>(&self) -> &[Arc<R>] {
        let view = self.view.get_or_init(|| Box::new(gather::<R>(&self.slots, &self.sorted())));
        let Some(rows) = view.downcast_ref::<Vec<Arc<R>>>() else { mistyped() };
        rows
    }

    /// Whether there is something to run for: a row, or a member of a bucket.
    pub(crate) fn present(&self, index: u8, input: u32) -> bool {
        if index == ROW {
            self.slots[input].row().is_some()
        } else {
            !self.indexes[usize::from(index)].buckets[input].slots.is_empty()
        }
    }

    /// Key of a slot, or value of a bucket.
    pub(crate) fn key_at(&self, index: u8, input: u32) -> &dyn AnyKey {
        if index == ROW {
            self.slots[input].key()
        } else {
            self.indexes[usize::from(index)].buckets[input].value()
        }
    }

    /// Order of two inputs, by key or value.
    pub(crate) fn order(&self, index: u8, a: u32, b: u32) -> Ordering {
        self.key_at(index, a).order(self.key_at(index, b))
    }

    pub(crate) fn describe(&self, place: Place, at: u32) -> Told {
        let what = format!("{:?}", self.key_at(place.index, at).debug());
        if place.index == ROW {
            let count = usize::from(self.slots[at].row().is_some());
            return Told { index: None, what, count, sample: Vec::new() };
        }
        let index = &self.indexes[usize::from(place.index)];
        let members = &index.buckets[at].slots;
        let sample = members.iter().take(SAMPLE).map(|at| self.key_text(*at)).collect();
        Told { index: Some(index.name), what, count: members.len(), sample }
    }

    fn key_text(&self, at: u32) -> String {
        format!("{:?}", self.slots[at].key().debug())
    }

    /// Slots that more than one run claims, with their keys as text.
    pub(crate) fn contested(&self) -> Vec<(u32, String)> {
        let mut slots: Vec<_> = self.rivals.keys().copied().collect();
        slots.sort_unstable_by(|a, b| self.order(ROW, *a, *b));
        slots.into_iter().map(|at| (at, self.key_text(at))).collect()
    }

    /// All rows as text, in key order.
    pub(crate) fn dump(&self) -> Vec<String> {
        let rows = self.sorted().into_iter().filter_map(|at| self.slots[at].row());
        rows.map(|row| format!("{}: {:?}", self.name, row.debug())).collect()
    }

    /// Keys and buckets in use.
    pub(crate) fn places(&self) -> usize {
        self.places.len() + self.indexes.iter().map(crate::index::IndexStore::len).sum::<usize>()
    }

    pub(crate) fn rows(&self) -> usize {
        self.slots.iter().filter(|slot| slot.row().is_some()).count()
    }
}
