//! An engine without types: tables, rules and who read what. Compiled once; [`Engine`](crate::Engine) is its typed face.

use std::{mem::size_of, sync::Arc};

use crate::{
    Held, Stats,
    core::{Core, FACT, InstanceId, Link, NONE, Node, SOURCE},
    declare::{Access, Declared, check, diagram},
    row::{AnyKey, AnyRow},
    rule::AnyRule,
    source::Sources,
    table::{Staged, Table},
};

pub struct Machine {
    /// By their place in the list of the world.
    pub tables: Vec<Table>,
    pub core: Core,
    pub sources: Sources,
    pub rules: Vec<(Declared, Box<dyn AnyRule>)>,
    /// What [`finish`](Self::finish) found; `None` before it.
    pub checked: Option<Vec<String>>,
    /// What the last step told of held runs.
    pub held: Arc<[Held]>,
}

impl Machine {
    pub fn new(mut tables: Vec<Table>) -> Self {
        for (id, table) in (0_u16..).zip(&mut tables) {
            table.id = id;
        }
        Self {
            tables,
            core: Core::default(),
            sources: Sources::default(),
            rules: Vec::new(),
            checked: None,
            held: Arc::default(),
        }
    }

    pub fn table(&self, table: u16) -> &Table {
        &self.tables[usize::from(table)]
    }

    /// Adds a rule that runs for the rows or buckets of `input`.
    pub fn add(&mut self, name: &'static str, input: Access, rule: Box<dyn AnyRule>) {
        if self.checked.is_some() {
            self.core.error(format!("rule {name} is registered after finish()"));
        }
        let number = u16::try_from(self.rules.len()).expect("fewer than 65,536 rules");
        let table = &mut self.tables[usize::from(input.table)];
        match table.indexes.get_mut(usize::from(input.index)) {
            Some(index) => index.subscribers.push(number),
            None => table.subscribers.push(number),
        }
        self.rules.push((Declared::new(name, input), rule));
        self.core.queue.push(Vec::new());
    }

    pub fn finish(&mut self) -> Result<(), Vec<String>> {
        let wrong = check(self.rules.iter().map(|(declared, _)| declared));
        self.checked = Some(wrong.clone());
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    pub fn diagram(&self) -> String {
        diagram(self.rules.iter().map(|(declared, _)| declared))
    }

    /// Whether a table takes facts; else it is an error of the next step.
    fn takes_facts(&mut self, table: u16) -> bool {
        let Some((writer, _)) = self.rules.iter().find(|(rule, _)| rule.may_write(table)) else {
            return true;
        };
        let text = format!("{} takes no facts: rule {} writes it", self.table(table).name, writer.name);
        crate::core::complain(&text);
        self.core.error(text);
        false
    }

    /// Notes for the next step what a source yields.
    pub fn replace(&mut self, key: Box<dyn AnyKey>, mut rows: Vec<(u16, Arc<dyn AnyRow>)>) {
        rows.retain(|(table, _)| self.takes_facts(*table));
        self.sources.stage(key, rows);
    }

    /// Notes a fact for the next step.
    pub fn stage(&mut self, table: u16, fact: Staged) {
        if !self.takes_facts(table) {
            return;
        }
        let table = &mut self.tables[usize::from(table)];
        if table.staged.is_empty() {
            self.core.staged.push(table.id);
        }
        table.staged.push(fact);
    }

    pub fn get(&self, table: u16, key: &dyn AnyKey) -> Option<&Arc<dyn AnyRow>> {
        self.table(table).get(key)
    }

    /// Lists the held runs anew if something about them changed: a thousand broken rows must not cost every later step.
    pub fn list_held(&mut self) {
        if std::mem::take(&mut self.core.held_changed) {
            let held = self.core.held.iter();
            let mut held: Vec<Held> = held
                .map(|(id, message)| Held { claimant: self.claimant(*id), message: message.clone() })
                .collect();
            held.sort_unstable();
            self.held = held.into();
        }
    }

    /// Runs in rule order, then in order of their inputs. Of facts, one that was put by itself, then sources in order.
    pub fn in_order(&self, owners: &[InstanceId]) -> Vec<InstanceId> {
        let mut owners: Vec<InstanceId> = owners.iter().copied().filter(|owner| *owner != NONE).collect();
        owners.sort_by(|a, b| {
            if *a == FACT || *b == FACT {
                return (*b == FACT).cmp(&(*a == FACT));
            }
            let (a, b) = (&self.core.instances[*a], &self.core.instances[*b]);
            if a.rule == SOURCE {
                return self.sources.key(a.input).order(self.sources.key(b.input));
            }
            let of = &self.rules[usize::from(a.rule)].0.input;
            a.rule.cmp(&b.rule).then_with(|| self.table(of.table).order(of.index, a.input, b.input))
        });
        owners
    }

    pub fn stats(&self) -> Stats {
        let (mut stats, core) = (Stats::default(), &self.core);
        for table in &self.tables {
            stats.rows += table.rows();
            stats.places += table.places();
        }
        stats.sources = self.sources.len();
        stats.instances = core.instances.len() - stats.sources;
        stats.nodes = core.nodes.len();
        stats.reads = core.instances.iter().map(|instance| instance.reads.len()).sum();
        let lists: usize =
            core.nodes.iter().filter(|node| node.readers.is_heap()).map(|node| node.readers.capacity()).sum();
        stats.read_bytes = stats.nodes * size_of::<Node>()
            + lists * size_of::<(InstanceId, u32)>()
            + stats.reads * size_of::<Link>();
        stats
    }

    pub fn dump(&self) -> Vec<String> {
        self.tables.iter().flat_map(Table::dump).collect()
    }
}
