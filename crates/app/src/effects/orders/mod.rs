//! Certificates of ACME issuers: one order each, carried to its end.

mod facts;
mod run;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use portolan_core::certificates::rows::Signer;
use portolan_engine::Changes;
use portolan_model::input::Certificate;
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
    /// The process ends: what is given up now goes on at the next start.
    ending: Arc<AtomicBool>,
    /// What an earlier run left was looked at.
    looked: bool,
}

impl Orders {
    /// Nothing is wanted yet.
    pub fn new(wake: &Wake) -> Self {
        let issuances = Issuances::new(|signer| matches!(signer, Signer::Acme(_)), BUDGET);
        Self {
            issuances,
            inbox: Inbox::new(wake),
            tasks: JoinSet::new(),
            ending: Arc::default(),
            looked: false,
        }
    }

    /// Orders of an earlier run whose Certificate is gone: nobody takes them up.
    fn look_at_kept(&mut self, cx: &Context) {
        if self.looked || !cx.is_read {
            return;
        }
        self.looked = true;
        for (certificate, state) in cx.ca.orders().all() {
            if cx.engine.get::<Certificate>(&certificate).is_some() {
                continue;
            }
            for (fqdn, value) in &state.presented {
                tracing::warn!(
                    %certificate, fqdn, value,
                    "the Certificate went while Portolan did not run; if the TXT value of its order still stands, remove it"
                );
            }
            cx.ca.orders().forget(&certificate);
        }
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
        self.look_at_kept(cx);
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
        self.ending.store(true, Ordering::Relaxed);
        self.issuances.clear();
        Some(std::mem::take(&mut self.tasks))
    }
}
