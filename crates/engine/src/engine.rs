//! The engine: rules are registered, facts are put, rows are read.

use std::{any::TypeId, marker::PhantomData, sync::Arc};

use crate::{
    Changes, Declaring, Has, Held, Index, Indexed, Instant, Reason, Row, Rows, Tables,
    declare::Access,
    machine::Machine,
    row::typed,
    rule::{AnyRule, GroupBody, GroupRule, MapBody, MapRule},
    table::{Staged, gather},
};

/// Tables and rules.
pub struct Engine<W> {
    pub(crate) machine: Machine,
    world: PhantomData<fn() -> W>,
}

/// Sizes, for benchmarks and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rows in all tables.
    pub rows: usize,
    /// Keys, present or only read, and index values.
    pub places: usize,
    /// Sources that have rows.
    pub sources: usize,
    /// Runs that are kept up to date.
    pub instances: usize,
    /// Things read.
    pub nodes: usize,
    /// Recorded reads.
    pub reads: usize,
    /// Bytes of nodes, reader lists and recorded reads.
    pub read_bytes: usize,
}

impl<W: Tables> Default for Engine<W> {
    fn default() -> Self {
        Self { machine: Machine::new(W::tables()), world: PhantomData }
    }
}

impl<W: Tables> Engine<W> {
    /// An engine without rules and facts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a map rule: `body` runs for each row of `I` and puts out rows through [`Cx::emit`](crate::Cx::emit).
    pub fn map<I: Row>(&mut self, name: &'static str, body: MapBody<W, I>) -> Declaring<'_, W>
    where
        W: Has<I>,
    {
        self.add(name, Access::table::<W, I>(), Box::new(MapRule(body)))
    }

    /// Adds a group rule: `body` runs for each value of `I` that has rows, with those rows in key order. Its outputs go
    /// when the last of them goes.
    pub fn group<I: Index>(&mut self, name: &'static str, body: GroupBody<W, I>) -> Declaring<'_, W>
    where
        W: Indexed<I>,
    {
        let input = Access::index::<W, I>(&self.machine.tables);
        self.add(name, input, Box::new(GroupRule::<W, I>(body)))
    }

    fn add(&mut self, name: &'static str, input: Access, rule: Box<dyn AnyRule>) -> Declaring<'_, W> {
        self.machine.add(name, input, rule);
        let declared = &mut self.machine.rules.last_mut().expect("just added").0;
        Declaring { declared, tables: &self.machine.tables, world: PhantomData }
    }

    /// Checks the order of all rules: each reads only what rules before it write, or facts.
    ///
    /// # Errors
    /// One text for each wrong read, naming both rules. Steps then refuse to run.
    pub fn finish(&mut self) -> Result<(), Vec<String>> {
        self.machine.finish()
    }

    /// The rules in order with what they read and write, one a line.
    pub fn diagram(&self) -> String {
        self.machine.diagram()
    }

    /// Puts `rows` in place of all that `source` yielded before, whatever keys it had. Seen from the next step on.
    ///
    /// Two sources that yield one key are a conflict: the first in order is shown until it goes.
    pub fn replace(&mut self, source: &W::Source, rows: Rows<W>) {
        self.machine.replace(Box::new(source.clone()), rows.rows);
    }

    /// Puts a fact of no source, in place of the one that was under its key. Seen from the next step on.
    ///
    /// A table that rules write takes no facts: debug builds panic, others drop the row and say so in
    /// [`Changes::errors`](crate::Changes::errors) of the next step.
    pub fn put<R: Row>(&mut self, row: R)
    where
        W: Has<R>,
    {
        self.pass(Arc::new(row));
    }

    /// The same of a row that stands somewhere already, without copying it.
    pub fn pass<R: Row>(&mut self, row: Arc<R>)
    where
        W: Has<R>,
    {
        self.machine.stage(W::AT, Staged::Put(row));
    }

    /// Removes a fact that was put; nothing happens if there is none, or if a source yields it. Seen from the next step on.
    pub fn remove<R: Row>(&mut self, key: &R::Key)
    where
        W: Has<R>,
    {
        self.machine.stage(W::AT, Staged::Remove(Box::new(key.clone())));
    }

    /// Takes in the facts and runs all rules that something woke, in their fixed order, to one consistent state.
    /// An earlier `now` than the latest one seen counts as that.
    ///
    /// Debug builds panic when the result has [`errors`](Changes::errors), which are bugs of the program.
    pub fn step(&mut self, now: Instant) -> Changes {
        self.machine.step(now)
    }

    /// The row under `key`, as of the last step.
    pub fn get<R: Row>(&self, key: &R::Key) -> Option<Arc<R>>
    where
        W: Has<R>,
    {
        self.machine.get(W::AT, key).map(typed)
    }

    /// All rows of a table in key order, as of the last step. Sorts when rows have changed: not for every step.
    pub fn rows<R: Row>(&self) -> impl ExactSizeIterator<Item = &Arc<R>>
    where
        W: Has<R>,
    {
        self.machine.table(W::AT).view().iter()
    }

    /// The rows under an index value in key order, as of the last step.
    pub fn find<I: Index>(&self, value: &I::Value) -> Vec<Arc<I::Row>>
    where
        W: Indexed<I>,
    {
        let table = self.machine.table(<W as Has<I::Row>>::AT);
        let index = &table.indexes[usize::from(table.position(TypeId::of::<I>()))];
        let bucket = index.find(value).map(|at| &*index.buckets[at].slots);
        gather(&table.slots, bucket.unwrap_or_default())
    }

    /// Runs whose last run panicked, in order, as of the last step.
    pub fn held(&self) -> Arc<[Held]> {
        Arc::clone(&self.machine.held)
    }

    /// Why the row under `key` is there: one reason for each run that claims it, the one shown first. Empty when there
    /// is no such row.
    pub fn reasons<R: Row>(&self, key: &R::Key) -> Vec<Reason>
    where
        W: Has<R>,
    {
        self.machine.reasons(W::AT, key)
    }

    /// Whether the row under `key` comes from a run that has panicked since.
    pub fn is_held<R: Row>(&self, key: &R::Key) -> bool
    where
        W: Has<R>,
    {
        self.machine.is_held(W::AT, key)
    }

    /// Sizes; walks everything.
    pub fn stats(&self) -> Stats {
        self.machine.stats()
    }

    /// All rows as text in table and key order, for comparing two engines.
    pub fn dump(&self) -> Vec<String> {
        self.machine.dump()
    }
}
