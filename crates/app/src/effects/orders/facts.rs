//! What an answer becomes.

use std::sync::Arc;

use portolan_core::certificates::{
    acme::{Failure, OrderState},
    rows::{AcmeServer, OrderProgress, Signer},
};
use portolan_effects::converge::{Mark, Ticket};
use portolan_model::{NamespacedName, input::Certificate};

use super::Orders;
use crate::effects::{Context, Platform, issuance::Made};

/// What comes back.
pub enum Answer {
    /// The request, PEM.
    Requested(Mark<NamespacedName>, String),
    /// How far it is.
    Ordered(Mark<NamespacedName>, Box<OrderState>),
    Issued(Ticket<NamespacedName>, Result<Box<Made>, String>),
    Failed(Ticket<NamespacedName>, Failure),
    /// Orders of earlier runs.
    Kept(Vec<(NamespacedName, OrderState)>),
}

impl Orders {
    pub(super) fn take_answers(&mut self, cx: &mut Context<impl Platform>) {
        while let Some(answer) = self.inbox.next() {
            match answer {
                Answer::Requested(mark, request) => self.issuances.requested(&mark, request, cx),
                Answer::Ordered(mark, state) => self.ordered(mark, *state, cx),
                Answer::Kept(orders) => forget_orphans(orders, cx),
                Answer::Issued(ticket, result) => self.issuances.made(ticket, result, cx),
                // The pause that `Failure::retry_at` names spares the limits of public servers; the embedded one has none, so
                // the room's own pause is enough.
                Answer::Failed(ticket, Failure { reason, detail, retry_at }) => {
                    let wanted = self.issuances.current(ticket.mark());
                    let own = wanted.is_some_and(|wanted| match &wanted.signer {
                        Signer::Acme(order) => order.at != AcmeServer::StandIn,
                        _ => false,
                    });
                    self.issuances.failed(ticket, (reason.code(), own.then_some(retry_at)), detail, cx);
                }
            }
        }
    }

    /// Notes how far an order is.
    fn ordered(&self, mark: Mark<NamespacedName>, state: OrderState, cx: &mut Context<impl Platform>) {
        let Some(revision) = self.issuances.current(&mark).map(|wanted| wanted.revision) else { return };
        cx.engine.put(OrderProgress { key: (mark.key, revision), state: Arc::new(state) });
        cx.facts = true;
    }
}

/// Lets go of orders whose Certificate is gone.
fn forget_orphans(orders: Vec<(NamespacedName, OrderState)>, cx: &Context<impl Platform>) {
    for (certificate, state) in orders {
        if cx.engine.get::<Certificate>(&certificate).is_some() {
            continue;
        }
        for (fqdn, value) in &state.presented {
            tracing::warn!(
                %certificate, fqdn, value,
                "the Certificate went while Portolan did not run; if the TXT value of its order still stands, remove it"
            );
        }
        let orders = Arc::clone(cx.ca.orders());
        tokio::spawn(async move {
            if let Ok((_, kept)) = orders.take(&certificate).await {
                kept.forget().await;
            }
        });
    }
}
