//! The untyped half: who read what (nodes and links), runs, wake-ups, and which inputs wait for which rule.
//!
//! A node stands for one thing read: a key, present or absent, or a bucket in one of three ways. A link is known from
//! both ends by position, so adding and removing one is constant work however many readers a node has.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Instant,
    fault::{Fault, planted},
    slab::Slab,
};

pub type InstanceId = u32;
pub type NodeId = u32;
/// No node, no owner, no instance.
pub const NONE: u32 = u32::MAX;
/// Owner of facts, which no rule makes.
pub const FACT: InstanceId = u32::MAX - 1;
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
    /// Reader, and which of its links this is.
    pub readers: Vec<(InstanceId, u32)>,
    pub place: Place,
    /// Slot or bucket.
    pub at: u32,
    woken: bool,
    in_run: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub node: NodeId,
    /// Position in the node's readers.
    position: u32,
}

/// A row put out: slot in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    pub table: u16,
    pub slot: u32,
}

/// One rule for one input.
#[derive(Debug)]
pub struct Instance {
    pub reads: Box<[Link]>,
    pub outputs: Box<[Output]>,
    /// Earliest instant asked for that is still to come; `Instant::MAX` is none.
    pub due: Instant,
    pub input: u32,
    pub rule: u16,
}

impl Default for Instance {
    fn default() -> Self {
        Self { reads: Box::default(), outputs: Box::default(), due: Instant::MAX, input: 0, rule: 0 }
    }
}

#[derive(Debug)]
pub struct Core {
    pub now: Instant,
    pub nodes: Slab<Node>,
    pub instances: Slab<Instance>,
    pub wakeups: BTreeSet<(Instant, InstanceId)>,
    /// Inputs that wait, by rule; may name one more than once.
    pub queue: Vec<Vec<u32>>,
    /// Instances whose last run panicked, with the text of the panic.
    pub held: BTreeMap<InstanceId, String>,
    /// Mistakes of rules in this step, counted.
    pub errors: BTreeMap<String, usize>,
    /// Tables with facts that the next step takes in.
    pub staged: Vec<u16>,
    /// Tables with something to publish or to free at the end of the step.
    pub ending: Vec<u16>,
    woken: Vec<NodeId>,
    idle: Vec<NodeId>,
    run_reads: Vec<NodeId>,
    run_due: Instant,
}

impl Default for Core {
    fn default() -> Self {
        Self {
            now: Instant::MIN,
            nodes: Slab::default(),
            instances: Slab::default(),
            wakeups: BTreeSet::new(),
            queue: Vec::new(),
            held: BTreeMap::new(),
            errors: BTreeMap::new(),
            staged: Vec::new(),
            ending: Vec::new(),
            woken: Vec::new(),
            idle: Vec::new(),
            run_reads: Vec::new(),
            run_due: Instant::MAX,
        }
    }
}

impl Core {
    pub fn error(&mut self, text: String) {
        *self.errors.entry(text).or_default() += 1;
    }

    /// Records a read of the present run; makes the node if this is its first reader.
    pub fn read(&mut self, node: &mut NodeId, place: Place, at: u32) {
        if *node == NONE {
            *node = self.nodes.add(Node { place, at, ..Node::default() });
        }
        let read = &mut self.nodes[*node];
        if !read.in_run {
            read.in_run = true;
            self.run_reads.push(*node);
        }
    }

    /// Asks to be woken at `at`.
    pub fn wait(&mut self, at: Instant) {
        self.run_due = self.run_due.min(at);
    }

    /// Wakes all readers of a node. Once a step is enough: readers run after the last writer of what they read.
    pub fn wake(&mut self, node: NodeId) {
        if node == NONE || self.nodes[node].woken {
            return;
        }
        self.nodes[node].woken = true;
        self.woken.push(node);
        for (reader, _) in &self.nodes[node].readers {
            let Instance { rule, input, .. } = self.instances[*reader];
            self.queue[usize::from(rule)].push(input);
        }
    }

    /// Ends the present run of `id`: what it read replaces what it had read before.
    pub fn finish_run(&mut self, id: InstanceId) {
        let reads = std::mem::take(&mut self.run_reads);
        for node in &reads {
            self.nodes[*node].in_run = false;
        }
        let due = std::mem::replace(&mut self.run_due, Instant::MAX);
        self.set_due(id, if planted(Fault::DueForgotten) { Instant::MAX } else { due });
        if !self.instances[id].reads.iter().map(|link| link.node).eq(reads.iter().copied()) {
            self.relink(id, &reads);
        }
        self.run_reads = reads;
        self.run_reads.clear();
    }

    fn set_due(&mut self, id: InstanceId, due: Instant) {
        let old = std::mem::replace(&mut self.instances[id].due, due);
        if old != due {
            self.wakeups.remove(&(old, id));
            if due != Instant::MAX {
                self.wakeups.insert((due, id));
            }
        }
    }

    /// New links first, then the old ones go: a node that is read again is never without a reader.
    fn relink(&mut self, id: InstanceId, reads: &[NodeId]) {
        let mut links = Vec::with_capacity(reads.len());
        for node in reads {
            let readers = &mut self.nodes[*node].readers;
            if readers.is_empty() {
                readers.reserve_exact(1);
            }
            let position = u32::try_from(readers.len()).expect("fewer than 2^32 readers");
            readers.push((id, u32::try_from(links.len()).expect("fewer than 2^32 reads")));
            links.push(Link { node: *node, position });
        }
        let old = std::mem::replace(&mut self.instances[id].reads, links.into_boxed_slice());
        if planted(Fault::OldReadsKept) {
            return;
        }
        for link in old {
            let readers = &mut self.nodes[link.node].readers;
            readers.swap_remove(link.position as usize);
            if let Some((moved, nth)) = readers.get(link.position as usize).copied() {
                self.instances[moved].reads[nth as usize].position = link.position;
            }
            if self.nodes[link.node].readers.is_empty() || planted(Fault::NodeSweptWhileRead) {
                self.idle.push(link.node);
            }
        }
    }

    /// Takes out all wake-ups that are due and queues their runs.
    pub fn fall_due(&mut self) {
        while let Some((at, id)) = self.wakeups.first().copied() {
            if at > self.now {
                break;
            }
            self.wakeups.pop_first();
            let instance = &mut self.instances[id];
            instance.due = Instant::MAX;
            self.queue[usize::from(instance.rule)].push(instance.input);
        }
    }

    /// Forgets an instance whose input is gone.
    pub fn end_instance(&mut self, id: InstanceId) {
        self.set_due(id, Instant::MAX);
        self.relink(id, &[]);
        self.held.remove(&id);
        self.instances.free(id);
    }

    /// Ends the step: frees nodes without readers and says what each stood for.
    pub fn sweep(&mut self) -> Vec<(Place, u32)> {
        for node in self.woken.drain(..) {
            self.nodes[node].woken = false;
        }
        self.idle.sort_unstable();
        self.idle.dedup();
        let mut swept = Vec::new();
        for node in std::mem::take(&mut self.idle) {
            if self.nodes[node].readers.is_empty() || planted(Fault::NodeSweptWhileRead) {
                if planted(Fault::NodeSweptWhileRead) {
                    // The links of the other readers would name a wrong node; leave the node, lose its place.
                    swept.push((self.nodes[node].place, self.nodes[node].at));
                    continue;
                }
                let gone = self.nodes.free(node);
                swept.push((gone.place, gone.at));
            }
        }
        swept
    }
}
