//! Certificates for the time until an issuer has signed.

mod facts;
mod run;

use std::{sync::Arc, time::Duration};

use portolan_core::certificates::rows::TemporaryWanted;
use portolan_effects::converge::{Backoff, Converge, Limits};
use portolan_engine::Changes;
use portolan_model::NamespacedName;
use tokio::time::Instant;

use super::{Context, Effect, Wake, inbox::Inbox, seed};
use facts::Answer;

const LIMITS: Limits = Limits {
    budget: 16,
    backoff: Backoff { first: Duration::from_secs(5), longest: Duration::from_mins(1) },
};

/// Makes them.
pub struct Temporaries {
    rows: Converge<NamespacedName, Arc<TemporaryWanted>>,
    inbox: Inbox<Answer>,
}

impl Temporaries {
    /// Nothing is wanted yet.
    pub fn new(wake: &Wake) -> Self {
        Self { rows: Converge::new(LIMITS, seed()), inbox: Inbox::new(wake) }
    }
}

impl Effect for Temporaries {
    fn follow(&mut self, step: &Changes, _cx: &mut Context) {
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

    fn take(&mut self, cx: &mut Context) {
        self.take_answers(cx);
    }

    fn begin(&mut self, _cx: &mut Context) {
        for work in self.rows.begin(Instant::now()) {
            run::begin(work, self.inbox.answers());
        }
    }

    fn due(&self) -> Option<Instant> {
        self.rows.due()
    }

    fn recovered(&mut self, _cx: &mut Context) {
        self.rows.hurry(Instant::now());
    }

    fn is_busy(&self) -> bool {
        !self.rows.is_idle()
    }
}
