//! Go templates of SealedSecrets, executed beside the driver, a few at a time. What they came to is kept in memory for as long as the
//! SealedSecret says the same, so that what is written again is the same. A template that is wrong is not tried again; where the
//! engine was stopped or could not be run, it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use portolan_core::secrets::rows::{UnsealFailure, UnsealWanted};
use portolan_effects::{
    converge::{Backoff, Converge, Limits, Ticket},
    sealed::{Executed, Templates},
    store::Write,
};
use portolan_model::{Name, NamespacedName, Redacted};
use tokio::time::Instant;

use super::{Secrets, opened};
use crate::effects::{Context, Wake, seed};

/// What an Envoy that serves since an earlier run must not miss is waited for at most that long in one step.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// Engines at once: each takes a processor and some memory, and more of them than processors only make each other late.
const MOST: usize = 4;
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(5), longest: Duration::from_mins(5) };

type Values = BTreeMap<Name, Redacted>;
type Answer = (Ticket<NamespacedName>, Executed);

/// What is being executed, and what came of it.
pub(super) struct Filling {
    templates: Templates,
    rows: Converge<NamespacedName, Arc<UnsealWanted>>,
    /// What is executed over, until that has come to its end.
    values: BTreeMap<NamespacedName, Values>,
    /// Rows that were not tried yet.
    untried: BTreeSet<NamespacedName>,
    /// What came last.
    done: BTreeMap<NamespacedName, (Arc<UnsealWanted>, Executed)>,
    answers: mpsc::Sender<Answer>,
    came: mpsc::Receiver<Answer>,
    wake: Wake,
}

impl Filling {
    pub(super) fn new(templates: Templates, wake: &Wake) -> Self {
        let budget = thread::available_parallelism().map_or(1, usize::from).min(MOST);
        let (answers, came) = mpsc::channel();
        Self {
            templates,
            rows: Converge::new(Limits { budget, backoff: BACKOFF }, seed()),
            values: BTreeMap::new(),
            untried: BTreeSet::new(),
            done: BTreeMap::new(),
            answers,
            came,
            wake: Arc::clone(wake),
        }
    }

    /// Whether everything was tried; what is tried again has its finding already.
    pub(super) fn is_idle(&self) -> bool {
        self.untried.is_empty()
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.rows.due()
    }

    pub(super) fn forget(&mut self, key: &NamespacedName) {
        self.rows.forget(key);
        self.values.remove(key);
        self.untried.remove(key);
        self.done.remove(key);
    }

    /// Its templates are wanted over these values; what is known, or under way, for the same SealedSecret stays.
    pub(super) fn want(&mut self, row: &Arc<UnsealWanted>, values: Values) {
        if self.rows.wanted(&row.key).is_some_and(|wanted| wanted.sealed == row.sealed) {
            return;
        }
        self.forget(&row.key);
        self.values.insert(row.key.clone(), values);
        self.untried.insert(row.key.clone());
        self.rows.want(row.key.clone(), Arc::clone(row), Instant::now());
    }

    pub(super) fn begin(&mut self) {
        for work in self.rows.begin(Instant::now()) {
            let values = self.values.get(&work.wanted.key).cloned().unwrap_or_default();
            let (answers, wake, templates) =
                (self.answers.clone(), Arc::clone(&self.wake), self.templates.clone());
            tokio::task::spawn_blocking(move || {
                let executed = templates.execute(&work.wanted.sealed, values);
                // Nobody takes it once the driver has ended.
                if answers.send((work.ticket, executed)).is_ok() {
                    wake();
                }
            });
        }
    }

    /// The rows whose answers have come.
    fn take(&mut self) -> Vec<Arc<UnsealWanted>> {
        let mut rows = Vec::new();
        while let Ok(answer) = self.came.try_recv() {
            rows.extend(self.answered(answer));
        }
        rows
    }

    /// Executes until then at most what was not tried yet, and gives the rows whose answers have come.
    pub(super) fn wait(&mut self, until: Instant) -> Vec<Arc<UnsealWanted>> {
        let mut rows = Vec::new();
        while !self.untried.is_empty() {
            self.begin();
            let left = until.saturating_duration_since(Instant::now());
            let Ok(answer) = self.came.recv_timeout(left) else { break };
            rows.extend(self.answered(answer));
        }
        rows
    }

    /// `None` where something else is wanted by now, or nothing.
    fn answered(&mut self, (ticket, executed): Answer) -> Option<Arc<UnsealWanted>> {
        let again = executed.as_ref().is_err_and(|failed| failed.again);
        let row = if again { self.rows.fail(ticket, Instant::now()) } else { self.rows.settle(ticket) }?;
        if !again {
            self.values.remove(&row.key);
        }
        self.untried.remove(&row.key);
        self.done.insert(row.key.clone(), (Arc::clone(&row), executed));
        Some(row)
    }
}

impl Secrets {
    /// The opened values with what the templates came to; `None` while they are executed, and where they cannot be, which is noted.
    pub(super) fn filled(&self, row: &UnsealWanted, cx: &mut Context) -> Option<Values> {
        let (_, executed) = self.filling.done.get(&row.key).filter(|(of, _)| of.sealed == row.sealed)?;
        match executed {
            Ok(values) => Some(values.clone()),
            Err(failed) => {
                let (key, sealed) = (row.key.clone(), row.sealed.clone());
                let (failures, templates) = (BTreeMap::new(), failed.why.clone());
                cx.engine.put(UnsealFailure { key, sealed, failures, templates, refused: None });
                cx.facts = true;
                None
            }
        }
    }

    /// Takes what templates came to, and writes the Secrets.
    pub(super) fn take_executed(&mut self, cx: &mut Context) {
        let rows = self.filling.take();
        let writes = self.executed(rows, cx);
        if !writes.is_empty() {
            cx.write_own(writes);
        }
    }

    /// What is written of them, unless a SealedSecret says something else by now.
    pub(super) fn executed(&self, rows: Vec<Arc<UnsealWanted>>, cx: &mut Context) -> Vec<Write> {
        let mut writes = Vec::new();
        for row in rows {
            let wanted = cx.engine.get::<UnsealWanted>(&row.key);
            let Some(wanted) = wanted.filter(|wanted| wanted.sealed == row.sealed) else { continue };
            let values = self.filled(&wanted, cx);
            writes.extend(values.and_then(|values| opened(&wanted, &values, cx)));
        }
        writes
    }
}

#[cfg(test)]
mod tests;
