//! One order from where it stands to where it ends or has to wait.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use portolan_core::certificates::acme::{End, Event, Failure, OrderState, Reason, Send as Step, step};
use portolan_model::Instant;

use super::{Challenges, Client, Progress, fit, work::Work};

/// What an order needs to be carried out. Owned, so that the future can be spawned.
#[derive(Clone)]
pub struct Run {
    /// The issuer's server and account.
    pub client: Arc<Client>,
    /// The signing request as DER; its key is the certificate's. See [`crate::issue::certificate_request`].
    pub csr: Vec<u8>,
    /// Where TXT values are written.
    pub challenges: Arc<dyn Challenges>,
    /// Patience.
    pub bounds: Bounds,
}

/// How long to wait for what. How often to try is in [`portolan_core::certificates::acme::Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Longest pause that is slept through; a longer one (a rate limit) ends in [`Outcome::Waiting`].
    pub pause: Duration,
    /// For one answer of the server.
    pub request: Duration,
    /// For writing, looking at or taking away one TXT value.
    pub dns: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { pause: Duration::from_mins(2), request: Duration::from_secs(30), dns: Duration::from_secs(30) }
    }
}

/// How far an order came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The certificate is there. It is for the request's key and has the request's names.
    Issued {
        /// PEM, leaf first, without the root.
        chain_pem: String,
    },
    /// It ended without a certificate. Driving the state again begins anew; not before `retry_at`.
    Failed(Failure),
    /// Nothing can be done before this time, mostly because the server said so. Keep the state and drive it again then.
    Waiting {
        /// When.
        until: Instant,
    },
    /// Somebody else carries it on: nothing more is done here, and nothing is cleaned up.
    Taken,
}

/// Takes an order as far as it goes. `progress` sees every new state before it is acted on; who stores it there can take
/// the order up again after a crash without losing sight of a TXT value. Where it says that another has the order, it ends.
///
/// Also takes up a state whose account key or certificate key is gone since: it then makes a new order.
pub async fn drive(state: OrderState, run: Run, mut progress: impl Progress) -> (OrderState, Outcome) {
    let mut state = state;
    let thumbprint = run.client.thumbprint();
    if state.wanted.thumbprint != thumbprint {
        state = fit::afresh(state, thumbprint.clone());
    }
    let mut work = Work::new(&run);
    let mut shown = None;
    let mut renewed = false;
    work.events.push_back(Event::Start);
    let mut wake = None;
    loop {
        let event = match work.next(wake).await {
            Ok(event) => event,
            Err(until) => return (state, Outcome::Waiting { until }),
        };
        let steps;
        (state, steps) = step(state, event, now());
        wake = None;
        let cleaned = steps.iter().filter_map(|step| match step {
            Step::CleanUp { fqdn, value } => Some((fqdn.clone(), value.clone())),
            _ => None,
        });
        // Before the state is shown: a crash in here leaves the note of what is still to be cleaned up.
        work.clean_up(&mut state, cleaned.collect()).await;
        if let Some(End::Done(chain)) = &state.end
            && let Err(why) = fit::check(chain, &run.csr, now())
        {
            let detail = format!("the certificate that the server issued {why}");
            if renewed {
                let retry_at = now().plus_millis(60 * 60_000);
                state.end = Some(End::Failed(Failure { reason: Reason::Protocol, detail, retry_at }));
            } else {
                tracing::info!("{detail}; ordering anew");
                renewed = true;
                work = Work::new(&run);
                work.events.push_back(Event::Start);
                state = fit::afresh(state, thumbprint.clone());
                continue;
            }
        }
        if shown.as_ref() != Some(&state) {
            if !progress.show(&state).await {
                return (state, Outcome::Taken);
            }
            shown = Some(state.clone());
        }
        match &state.end {
            Some(End::Done(chain)) => {
                let chain_pem = chain.clone();
                return (state, Outcome::Issued { chain_pem });
            }
            Some(End::Failed(failure)) => {
                let failure = failure.clone();
                return (state, Outcome::Failed(failure));
            }
            None => {}
        }
        for step in steps {
            match step {
                Step::WaitUntil(at) => wake = Some(at),
                step => work.begin(step),
            }
        }
    }
}

/// [`drive()`], until `given_up` is ready: then the order is left where it is, and every TXT value that it has written is
/// taken away before this returns, with no outcome. Dropping the future instead would leave them.
pub async fn drive_until(
    state: OrderState,
    run: Run,
    progress: impl Progress,
    given_up: impl Future<Output = ()>,
) -> (OrderState, Option<Outcome>) {
    let mut last = state.clone();
    let driven = drive(state, run.clone(), Noting { last: &mut last, progress });
    tokio::select! {
        biased;
        (state, outcome) = driven => return (state, Some(outcome)),
        () = given_up => {}
    }
    // Nothing of the order runs any more here, and whatever it wrote was noted before.
    let written = std::mem::take(&mut last.presented);
    Work::new(&run).clean_up(&mut last, written).await;
    (last, None)
}

/// Notes the state that was shown last.
struct Noting<'s, P> {
    last: &'s mut OrderState,
    progress: P,
}

#[async_trait]
impl<P: Progress> Progress for Noting<'_, P> {
    async fn show(&mut self, state: &OrderState) -> bool {
        self.last.clone_from(state);
        self.progress.show(state).await
    }
}

pub(super) fn now() -> Instant {
    Instant(jiff::Timestamp::now().as_millisecond())
}
