//! Proof that a work was begun; it is lost with the work, or comes back.

use std::{
    fmt, mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The row that a work was begun for, and as of when: for what it reports before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark<K> {
    /// Key of the row.
    pub key: K,
    pub(super) generation: u64,
}

/// Holds a place in the budget for as long as it lives.
pub struct Ticket<K> {
    /// `None` once it was answered.
    held: Option<Mark<K>>,
    tickets: Arc<Tickets<K>>,
}

/// Those that are out.
pub(super) struct Tickets<K> {
    out: AtomicUsize,
    lost: Mutex<Vec<Mark<K>>>,
}

impl<K> Default for Tickets<K> {
    fn default() -> Self {
        Self { out: AtomicUsize::new(0), lost: Mutex::new(Vec::new()) }
    }
}

impl<K> fmt::Debug for Tickets<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("out", &self.out()).finish_non_exhaustive()
    }
}

impl<K> Tickets<K> {
    /// How many are out.
    pub(super) fn out(&self) -> usize {
        self.out.load(Ordering::Acquire)
    }

    /// Those that were dropped without an answer since the last call.
    pub(super) fn take_lost(&self) -> Vec<Mark<K>> {
        mem::take(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K> Ticket<K> {
    pub(super) fn new(key: K, generation: u64, tickets: &Arc<Tickets<K>>) -> Self {
        tickets.out.fetch_add(1, Ordering::AcqRel);
        Self { held: Some(Mark { key, generation }), tickets: Arc::clone(tickets) }
    }

    /// Key of the row.
    pub fn key(&self) -> &K {
        &self.mark().key
    }

    /// What its work was begun for.
    pub fn mark(&self) -> &Mark<K> {
        self.held.as_ref().expect("it is taken out only where the ticket is consumed")
    }

    /// Gives it back: it is not lost.
    pub(super) fn answered(mut self) -> Mark<K> {
        self.held.take().expect("it is taken out only where the ticket is consumed")
    }
}

impl<K> Drop for Ticket<K> {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.tickets.lost.lock().unwrap_or_else(PoisonError::into_inner).push(held);
        }
        self.tickets.out.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<K: fmt::Debug> fmt::Debug for Ticket<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.held).finish()
    }
}
