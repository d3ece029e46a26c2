//! The latest changes, for watches. Bounded: a watch that asks from before, or falls behind, is told so.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::store::{Noted, TooOld, Watch};

/// Changes that are kept.
pub(super) const MOST: usize = 1024;

/// The latest changes of a store.
#[derive(Debug)]
pub struct History {
    kept: Mutex<Kept>,
    /// Version of the latest change.
    latest: watch::Sender<u64>,
}

#[derive(Debug)]
struct Kept {
    /// In order of versions.
    changes: VecDeque<Noted>,
    /// Every change after this version is in `changes`.
    oldest: u64,
}

impl History {
    /// A history in which nothing after this version is known yet.
    pub fn new(version: u64) -> Self {
        let kept = Kept { changes: VecDeque::new(), oldest: version };
        Self { kept: Mutex::new(kept), latest: watch::Sender::new(version) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the changes of a batch.
    pub fn note(&self, mut changes: Vec<Noted>) {
        changes.sort_unstable_by_key(|change| change.version);
        let Some(latest) = changes.last().map(|change| change.version) else { return };
        let mut kept = self.lock();
        kept.changes.extend(changes);
        while kept.changes.len() > MOST {
            kept.oldest = kept.changes.pop_front().map_or(kept.oldest, |gone| gone.version);
        }
        drop(kept);
        self.latest.send_replace(latest);
    }
}

/// A watch: a place in the history. It holds no changes itself, so a slow one costs nothing.
pub struct Following {
    history: Arc<History>,
    latest: watch::Receiver<u64>,
    /// Changes up to this version were told.
    after: u64,
}

impl Following {
    /// A watch of what changes after a version.
    ///
    /// # Errors
    /// When not all changes after it are known any more.
    pub fn new(history: &Arc<History>, after: u64) -> Result<Self, TooOld> {
        let oldest = history.lock().oldest;
        if after < oldest {
            return Err(TooOld { asked: after, oldest });
        }
        Ok(Self { history: Arc::clone(history), latest: history.latest.subscribe(), after })
    }

    fn ready(&mut self) -> Result<Option<Noted>, TooOld> {
        let kept = self.history.lock();
        if self.after < kept.oldest {
            return Err(TooOld { asked: self.after, oldest: kept.oldest });
        }
        let at = kept.changes.partition_point(|change| change.version <= self.after);
        let next = kept.changes.get(at).cloned();
        self.after = next.as_ref().map_or(self.after, |next| next.version);
        Ok(next)
    }
}

#[async_trait]
impl Watch for Following {
    async fn next(&mut self) -> Result<Noted, TooOld> {
        loop {
            self.latest.mark_unchanged();
            if let Some(next) = self.ready()? {
                return Ok(next);
            }
            if self.latest.changed().await.is_err() {
                // The history holds the sender, and this holds the history.
                std::future::pending::<()>().await;
            }
        }
    }
}
