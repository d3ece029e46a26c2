//! Wanted statuses go to the objects, and what Envoy has not judged yet becomes a fact.

use std::collections::BTreeSet;

use portolan_core::{
    conditions::rows::ObjectStatus,
    gateway::rows::{WireAck, WireKey, WireListener, WirePending, WireType, listener_name},
};
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
        self.note_pending(step);
    }

    /// A listener that was sent anew is not programmed until Envoy has judged just this version.
    fn note_pending(&mut self, step: &Changes) {
        for change in step.of::<WireListener>().iter().filter(|change| change.after.is_none()) {
            let name = listener_name(&change.key.0, change.key.1);
            self.engine.remove::<WireAck>(&WireKey { r#type: WireType::Listener, name });
            self.facts = true;
        }
        let wanted: BTreeSet<WireKey> = self.wire.pending_listeners().cloned().collect();
        let noted: BTreeSet<WireKey> = self.engine.rows::<WirePending>().map(|row| row.key.clone()).collect();
        for key in wanted.difference(&noted) {
            self.engine.put(WirePending { key: key.clone() });
            self.facts = true;
        }
        for key in noted.difference(&wanted) {
            self.engine.remove::<WirePending>(key);
            self.facts = true;
        }
    }
}
