//! A place of a table: a key with its row, or an absent key that somebody reads.

use std::sync::Arc;

use crate::{
    core::{InstanceId, NONE, NodeId},
    row::{AnyKey, AnyRow},
};

/// What the content of a place is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing: the place is free.
    #[default]
    Free,
    /// A key without a row, which somebody reads.
    Absent,
    /// The same while a step runs: the content is a row that is to come, or that went, and only its key counts.
    AbsentAs,
    /// A row, with its key in it.
    Row,
}

/// One place. There are some forty for each host, so what it is stands beside the flag, and an absent key is kept in the
/// form of a row: 32 bytes (design/engine.md §6).
pub struct Slot {
    content: Option<Arc<dyn AnyRow>>,
    /// Hash of the key.
    pub hash: u32,
    /// Who put the row out.
    pub owner: InstanceId,
    /// Who reads the key.
    pub node: NodeId,
    state: State,
    /// Its row before the present stage is noted.
    pub logged: bool,
}

impl Default for Slot {
    fn default() -> Self {
        Self { content: None, hash: 0, owner: NONE, node: NONE, state: State::Free, logged: false }
    }
}

impl Slot {
    /// A place of an absent key.
    pub fn absent(key: &dyn AnyKey, hash: u32) -> Self {
        Self { content: Some(key.alone()), state: State::Absent, hash, ..Self::default() }
    }

    /// A place of the key of a row that is put there in this stage.
    pub fn to_come(row: &Arc<dyn AnyRow>, hash: u32) -> Self {
        Self { content: Some(Arc::clone(row)), state: State::AbsentAs, hash, ..Self::default() }
    }

    pub fn key(&self) -> &dyn AnyKey {
        self.some_key().expect("a slot in use has a key")
    }

    /// `None` if the place is free.
    pub fn some_key(&self) -> Option<&dyn AnyKey> {
        self.content.as_ref().map(|content| content.key())
    }

    pub fn row(&self) -> Option<&Arc<dyn AnyRow>> {
        self.content.as_ref().filter(|_| self.state == State::Row)
    }

    /// Whether there is a key and no row.
    pub fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent | State::AbsentAs)
    }

    /// Puts a row of the slot's key there, or takes away the one that is.
    pub fn set(&mut self, row: Option<Arc<dyn AnyRow>>) {
        if let Some(row) = row {
            self.content = Some(row);
            self.state = State::Row;
        } else if self.state == State::Row {
            self.state = State::AbsentAs;
        }
    }

    /// Lets go of a row that was only there for its key.
    pub fn keep_key(&mut self) {
        if self.state == State::AbsentAs {
            self.content = self.content.take().map(|row| row.key().alone());
            self.state = State::Absent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_key_holds_no_row() {
        let row: Arc<dyn AnyRow> = 7_u32.alone();
        let mut slot = Slot::to_come(&row, 1);
        assert!(slot.is_absent() && slot.row().is_none() && slot.key().equals(&7_u32));
        slot.set(Some(Arc::clone(&row)));
        assert!(!slot.is_absent() && slot.row().is_some());
        slot.set(None);
        assert!(slot.is_absent() && Arc::strong_count(&row) == 2);
        slot.keep_key();
        assert!(slot.is_absent() && slot.key().equals(&7_u32));
        assert_eq!(Arc::strong_count(&row), 1, "only the key stays");
    }
}
