//! A typed table: rows with their claims, indexes, readers, and the log of the present step.

use std::{
    any::{Any, TypeId},
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hashbrown::HashMap;

use crate::{
    Index, Row,
    readers::{InstanceId, Readers},
};

/// Owner of facts, which no rule makes.
pub(crate) const FACT: InstanceId = InstanceId::MAX;

/// Rows of one type.
pub struct Table<R: Row> {
    pub(crate) rows: BTreeMap<R::Key, Claims<R>>,
    pub(crate) readers: Readers<R::Key>,
    pub(crate) indexes: Vec<Box<dyn AnyIndex<R>>>,
    pub(crate) outputs: HashMap<InstanceId, Vec<R::Key>>,
    pub(crate) pending: Vec<(InstanceId, Arc<R>)>,
    /// Rows as they were before this step, for keys that were touched.
    pub(crate) log: BTreeMap<R::Key, Option<Arc<R>>>,
    /// Rows as they were before the present stage.
    stage: BTreeMap<R::Key, Option<Arc<R>>>,
    pub(crate) changes: Vec<Change<R>>,
    conflicts: BTreeSet<R::Key>,
}

/// Who wants which row under one key. More than one claim is a conflict between rules; the visible row is then chosen
/// by content, so that the result does not depend on who came first.
#[derive(Debug)]
pub(crate) struct Claims<R> {
    pub claims: Vec<(InstanceId, Arc<R>)>,
    pub shown: Arc<R>,
}

/// Net change of one row over a step.
#[derive(Debug)]
pub struct Change<R: Row> {
    /// The key.
    pub key: R::Key,
    /// Row before the step.
    pub before: Option<Arc<R>>,
    /// Row after it.
    pub after: Option<Arc<R>>,
}

impl<R: Row> Clone for Change<R> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), before: self.before.clone(), after: self.after.clone() }
    }
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            readers: Readers::default(),
            indexes: Vec::new(),
            outputs: HashMap::new(),
            pending: Vec::new(),
            log: BTreeMap::new(),
            stage: BTreeMap::new(),
            changes: Vec::new(),
            conflicts: BTreeSet::new(),
        }
    }
}

impl<R: Row> Table<R> {
    /// Adds an index; used by `world!`.
    pub fn with_index<I: Index<Row = R>>(mut self) -> Self {
        self.indexes.push(Box::new(IndexStore::<I>::default()));
        self
    }

    pub(crate) fn get(&self, key: &R::Key) -> Option<&Arc<R>> {
        self.rows.get(key).map(|claims| &claims.shown)
    }

    pub(crate) fn index<I: Index<Row = R>>(&self) -> &IndexStore<I> {
        self.indexes
            .iter()
            .find_map(|index| index.as_any().downcast_ref::<IndexStore<I>>())
            .expect("world! lists the index, else this call does not compile")
    }

    pub(crate) fn index_mut<I: Index<Row = R>>(&mut self) -> &mut IndexStore<I> {
        self.indexes
            .iter_mut()
            .find_map(|index| index.as_any_mut().downcast_mut::<IndexStore<I>>())
            .expect("world! lists the index, else this call does not compile")
    }

    fn touch(&mut self, key: &R::Key) {
        let before = self.get(key).cloned();
        self.log.entry(key.clone()).or_insert_with(|| before.clone());
        self.stage.entry(key.clone()).or_insert(before);
    }

    pub(crate) fn claim(&mut self, owner: InstanceId, row: Arc<R>) {
        let key = row.key();
        self.touch(&key);
        match self.rows.get_mut(&key) {
            None => {
                self.rows.insert(key, Claims { claims: vec![(owner, Arc::clone(&row))], shown: row });
            }
            Some(claims) => {
                match claims.claims.iter_mut().find(|(id, _)| *id == owner) {
                    Some((_, old)) => *old = row,
                    None => claims.claims.push((owner, row)),
                }
                self.choose(&key);
            }
        }
    }

    pub(crate) fn release(&mut self, owner: InstanceId, key: &R::Key) {
        self.touch(key);
        let Some(claims) = self.rows.get_mut(key) else { return };
        claims.claims.retain(|(id, _)| *id != owner);
        if claims.claims.is_empty() {
            self.rows.remove(key);
            self.conflicts.remove(key);
        } else {
            self.choose(key);
        }
    }

