//! The two rule shapes, and what a rule declares.

use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet},
    hash::Hash,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use hashbrown::HashMap;

use crate::{Cx, Has, Index, Indexed, Instant, Row, engine::Instances, readers::InstanceId};

/// Row types that a rule reads or writes.
pub trait RowSet {
    /// The types with the names of their tables.
    fn rows() -> Vec<(TypeId, &'static str)>;
}

macro_rules! row_set {
    ($($row:ident),*) => {
        impl<$($row: Row),*> RowSet for ($($row,)*) {
            fn rows() -> Vec<(TypeId, &'static str)> { vec![$((TypeId::of::<$row>(), $row::NAME)),*] }
        }
    };
}
row_set!();
row_set!(A);
row_set!(A, B);
row_set!(A, B, C);
row_set!(A, B, C, D);
row_set!(A, B, C, D, E);
row_set!(A, B, C, D, E, F);
row_set!(A, B, C, D, E, F, G);
row_set!(A, B, C, D, E, F, G, H);
row_set!(A, B, C, D, E, F, G, H, I);
row_set!(A, B, C, D, E, F, G, H, I, J);

/// What the checks at start and the diagram know of a rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    pub name: &'static str,
    pub input: Vec<(TypeId, &'static str)>,
    pub reads: Vec<(TypeId, &'static str)>,
    pub writes: Vec<(TypeId, &'static str)>,
    pub may_read: Vec<TypeId>,
    pub may_write: Vec<TypeId>,
}

/// What a stage did.
#[derive(Default)]
pub(crate) struct Ran {
    pub ran: BTreeSet<InstanceId>,
    pub panicked: BTreeSet<InstanceId>,
    pub gone: BTreeSet<InstanceId>,
}

pub(crate) struct Stage<'a> {
    pub now: Instant,
    pub declared: &'a Declared,
    pub dirty: BTreeSet<InstanceId>,
    pub instances: &'a mut Instances,
    pub errors: &'a mut BTreeMap<String, usize>,
}

pub(crate) trait AnyRule<W>: Send {
    fn run(&mut self, world: &mut W, stage: Stage<'_>) -> Ran;
    fn input_text(&self, id: InstanceId) -> Option<String>;
}

/// Instances of one rule by what they run for.
struct Inputs<K> {
    ids: HashMap<K, InstanceId>,
    keys: HashMap<InstanceId, K>,
}

impl<K> Default for Inputs<K> {
    fn default() -> Self {
        Self { ids: HashMap::new(), keys: HashMap::new() }
    }
}

impl<K: Clone + Ord + Hash + std::fmt::Debug> Inputs<K> {
    /// Runs `body` for all dirty inputs in key order.
    fn run<W, T>(
        &mut self,
        world: &mut W,
        stage: Stage<'_>,
        touched: impl IntoIterator<Item = K>,
        present: impl Fn(&W, &K) -> Option<T>,
        body: impl Fn(&mut Cx<'_, W>, &K, &T),
    ) -> Ran {
        let Stage { now, declared, dirty, instances, errors } = stage;
        let mut keys: BTreeSet<K> = touched.into_iter().collect();
        keys.extend(dirty.iter().filter_map(|id| self.keys.get(id).cloned()));
        let mut done = Ran::default();
        for key in keys {
            let Some(input) = present(world, &key) else {
                if let Some(id) = self.ids.remove(&key) {
                    self.keys.remove(&id);
                    done.ran.insert(id);
                    done.gone.insert(id);
                }
                continue;
            };
            let id = *self.ids.entry(key.clone()).or_insert_with(|| instances.add());
            self.keys.entry(id).or_insert_with(|| key.clone());
            let mut cx = Cx {
                world,
                id,
                now,
                reads: Vec::new(),
                due: None,
                may_read: &declared.may_read,
                may_write: &declared.may_write,
                errors,
                rule: declared.name,
            };
            // Old reads stay recorded until the new ones are known, so a node that is read again is not made anew.
            let ended = catch_unwind(AssertUnwindSafe(|| body(&mut cx, &key, &input)));
            let (reads, due) = (std::mem::take(&mut cx.reads), cx.due);
            done.ran.insert(id);
            if ended.is_err() {
                done.panicked.insert(id);
            }
            instances.ran(id, reads, due, ended.is_err());
        }
        done
    }
}

pub(crate) struct MapRule<W, I: Row> {
    pub body: fn(&mut Cx<'_, W>, &Arc<I>),
    inputs: Inputs<I::Key>,
}

impl<W, I: Row> MapRule<W, I> {
    pub fn new(body: fn(&mut Cx<'_, W>, &Arc<I>)) -> Self {
        Self { body, inputs: Inputs::default() }
    }
}

impl<W: Has<I>, I: Row> AnyRule<W> for MapRule<W, I> {
    fn run(&mut self, world: &mut W, stage: Stage<'_>) -> Ran {
        let touched: Vec<I::Key> = {
            let table = world.table();
            table
                .log
                .iter()
                .filter(|(key, before)| table.get(key) != before.as_ref())
                .map(|(k, _)| k.clone())
                .collect()
        };
        let body = self.body;
        self.inputs.run(
            world,
            stage,
            touched,
            |world, key| world.table().get(key).cloned(),
            |cx, _, row: &Arc<I>| body(cx, row),
        )
    }

    fn input_text(&self, id: InstanceId) -> Option<String> {
        self.inputs.keys.get(&id).map(|key| format!("{} {key:?}", I::NAME))
    }
}

pub(crate) type GroupBody<W, I> = fn(&mut Cx<'_, W>, &<I as Index>::Value, &[Arc<<I as Index>::Row>]);

pub(crate) struct GroupRule<W, I: Index> {
    body: GroupBody<W, I>,
    inputs: Inputs<I::Value>,
    of: PhantomData<fn(I)>,
}

impl<W, I: Index> GroupRule<W, I> {
    pub fn new(body: GroupBody<W, I>) -> Self {
        Self { body, inputs: Inputs::default(), of: PhantomData }
    }
}

impl<W: Indexed<I>, I: Index> AnyRule<W> for GroupRule<W, I> {
    fn run(&mut self, world: &mut W, stage: Stage<'_>) -> Ran {
        let touched: Vec<I::Value> = world.table().index::<I>().touched.iter().cloned().collect();
        let body = self.body;
        self.inputs.run(
            world,
            stage,
            touched,
            |world, value| {
                let bucket = world.table().index::<I>().buckets.get(value)?;
                Some(bucket.values().cloned().collect::<Vec<_>>())
            },
            |cx, value, members| body(cx, value, members),
        )
    }

    fn input_text(&self, id: InstanceId) -> Option<String> {
        self.inputs.keys.get(&id).map(|value| format!("{}={value:?}", I::NAME))
    }
}
