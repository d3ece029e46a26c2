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

#[derive(Debug, Default)]
pub struct Node {
    /// Reader, and which of its links this is. Most have one, which stands here.
    pub readers: TinyVec<[(InstanceId, u32); 1]>,
    pub place: Place,
    /// Slot or bucket.
    pub at: u32,
    /// Its readers are queued in this step.
    pub woken: bool,
    /// Read by the present run.
    pub in_run: bool,
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
