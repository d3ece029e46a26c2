//! What a rule may do: read (recorded) and emit.

use std::{any::TypeId, collections::BTreeMap, sync::Arc};

use crate::{
    Has, Index, Indexed, Instant, Row,
    readers::InstanceId,
    table::{Read, ReadKind},
};

/// The context of one run of one rule. There is no clock and no way to read without being recorded.
pub struct Cx<'a, W> {
    pub(crate) world: &'a mut W,
    pub(crate) id: InstanceId,
    pub(crate) now: Instant,
    pub(crate) reads: Vec<Read>,
    pub(crate) due: Option<Instant>,
    pub(crate) may_read: &'a [TypeId],
    pub(crate) may_write: &'a [TypeId],
    pub(crate) errors: &'a mut BTreeMap<String, usize>,
    pub(crate) rule: &'static str,
}

impl<W> Cx<'_, W> {
    /// The row under `key`; wakes when it changes, comes or goes.
    pub fn get<R: Row>(&mut self, key: &R::Key) -> Option<Arc<R>>
    where
        W: Has<R>,
    {
        self.check::<R>();
        let table = self.world.table_mut();
        let node = table.readers.add(key, self.id);
        self.reads.push(Read { table: TypeId::of::<R>(), kind: ReadKind::Get, index: 0, node });
        table.get(key).cloned()
    }

    /// All rows under `value`, in key order; wakes on any change of any member.
    pub fn find<I: Index>(&mut self, value: &I::Value) -> Vec<Arc<I::Row>>
    where
        W: Indexed<I>,
    {
        self.bucket::<I>(ReadKind::Find, value);
        let store = self.world.table().index::<I>();
        store.buckets.get(value).map(|b| b.values().cloned().collect()).unwrap_or_default()
    }

    /// The keys under `value`; wakes on membership only.
    pub fn keys<I: Index>(&mut self, value: &I::Value) -> Vec<<I::Row as Row>::Key>
    where
        W: Indexed<I>,
    {
        self.bucket::<I>(ReadKind::Keys, value);
        let store = self.world.table().index::<I>();
        store.buckets.get(value).map(|b| b.keys().cloned().collect()).unwrap_or_default()
    }

    /// How many rows stand under `value`; wakes only if the number differs.
    pub fn count<I: Index>(&mut self, value: &I::Value) -> usize
    where
        W: Indexed<I>,
    {
        self.bucket::<I>(ReadKind::Count, value);
        self.world.table().index::<I>().buckets.get(value).map_or(0, BTreeMap::len)
    }

    /// Whether `at` has come; wakes at it.
    pub fn due(&mut self, at: Instant) -> bool {
        if self.now >= at {
            return true;
        }
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
        false
    }

    /// Puts out a row.
    pub fn emit<R: Row>(&mut self, row: R)
    where
        W: Has<R>,
    {
        if !self.may_write.contains(&TypeId::of::<R>()) {
            *self.errors.entry(format!("rule {} writes {} undeclared", self.rule, R::NAME)).or_default() += 1;
            return;
        }
        self.world.table_mut().pending.push((self.id, Arc::new(row)));
    }

    fn check<R: Row>(&mut self) {
        if !self.may_read.contains(&TypeId::of::<R>()) {
            *self.errors.entry(format!("rule {} reads {} undeclared", self.rule, R::NAME)).or_default() += 1;
        }
    }

    fn bucket<I: Index>(&mut self, kind: ReadKind, value: &I::Value)
    where
        W: Indexed<I>,
    {
        self.check::<I::Row>();
        let table = self.world.table_mut();
        let position = table
            .indexes
            .iter()
            .position(|index| index.as_any().is::<crate::table::IndexStore<I>>())
            .and_then(|at| u8::try_from(at).ok())
            .expect("world! lists the index, else this call does not compile");
        let store = table.index_mut::<I>();
        let readers = match kind {
            ReadKind::Keys => &mut store.keys,
            ReadKind::Count => &mut store.count,
            ReadKind::Find | ReadKind::Get => &mut store.find,
        };
        let node = readers.add(value, self.id);
        self.reads.push(Read { table: TypeId::of::<I::Row>(), kind, index: position, node });
    }
}
