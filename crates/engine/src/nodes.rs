//! What is read and who reads it, untyped.
//!
//! A node stands for one thing read: a key, present or absent, or a bucket in one of three ways. A link is known from
//! both ends by position, so adding and removing one is constant work however many readers a node has.

use tinyvec::TinyVec;

pub type InstanceId = u32;
pub type NodeId = u32;
/// No node, no owner, no instance.
pub const NONE: u32 = u32::MAX;
/// Owner of facts that are put by themselves, which no rule makes.
pub const FACT: InstanceId = u32::MAX - 1;
/// In place of a rule: the instance is a source of facts.
pub const SOURCE: u16 = u16::MAX;
/// In place of an index: the row itself.
pub const ROW: u8 = u8::MAX;

/// How something was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadKind {
    /// One row by key; wakes when it changes, comes or goes.
    #[default]
    Get,
    /// All members of a bucket; wakes on any change of any member.
    Find,
    /// Which members a bucket has; wakes when one comes or goes.
    Keys,
    /// How many members a bucket has; wakes when the number differs.
    Count,
}

/// Where a node belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub table: u16,
    pub index: u8,
    pub kind: ReadKind,
}

/// Its readers are queued in this step.
const WOKEN: u8 = 1;
/// Read by the present run.
const IN_RUN: u8 = 2;

/// One thing read. Place and marks stand together: 32 bytes.
#[derive(Debug, Default)]
pub struct Node {
    /// Reader, and which of its links this is. Most have one, which stands here.
    pub readers: TinyVec<[(InstanceId, u32); 1]>,
    /// Slot or bucket.
    pub at: u32,
    table: u16,
    index: u8,
    /// Kind of read in the low four bits, marks above.
    rest: u8,
}

impl Node {
    pub fn new(place: Place, at: u32) -> Self {
        let Place { table, index, kind } = place;
        Self { readers: TinyVec::new(), at, table, index, rest: kind as u8 }
    }

    pub fn place(&self) -> Place {
        let kind = match self.rest & 0xf {
            0 => ReadKind::Get,
            1 => ReadKind::Find,
            2 => ReadKind::Keys,
            _ => ReadKind::Count,
        };
        Place { table: self.table, index: self.index, kind }
    }

    fn marks(&self, mark: u8) -> bool {
        self.rest & mark << 4 != 0
    }

    fn mark(&mut self, mark: u8, on: bool) {
        self.rest = if on { self.rest | mark << 4 } else { self.rest & !(mark << 4) };
    }

    pub fn is_woken(&self) -> bool {
        self.marks(WOKEN)
    }

    pub fn set_woken(&mut self, on: bool) {
        self.mark(WOKEN, on);
    }

    pub fn is_in_run(&self) -> bool {
        self.marks(IN_RUN)
    }

    pub fn set_in_run(&mut self, on: bool) {
        self.mark(IN_RUN, on);
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    pub node: NodeId,
    /// Position in the node's readers.
    pub position: u32,
}

/// A row put out: slot in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Output {
    pub table: u16,
    pub slot: u32,
}

/// One rule for one input.
#[derive(Debug, Default)]
pub struct Instance {
    pub reads: TinyVec<[Link; 1]>,
    pub outputs: TinyVec<[Output; 1]>,
    pub input: u32,
    pub rule: u16,
    /// It asked to be woken at an instant that is still to come: see [`Core`](crate::core::Core).
    pub waits: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_leave_the_place_as_it_is() {
        for kind in [ReadKind::Get, ReadKind::Find, ReadKind::Keys, ReadKind::Count] {
            let place = Place { table: 7, index: 3, kind };
            let mut node = Node::new(place, 9);
            node.set_woken(true);
            assert!(node.is_woken() && !node.is_in_run());
            node.set_in_run(true);
            node.set_woken(false);
            assert!(!node.is_woken() && node.is_in_run());
            assert_eq!((node.place(), node.at), (place, 9));
            node.set_in_run(false);
            assert!(!node.is_in_run());
        }
    }
}
