//! Facts by source: what one source yields is replaced as a whole.
//!
//! A source is an owner of rows as a run of a rule is: it is an instance that reads nothing. So what it yielded before
//! is withdrawn by what is recorded and never by what its rows are thought to have been, and two sources that yield one
//! key are a conflict that is decided, and shown, as those of rules are.

use std::{collections::BTreeMap, marker::PhantomData, sync::Arc};

use crate::{
    Has, Row, Tables,
    core::{Core, Instance, InstanceId, NONE, SOURCE},
    fault::{Fault, planted},
    key_map::KeyMap,
    machine::Machine,
    row::{AnyKey, AnyRow},
    slab::Slab,
};

/// A row, and the table that it goes to.
type Placed = (u16, Arc<dyn AnyRow>);

/// The facts that one source yields.
pub struct Rows<W> {
    pub(crate) rows: Vec<Placed>,
    world: PhantomData<fn() -> W>,
}

impl<W: Tables> Default for Rows<W> {
    fn default() -> Self {
        Self { rows: Vec::new(), world: PhantomData }
    }
}

impl<W: Tables> Rows<W> {
    /// No rows: what a source that is gone yields.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a row.
    pub fn add<R: Row>(&mut self, row: R)
    where
        W: Has<R>,
    {
        self.pass(Arc::new(row));
    }

    /// Adds a row that stands somewhere already, without copying it.
    pub fn pass<R: Row>(&mut self, row: Arc<R>)
    where
        W: Has<R>,
    {
        self.rows.push((W::AT, row));
    }
}

/// A source that has rows.
pub struct Source {
    key: Option<Box<dyn AnyKey>>,
    hash: u32,
    id: InstanceId,
}

impl Default for Source {
    fn default() -> Self {
        Self { key: None, hash: 0, id: NONE }
    }
}

/// All sources that have rows, and what waits for the next step.
#[derive(Default)]
pub struct Sources {
    all: Slab<Source>,
    places: KeyMap,
    staged: Vec<(Box<dyn AnyKey>, Vec<Placed>)>,
}

impl Sources {
    pub fn stage(&mut self, key: Box<dyn AnyKey>, rows: Vec<Placed>) {
        self.staged.push((key, rows));
    }

    pub fn key(&self, at: u32) -> &dyn AnyKey {
        &**self.all[at].key.as_ref().expect("a source in use has a key")
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    fn find(&self, hash: u32, key: &dyn AnyKey) -> Option<u32> {
        self.places.find(hash, |at| {
            let source = &self.all[at];
            source.hash == hash && source.key.as_ref().is_some_and(|other| other.equals(key))
        })
    }

    /// The instance of a source; made if there is none and something to own.
    fn instance(&mut self, key: Box<dyn AnyKey>, make: bool, core: &mut Core) -> Option<InstanceId> {
        let hash = self.places.hash(&*key);
        if let Some(at) = self.find(hash, &*key) {
            return Some(self.all[at].id);
        }
        if !make {
            return None;
        }
        let at = self.all.add(Source { key: Some(key), hash, id: NONE });
        self.places.insert(at, |at| self.all[at].hash);
        let id = core.instances.add(Instance { input: at, rule: SOURCE, ..Instance::default() });
        self.all[at].id = id;
        Some(id)
    }

    fn forget(&mut self, at: u32) {
        self.places.remove(self.all[at].hash, at);
        self.all.free(at);
    }
}

impl Machine {
    /// Takes in what sources yield now. Of what one was given since the last step, the latest counts.
    pub fn take_sources(&mut self) {
        let staged = std::mem::take(&mut self.sources.staged);
        if staged.is_empty() {
            return;
        }
        let mut latest: BTreeMap<InstanceId, Vec<Placed>> = BTreeMap::new();
        for (key, rows) in staged {
            let Some(id) = self.sources.instance(key, !rows.is_empty(), &mut self.core) else { continue };
            if planted(Fault::FirstOfASourceCounts) {
                latest.entry(id).or_insert(rows);
            } else {
                latest.insert(id, rows);
            }
        }
        let mut tables = Vec::new();
        let mut gone = Vec::new();
        let ran: Vec<InstanceId> = latest.keys().copied().collect();
        for (id, rows) in latest {
            if planted(Fault::SourceKeepsRows) && !rows.is_empty() {
                self.core.instances[id].outputs.clear();
            }
            tables.extend(self.core.instances[id].outputs.iter().map(|output| output.table));
            if rows.is_empty() {
                gone.push(id);
            }
            for (table, row) in rows {
                tables.push(table);
                self.tables[usize::from(table)].pending.push((id, row));
            }
        }
        tables.sort_unstable();
        tables.dedup();
        self.settle(&tables, &ran);
        for id in gone {
            self.sources.forget(self.core.instances[id].input);
            self.core.end_instance(id);
        }
    }
}
