//! The untyped half: who read what (nodes and links), runs, wake-ups, and which inputs wait for which rule.
//!
//! It knows inputs as numbers (slots, buckets) and rules as places in their order.

use std::collections::{BTreeMap, BTreeSet};

use tinyvec::TinyVec;

use crate::{
    Instant,
    fault::{Fault, planted},
    slab::Slab,
};

pub use crate::nodes::{
    FACT, Instance, InstanceId, Link, NONE, Node, NodeId, Output, Place, ROW, ReadKind, SOURCE,
};

/// Stops a debug build on a mistake of the program. Called outside the rules, where no panic is caught; the engine's own
/// tests look at the errors instead.
pub fn complain(text: &str) {
    #[cfg(all(debug_assertions, not(test)))]
    panic!("{text}");
    #[cfg(not(all(debug_assertions, not(test))))]
    let _ = text;
}

#[derive(Debug)]
pub struct Core {
    pub now: Instant,
    pub nodes: Slab<Node>,
    pub instances: Slab<Instance>,
    pub wakeups: BTreeSet<(Instant, InstanceId)>,
    /// The same by instance: the earliest instant that each asked for and that is still to come.
    due: BTreeMap<InstanceId, Instant>,
    /// Inputs that wait, by rule; may name one more than once.
    pub queue: Vec<Vec<u32>>,
    /// Instances whose last run panicked, with the text of the panic.
    pub held: BTreeMap<InstanceId, String>,
    /// `held` differs from what the last step told.
    pub held_changed: bool,
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
            due: BTreeMap::new(),
            queue: Vec::new(),
            held: BTreeMap::new(),
            held_changed: false,
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
            *node = self.nodes.add(Node::new(place, at));
        }
        let read = &mut self.nodes[*node];
        if !read.is_in_run() {
            read.set_in_run(true);
            self.run_reads.push(*node);
        }
    }

    /// Asks to be woken at `at`.
    pub fn wait(&mut self, at: Instant) {
        self.run_due = self.run_due.min(at);
    }

    /// Wakes all readers of a node. Once a step is enough: readers run after the last writer of what they read.
    pub fn wake(&mut self, node: NodeId) {
        if node == NONE || self.nodes[node].is_woken() {
            return;
        }
        self.nodes[node].set_woken(true);
        self.woken.push(node);
        for (reader, _) in &self.nodes[node].readers {
            let reader = &self.instances[*reader];
            self.queue[usize::from(reader.rule)].push(reader.input);
        }
    }

    /// Ends the present run of `id`: what it read replaces what it had read before. What a run read before it failed
    /// is enough to run it again at the right time.
    pub fn finish_run(&mut self, id: InstanceId, failed: bool) {
        let mut reads = std::mem::take(&mut self.run_reads);
        for node in &reads {
            self.nodes[*node].set_in_run(false);
        }
        if failed && planted(Fault::FailedRunForgetsReads) {
            reads.clear();
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
        let waited = std::mem::replace(&mut self.instances[id].waits, due != Instant::MAX);
        if waited && let Some(old) = self.due.remove(&id).filter(|_| !planted(Fault::WakeUpKept)) {
            self.wakeups.remove(&(old, id));
        }
        if due != Instant::MAX {
            self.due.insert(id, due);
            self.wakeups.insert((due, id));
        }
    }

    /// New links first, then the old ones go: a node that is read again is never without a reader.
    fn relink(&mut self, id: InstanceId, reads: &[NodeId]) {
        let mut links = TinyVec::with_capacity(reads.len());
        for node in reads {
            let readers = &mut self.nodes[*node].readers;
            let position = u32::try_from(readers.len()).expect("fewer than 2^32 readers");
            readers.push((id, u32::try_from(links.len()).expect("fewer than 2^32 reads")));
            links.push(Link { node: *node, position });
        }
        let old = std::mem::replace(&mut self.instances[id].reads, links);
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
            self.due.remove(&id);
            let instance = &mut self.instances[id];
            instance.waits = false;
            self.queue[usize::from(instance.rule)].push(instance.input);
        }
    }

    /// Marks a run as failed.
    pub fn hold(&mut self, id: InstanceId, message: String) {
        self.held_changed |= self.held.get(&id) != Some(&message);
        self.held.insert(id, message);
    }

    /// Marks a run as good, or gone.
    pub fn release(&mut self, id: InstanceId) {
        self.held_changed |= self.held.remove(&id).is_some();
    }

    /// Forgets an instance whose input is gone.
    pub fn end_instance(&mut self, id: InstanceId) {
        self.set_due(id, Instant::MAX);
        self.relink(id, &[]);
        self.release(id);
        self.instances.free(id);
    }

    /// Ends the step: frees nodes without readers and says what each stood for.
    pub fn sweep(&mut self) -> Vec<(Place, u32)> {
        for node in std::mem::take(&mut self.woken) {
            self.nodes[node].set_woken(false);
        }
        self.idle.sort_unstable();
        self.idle.dedup();
        let mut swept = Vec::new();
        for node in std::mem::take(&mut self.idle) {
            if self.nodes[node].readers.is_empty() || planted(Fault::NodeSweptWhileRead) {
                if planted(Fault::NodeSweptWhileRead) {
                    // The links of the other readers would name a wrong node; leave the node, lose its place.
                    swept.push((self.nodes[node].place(), self.nodes[node].at));
                    continue;
                }
                let gone = self.nodes.free(node);
                swept.push((gone.place(), gone.at));
            }
        }
        swept
    }
}
