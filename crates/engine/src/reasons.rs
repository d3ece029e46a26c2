//! Why a row is as it is. Nothing is stored for this: the recorded reads are the reasons, and what was read is still in
//! the tables.

use crate::{
    Claimant, ReadKind,
    core::{FACT, InstanceId, NONE, Place, SOURCE},
    machine::Machine,
    row::AnyKey,
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

impl Machine {
    /// See [`Engine::reasons`](crate::Engine::reasons).
    pub fn reasons(&self, table: u16, key: &dyn AnyKey) -> Vec<Reason> {
        let table = &self.tables[usize::from(table)];
        let Some(at) = table.find_slot(key) else { return Vec::new() };
        let shown = table.slots[at].owner;
        if shown == NONE {
            return Vec::new();
        }
        let mut owners = self.in_order(&table.claims(at));
        owners.retain(|owner| *owner != shown);
        owners.insert(0, shown);
        owners.into_iter().map(|owner| self.reason(owner, table.name, key.debug())).collect()
    }

    /// See [`Engine::is_held`](crate::Engine::is_held).
    pub fn is_held(&self, table: u16, key: &dyn AnyKey) -> bool {
        let table = &self.tables[usize::from(table)];
        table.find_slot(key).is_some_and(|at| self.core.held.contains_key(&table.slots[at].owner))
    }

    fn reason(&self, owner: InstanceId, table: &str, key: &dyn std::fmt::Debug) -> Reason {
        if owner == FACT || self.core.instances[owner].rule == SOURCE {
            let input = format!("{table} {key:?}");
            return Reason { rule: "", input, from: None, reads: Vec::new(), held: false };
        }
        let Claimant { rule, input } = self.claimant(owner);
        let instance = &self.core.instances[owner];
        let place = self.rules[usize::from(instance.rule)].0.input.place();
        let note = |place: Place, at| {
            let read = &self.tables[usize::from(place.table)];
            let told = read.describe(place, at);
            ReadNote {
                table: read.name,
                index: told.index,
                what: told.what,
                kind: place.kind,
                count: told.count,
                sample: told.sample,
            }
        };
        let reads = instance.reads.iter().map(|link| {
            let node = &self.core.nodes[link.node];
            note(node.place(), node.at)
        });
        Reason {
            rule,
            input,
            reads: reads.collect(),
            from: Some(note(place, instance.input)),
            held: self.core.held.contains_key(&owner),
        }
    }

    /// Rule and input of a run, or a source, as text.
    pub(crate) fn claimant(&self, owner: InstanceId) -> Claimant {
        if owner == FACT {
            return Claimant { rule: "", input: "itself".to_owned() };
        }
        let instance = &self.core.instances[owner];
        if instance.rule == SOURCE {
            return Claimant { rule: "", input: format!("{:?}", self.sources.key(instance.input).debug()) };
        }
        let declared = &self.rules[usize::from(instance.rule)].0;
        let place = declared.input.place();
        let what = self.tables[usize::from(place.table)].describe(place, instance.input).what;
        Claimant { rule: declared.name, input: format!("{} {what}", declared.input.name) }
    }
}
