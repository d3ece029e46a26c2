//! What a rule may do: read (recorded) and emit.

use std::{any::TypeId, marker::PhantomData, sync::Arc};

use crate::{
    Has, Index, Indexed, Instant, Row,
    core::{Core, InstanceId, Place, ROW, ReadKind},
    declare::Declared,
    fault::{Fault, planted},
    row::{AnyKey, AnyRow, typed, typed_key},
    table::{Table, gather},
};

/// One run of one rule, without types.
pub struct Run<'a> {
    pub tables: &'a mut [Table],
    pub core: &'a mut Core,
    pub declared: &'a Declared,
    pub id: InstanceId,
}

impl Run<'_> {
    /// Reads the row under `key`.
    fn get(&mut self, table: u16, key: &dyn AnyKey) -> Option<&Arc<dyn AnyRow>> {
        let table = &mut self.tables[usize::from(table)];
        if planted(Fault::AbsentGetForgotten) && table.get(key).is_none() {
            return None;
        }
        let at = table.slot(key);
        let slot = &mut table.slots[at];
        if !self.declared.may_read(table.id, ROW) {
            undeclared(self.core, self.declared, table.name);
        }
        let place = Place { table: table.id, index: ROW, kind: ReadKind::Get };
        self.core.read(&mut slot.node, place, at);
        slot.row()
    }

    /// Reads what stands under a value of an index; gives the members' slots, and the table they are in.
    fn members(&mut self, table: u16, index: TypeId, kind: ReadKind, value: &dyn AnyKey) -> (&[u32], &Table) {
        let table = &mut self.tables[usize::from(table)];
        let position = table.position(index);
        let store = &mut table.indexes[usize::from(position)];
        if !self.declared.may_read(table.id, position) {
            undeclared(self.core, self.declared, store.name);
        }
        let bucket = store.read(self.core, table.id, kind, value);
        let members = bucket.map(|at| &*table.indexes[usize::from(position)].buckets[at].slots);
        (members.unwrap_or_default(), table)
    }

    /// Puts out a row.
    fn emit(&mut self, table: u16, row: Arc<dyn AnyRow>) {
        let table = &mut self.tables[usize::from(table)];
        if self.declared.may_write(table.id) {
            table.pending.push((self.id, row));
        } else {
            let rule = self.declared.name;
            self.core.error(format!("rule {rule} writes {}, which it does not declare", table.name));
        }
    }

    fn due(&mut self, at: Instant) -> bool {
        // A true answer stays true, since `now` never goes back, and needs no record.
        let due = self.core.now >= at;
        if !due {
            self.core.wait(at);
        }
        due
    }
}

/// The context of one run of one rule. There is no clock and no way to read without being recorded.
///
/// A rule should not sort what it reads (members come in key order: put the order into the key), nor `get` each member
/// of a large bucket (let the rule before copy in what the group needs).
pub struct Cx<'a, W> {
    run: Run<'a>,
    world: PhantomData<fn() -> W>,
}

impl<'a, W> Cx<'a, W> {
    pub(crate) fn new(run: Run<'a>) -> Self {
        Self { run, world: PhantomData }
    }

    /// The row under `key`; wakes when it changes, comes or goes.
    pub fn get<R: Row>(&mut self, key: &R::Key) -> Option<Arc<R>>
    where
        W: Has<R>,
    {
        self.run.get(W::AT, key).map(typed)
    }

    /// All rows under `value`, in key order; wakes on **any** change of **any** member. In a rule with many inputs
    /// prefer [`keys`](Self::keys), [`count`](Self::count) or a narrower value.
    pub fn find<I: Index>(&mut self, value: &I::Value) -> Vec<Arc<I::Row>>
    where
        W: Indexed<I>,
    {
        let (members, table) = self.members::<I>(ReadKind::Find, value);
        gather(&table.slots, members)
    }

    /// The keys under `value`, in order; wakes when a member comes or goes, not when one changes.
    pub fn keys<I: Index>(&mut self, value: &I::Value) -> Vec<<I::Row as Row>::Key>
    where
        W: Indexed<I>,
    {
        let (members, table) = self.members::<I>(ReadKind::Keys, value);
        let mut keys = Vec::with_capacity(members.len());
        for at in members {
            keys.push(typed_key::<<I::Row as Row>::Key>(table.slots[*at].key()).clone());
        }
        keys
    }

    /// How many rows stand under `value`; wakes only when the number differs.
    pub fn count<I: Index>(&mut self, value: &I::Value) -> usize
    where
        W: Indexed<I>,
    {
        self.members::<I>(ReadKind::Count, value).0.len()
    }

    /// Whether `at` has come; if not, the rule runs again when it has.
    pub fn due(&mut self, at: Instant) -> bool {
        self.run.due(at)
    }

    /// Puts out a row, into any table that the rule declares to write. Putting out two different rows under one key is
    /// a conflict, also within one run.
    pub fn emit<R: Row>(&mut self, row: R)
    where
        W: Has<R>,
    {
        self.pass(Arc::new(row));
    }

    /// Puts out a row that stands somewhere else already, without copying it.
    pub fn pass<R: Row>(&mut self, row: Arc<R>)
    where
        W: Has<R>,
    {
        self.run.emit(W::AT, row);
    }

    fn members<I: Index>(&mut self, kind: ReadKind, value: &I::Value) -> (&[u32], &Table)
    where
        W: Indexed<I>,
    {
        self.run.members(<W as Has<I::Row>>::AT, TypeId::of::<I>(), kind, value)
    }
}

#[cold]
fn undeclared(core: &mut Core, declared: &Declared, what: &str) {
    core.error(format!("rule {} reads {what}, which it does not declare", declared.name));
}
