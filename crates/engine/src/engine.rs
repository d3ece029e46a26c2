//! The engine: rules are registered, facts are put, rows are read.

use std::{mem::size_of, sync::Arc};

use crate::{
    Declaring, Has, Held, Index, Indexed, Row, Tables,
    core::{Core, InstanceId, Link, NONE, Node},
    declare::{Access, Declared, check, diagram},
    rule::{AnyRule, GroupBody, GroupRule, MapBody, MapRule},
};

/// Tables and rules.
pub struct Engine<W> {
    pub(crate) world: W,
    pub(crate) core: Core,
    pub(crate) rules: Vec<(Declared, Box<dyn AnyRule<W>>)>,
    /// What [`finish`](Self::finish) found; `None` before it.
    pub(crate) checked: Option<Vec<String>>,
    /// What the last step told of held runs.
    pub(crate) held: Arc<[Held]>,
}

/// Sizes, for benchmarks and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rows in all tables.
    pub rows: usize,
    /// Keys, present or only read, and index values.
    pub places: usize,
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
        let mut world = W::default();
        for table in 0..W::COUNT {
            world.at_mut(table).set_id(table);
        }
        Self { world, core: Core::default(), rules: Vec::new(), checked: None, held: Arc::default() }
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
        let input = Access::table::<I>(self.world.table());
        let number = self.add(name, input, Box::new(MapRule(body)));
        self.world.table_mut().subscribers.push(number);
        self.declaring()
    }

    /// Adds a group rule: `body` runs for each value of `I` that has rows, with those rows in key order. Its outputs go
    /// when the last of them goes.
    pub fn group<I: Index>(&mut self, name: &'static str, body: GroupBody<W, I>) -> Declaring<'_, W>
    where
        W: Indexed<I>,
    {
        let input = Access::index::<I>(<W as Has<I::Row>>::table(&self.world));
        let number = self.add(name, input, Box::new(GroupRule::<W, I>::new(body)));
        <W as Has<I::Row>>::table_mut(&mut self.world).index_mut::<I>().subscribers.push(number);
        self.declaring()
    }

    fn add(&mut self, name: &'static str, input: Access, rule: Box<dyn AnyRule<W>>) -> u16 {
        if self.checked.is_some() {
            self.core.error(format!("rule {name} is registered after finish()"));
        }
        self.rules.push((Declared::new(name, input), rule));
        self.core.queue.push(Vec::new());
        u16::try_from(self.rules.len() - 1).expect("fewer than 65,536 rules")
    }

    fn declaring(&mut self) -> Declaring<'_, W> {
        let declared = &mut self.rules.last_mut().expect("just added").0;
        Declaring { declared, world: &self.world }
    }

    /// Checks the order of all rules: each reads only what rules before it write, or facts.
    ///
    /// # Errors
    /// One text for each wrong read, naming both rules. Steps then refuse to run.
    pub fn finish(&mut self) -> Result<(), Vec<String>> {
        let wrong = check(self.rules.iter().map(|(declared, _)| declared));
        self.checked = Some(wrong.clone());
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The rules in order with what they read and write, one a line.
    pub fn diagram(&self) -> String {
        diagram(self.rules.iter().map(|(declared, _)| declared))
    }

    /// Puts a fact in place of what was under its key. Seen from the next step on.
    ///
    /// A table that rules write takes no facts: debug builds panic, others drop the row and say so in
    /// [`Changes::errors`](crate::Changes::errors) of the next step.
    pub fn put<R: Row>(&mut self, row: R)
    where
        W: Has<R>,
    {
        self.stage(row.key(), Some(Arc::new(row)));
    }

    /// Removes a fact; nothing happens if there is none. Seen from the next step on.
    pub fn remove<R: Row>(&mut self, key: &R::Key)
    where
        W: Has<R>,
    {
        self.stage::<R>(key.clone(), None);
    }

    fn stage<R: Row>(&mut self, key: R::Key, row: Option<Arc<R>>)
    where
        W: Has<R>,
    {
        let table = self.world.table_mut();
        if let Some((writer, _)) = self.rules.iter().find(|(rule, _)| rule.may_write(table.id)) {
            let text = format!("{} takes no facts: rule {} writes it", R::NAME, writer.name);
            crate::core::complain(&text);
            self.core.error(text);
            return;
        }
        if table.staged.is_empty() {
            self.core.staged.push(table.id);
        }
        table.staged.push((key, row));
    }

    /// The row under `key`, as of the last step.
    pub fn get<R: Row>(&self, key: &R::Key) -> Option<Arc<R>>
    where
        W: Has<R>,
    {
        self.world.table().get(key).cloned()
    }

    /// All rows of a table in key order, as of the last step. Sorts: not for every step.
    pub fn rows<R: Row>(&self) -> impl ExactSizeIterator<Item = &Arc<R>>
    where
        W: Has<R>,
    {
        self.world.table().sorted().into_iter()
    }

    /// The rows under an index value in key order, as of the last step.
    pub fn find<I: Index>(&self, value: &I::Value) -> Vec<Arc<I::Row>>
    where
        W: Indexed<I>,
    {
        let store = <W as Has<I::Row>>::table(&self.world).index::<I>();
        store.find(value).map(|at| store.buckets[at].rows.clone()).unwrap_or_default()
    }

    /// Runs whose last run panicked, in order, as of the last step.
    pub fn held(&self) -> Arc<[Held]> {
        Arc::clone(&self.held)
    }

    /// Lists the held runs anew if something about them changed: a thousand broken rows must not cost every later step.
    pub(crate) fn list_held(&mut self) {
        if std::mem::take(&mut self.core.held_changed) {
            let held = self.core.held.iter();
            let mut held: Vec<Held> = held
                .map(|(id, message)| Held { claimant: self.claimant(*id), message: message.clone() })
                .collect();
            held.sort_unstable();
            self.held = held.into();
        }
    }

    /// Runs in rule order, then in order of their inputs.
    pub(crate) fn in_order(&self, owners: &[InstanceId]) -> Vec<InstanceId> {
        let mut owners: Vec<InstanceId> = owners.iter().copied().filter(|owner| *owner != NONE).collect();
        owners.sort_by(|a, b| {
            let (a, b) = (&self.core.instances[*a], &self.core.instances[*b]);
            let rule = &self.rules[usize::from(a.rule)].1;
            a.rule.cmp(&b.rule).then_with(|| rule.order(&self.world, a.input, b.input))
        });
        owners
    }

    /// Sizes; walks everything.
    pub fn stats(&self) -> Stats {
        let (mut stats, core) = (Stats::default(), &self.core);
        for table in 0..W::COUNT {
            stats.rows += self.world.at(table).rows();
            stats.places += self.world.at(table).places();
        }
        stats.instances = core.instances.len();
        stats.nodes = core.nodes.len();
        stats.reads = core.instances.iter().map(|instance| instance.reads.len()).sum();
        let lists: usize = core.nodes.iter().map(|node| node.readers.capacity()).sum();
        stats.read_bytes = stats.nodes * size_of::<Node>()
            + lists * size_of::<(InstanceId, u32)>()
            + stats.reads * size_of::<Link>();
        stats
    }

    /// All rows as text in table and key order, for comparing two engines.
    pub fn dump(&self) -> Vec<String> {
        (0..W::COUNT).flat_map(|table| self.world.at(table).dump()).collect()
    }
}
