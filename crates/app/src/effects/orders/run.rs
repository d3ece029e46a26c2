//! Carries an order out at its ACME server.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use portolan_core::certificates::{
    acme::{Failure, Limits, OrderState, Wanted as Asked},
    rows::{AcmeServer, Signer},
};
use portolan_effects::{
    acme::{Bounds, Outcome, Run, drive_until},
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
        let kept = own.then(|| cx.ca.orders().clone());
        // The order of an earlier run goes on, if it is for the same.
        let earlier =
            kept.as_ref().and_then(|kept| kept.of(&wanted.key)).filter(|state| state.wanted == asked);
        // The embedded servers answer at once, so the first look again comes soon.
        let limits =
            Limits { poll_first: if own { Limits::default().poll_first } else { 50 }, ..Limits::default() };
        let ending = Arc::clone(&self.ending);
        let state = earlier.unwrap_or_else(|| OrderState::new(asked, limits));
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
                        // On disk before anything is done about it.
                        if let Some(kept) = &kept
                            && let Err(error) = kept.keep(&wanted.key, state)
                        {
                            tracing::warn!(certificate = %wanted.key, %error, "how far its order is cannot be kept");
                        }
                        answers.send(Answer::Ordered(mark.clone(), Box::new(state.clone())));
                    };
                    let ended = carry_out(state, run, progress, stopped).await;
                    // One that is given up has taken its values away. At the end of the process it is kept: it goes on.
                    if let Some(kept) = kept.as_ref().filter(|_| !matches!(ended, Ok(None)) || !ending.load(Ordering::Relaxed)) {
                        kept.forget(&wanted.key);
                    }
                    match ended {
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
