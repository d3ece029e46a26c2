//! What an answer becomes.

use portolan_core::certificates::temporary;
use portolan_effects::{
    converge::Ticket,
    store::{Cache as _, Write},
};
use portolan_model::{
    Code, NamespacedName, Object, ObjectKey,
    intake::{Fact, intake},
};
use tokio::time::Instant;

use super::Temporaries;
use crate::effects::{Context, OURS, Platform};

/// What comes back: the Secret.
pub struct Answer {
    pub ticket: Ticket<NamespacedName>,
    pub result: Result<Box<Object>, String>,
}

impl Temporaries {
    /// Writes what was made, unless something better came meanwhile: what the issuer signed may be in the store before a step has
    /// seen it.
    pub(super) fn take_answers(&mut self, cx: &mut Context<impl Platform>) {
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
            if !stands {
                self.rows.settle(ticket);
                continue;
            }
            let submitted = cx.submit(vec![Write::Apply(object, OURS)]);
            self.written.push((ticket, key, submitted));
        }
        self.take_written(cx);
    }

    /// Takes what was written, or could not be.
    pub(super) fn take_written(&mut self, cx: &mut Context<impl Platform>) {
        for (ticket, secret, mut submitted) in std::mem::take(&mut self.written) {
            let Some(problems) = submitted.outcome(&secret) else {
                self.written.push((ticket, secret, submitted));
                continue;
            };
            if problems.iter().any(|problem| problem.code == Code(102)) {
                self.rows.fail(ticket, Instant::now());
            } else {
                self.rows.settle(ticket);
            }
            if problems.is_empty() {
                cx.written_after_all(&secret);
            }
            cx.tell_own(problems);
        }
    }
}
