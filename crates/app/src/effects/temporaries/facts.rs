//! What an answer becomes.

use portolan_core::certificates::temporary;
use portolan_effects::{converge::Ticket, store::Write};
use portolan_model::{
    NamespacedName, Object, ObjectKey,
    intake::{Fact, intake},
};
use tokio::time::Instant;

use super::Temporaries;
use crate::effects::{Context, OURS};

/// What comes back: the Secret.
pub struct Answer {
    pub ticket: Ticket<NamespacedName>,
    pub result: Result<Box<Object>, String>,
}

impl Temporaries {
    /// Writes what was made, unless something better came meanwhile: what the issuer signed may be in the store before a step has
    /// seen it.
    pub(super) fn take_answers(&mut self, cx: &mut Context) {
        while let Some(Answer { ticket, result }) = self.inbox.next() {
            let Some(wanted) = self.rows.current(ticket.mark()) else { continue };
            let object = match result {
                Ok(object) => object,
                Err(error) => {
                    // It would fail again: what was asked for cannot be made.
                    tracing::error!(certificate = %wanted.key, %error, "no temporary certificate was made");
                    self.rows.settle(ticket);
                    continue;
                }
            };
            let key = ObjectKey { kind: object.key.kind.clone(), name: wanted.wanted.secret.clone() };
            let present = cx.store.get(&key).and_then(|stored| {
                match intake(&stored.object).written_by(&stored.manager).fact {
                    Some(Fact::Secret(secret)) => Some(secret),
                    _ => None,
                }
            });
            let stands = temporary::may_stand(present.as_ref(), &wanted.wanted.asked);
            if !stands || cx.write_own(vec![Write::Apply(object, OURS)]) {
                self.rows.settle(ticket);
            } else {
                self.rows.fail(ticket, Instant::now());
            }
        }
    }
}
