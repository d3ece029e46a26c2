//! Keeps what is under way in line with what is wanted: the part that all effects have in common.
//!
//! An effect tells [`Converge`] which rows are wanted, and asks it what to begin. Each begun [`Work`] has a [`Ticket`] that comes
//! back with what came of it. From there all is the same for every effect:
//!
//! - **one generation check**: [`Converge::settle`] and [`Converge::fail`] take a ticket, and give the row only if it is still what
//!   is wanted. What is wanted otherwise or no longer is told to stop ([`Work::stopped`]), and its answer is nothing;
//! - **one retry**: what failed is due again after a [`Backoff`] with jitter;
//! - **one budget**: no more than so many works at once. A work counts until its ticket is gone, so one that was given up and has
//!   not stopped yet counts too; a ticket that is dropped unanswered (its task panicked) is a failure.
//!
//! It does nothing itself and has no clock: instants come from the caller and the seed of the jitter too, so that tests need
//! neither time nor luck. Retries are measured on a monotonic clock: a wall clock that jumps neither hurries nor delays them.

mod backoff;
mod ticket;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use tokio::{sync::oneshot, time::Instant};

pub use backoff::Backoff;
use backoff::Jitter;
use ticket::Tickets;
pub use ticket::{Mark, Ticket};

/// One row to work on.
#[derive(Debug)]
pub struct Work<K, W> {
    /// Comes back with what came of it.
    pub ticket: Ticket<K>,
    /// What is wanted.
    pub wanted: W,
    /// Resolves when it is not wanted any more: whoever can, stops and cleans up.
    pub stopped: oneshot::Receiver<()>,
}

/// How an effect works on its rows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Works at once.
    pub budget: usize,
    /// Waits between two tries of one row.
    pub backoff: Backoff,
}

#[derive(Debug)]
struct Row<W> {
    wanted: W,
    generation: u64,
    phase: Phase,
    /// Since it is wanted like this.
    failures: u32,
}

#[derive(Debug)]
enum Phase {
    /// To be begun then, or as soon after it as there is room.
    Due(Instant),
    /// Dropped with its row, it tells the work to stop.
    Running {
        _stop: oneshot::Sender<()>,
    },
    Settled,
}

/// Rows that are wanted of an effect, by key, and how far each is.
#[derive(Debug)]
pub struct Converge<K, W> {
    limits: Limits,
    jitter: Jitter,
    rows: BTreeMap<K, Row<W>>,
    /// Rows that wait, by when they are due and by generation: who waits longest comes first.
    queue: BTreeMap<(Instant, u64), K>,
    tickets: Arc<Tickets<K>>,
    generation: u64,
}

