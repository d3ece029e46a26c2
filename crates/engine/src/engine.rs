//! The engine: facts in, one step, changes out.

use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use crate::{
    Change, Cx, Has, Index, Indexed, Instant, Row, Tables,
    readers::InstanceId,
    rule::{AnyRule, Declared, GroupBody, GroupRule, MapRule, RowSet, Stage},
    table::{FACT, Read, ReadKind},
};

/// Reads and wake-ups of all instances.
#[derive(Default)]
pub(crate) struct Instances {
    all: Vec<Instance>,
    free: Vec<InstanceId>,
    due: BTreeSet<(Instant, InstanceId)>,
    /// Reads that a run no longer makes, to be taken out of the reader lists.
    dropped: Vec<(InstanceId, Read)>,
    held: BTreeSet<InstanceId>,
}

#[derive(Default)]
struct Instance {
    reads: Vec<Read>,
    due: Option<Instant>,
}

impl Instances {
    pub fn add(&mut self) -> InstanceId {
        self.free.pop().unwrap_or_else(|| {
            self.all.push(Instance::default());
            InstanceId::try_from(self.all.len() - 1).expect("fewer than 2^32 instances")
        })
    }

    /// Records a run. Reads that it no longer makes are dropped; a run that panicked keeps its old reads besides, so
    /// that whatever it would have looked at wakes it.
    pub fn ran(&mut self, id: InstanceId, mut reads: Vec<Read>, due: Option<Instant>, held: bool) {
        let instance = &mut self.all[id as usize];
        if held {
            reads.extend(&instance.reads);
            self.held.insert(id);
        } else {
            self.held.remove(&id);
        }
        reads.sort_unstable();
        reads.dedup();
        let old = std::mem::replace(&mut instance.reads, reads);
        let kept = &instance.reads;
        self.dropped
            .extend(old.into_iter().filter(|read| kept.binary_search(read).is_err()).map(|read| (id, read)));
        if let Some(old) = instance.due.take() {
            self.due.remove(&(old, id));
        }
        instance.due = due;
        if let Some(at) = due {
            self.due.insert((at, id));
        }
    }
}

/// What one step did.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Rule runs, by rule, in rule order; rules that did not run are left out.
    pub work: Vec<(&'static str, usize)>,
    /// When the next step must run although nothing changed.
    pub next_due: Option<Instant>,
    /// Errors of the rules themselves: undeclared reads or writes. Always empty in a correct program.
    pub errors: Vec<String>,
    /// Keys that two rules claim.
    pub conflicts: Vec<String>,
    /// Rules whose last run panicked: rule and input. Their last good rows are kept.
    pub held: Vec<String>,
}

impl Step {
    /// All rule runs.
    pub fn runs(&self) -> usize {
        self.work.iter().map(|(_, runs)| runs).sum()
    }
}

/// Why a row is as it is: the rule that made it, what for, and all that this run read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Rule; empty for a fact.
    pub rule: &'static str,
    /// Table and key, or bucket, that the rule ran for.
    pub input: String,
    /// Table, what was read of it, how, and how many rows there are now.
    pub reads: Vec<(&'static str, String, ReadKind, usize)>,
}

/// Tables and rules.
pub struct Engine<W> {
    world: W,
    rules: Vec<(Declared, Box<dyn AnyRule<W>>)>,
    instances: Instances,
    rule_of: Vec<u16>,
    dirty: BTreeSet<InstanceId>,
    now: Instant,
    checked: bool,
}

impl<W: Tables> Default for Engine<W> {
    fn default() -> Self {
        Self {
            world: W::default(),
            rules: Vec::new(),
            instances: Instances::default(),
            rule_of: Vec::new(),
            dirty: BTreeSet::new(),
            now: Instant::MIN,
            checked: false,
        }
    }
}

/// A rule that was just added, to declare what it reads and writes.
pub struct Declaring<'a>(&'a mut Declared);

impl Declaring<'_> {
    /// Tables that the rule may read.
    #[allow(clippy::return_self_not_must_use)]
    pub fn reads<S: RowSet>(self) -> Self {
        self.0.reads = S::rows();
        self.0.may_read = self.0.reads.iter().map(|(id, _)| *id).collect();
        self
    }

    /// Tables that the rule may write.
    #[allow(clippy::return_self_not_must_use)]
    pub fn writes<S: RowSet>(self) -> Self {
        self.0.writes = S::rows();
        self.0.may_write = self.0.writes.iter().map(|(id, _)| *id).collect();
        self
    }
}

