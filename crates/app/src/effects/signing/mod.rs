//! Certificates of selfSigned and ca issuers.

mod facts;
mod run;

use portolan_core::capability::Capability;
use portolan_core::certificates::rows::Signer;
use portolan_engine::Changes;

use super::{Context, Effect, Platform, Wake, inbox::Inbox, issuance::Issuances};
use crate::rights::Right;
use facts::Answer;

/// Keys that are made and signatures that are waited for at once: each keeps a thread busy.
const BUDGET: usize = 16;

/// Signs.
pub struct Signing {
    issuances: Issuances,
    inbox: Inbox<Answer>,
}

impl Signing {
    /// Nothing is wanted yet.
    pub fn new(wake: &Wake) -> Self {
        let issuances = Issuances::new(|signer| !matches!(signer, Signer::Acme(_)), BUDGET);
        Self { issuances, inbox: Inbox::new(wake) }
    }
}

impl<P: Platform> Effect<P> for Signing {
    /// What all who make Secrets of certificates need, those of ACME issuers too.
    fn rights(&self) -> Vec<Right> {
        vec![Right::anywhere("", "secrets", &["get", "create", "patch"]).of(Capability::Certificates)]
    }

    fn follow(&mut self, step: &Changes, cx: &mut Context<P>) {
        self.issuances.follow(step, cx);
    }

    fn take(&mut self, cx: &mut Context<P>) {
        self.take_answers(cx);
        self.issuances.take_written(cx);
    }

    fn begin(&mut self, cx: &mut Context<P>) {
        for work in self.issuances.begin(cx) {
            run::begin(work, &cx.engine, self.inbox.answers());
        }
    }

    fn due(&self) -> Option<tokio::time::Instant> {
        self.issuances.due()
    }

    fn recovered(&mut self, cx: &mut Context<P>) {
        cx.issue_again();
    }

    fn is_busy(&self) -> bool {
        self.issuances.is_busy()
    }
}
