//! Live probes through Envoy. Hosts that one listener serves with one certificate are asked for together.

mod facts;
mod recheck;
mod run;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use portolan_core::{
    gateway::rows::{ListenerKey, Speaks},
    status::rows::{EntryPoint, Probe},
};
use portolan_effects::converge::{Backoff, Converge, Limits};
use portolan_engine::Changes;
use portolan_model::{Name, NamespacedName};
use tokio::{sync::Semaphore, time::Instant};

use super::{Context, Effect, Wake, inbox::Inbox, seed};
use facts::Answer;
use recheck::Beat;

/// Connections of probes open at once.
const CONNECTIONS: usize = 64;

const LIMITS: Limits = Limits {
    // Hosts share connections, of which there are so many: all that are due are handed on, to be asked together.
    budget: usize::MAX,
    backoff: Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(8) },
};

/// What hosts of one lane have in common.
type Place = (SocketAddr, Speaks, ListenerKey, Option<NamespacedName>);

/// Probes what came into force, and what is said to be live.
pub struct Probes {
    hosts: Converge<Name, ()>,
    inbox: Inbox<Answer>,
    /// One for each connection that may be open.
    connections: Arc<Semaphore>,
    beat: Beat,
}

impl Probes {
    /// Nothing is probed yet.
    pub fn new(wake: &Wake) -> Self {
        Self {
            hosts: Converge::new(LIMITS, seed()),
            inbox: Inbox::new(wake),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            beat: Beat::default(),
        }
    }
}

impl Effect for Probes {
    /// From now on what is said to be live is asked again.
    fn start(&mut self, _cx: &mut Context) {
        recheck::start(self.inbox.answers());
    }

    /// Probes what came into force, and forgets what is no longer probed. What else Envoy is about is not waited for.
    fn follow(&mut self, step: &Changes, cx: &mut Context) {
        for change in step.of::<EntryPoint>() {
            match &change.after {
                Some(entry) if entry.probe => {
                    let same = change.before.as_ref().is_some_and(|before| {
                        before.probe && before.url == entry.url && before.certificate == entry.certificate
                    });
                    let known =
                        self.hosts.is_running(&change.key) || cx.engine.get::<Probe>(&change.key).is_some();
                    if !(same && known) {
                        self.hosts.renew(change.key.clone(), (), Instant::now());
                    }
                }
                _ => {
                    self.hosts.forget(&change.key);
                    if cx.engine.get::<Probe>(&change.key).is_some() {
                        cx.engine.remove::<Probe>(&change.key);
                        cx.facts = true;
                    }
                }
            }
        }
    }

    fn take(&mut self, cx: &mut Context) {
        self.take_answers(cx);
    }

    fn begin(&mut self, cx: &mut Context) {
        self.begin_lanes(cx);
    }

    fn due(&self) -> Option<Instant> {
        self.hosts.due()
    }

    fn is_busy(&self) -> bool {
        !self.hosts.is_idle()
    }
}
