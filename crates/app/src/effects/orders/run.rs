//! Carries an order out at its ACME server.

use std::{sync::Arc, time::Duration};

use portolan_core::certificates::{
    acme::{Failure, Limits, OrderState, Wanted as Asked},
    rows::Signer,
};
use portolan_effects::{
    acme::{Bounds, Client, Outcome, Run, drive_until},
    issue::{Issued, request_pem},
    sign::{self, Prepared},
};
use portolan_model::input::Secret;
use tokio::sync::oneshot;

use super::{Orders, facts::Answer};
use crate::effects::{
    Context,
    issuance::{Made, Wanted},
    now,
};

impl Orders {
    /// Begins an order.
    pub(super) fn begin_order(&mut self, work: Wanted, cx: &mut Context) {
        let Wanted { ticket, wanted, stopped } = work;
        let Signer::Acme(acme) = &wanted.signer else { return };
        let ready: Result<Arc<Client>, String> =
            cx.client(&acme.account_key, &acme.entry).and_then(|client| {
                acme.proofs.iter().try_for_each(|proof| cx.ca.hold(&proof.name)).map(|()| client)
            });
        let answers = self.inbox.answers();
        let client = match ready {
            Ok(client) => client,
            Err(why) => {
                answers.send(Answer::Issued(ticket, Err(why)));
                return;
            }
        };
        let present = cx.engine.get::<Secret>(&wanted.secret);
        let names = acme.proofs.iter().map(|proof| proof.name.to_string()).collect();
        let contact = acme.contact.iter().map(ToString::to_string).collect();
        let state = OrderState::new(
            Asked { directory: cx.ca.directory(), contact, names, thumbprint: client.thumbprint() },
            // The embedded servers answer at once, so the first look again comes soon.
            Limits { poll_first: 50, ..Limits::default() },
        );
        let challenges = cx.ca.challenges();
        self.tasks.spawn(async move {
            let prepared = {
                let wanted = Arc::clone(&wanted);
                tokio::task::spawn_blocking(move || sign::prepare(&wanted, present.as_deref())).await
            };
            let result = match prepared.map_err(|error| error.to_string()).and_then(|made| made) {
                Ok(Prepared { key, request }) => {
                    let mark = ticket.mark().clone();
                    answers.send(Answer::Requested(mark.clone(), request_pem(&request)));
                    let run = Run { client, csr: request, challenges, bounds: Bounds::default() };
                    let progress = |state: &OrderState| {
                        answers.send(Answer::Ordered(mark.clone(), Box::new(state.clone())));
                    };
                    match carry_out(state, run, progress, stopped).await {
                        Ok(None) => return,
                        Ok(Some(chain)) => Made::new(&wanted, Issued { chain, ca: String::new() }, &key),
                        Err(failure) => {
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

/// Drives an order to its end, `None` if it is given up before; pauses that the server asks for are waited out here.
async fn carry_out(
    mut state: OrderState,
    run: Run,
    progress: impl Fn(&OrderState),
    stopped: oneshot::Receiver<()>,
) -> Result<Option<String>, Failure> {
    let given_up = async {
        let _ = stopped.await;
    };
    tokio::pin!(given_up);
    loop {
        let outcome;
        (state, outcome) = drive_until(state, run.clone(), &progress, &mut given_up).await;
        match outcome {
            None => return Ok(None),
            Some(Outcome::Issued { chain_pem }) => return Ok(Some(chain_pem)),
            Some(Outcome::Failed(failure)) => return Err(failure),
            Some(Outcome::Waiting { until }) => {
                let pause = u64::try_from(until.0 - now().0).unwrap_or(0);
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(pause)) => {}
                    () = &mut given_up => return Ok(None),
                }
            }
        }
    }
}