    fn choose(&mut self, key: &R::Key) {
        let Some(claims) = self.rows.get_mut(key) else { return };
        if claims.claims.len() == 1 {
            claims.shown = Arc::clone(&claims.claims[0].1);
            self.conflicts.remove(key);
            return;
        }
        if let Some((_, row)) = claims.claims.iter().min_by_key(|(_, row)| format!("{row:?}")) {
            claims.shown = Arc::clone(row);
        }
        self.conflicts.insert(key.clone());
    }
}

/// What the engine does with a table without knowing its type.
pub trait AnyTable {
    #[doc(hidden)]
    fn type_id_of_row(&self) -> TypeId;
    #[doc(hidden)]
    fn name(&self) -> &'static str;
    #[doc(hidden)]
    fn settle(&mut self, ran: &BTreeSet<u32>, kept: &BTreeSet<u32>);
    #[doc(hidden)]
    fn wake(&mut self, dirty: &mut BTreeSet<u32>);
    #[doc(hidden)]
    fn forget(&mut self, read: Read, reader: u32);
    #[doc(hidden)]
    fn publish(&mut self);
    #[doc(hidden)]
    fn conflicts(&self) -> Vec<String>;
    #[doc(hidden)]
    fn describe(&self, read: Read) -> Option<(String, usize)>;
    #[doc(hidden)]
    fn dump(&self) -> Vec<String>;
}

/// One recorded read: a node in the reader list of a table or of one of its indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[doc(hidden)]
pub struct Read {
    pub(crate) table: TypeId,
    pub(crate) kind: ReadKind,
    pub(crate) index: u8,
    pub(crate) node: u32,
}

/// How something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadKind {
    /// One row by key; wakes when it changes, comes or goes.
    Get,
    /// All members of a bucket; wakes on any change of any member.
    Find,
    /// Which members a bucket has.
    Keys,
    /// How many.
    Count,
}

impl<R: Row> AnyTable for Table<R> {
    fn type_id_of_row(&self) -> TypeId {
        TypeId::of::<R>()
    }

    fn name(&self) -> &'static str {
        R::NAME
    }

    /// First all runs are done, then rows go, then rows come: a key that moves between inputs is no conflict.
    fn settle(&mut self, ran: &BTreeSet<u32>, kept: &BTreeSet<u32>) {
        let mut fresh: HashMap<InstanceId, Vec<Arc<R>>> = HashMap::new();
        for (id, row) in std::mem::take(&mut self.pending) {
            if !kept.contains(&id) {
                fresh.entry(id).or_default().push(row);
            }
        }
        let mut come = Vec::new();
        for id in ran {
            if kept.contains(id) {
                continue;
            }
            let rows = fresh.remove(id).unwrap_or_default();
            let old = self.outputs.remove(id).unwrap_or_default();
            let keys: BTreeSet<R::Key> = rows.iter().map(|row| row.key()).collect();
            for key in old.iter().filter(|key| !keys.contains(*key)) {
                self.release(*id, key);
            }
            if !keys.is_empty() {
                self.outputs.insert(*id, keys.into_iter().collect());
            }
            come.extend(rows.into_iter().map(|row| (*id, row)));
        }
        for (id, row) in come {
            let same = self
                .rows
                .get(&row.key())
                .is_some_and(|claims| claims.claims.iter().any(|(owner, old)| *owner == id && *old == row));
            if !same {
                self.claim(id, row);
            }
        }
    }

    fn wake(&mut self, dirty: &mut BTreeSet<u32>) {
        let stage = std::mem::take(&mut self.stage);
        let mut changed = Vec::with_capacity(stage.len());
        for (key, before) in stage {
            let after = self.get(&key).cloned();
            if before == after {
                continue;
            }
            dirty.extend(self.readers.of(&key));
            changed.push(Change { key, before, after });
        }
        for index in &mut self.indexes {
            index.update(&changed, dirty);
        }
    }

    fn forget(&mut self, read: Read, reader: u32) {
        match read.kind {
            ReadKind::Get => self.readers.remove(read.node, reader),
            kind => {
                if let Some(index) = self.indexes.get_mut(read.index as usize) {
                    index.forget(kind, read.node, reader);
                }
            }
        }
    }

    fn publish(&mut self) {
        let log = std::mem::take(&mut self.log);
        self.changes = log
            .into_iter()
            .filter_map(|(key, before)| {
                let after = self.get(&key).cloned();
                (before != after).then_some(Change { key, before, after })
            })
            .collect();
        for index in &mut self.indexes {
            index.end_step();
        }
    }

    fn conflicts(&self) -> Vec<String> {
        self.conflicts.iter().map(|key| format!("{} {key:?}", R::NAME)).collect()
    }

    fn describe(&self, read: Read) -> Option<(String, usize)> {
        if read.kind == ReadKind::Get {
            let key = self.readers.key(read.node)?;
            return Some((format!("{key:?}"), usize::from(self.rows.contains_key(key))));
        }
        self.indexes.get(read.index as usize)?.describe(read.kind, read.node)
    }

    fn dump(&self) -> Vec<String> {
        self.rows.values().map(|claims| format!("{}: {:?}", R::NAME, claims.shown)).collect()
    }
}