impl<K: Clone + Ord, W: Clone + PartialEq> Converge<K, W> {
    /// Nothing is wanted yet. The same seed gives the same waits.
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            jitter: Jitter::new(seed),
            rows: BTreeMap::new(),
            queue: BTreeMap::new(),
            tickets: Arc::default(),
            generation: 0,
        }
    }

    /// A row is wanted. If it is wanted already, what is under way, waits or is settled stays so, and it is `false`.
    pub fn want(&mut self, key: K, wanted: W, now: Instant) -> bool {
        if self.rows.get(&key).is_some_and(|row| row.wanted == wanted) {
            return false;
        }
        self.renew(key, wanted, now);
        true
    }

    /// A row is wanted anew, whatever was done for it.
    pub fn renew(&mut self, key: K, wanted: W, now: Instant) {
        self.forget(&key);
        self.generation += 1;
        self.queue.insert((now, self.generation), key.clone());
        let row = Row { wanted, generation: self.generation, phase: Phase::Due(now), failures: 0 };
        self.rows.insert(key, row);
    }

    /// A row is not wanted any more. Gives what was wanted.
    pub fn forget(&mut self, key: &K) -> Option<W> {
        let row = self.rows.remove(key)?;
        if let Phase::Due(at) = row.phase {
            self.queue.remove(&(at, row.generation));
        }
        Some(row.wanted)
    }

    /// Nothing is wanted any more: all that is under way is told to stop.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.queue.clear();
    }

    /// What is wanted under a key.
    pub fn wanted(&self, key: &K) -> Option<&W> {
        self.rows.get(key).map(|row| &row.wanted)
    }

    /// Whether a row waits or is under way.
    pub fn is_open(&self, key: &K) -> bool {
        self.rows.get(key).is_some_and(|row| !matches!(row.phase, Phase::Settled))
    }

    /// Whether a row is under way.
    pub fn is_running(&self, key: &K) -> bool {
        self.rows.get(key).is_some_and(|row| matches!(row.phase, Phase::Running { .. }))
    }

    /// Whether no row waits or is under way.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.rows.values().all(|row| matches!(row.phase, Phase::Settled))
    }

    /// What is to be begun now, as far as the budget goes.
    pub fn begin(&mut self, now: Instant) -> Vec<Work<K, W>> {
        self.take_lost(now);
        let mut begun = Vec::new();
        while self.tickets.out() < self.limits.budget {
            let Some(next) = self.queue.first_entry().filter(|next| next.key().0 <= now) else { break };
            let key = next.remove();
            let Some(row) = self.rows.get_mut(&key) else { continue };
            let (stop, stopped) = oneshot::channel();
            row.phase = Phase::Running { _stop: stop };
            let ticket = Ticket::new(key, row.generation, &self.tickets);
            begun.push(Work { ticket, wanted: row.wanted.clone(), stopped });
        }
        begun
    }

    /// When [`Converge::begin`] has something to give, unless something is wanted or answered before; `None` if never.
    pub fn due(&self) -> Option<Instant> {
        let is_full = self.tickets.out() >= self.limits.budget;
        self.queue.first_key_value().map(|((at, _), _)| *at).filter(|_| !is_full)
    }

    /// What is wanted by the row that a work was begun for, if it is still so.
    pub fn current(&self, mark: &Mark<K>) -> Option<&W> {
        self.rows.get(&mark.key).filter(|row| row.generation == mark.generation).map(|row| &row.wanted)
    }

    /// The work is done, and nothing more is to be done for the row as it is wanted. `None` if that is not wanted any more.
    pub fn settle(&mut self, ticket: Ticket<K>) -> Option<W> {
        let row = self.row(&ticket.answered())?;
        row.phase = Phase::Settled;
        row.failures = 0;
        Some(row.wanted.clone())
    }

    /// The work is done, and the row is forgotten until somebody wants it again: whoever makes the rows decides when a failure is
    /// tried again. `None` if it was not wanted so any more.
    pub fn end(&mut self, ticket: Ticket<K>) -> Option<W> {
        let mark = ticket.answered();
        self.row(&mark)?;
        self.forget(&mark.key)
    }

    /// The work has failed: it is begun again after a while. `None` if the row is not wanted so any more.
    pub fn fail(&mut self, ticket: Ticket<K>, now: Instant) -> Option<W> {
        self.failed(&ticket.answered(), now)
    }

    /// Whatever waits for another try is tried now: what it failed for may be over.
    pub fn hurry(&mut self, now: Instant) {
        let waiting: Vec<(Instant, u64)> = self.queue.range((now, u64::MAX)..).map(|(at, _)| *at).collect();
        for (at, generation) in waiting {
            let Some(key) = self.queue.remove(&(at, generation)) else { continue };
            if let Some(row) = self.rows.get_mut(&key) {
                row.phase = Phase::Due(now);
            }
            self.queue.insert((now, generation), key);
        }
    }

    /// Works whose ticket was dropped have failed.
    fn take_lost(&mut self, now: Instant) {
        for mark in self.tickets.take_lost() {
            self.failed(&mark, now);
        }
    }

    fn row(&mut self, mark: &Mark<K>) -> Option<&mut Row<W>> {
        self.rows.get_mut(&mark.key).filter(|row| row.generation == mark.generation)
    }

    fn failed(&mut self, mark: &Mark<K>, now: Instant) -> Option<W> {
        let failures = self.row(mark)?.failures.saturating_add(1);
        let at = now + self.limits.backoff.after(failures, &mut self.jitter);
        self.queue.insert((at, mark.generation), mark.key.clone());
        let row = self.row(mark)?;
        (row.failures, row.phase) = (failures, Phase::Due(at));
        Some(row.wanted.clone())
    }
}
