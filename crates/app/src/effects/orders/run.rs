//! Carries an order out at its ACME server.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use portolan_core::certificates::{
    acme::{Failure, Limits, OrderState, Wanted as Asked},
    rows::{AcmeServer, Signer},
};
use portolan_effects::{
    acme::{Bounds, KeptOrder, KeptOrders, Outcome, Progress, Run, drive_until},
    converge::Mark,
    issue::{Issued, request_pem},
    sign::{self, Prepared},
};
use portolan_model::{NamespacedName, input::Secret};
use tokio::sync::oneshot;

use super::{Orders, facts::Answer};
use crate::effects::{
    Context, Platform,
    inbox::Answers,
    issuance::{Made, Wanted},
    now,
};

impl Orders {
    /// Begins an order.
    pub(super) fn begin_order(&mut self, work: Wanted, cx: &mut Context<impl Platform>) {
        let Wanted { ticket, wanted, stopped } = work;
        let Signer::Acme(acme) = &wanted.signer else { return };
        let own = acme.at != AcmeServer::StandIn;
        let ready = cx.client(&acme.account_key, &acme.entry, &acme.at).and_then(|client| {
            let mut names = acme.proofs.iter().filter(|_| !own);
            names.try_for_each(|proof| cx.ca.hold(&proof.name))?;
            Ok((client, cx.challenges(acme)?))
        });
        let answers = self.inbox.answers();
        let (client, challenges) = match ready {
            Ok(ready) => ready,
            Err(why) => {
                answers.send(Answer::Issued(ticket, Err(why)));
                return;
            }
        };
        let present = cx.engine.get::<Secret>(&wanted.secret);
        let names = acme.proofs.iter().map(|proof| proof.name.to_string()).collect();
        let contact = acme.contact.iter().map(ToString::to_string).collect();
        let directory = cx.ca.directory(&acme.server, &acme.at);
        let asked = Asked { directory, contact, names, thumbprint: client.thumbprint() };
        let orders = own.then(|| Arc::clone(cx.ca.orders()));
        // The embedded servers answer at once, so the first look again comes soon.
        let limits =
            Limits { poll_first: if own { Limits::default().poll_first } else { 50 }, ..Limits::default() };
        let ending = Arc::clone(&self.ending);
        self.tasks.spawn(async move {
            let (earlier, kept) = match take(orders.as_deref(), &wanted.key).await {
                Ok(taken) => taken,
                Err(why) => {
                    answers.send(Answer::Issued(ticket, Err(why)));
                    return;
                }
            };
            // The order of an earlier run goes on, if it is for the same.
            let earlier = earlier.filter(|state| state.wanted == asked);
            let state = earlier.unwrap_or_else(|| OrderState::new(asked, limits));
            let prepared = {
                let wanted = Arc::clone(&wanted);
                tokio::task::spawn_blocking(move || sign::prepare(&wanted, present.as_deref())).await
            };
            let result = match prepared.map_err(|error| error.to_string()).and_then(|made| made) {
                Ok(Prepared { key, request }) => {
                    let mark = ticket.mark().clone();
                    answers.send(Answer::Requested(mark.clone(), request_pem(&request)));
                    let run = Run { client, csr: request, challenges, bounds: Bounds::default() };
                    let telling = Telling { kept: kept.clone(), mark, answers: answers.clone() };
                    let ended = carry_out(state, run, &telling, stopped).await;
                    // One that is given up has taken its values away. At the end of the process it is kept: it goes on.
                    let over = match &ended {
                        Ended::Taken => false,
                        Ended::GivenUp => !ending.load(Ordering::Relaxed),
                        Ended::Issued(_) | Ended::Failed(_) => true,
                    };
                    if let Some(kept) = kept.filter(|_| over) {
                        kept.forget().await;
                    }
                    match ended {
                        Ended::GivenUp => return,
                        // Dropped without an answer, the ticket has failed: if it is still wanted, what the other did is looked at.
                        Ended::Taken => {
                            tracing::info!(certificate = %wanted.key, "another replica carries its order on");
                            return;
                        }
                        Ended::Issued(chain) => Made::new(&wanted, Issued { chain, ca: String::new() }, &key),
                        Ended::Failed(failure) => {
                            answers.send(Answer::Failed(ticket, failure));
                            return;
                        }
                    }
                }
                Err(why) => Err(why),
            };
            answers.send(Answer::Issued(ticket, result));
        });
    }
}

type Taken = (Option<OrderState>, Option<Arc<dyn KeptOrder>>);

/// Takes the order of a Certificate in hand, where orders are kept.
async fn take(orders: Option<&dyn KeptOrders>, certificate: &NamespacedName) -> Result<Taken, String> {
    let Some(orders) = orders else { return Ok((None, None)) };
    let (state, kept) = orders.take(certificate).await?;
    Ok((state, Some(kept)))
}

/// Keeps and tells how far an order is.
#[derive(Clone)]
struct Telling {
    kept: Option<Arc<dyn KeptOrder>>,
    mark: Mark<NamespacedName>,
    answers: Answers<Answer>,
}

#[async_trait]
impl Progress for Telling {
    async fn show(&mut self, state: &OrderState) -> bool {
        if let Some(kept) = &self.kept
            && !kept.keep(state).await
        {
            return false;
        }
        self.answers.send(Answer::Ordered(self.mark.clone(), Box::new(state.clone())));
        true
    }
}

/// How an order came to its end here.
enum Ended {
    /// With a chain, PEM.
    Issued(String),
    Failed(Failure),
    /// It was not wanted any more.
    GivenUp,
    /// Another carries it on.
    Taken,
}

/// Drives an order to its end; pauses that the server asks for are waited out here.
async fn carry_out(
    mut state: OrderState,
    run: Run,
    telling: &Telling,
    stopped: oneshot::Receiver<()>,
) -> Ended {
    let given_up = async {
        let _ = stopped.await;
    };
    tokio::pin!(given_up);
    loop {
        let outcome;
        (state, outcome) = drive_until(state, run.clone(), telling.clone(), &mut given_up).await;
        match outcome {
            None => return Ended::GivenUp,
            Some(Outcome::Issued { chain_pem }) => return Ended::Issued(chain_pem),
            Some(Outcome::Failed(failure)) => return Ended::Failed(failure),
            Some(Outcome::Taken) => return Ended::Taken,
            Some(Outcome::Waiting { until }) => {
                let pause = u64::try_from(until.0 - now().0).unwrap_or(0);
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(pause)) => {}
                    () = &mut given_up => return Ended::GivenUp,
                }
            }
        }
    }
}