impl<W: Tables> Engine<W> {
    /// Adds a map rule: one input row gives rows.
    pub fn map<I: Row>(&mut self, name: &'static str, body: fn(&mut Cx<'_, W>, &Arc<I>)) -> Declaring<'_>
    where
        W: Has<I>,
    {
        self.add(name, TypeId::of::<I>(), I::NAME, Box::new(MapRule::new(body)))
    }

    /// Adds a group rule: all rows with the same index value give rows.
    pub fn group<I: Index>(&mut self, name: &'static str, body: GroupBody<W, I>) -> Declaring<'_>
    where
        W: Indexed<I>,
    {
        self.add(name, TypeId::of::<I::Row>(), I::Row::NAME, Box::new(GroupRule::<W, I>::new(body)))
    }

    fn add(
        &mut self,
        name: &'static str,
        row: TypeId,
        table: &'static str,
        rule: Box<dyn AnyRule<W>>,
    ) -> Declaring<'_> {
        self.rules.push((Declared { name, input: vec![(row, table)], ..Declared::default() }, rule));
        Declaring(&mut self.rules.last_mut().expect("just pushed").0)
    }

    /// Checks order and cycles: what a rule reads must be written by earlier rules only.
    ///
    /// # Errors
    /// One sentence a violation.
    pub fn finish(&mut self) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        for (at, (rule, _)) in self.rules.iter().enumerate() {
            for (read, table) in rule.reads.iter().chain(&rule.input) {
                for (writer, _) in &self.rules[at..] {
                    if writer.may_write.contains(read) {
                        wrong.push(format!(
                            "rule {} reads {table}, which rule {} writes at the same place or later",
                            rule.name, writer.name
                        ));
                    }
                }
            }
        }
        self.checked = wrong.is_empty();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn is_fact<R: Row>(&self) -> bool {
        !self.rules.iter().any(|(rule, _)| rule.may_write.contains(&TypeId::of::<R>()))
    }

    /// Puts a fact. The change is seen by the next step.
    ///
    /// # Panics
    /// In debug builds when rules write this table: facts and derived rows never mix.
    pub fn put<R: Row>(&mut self, row: R)
    where
        W: Has<R>,
    {
        debug_assert!(self.is_fact::<R>(), "{} is written by rules and takes no facts", R::NAME);
        let table = self.world.table_mut();
        if table.get(&row.key()).is_none_or(|old| **old != row) {
            table.claim(FACT, Arc::new(row));
        }
    }

    /// Removes a fact; nothing happens if there is none.
    pub fn remove<R: Row>(&mut self, key: &R::Key)
    where
        W: Has<R>,
    {
        if self.world.table().get(key).is_some() {
            self.world.table_mut().release(FACT, key);
        }
    }

    /// Runs all rules that something woke, in their fixed order, to one consistent state.
    /// `now` never goes back: an earlier instant counts as the latest one seen.
    pub fn step(&mut self, now: Instant) -> Step {
        debug_assert!(self.checked, "finish() must have passed before the first step");
        self.now = self.now.max(now);
        let mut errors = BTreeMap::new();
        let mut work = Vec::new();
        while let Some((at, id)) = self.instances.due.first().copied() {
            if at > self.now {
                break;
            }
            self.instances.due.pop_first();
            self.instances.all[id as usize].due = None;
            self.dirty.insert(id);
        }
        let dirty = &mut self.dirty;
        self.world.each(&mut |table| table.wake(dirty));
        for at in 0..self.rules.len() {
            let runs = self.stage(at, &mut errors);
            if runs > 0 {
                work.push((self.rules[at].0.name, runs));
            }
        }
        self.dirty.clear();
        let mut conflicts = Vec::new();
        self.world.each(&mut |table| {
            table.publish();
            conflicts.extend(table.conflicts());
        });
        Step {
            work,
            next_due: self.instances.due.first().map(|(at, _)| *at),
            errors: errors.into_iter().map(|(text, times)| format!("{text} ({times} times)")).collect(),
            conflicts,
            held: self.held(),
        }
    }

    fn stage(&mut self, at: usize, errors: &mut BTreeMap<String, usize>) -> usize {
        let number = u16::try_from(at).expect("fewer than 65,536 rules");
        let mine: BTreeSet<InstanceId> =
            self.dirty.iter().copied().filter(|id| self.rule_of.get(*id as usize) == Some(&number)).collect();
        let (declared, rule) = &mut self.rules[at];
        let done = rule.run(
            &mut self.world,
            Stage { now: self.now, declared, dirty: mine, instances: &mut self.instances, errors },
        );
        if done.ran.is_empty() {
            return 0;
        }
        self.rule_of.resize(self.instances.all.len(), number);
        for id in &done.ran {
            self.rule_of[*id as usize] = number;
        }
        let declared = &self.rules[at].0;
        let dirty = &mut self.dirty;
        self.world.each(&mut |table| {
            if declared.may_write.contains(&table.type_id_of_row()) {
                table.settle(&done.ran, &done.panicked);
                table.wake(dirty);
            }
        });
        for id in &done.gone {
            self.instances.ran(*id, Vec::new(), None, false);
        }
        let dropped = std::mem::take(&mut self.instances.dropped);
        if !dropped.is_empty() {
            self.world.each(&mut |table| {
                let row = table.type_id_of_row();
                for (id, read) in dropped.iter().filter(|(_, read)| read.table == row) {
                    table.forget(*read, *id);
                }
            });
        }
        for id in &done.gone {
            self.dirty.remove(id);
            self.instances.free.push(*id);
        }
        done.ran.len()
    }

    /// Net changes of the last step, in key order.
    pub fn changes<R: Row>(&self) -> &[Change<R>]
    where
        W: Has<R>,
    {
        &self.world.table().changes
    }

    /// A row.
    pub fn get<R: Row>(&self, key: &R::Key) -> Option<Arc<R>>
    where
        W: Has<R>,
    {
        self.world.table().get(key).cloned()
    }

    /// All rows of a table, in key order.
    pub fn rows<R: Row>(&self) -> impl Iterator<Item = &Arc<R>>
    where
        W: Has<R>,
    {
        self.world.table().rows.values().map(|claims| &claims.shown)
    }

    /// Rows under an index value, in key order.
    pub fn find<I: Index>(&self, value: &I::Value) -> Vec<Arc<I::Row>>
    where
        W: Indexed<I>,
    {
        let store = self.world.table().index::<I>();
        store.buckets.get(value).map(|b| b.values().cloned().collect()).unwrap_or_default()
    }

    /// Rules whose last run panicked.
    pub fn held(&self) -> Vec<String> {
        let mut held = Vec::new();
        for id in self.instances.held.iter().copied() {
            let Some((rule, body)) =
                self.rule_of.get(id as usize).and_then(|at| self.rules.get(usize::from(*at)))
            else {
                continue;
            };
            held.push(format!("{} for {}", rule.name, body.input_text(id).unwrap_or_default()));
        }
        held
    }

    /// Why the row under `key` is there: one reason for each run that claims it; a fact has a reason without a rule.
    pub fn reasons<R: Row>(&self, key: &R::Key) -> Vec<Reason>
    where
        W: Has<R>,
    {
        let Some(claims) = self.world.table().rows.get(key) else { return Vec::new() };
        claims.claims.iter().map(|(id, _)| self.reason(*id, R::NAME, &format!("{key:?}"))).collect()
    }

    fn reason(&self, id: InstanceId, table: &'static str, key: &str) -> Reason {
        if id == FACT {
            return Reason { rule: "", input: format!("{table} {key}"), reads: Vec::new() };
        }
        let (rule, body) = &self.rules[usize::from(self.rule_of[id as usize])];
        let mut reads = Vec::new();
        let wanted = &self.instances.all[id as usize].reads;
        self.world.each_ref(&mut |table| {
            for read in wanted.iter().filter(|read| read.table == table.type_id_of_row()) {
                if let Some((what, rows)) = table.describe(*read) {
                    reads.push((table.name(), what, read.kind, rows));
                }
            }
        });
        Reason { rule: rule.name, input: body.input_text(id).unwrap_or_default(), reads }
    }

    /// The rules in order, with what each reads and writes.
    pub fn diagram(&self) -> String {
        let names =
            |set: &[(TypeId, &'static str)]| set.iter().map(|(_, n)| *n).collect::<Vec<_>>().join(", ");
        let mut text = String::new();
        for (rule, _) in &self.rules {
            let _ = writeln!(
                text,
                "{}: {} [{}] -> {}",
                rule.name,
                names(&rule.input),
                names(&rule.reads),
                names(&rule.writes)
            );
        }
        text
    }

    #[cfg(test)]
    pub(crate) fn world(&self) -> &W {
        &self.world
    }

    /// All rows as text, for comparing two engines.
    pub fn dump(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.world.each_ref(&mut |table| all.extend(table.dump()));
        all
    }
}
