//! One step: facts in, all woken rules in their order, net changes out.

use crate::{
    Changes, Claimant, Conflict, Instant,
    context::Run,
    core::{Instance, InstanceId, NONE, Output, complain},
    fault::{Fault, planted},
    machine::Machine,
    panics::caught,
};

/// For how many inputs that wait room is kept, for each rule.
const QUEUE: usize = 256;

impl Machine {
    /// See [`Engine::step`](crate::Engine::step).
    pub fn step(&mut self, now: Instant) -> Changes {
        if self.checked.is_none() {
            let _ = self.finish();
        }
        if let Some(wrong) = self.checked.as_ref().filter(|wrong| !wrong.is_empty()) {
            return Changes { errors: wrong.clone(), ..Changes::default() };
        }
        self.core.now = if planted(Fault::NowGoesBack) { now } else { self.core.now.max(now) };
        self.core.fall_due();
        let mut staged = std::mem::take(&mut self.core.staged);
        staged.sort_unstable();
        for table in staged {
            self.tables[usize::from(table)].take_facts();
            self.decide(usize::from(table));
            self.tables[usize::from(table)].wake(&mut self.core);
        }
        self.take_sources();
        let mut changes = Changes::default();
        for rule in 0..self.rules.len() {
            let (runs, equal) = self.stage_of(rule);
            let name = self.rules[rule].0.name;
            if runs > 0 {
                changes.work.push((name, runs));
            }
            if equal > 0 {
                changes.equal.push((name, equal));
            }
        }
        self.end_step(&mut changes);
        changes
    }

    fn end_step(&mut self, changes: &mut Changes) {
        self.core.ending.sort_unstable();
        for table in &self.core.ending {
            changes.tables.extend(self.tables[usize::from(*table)].publish());
        }
        for (place, at) in self.core.sweep() {
            self.tables[usize::from(place.table)].forget(place, at, &mut self.core);
        }
        for table in std::mem::take(&mut self.core.ending) {
            self.tables[usize::from(table)].free_slots();
        }
        changes.next_due = self.core.wakeups.first().map(|(at, _)| *at);
        self.list_held();
        changes.held = std::sync::Arc::clone(&self.held);
        changes.conflicts = self.conflicts();
        let errors = std::mem::take(&mut self.core.errors);
        changes.errors = errors.into_iter().map(|(text, times)| format!("{text} ({times} times)")).collect();
        if let Some(first) = changes.errors.first() {
            complain(first);
        }
    }

    /// Runs one rule for all inputs that wait for it. Gives the number of runs, and of those that changed nothing.
    fn stage_of(&mut self, number: usize) -> (usize, usize) {
        let mut inputs = std::mem::take(&mut self.core.queue[number]);
        if inputs.is_empty() {
            return (0, 0);
        }
        inputs.sort_unstable();
        inputs.dedup();
        let (mut ran, mut gone) = (Vec::with_capacity(inputs.len()), Vec::new());
        for input in &inputs {
            self.run(number, *input, &mut ran, &mut gone);
        }
        let mut tables: Vec<u16> = self.rules[number].0.writes.iter().map(|access| access.table).collect();
        tables.sort_unstable();
        tables.dedup();
        let equal = self.settle(&tables, &ran);
        if !planted(Fault::GoneKeepsOutputs) {
            for id in gone {
                self.core.end_instance(id);
            }
        }
        let runs = ran.len();
        inputs.clear();
        // A start, or a listener that came, leaves no room behind that is never needed again.
        inputs.shrink_to(QUEUE);
        // What woke meanwhile (an undeclared read only) waits for the next step.
        let waiting = std::mem::replace(&mut self.core.queue[number], inputs);
        self.core.queue[number].extend(waiting);
        (runs, equal)
    }

    fn run(&mut self, number: usize, input: u32, ran: &mut Vec<InstanceId>, gone: &mut Vec<InstanceId>) {
        let (declared, rule) = &mut self.rules[number];
        let of = &declared.input;
        if !self.tables[usize::from(of.table)].present(of.index, input) {
            let id = std::mem::replace(declared.instance(input), NONE);
            if planted(Fault::StaleInstance) && id != NONE {
                *declared.instance(input) = id;
            }
            if id != NONE {
                self.core.release(id);
                gone.push(id);
                ran.push(id);
            }
            return;
        }
        let noted = declared.instance(input);
        if *noted == NONE {
            let rule = u16::try_from(number).expect("fewer than 65,536 rules");
            *noted = self.core.instances.add(Instance { input, rule, ..Instance::default() });
        }
        let id = *noted;
        let run = Run { tables: &mut self.tables, core: &mut self.core, declared, id };
        let ended = caught(|| rule.call(run, input));
        self.core.finish_run(id, ended.is_err());
        ran.push(id);
        match ended {
            Ok(()) => self.core.release(id),
            Err(message) => {
                for access in &declared.writes {
                    self.tables[usize::from(access.table)].discard(id);
                }
                self.core.hold(id, message);
            }
        }
    }

    /// Makes rows of what a stage's runs put out into `tables`, decides conflicts, and wakes what reads the rows. Gives
    /// the number of runs that changed nothing.
    pub fn settle(&mut self, tables: &[u16], ran: &[InstanceId]) -> usize {
        let gone_or_good = |id: &&InstanceId| !self.core.held.contains_key(*id);
        let good: Vec<InstanceId> = ran.iter().filter(gone_or_good).copied().collect();
        let mut old: Vec<(u16, InstanceId, u32)> = Vec::new();
        for id in &good {
            let outputs = std::mem::take(&mut self.core.instances[*id].outputs);
            old.extend(outputs.iter().map(|output| (output.table, *id, output.slot)));
        }
        old.sort_unstable();
        let mut new: Vec<(InstanceId, Output)> = Vec::new();
        let mut differ: Vec<InstanceId> = Vec::new();
        for table in tables.iter().copied() {
            let mine = old.iter().filter(|(of, ..)| *of == table).map(|(_, id, slot)| (*id, *slot));
            let (mine, mut outputs): (Vec<_>, Vec<_>) = (mine.collect(), Vec::new());
            let at_hand = usize::from(table);
            self.tables[at_hand].take_outputs(&mine, &mut outputs, &mut differ);
            new.extend(outputs.into_iter().map(|(id, slot)| (id, Output { table, slot })));
            self.decide(at_hand);
            self.tables[at_hand].wake(&mut self.core);
        }
        new.sort_by_key(|(id, _)| *id);
        for outputs in new.chunk_by(|a, b| a.0 == b.0) {
            self.core.instances[outputs[0].0].outputs = outputs.iter().map(|(_, output)| *output).collect();
        }
        differ.sort_unstable();
        differ.dedup();
        good.len() - differ.len()
    }

    /// Shows the first of the claims of each key whose claims changed.
    fn decide(&mut self, table: usize) {
        for at in self.tables[table].take_disputed() {
            let claimants = self.tables[table].claims(at);
            if let Some(first) = self.in_order(&claimants).first() {
                let nth = claimants.iter().position(|id| id == first).unwrap_or_default();
                self.tables[table].decide(at, nth);
            }
        }
    }

    /// All conflicts, in table and key order.
    fn conflicts(&self) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        for table in &self.tables {
            for (at, key) in table.contested() {
                let claimants = self.in_order(&table.claims(at));
                let claimants: Vec<Claimant> = claimants.into_iter().map(|id| self.claimant(id)).collect();
                conflicts.push(Conflict { table: table.name, key, claimants });
            }
        }
        conflicts
    }
}
