//! What an answer becomes.

use portolan_core::status::rows::Probe;
use portolan_effects::{converge::Ticket, probe::Outcomes};
use portolan_model::Name;
use tokio::time::Instant;

use super::Probes;
use crate::effects::Context;

/// What comes back.
pub enum Answer {
    Probed(Outcomes<Ticket<Name>>),
    /// What has answered is to be asked again.
    Beat,
    Rechecked(Outcomes<Name>),
}

impl Probes {
    pub(super) fn take_answers(&mut self, cx: &mut Context) {
        while let Some(answer) = self.inbox.next() {
            match answer {
                Answer::Probed(outcomes) => self.probed(outcomes, cx),
                Answer::Beat => self.recheck(cx),
                Answer::Rechecked(outcomes) => self.rechecked(&outcomes, cx),
            }
        }
    }

    /// Takes what probes saw; of several of a host only the latest counts. What did not answer is asked again in a while.
    fn probed(&mut self, outcomes: Outcomes<Ticket<Name>>, cx: &mut Context) {
        for (ticket, state) in outcomes {
            let key = ticket.key().clone();
            let counts = match state {
                Ok(_) => self.hosts.settle(ticket),
                Err(_) => self.hosts.fail(ticket, Instant::now()),
            };
            if counts.is_some() {
                cx.engine.put(Probe { key, state });
                cx.facts = true;
            }
        }
    }
}
