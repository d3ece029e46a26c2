//! What a plan says.

use portolan_model::{
    Name,
    dns::{ChangeSet, Group, RecordSet, RecordType},
};

use super::DnsProblem;

/// Why nothing is done about a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// The zone holds what is wanted.
    AsWanted,
    /// It is not ours.
    NotOurs {
        /// The owner by the registry; `None` without registry entry.
        owner: Option<String>,
    },
    /// The desired record has lost its targets for the moment; what stands is held.
    NoTargets,
    /// The policy does not allow what would be needed.
    Policy,
    /// The name is outside the domain filter.
    Filtered,
    /// The deletion breaker is open.
    Breaker,
    /// Something is wrong with the desired record; a finding of the plan says what.
    Problem,
}

/// What is done about one set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// The set and its registry TXT are made.
    Create,
    /// The set or its registry TXT is replaced. Also a change of type, which removes the old type in the same group.
    Update {
        /// What the zone held.
        from: Vec<RecordSet>,
    },
    /// The set and its registry TXT are removed.
    Delete,
    /// Nothing.
    Leave {
        /// Why.
        because: Because,
    },
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The wanted set; for a deletion, the observed one.
    pub set: RecordSet,
    /// Resource label of the object that wants or wanted it.
    pub resource: Name,
    /// What is done.
    pub verb: Verb,
    /// The changes, made together or not at all; empty for [`Verb::Leave`].
    pub group: Group,
}

/// A problem that planning found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Resource label of the object it is about; empty if it is about the zone.
    pub resource: Name,
    /// Type and name of the set, where it is about one.
    pub about: Option<(Name, RecordType)>,
    /// What is wrong.
    pub problem: DnsProblem,
}

/// Everything decided about one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The zone.
    pub zone: Name,
    /// Decisions: deletions first, then by name and type.
    pub actions: Vec<Action>,
    /// Problems, by name.
    pub problems: Vec<Finding>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.actions.iter().all(|action| action.group.changes.is_empty())
    }

    /// What the provider is told; groups in the order of the actions that have changes.
    pub fn change_set(&self) -> ChangeSet {
        let groups = self.actions.iter().map(|action| action.group.clone());
        ChangeSet {
            zone: self.zone.clone(),
            groups: groups.filter(|group| !group.changes.is_empty()).collect(),
        }
    }
}
