//! Change sets: what a provider is told to do to one zone.

use super::{RecordSet, RecordType};
use crate::Name;

/// What must hold for a change to be made: the compare of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing is asked.
    Any,
    /// There is no set of that name and type.
    Absent,
    /// The set is exactly this one, TTL included (as read from a snapshot).
    Equals(RecordSet),
}

/// What a name and type hold afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// This set, whole.
    Set(RecordSet),
    /// Nothing.
    Nothing {
        /// Name of the set to remove.
        name: Name,
        /// Type of the set to remove.
        r#type: RecordType,
    },
}

/// One set is replaced or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What must hold before. Checked against the zone as it was before the group.
    pub precondition: Precondition,
    /// What holds afterwards.
    pub content: Content,
}

impl Change {
    /// Puts `set` where nothing may be.
    pub fn create(set: RecordSet) -> Self {
        Self { precondition: Precondition::Absent, content: Content::Set(set) }
    }

    /// Replaces exactly `old` by `new`.
    pub fn replace(old: RecordSet, new: RecordSet) -> Self {
        Self { precondition: Precondition::Equals(old), content: Content::Set(new) }
    }

    /// Removes exactly `old`.
    pub fn delete(old: RecordSet) -> Self {
        let content = Content::Nothing { name: old.name.clone(), r#type: old.r#type };
        Self { precondition: Precondition::Equals(old), content }
    }

    /// Name and type that the change is about.
    pub fn key(&self) -> (Name, RecordType) {
        match &self.content {
            Content::Set(set) => set.key(),
            Content::Nothing { name, r#type } => (name.clone(), *r#type),
        }
    }
}

/// Changes that are made together or not at all: a record set and the TXT set that says whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// In the order in which they are made where the provider has no transactions: removals first.
    pub changes: Vec<Change>,
}

/// Groups for one zone, made in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSet {
    /// The zone.
    pub zone: Name,
    /// Each one indivisible.
    pub groups: Vec<Group>,
}

/// What became of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupResult {
    /// All of it holds.
    Applied,
    /// None of it holds.
    Refused {
        /// What the provider objects to, one sentence with the values that matter.
        why: String,
    },
    /// Nobody can say (the answer was lost): read the zone again before planning.
    Unknown {
        /// What happened.
        why: String,
    },
}
