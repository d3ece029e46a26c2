//! What is found out about objects is recorded as events on them.

use std::collections::BTreeSet;

use portolan_core::world::Finding;
use portolan_effects::store::{Cache as _, Event, EventKind};
use portolan_engine::Changes;
use portolan_model::{Problem, Severity, shown};

use super::{Driver, now, source::Source};

/// Keeps account of the findings that came in these steps; what went again before the last of them is no event.
pub(super) fn note_findings(appeared: &mut BTreeSet<Problem>, step: &Changes) {
    for change in step.of::<Finding>() {
        if change.after.is_some() {
            appeared.insert(change.key.clone());
        } else {
            appeared.remove(&change.key);
        }
    }
}

impl<S: Source> Driver<S> {
    /// Records an event for each finding.
    pub(super) fn record_findings(&mut self, appeared: BTreeSet<Problem>) {
        for problem in appeared {
            if !S::is_event(self, &problem) {
                continue;
            }
            let kind = match problem.severity {
                Severity::Info => EventKind::Normal,
                Severity::Warning | Severity::Error => EventKind::Warning,
            };
            let reason = problem.code.to_string().into();
            let event = Event {
                regarding: problem.object,
                kind,
                reason,
                note: shown::brief(&problem.message).into_owned(),
            };
            self.cx.store.record(event, now());
        }
    }
}
