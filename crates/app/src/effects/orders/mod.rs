//! Certificates of ACME issuers: one order each, carried to its end.

mod facts;
mod run;

use portolan_core::certificates::rows::Signer;
use portolan_engine::Changes;
use tokio::task::JoinSet;

use super::{Context, Effect, Wake, inbox::Inbox, issuance::Issuances};
use facts::Answer;

/// Orders under way at once; cert-manager has as many challenges (`--max-concurrent-challenges`).
const BUDGET: usize = 60;

/// Orders.
pub struct Orders {
    issuances: Issuances,
    inbox: Inbox<Answer>,
    /// Each takes its TXT values away when it is told to stop.
    tasks: JoinSet<()>,
}

impl Orders {
    /// Nothing is wanted yet.
    pub fn new(wake: &Wake) -> Self {
        let issuances = Issuances::new(|signer| matches!(signer, Signer::Acme(_)), BUDGET);
        Self { issuances, inbox: Inbox::new(wake), tasks: JoinSet::new() }
    }
}

impl Effect for Orders {
    fn follow(&mut self, step: &Changes, cx: &mut Context) {
        self.issuances.follow(step, cx);
    }

    fn take(&mut self, cx: &mut Context) {
        self.take_answers(cx);
    }

    fn begin(&mut self, cx: &mut Context) {
        while self.tasks.try_join_next().is_some() {}
        for work in self.issuances.begin(cx) {
            self.begin_order(work, cx);
        }
    }

    fn due(&self) -> Option<tokio::time::Instant> {
        self.issuances.due()
    }

    fn is_busy(&self) -> bool {
        self.issuances.is_busy()
    }

    fn finish(&mut self) -> Option<JoinSet<()>> {
        self.issuances.clear();
        Some(std::mem::take(&mut self.tasks))
    }
}