/// An index without its value type.
pub(crate) trait AnyIndex<R: Row>: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn update(&mut self, changed: &[Change<R>], dirty: &mut BTreeSet<u32>);
    fn forget(&mut self, kind: ReadKind, node: u32, reader: u32);
    fn describe(&self, kind: ReadKind, node: u32) -> Option<(String, usize)>;
    fn end_step(&mut self);
}

pub(crate) type Bucket<R> = BTreeMap<<R as Row>::Key, Arc<R>>;

pub(crate) struct IndexStore<I: Index> {
    pub buckets: BTreeMap<I::Value, Bucket<I::Row>>,
    pub find: Readers<I::Value>,
    pub keys: Readers<I::Value>,
    pub count: Readers<I::Value>,
    /// Buckets that changed in this step: what group rules run for.
    pub touched: BTreeSet<I::Value>,
}

impl<I: Index> Default for IndexStore<I> {
    fn default() -> Self {
        Self {
            buckets: BTreeMap::new(),
            find: Readers::default(),
            keys: Readers::default(),
            count: Readers::default(),
            touched: BTreeSet::new(),
        }
    }
}

impl<I: Index> AnyIndex<I::Row> for IndexStore<I> {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn update(&mut self, changed: &[Change<I::Row>], dirty: &mut BTreeSet<u32>) {
        let values = |row: Option<&Arc<I::Row>>| {
            let mut out = Vec::new();
            if let Some(row) = row {
                I::values(row, &mut out);
            }
            out.sort();
            out.dedup();
            out
        };
        let mut sizes: BTreeMap<I::Value, usize> = BTreeMap::new();
        for change in changed {
            let (before, after) = (values(change.before.as_ref()), values(change.after.as_ref()));
            for value in before.iter().chain(&after) {
                sizes
                    .entry(value.clone())
                    .or_insert_with(|| self.buckets.get(value).map_or(0, BTreeMap::len));
                if before.contains(value) != after.contains(value) {
                    dirty.extend(self.keys.of(value));
                }
            }
            for value in &before {
                if !after.contains(value)
                    && let Some(bucket) = self.buckets.get_mut(value)
                {
                    bucket.remove(&change.key);
                    if bucket.is_empty() {
                        self.buckets.remove(value);
                    }
                }
            }
            if let Some(row) = &change.after {
                for value in &after {
                    self.buckets
                        .entry(value.clone())
                        .or_default()
                        .insert(change.key.clone(), Arc::clone(row));
                }
            }
        }
        for (value, size) in sizes {
            dirty.extend(self.find.of(&value));
            if self.buckets.get(&value).map_or(0, BTreeMap::len) != size {
                dirty.extend(self.count.of(&value));
            }
            self.touched.insert(value);
        }
    }

    fn forget(&mut self, kind: ReadKind, node: u32, reader: u32) {
        match kind {
            ReadKind::Find => self.find.remove(node, reader),
            ReadKind::Keys => self.keys.remove(node, reader),
            ReadKind::Count => self.count.remove(node, reader),
            ReadKind::Get => {}
        }
    }

    fn describe(&self, kind: ReadKind, node: u32) -> Option<(String, usize)> {
        let value = match kind {
            ReadKind::Find => self.find.key(node),
            ReadKind::Keys => self.keys.key(node),
            ReadKind::Count => self.count.key(node),
            ReadKind::Get => None,
        }?;
        Some((format!("{}={value:?}", I::NAME), self.buckets.get(value).map_or(0, BTreeMap::len)))
    }

    fn end_step(&mut self) {
        self.touched.clear();
    }
}
