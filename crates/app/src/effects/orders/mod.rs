//! Certificates of ACME issuers: one order each, carried to its end.

mod facts;
mod run;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use portolan_core::certificates::rows::Signer;
use portolan_engine::Changes;
use tokio::task::JoinSet;

use super::{Context, Effect, Platform, Wake, inbox::Inbox, issuance::Issuances};
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

    /// Asks for the orders of earlier runs: nobody takes those up whose Certificate is gone.
    fn look_at_kept(&mut self, cx: &Context<impl Platform>) {
        if self.looked || !cx.is_read {
            return;
        }
        self.looked = true;
        let (orders, answers) = (Arc::clone(cx.ca.orders()), self.inbox.answers());
        tokio::spawn(async move {
            match orders.all().await {
                Ok(all) => drop(answers.send(Answer::Kept(all))),
                Err(why) => tracing::warn!(why, "orders of earlier runs cannot be looked at"),
            }
        });
    }
}

impl<P: Platform> Effect<P> for Orders {
    fn follow(&mut self, step: &Changes, cx: &mut Context<P>) {
        self.issuances.follow(step, cx);
    }

    fn take(&mut self, cx: &mut Context<P>) {
        self.take_answers(cx);
        self.issuances.take_written(cx);
    }

    fn begin(&mut self, cx: &mut Context<P>) {
        while self.tasks.try_join_next().is_some() {}
        let begun = self.issuances.begin(cx);
        if self.issuances.acts() {
            self.look_at_kept(cx);
        } else {
            // Whoever makes certificates now goes on with them: nothing is cleaned up here.
            self.tasks.abort_all();
            self.looked = false;
        }
        for work in begun {
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
        if P::SHARED {
            // Others go on with them as they stand.
            self.tasks.abort_all();
        }
        self.issuances.clear();
        Some(std::mem::take(&mut self.tasks))
    }
}
