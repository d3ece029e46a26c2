//! What a step did.

use std::{
    any::{Any, TypeId},
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use crate::{
    Instant, Row,
    row::{AnyKey, AnyRow, typed, typed_key},
};

/// A row before and after a step.
type Made = (Option<Arc<dyn AnyRow>>, Option<Arc<dyn AnyRow>>);

/// The key of what changed.
fn key((before, after): &Made) -> Option<&dyn AnyKey> {
    after.as_ref().or(before.as_ref()).map(|row| row.key())
}

/// Changes of one table. They are put in order, and given their type, when they are first read: most tables are read by
/// rules only, and ordering 100,000 keys takes a tenth of the step that made them.
pub struct TableChanges {
    row: TypeId,
    made: Mutex<Vec<Made>>,
    /// A `Vec<Change<R>>`.
    read: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for TableChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableChanges").finish_non_exhaustive()
    }
}

impl TableChanges {
    pub fn new(row: TypeId, made: Vec<Made>) -> Self {
        Self { row, made: Mutex::new(made), read: OnceLock::new() }
    }

    /// The changes in key order; leaves none behind.
    fn take(&self) -> Vec<Made> {
        let mut made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        made.sort_unstable_by(|a, b| match (key(a), key(b)) {
            (Some(a), Some(b)) => a.order(b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        });
        made
    }

    fn of<R: Row>(&self) -> &[Change<R>] {
        let read = self.read.get_or_init(|| {
            let mut all: Vec<Change<R>> = Vec::new();
            for made in self.take() {
                let Some(key) = key(&made) else { continue };
                all.push(Change {
                    key: typed_key::<R::Key>(key).clone(),
                    before: made.0.as_ref().map(typed),
                    after: made.1.as_ref().map(typed),
                });
            }
            Box::new(all)
        });
        read.downcast_ref::<Vec<Change<R>>>().map_or(&[], Vec::as_slice)
    }
}

/// Net change of one row over a step; `before` and `after` differ.
#[derive(Debug)]
pub struct Change<R: Row> {
    /// The key.
    pub key: R::Key,
    /// Row before the step; `None`: there was none.
    pub before: Option<Arc<R>>,
    /// Row after it; `None`: it is gone.
    pub after: Option<Arc<R>>,
}

impl<R: Row> Clone for Change<R> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), before: self.before.clone(), after: self.after.clone() }
    }
}

/// Who puts out a row: the input that a rule ran for, or a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claimant {
    /// The rule; empty for a fact.
    pub rule: &'static str,
    /// Table, or index, with key or value; of a fact its source.
    pub input: String,
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rule.is_empty() {
            return write!(f, "source {}", self.input);
        }
        write!(f, "{} for {}", self.rule, self.input)
    }
}

/// A key that more than one run, or more than one source, puts out. A bug in the rules: what is shared must go through a
/// group rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The table.
    pub table: &'static str,
    /// The key.
    pub key: String,
    /// All runs that want it, in rule order and then in order of their inputs; the row of the first is shown.
    pub claimants: Vec<Claimant>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} is claimed by ", self.table, self.key)?;
        for (nth, claimant) in self.claimants.iter().enumerate() {
            write!(f, "{}{claimant}", if nth == 0 { "" } else { " and by " })?;
        }
        f.write_str("; the first is shown")
    }
}

/// A run that panicked: its rows are those of its last good run, or none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// Which rule, for what.
    pub claimant: Claimant,
    /// Text of the panic.
    pub message: String,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} panicked: {}", self.claimant, self.message)
    }
}

/// What one step did: net changes by table, and what the driver must know. Cheap to clone, so it can be published.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub(crate) tables: Vec<Arc<TableChanges>>,
    /// When the next step must run although no fact changed.
    pub next_due: Option<Instant>,
    /// Runs by rule, in rule order; an input that went counts as one. Rules that did not run are left out.
    pub work: Vec<(&'static str, usize)>,
    /// How many of the runs in `work` put out just what they had put out before, where there are any. Thousands of them
    /// mean that the rule reads a row which is wider than what it needs (design/engine.md §4.3).
    pub equal: Vec<(&'static str, usize)>,
    /// All runs held at the end of the step, not only new ones, in order. The same pointer as after the step before if
    /// nothing about them changed.
    pub held: Arc<[Held]>,
    /// All conflicts at the end of the step, not only new ones.
    pub conflicts: Vec<Conflict>,
    /// Mistakes of the program: undeclared reads or writes, facts for a table of rules, rules in the wrong order.
    /// Empty in a correct program; debug builds panic.
    pub errors: Vec<String>,
}

impl Changes {
    /// Changes of one table, in key order.
    pub fn of<R: Row>(&self) -> &[Change<R>] {
        let wanted = TypeId::of::<R>();
        self.tables.iter().find(|changes| changes.row == wanted).map_or(&[], |changes| changes.of())
    }

    /// All rule runs.
    pub fn runs(&self) -> usize {
        self.work.iter().map(|(_, runs)| runs).sum()
    }

    /// Whether no row differs.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}
