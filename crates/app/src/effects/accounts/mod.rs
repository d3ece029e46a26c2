//! Accounts of ACME issuers: the key is made if its Secret is missing, then the account is registered.

mod facts;
mod run;

use std::{sync::Arc, time::Duration};

use portolan_core::{
    capability::Capability,
    certificates::rows::{AccountState, AccountWanted, IssuerState},
};
use portolan_effects::converge::{Backoff, Converge, Limits, Ticket};
use portolan_engine::Changes;
use portolan_model::{IssuerKey, ObjectKey};
use tokio::time::Instant;

use super::{Context, Effect, Platform, Wake, context::Submitted, inbox::Inbox, seed};
use facts::Answer;

const LIMITS: Limits = Limits {
    budget: 8,
    // Of a task that was lost; when a failure is tried again is decided by the room.
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(1) },
};

/// Registers.
pub struct Accounts {
    rows: Converge<IssuerKey, Arc<AccountWanted>>,
    inbox: Inbox<Answer>,
    /// Keys that are being written.
    written: Vec<(Ticket<IssuerKey>, ObjectKey, Submitted)>,
    /// Whether anything may be begun.
    acts: bool,
}

impl Accounts {
    /// Nothing is wanted yet.
    pub fn new(wake: &Wake) -> Self {
        let rows = Converge::new(LIMITS, seed());
        Self { rows, inbox: Inbox::new(wake), written: Vec::new(), acts: false }
    }
}

impl<P: Platform> Effect<P> for Accounts {
    fn follow(&mut self, step: &Changes, cx: &mut Context<P>) {
        for change in step.of::<AccountWanted>() {
            match &change.after {
                Some(wanted) => {
                    self.rows.want(change.key.clone(), Arc::clone(wanted), Instant::now());
                }
                None => {
                    self.rows.forget(&change.key);
                }
            }
        }
        for gone in step.of::<IssuerState>().iter().filter(|change| change.after.is_none()) {
            cx.engine.remove::<AccountState>(&gone.key);
        }
    }

    fn take(&mut self, cx: &mut Context<P>) {
        self.take_answers(cx);
        self.take_written(cx);
    }

    fn begin(&mut self, cx: &mut Context<P>) {
        self.acts = cx.acts(Capability::Certificates);
        if !self.acts {
            return;
        }
        for work in self.rows.begin(Instant::now()) {
            if work.wanted.fingerprint.is_empty() {
                match cx.in_place_of_an_account(&work.wanted.account_key) {
                    Some(why) => self.failed(work.ticket, false, why, None, cx),
                    // Once the key is there, the request comes again with its fingerprint.
                    None => run::make_key(work.ticket, self.inbox.answers()),
                }
                continue;
            }
            match cx.client(&work.wanted.account_key, &work.wanted.entry, &work.wanted.at) {
                Ok(client) => {
                    let directory = cx.ca.directory(&work.wanted.server, &work.wanted.at);
                    run::register_account(work, client, directory, self.inbox.answers());
                }
                Err(why) => self.failed(work.ticket, false, why, None, cx),
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        self.rows.due().filter(|_| self.acts)
    }

    fn is_busy(&self) -> bool {
        !self.rows.is_idle()
    }
}
