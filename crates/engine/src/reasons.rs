//! Why a row is as it is. Nothing is stored for this: the recorded reads are the reasons, and what was read is still in
//! the tables.

use crate::{
    Claimant, Engine, Has, ReadKind, Row, Tables,
    core::{FACT, InstanceId, NONE},
};

/// One read of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadNote {
    /// The table.
    pub table: &'static str,
    /// The index, if it was read through one.
    pub index: Option<&'static str>,
    /// Key, or value of the index, as text.
    pub what: String,
    /// How it was read.
    pub kind: ReadKind,
    /// How many rows are there now; for a key, 1 is present and 0 absent.
    pub count: usize,
    /// Keys of the first few members of a bucket.
    pub sample: Vec<String>,
}

/// Why a row is there: the rule that made it, for what, and all that this run read. A run with several outputs gives
/// each of them all its reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The rule; empty for a fact.
    pub rule: &'static str,
    /// Table, or index, with key or value, that the rule ran for.
    pub input: String,
    /// The input in parts, to follow it further; `None` for a fact.
    pub from: Option<ReadNote>,
    /// The reads, in the order the rule made them.
    pub reads: Vec<ReadNote>,
    /// Whether the last run panicked, so that the row is that of an earlier one.
    pub held: bool,
}

impl<W: Tables> Engine<W> {
    /// Why the row under `key` is there: one reason for each run that claims it, the one shown first. Empty when there
    /// is no such row.
    pub fn reasons<R: Row>(&self, key: &R::Key) -> Vec<Reason>
    where
        W: Has<R>,
    {
        let table = self.world.table();
        let Some(at) = table.find_slot(key) else { return Vec::new() };
        let shown = table.slots[at].owner;
        if shown == NONE {
            return Vec::new();
        }
        let mut owners = self.in_order(&table.claims(at));
        owners.retain(|owner| *owner != shown);
        owners.insert(0, shown);
        owners.into_iter().map(|owner| self.reason(owner, R::NAME, key)).collect()
    }

    /// Whether the row under `key` comes from a run that has panicked since.
    pub fn is_held<R: Row>(&self, key: &R::Key) -> bool
    where
        W: Has<R>,
    {
        let table = self.world.table();
        table.find_slot(key).is_some_and(|at| self.core.held.contains_key(&table.slots[at].owner))
    }

    fn reason(&self, owner: InstanceId, table: &str, key: &dyn std::fmt::Debug) -> Reason {
        if owner == FACT {
            let input = format!("{table} {key:?}");
            return Reason { rule: "", input, from: None, reads: Vec::new(), held: false };
        }
        let Claimant { rule, input } = self.claimant(owner);
        let instance = &self.core.instances[owner];
        let place = self.rules[usize::from(instance.rule)].1.place(&self.world);
        let note = |place: crate::core::Place, at| {
            let read = self.world.at(place.table);
            let (index, what, count, sample) = read.describe(place, at);
            ReadNote { table: read.name(), index, what, kind: place.kind, count, sample }
        };
        let reads = instance.reads.iter().map(|link| {
            let node = &self.core.nodes[link.node];
            note(node.place, node.at)
        });
        Reason {
            rule,
            input,
            reads: reads.collect(),
            from: Some(note(place, instance.input)),
            held: self.core.held.contains_key(&owner),
        }
    }

    /// Rule and input of a run as text.
    pub(crate) fn claimant(&self, owner: InstanceId) -> Claimant {
        let instance = &self.core.instances[owner];
        let (declared, rule) = &self.rules[usize::from(instance.rule)];
        let place = rule.place(&self.world);
        let (_, what, ..) = self.world.at(place.table).describe(place, instance.input);
        Claimant { rule: declared.name, input: format!("{} {what}", declared.input.name) }
    }
}
