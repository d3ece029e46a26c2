//! Wanted statuses go to the objects.

use portolan_core::conditions::rows::ObjectStatus;
use portolan_engine::Changes;

use super::{Driver, now};

impl Driver {
    /// Sets changed statuses. The store keeps them in memory, beside the objects and without a new generation: a
    /// status causes no step, so this cannot loop.
    pub(super) fn show_statuses(&mut self, step: &Changes) {
        for change in step.of::<ObjectStatus>() {
            // Somebody else's object that has the name of a record of ours does not get its status.
            let status = change.after.as_ref().filter(|row| self.may_show(&row.key)).map(|row| row.json());
            self.store.set_status(&change.key, status, now());
        }
    }
}
