//! What an answer becomes.

use portolan_core::infrastructure::rows::FleetFailure;
use portolan_effects::converge::Ticket;
use portolan_kubernetes::Mirror;
use portolan_model::GatewayKey;
use tokio::time::Instant;

use super::{AGAIN, Infrastructure, run::Trouble};
use crate::effects::{Context, Platform};

/// What comes back: what did not go as it should, or why nothing could be tried.
pub struct Answer {
    pub ticket: Ticket<GatewayKey>,
    pub outcome: Result<Vec<Trouble>, String>,
}

impl Infrastructure {
    pub(super) fn take_answers(&mut self, cx: &mut Context<impl Platform<Store = Mirror>>) {
        while let Some(Answer { ticket, outcome }) = self.inbox.next() {
            let key = ticket.key().clone();
            let taken = |trouble: &Trouble| match trouble {
                Trouble::Taken(object) => Some(object.clone()),
                Trouble::Failed(..) => None,
            };
            let (taken, failed) = match &outcome {
                Ok(troubles) => {
                    let failed = troubles.iter().find_map(|trouble| match trouble {
                        Trouble::Failed(object, why) => Some(format!("{object} cannot be written: {why}")),
                        Trouble::Taken(_) => None,
                    });
                    (troubles.iter().find_map(taken), failed)
                }
                Err(why) => (None, Some(why.clone())),
            };
            let now = Instant::now();
            let fine = taken.is_none() && failed.is_none();
            let current = if fine { self.works.settle(ticket) } else { self.works.fail(ticket, now) };
            if current.is_none() {
                continue;
            }
            if fine {
                self.again.insert(key.clone(), now + AGAIN);
            }
            let failure = (!fine).then(|| FleetFailure { key: key.clone(), taken, failed });
            if cx.engine.get::<FleetFailure>(&key).as_deref() == failure.as_ref() {
                continue;
            }
            match failure {
                Some(failure) => cx.engine.put(failure),
                None => cx.engine.remove::<FleetFailure>(&key),
            }
            cx.facts = true;
        }
    }
}
