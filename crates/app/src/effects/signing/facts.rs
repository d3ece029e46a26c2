//! What an answer becomes.

use portolan_effects::converge::{Mark, Ticket};
use portolan_model::NamespacedName;

use super::Signing;
use crate::effects::{Context, Platform, issuance::Made};

/// What comes back.
pub enum Answer {
    /// The request, PEM.
    Requested(Mark<NamespacedName>, String),
    Signed(Ticket<NamespacedName>, Result<Box<Made>, String>),
}

impl Signing {
    pub(super) fn take_answers(&mut self, cx: &mut Context<impl Platform>) {
        while let Some(answer) = self.inbox.next() {
            match answer {
                Answer::Requested(mark, request) => self.issuances.requested(&mark, request, cx),
                Answer::Signed(ticket, result) => self.issuances.made(ticket, result, cx),
            }
        }
    }
}
