//! What a rule may do: read (recorded) and emit.

use std::sync::Arc;

use crate::{
    Has, Index, Indexed, Instant, Row,
    bucket::Bucket,
    core::{Core, InstanceId, Place, ROW, ReadKind},
    declare::Declared,
    fault::{Fault, planted},
};

/// The context of one run of one rule. There is no clock and no way to read without being recorded.
///
/// A rule should not sort what it reads (members come in key order: put the order into the key), nor `get` each member
/// of a large bucket (let the rule before copy in what the group needs).
pub struct Cx<'a, W> {
    pub(crate) world: &'a mut W,
    pub(crate) core: &'a mut Core,
    pub(crate) declared: &'a Declared,
    pub(crate) id: InstanceId,
}

impl<W> Cx<'_, W> {
    /// The row under `key`; wakes when it changes, comes or goes.
    pub fn get<R: Row>(&mut self, key: &R::Key) -> Option<Arc<R>>
    where
        W: Has<R>,
    {
        let table = self.world.table_mut();
        if planted(Fault::AbsentGetForgotten) && table.get(key).is_none() {
            return None;
        }
        let at = table.slot(key);
        let slot = &mut table.slots[at];
        if !self.declared.may_read(table.id, ROW) {
            undeclared(self.core, self.declared, R::NAME);
        }
        let place = Place { table: table.id, index: ROW, kind: ReadKind::Get };
        self.core.read(&mut slot.node, place, at);
        slot.row.clone()
    }

    /// All rows under `value`, in key order; wakes on **any** change of **any** member. In a rule with many inputs
    /// prefer [`keys`](Self::keys), [`count`](Self::count) or a narrower value.
    pub fn find<I: Index>(&mut self, value: &I::Value) -> Vec<Arc<I::Row>>
    where
        W: Indexed<I>,
    {
        self.bucket::<I>(ReadKind::Find, value).map(|bucket| bucket.rows.clone()).unwrap_or_default()
    }

    /// The keys under `value`, in order; wakes when a member comes or goes, not when one changes.
    pub fn keys<I: Index>(&mut self, value: &I::Value) -> Vec<<I::Row as Row>::Key>
    where
        W: Indexed<I>,
    {
        let members = self.bucket::<I>(ReadKind::Keys, value).map(|bucket| bucket.slots.clone());
        let slots = &<W as Has<I::Row>>::table(self.world).slots;
        members.unwrap_or_default().into_iter().map(|at| slots[at].key().clone()).collect()
    }

    /// How many rows stand under `value`; wakes only when the number differs.
    pub fn count<I: Index>(&mut self, value: &I::Value) -> usize
    where
        W: Indexed<I>,
    {
        self.bucket::<I>(ReadKind::Count, value).map_or(0, |bucket| bucket.slots.len())
    }

    /// Whether `at` has come; if not, the rule runs again when it has.
    pub fn due(&mut self, at: Instant) -> bool {
        // A true answer stays true, since `now` never goes back, and needs no record.
        let due = self.core.now >= at;
        if !due {
            self.core.wait(at);
        }
        due
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
        let table = self.world.table_mut();
        if self.declared.may_write(table.id) {
            table.pending.push((self.id, row));
        } else {
            let rule = self.declared.name;
            self.core.error(format!("rule {rule} writes {}, which it does not declare", R::NAME));
        }
    }

    fn bucket<I: Index>(&mut self, kind: ReadKind, value: &I::Value) -> Option<&Bucket<I>>
    where
        W: Indexed<I>,
    {
        let table = <W as Has<I::Row>>::table_mut(self.world);
        let id = table.id;
        let store = table.index_mut::<I>();
        if !self.declared.may_read(id, store.position) {
            undeclared(self.core, self.declared, I::NAME);
        }
        store.read(self.core, id, kind, value)
    }
}

#[cold]
fn undeclared(core: &mut Core, declared: &Declared, what: &str) {
    core.error(format!("rule {} reads {what}, which it does not declare", declared.name));
}
