//! Certificates for the time until an issuer has signed.

mod facts;
mod run;

use std::{sync::Arc, time::Duration};

use portolan_core::{capability::Capability, certificates::rows::TemporaryWanted};
use portolan_effects::converge::{Backoff, Converge, Limits, Ticket};
use portolan_engine::Changes;
use portolan_model::{NamespacedName, ObjectKey};
use tokio::time::Instant;

use super::{Context, Effect, Platform, Wake, context::Submitted, inbox::Inbox, seed};
use facts::Answer;

const LIMITS: Limits = Limits {
    budget: 16,
    backoff: Backoff { first: Duration::from_secs(5), longest: Duration::from_mins(1) },
};

/// Makes them.
pub struct Temporaries {
    rows: Converge<NamespacedName, Arc<TemporaryWanted>>,
    inbox: Inbox<Answer>,
    /// What is being written.
    written: Vec<(Ticket<NamespacedName>, ObjectKey, Submitted)>,
    /// Whether anything may be begun.
    acts: bool,
}

impl Temporaries {
    /// Nothing is wanted yet.
    pub fn new(wake: &Wake) -> Self {
        let rows = Converge::new(LIMITS, seed());
        Self { rows, inbox: Inbox::new(wake), written: Vec::new(), acts: false }
    }
}

impl<P: Platform> Effect<P> for Temporaries {
    fn follow(&mut self, step: &Changes, _cx: &mut Context<P>) {
        for change in step.of::<TemporaryWanted>() {
            match &change.after {
                Some(wanted) => {
                    self.rows.want(change.key.clone(), Arc::clone(wanted), Instant::now());
                }
                None => {
                    self.rows.forget(&change.key);
                }
            }
        }
    }

    fn take(&mut self, cx: &mut Context<P>) {
        self.take_answers(cx);
    }

    fn begin(&mut self, cx: &mut Context<P>) {
        self.acts = cx.acts(Capability::Certificates);
        if !self.acts {
            return;
        }
        for work in self.rows.begin(Instant::now()) {
            run::begin(work, self.inbox.answers());
        }
    }

    fn due(&self) -> Option<Instant> {
        self.rows.due().filter(|_| self.acts)
    }

    fn recovered(&mut self, _cx: &mut Context<P>) {
        self.rows.hurry(Instant::now());
    }

    fn is_busy(&self) -> bool {
        !self.rows.is_idle()
    }
}
