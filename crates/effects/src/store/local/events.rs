//! Events, in memory: counted when they repeat, the oldest go.

use std::{collections::BTreeMap, sync::Arc};

use portolan_model::{Instant, ObjectKey};

use crate::store::{Event, Recorded};

/// Events that are kept.
pub(super) const MOST: usize = 1000;

/// Events that happened, for every store: counted and bounded.
#[derive(Debug, Default)]
pub struct Events {
    kept: BTreeMap<Arc<Event>, Recorded>,
    /// By number of the last recording: the first is the oldest.
    order: BTreeMap<u64, Arc<Event>>,
    number: u64,
}

impl Events {
    /// Most that are kept.
    pub const MOST: usize = MOST;

    /// Counts an event; what is known of it now is returned.
    pub fn record(&mut self, event: Event, now: Instant) -> Recorded {
        self.number += 1;
        let number = self.number;
        let recorded = if let Some(seen) = self.kept.get_mut(&event) {
            let before = std::mem::replace(&mut seen.number, number);
            (seen.count, seen.last) = (seen.count + 1, now);
            self.order.remove(&before);
            seen.clone()
        } else {
            let event = Arc::new(event);
            let first = Recorded { event: Arc::clone(&event), count: 1, first: now, last: now, number };
            self.kept.insert(event, first.clone());
            first
        };
        self.order.insert(number, Arc::clone(&recorded.event));
        while self.kept.len() > MOST {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.kept.remove(&oldest);
        }
        recorded
    }

    /// Events about an object, or all, oldest first.
    pub fn list(&self, regarding: Option<&ObjectKey>) -> Vec<Recorded> {
        let about = |event: &&Arc<Event>| regarding.is_none_or(|key| event.regarding == *key);
        self.order.values().filter(about).filter_map(|event| self.kept.get(event).cloned()).collect()
    }
}
