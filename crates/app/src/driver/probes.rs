//! Live probes through Envoy. Hosts that one listener serves with one certificate are asked for together.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use portolan_core::{
    gateway::rows::ListenerKey,
    status::rows::{EntryPoint, Probe},
};
use portolan_effects::probe::{Lane, Outcomes, probe};
use portolan_engine::Changes;
use portolan_model::{Name, NamespacedName, input::Secret};

use super::{Driver, Event};

/// After which a failed probe is made again.
const AGAIN: Duration = Duration::from_secs(2);

/// Connections of one lane at once.
const CONNECTIONS: usize = 8;

/// What hosts of one lane have in common.
pub(super) type Place = (SocketAddr, ListenerKey, Option<NamespacedName>);

impl Driver {
    /// Probes what came into force, and forgets what is no longer probed. What else Envoy is about is not waited for.
    pub(super) fn follow_probes(&mut self, step: &Changes) {
        let mut gone: Vec<Name> = Vec::new();
        for change in step.of::<EntryPoint>() {
            match &change.after {
                Some(entry) if entry.probe => {
                    let same = change.before.as_ref().is_some_and(|before| {
                        before.probe && before.url == entry.url && before.certificate == entry.certificate
                    });
                    let known = self.probing.contains_key(&change.key)
                        || self.engine.get::<Probe>(&change.key).is_some();
                    if !(same && known) {
                        self.to_probe.insert(change.key.clone());
                    }
                }
                _ => {
                    self.to_probe.remove(&change.key);
                    self.probing.remove(&change.key);
                    self.unanswered.remove(&change.key);
                    gone.push(change.key.clone());
                }
            }
        }
        self.start_probes();
        for host in gone {
            if self.engine.get::<Probe>(&host).is_some() {
                self.engine.remove::<Probe>(&host);
                self.facts = true;
            }
        }
    }

    /// Takes what probes saw; of several of a host only the latest counts.
    pub(super) fn probed(&mut self, outcomes: Outcomes<(Name, u64)>) {
        for ((host, attempt), state) in outcomes {
            if self.probing.get(&host) != Some(&attempt) {
                continue;
            }
            self.probing.remove(&host);
            if state.is_err() {
                if self.unanswered.is_empty() {
                    let events = self.events.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(AGAIN).await;
                        let _ = events.send(Event::ProbeAgain);
                    });
                }
                self.unanswered.insert(host.clone());
            }
            self.engine.put(Probe { key: host, state });
            self.facts = true;
        }
    }

    /// Probes again what did not answer.
    pub(super) fn probe_again(&mut self) {
        let unanswered = std::mem::take(&mut self.unanswered);
        self.to_probe.extend(unanswered);
        self.start_probes();
    }

    /// Where a host is asked for, by what is put for it.
    pub(super) fn place_of(&self, host: &Name) -> Option<Place> {
        let entry = self.engine.get::<EntryPoint>(host).filter(|entry| entry.probe)?;
        let address = SocketAddr::new(entry.address.parse().ok()?, entry.port);
        Some((address, entry.listener.clone(), entry.certificate.as_ref().map(|(secret, _)| secret.clone())))
    }

    /// PEM of the roots that the certificate of a Secret is verified by.
    fn roots_of(&self, secret: &NamespacedName) -> Option<Vec<u8>> {
        let secret = self.engine.get::<Secret>(secret)?;
        if let Some(root) = secret.data.get("ca.crt") {
            return Some(root.expose().to_vec());
        }
        // The development CA's root, and its own chain as anchor for what others signed, so that names and dates are
        // still verified.
        let chain = secret.data.get("tls.crt")?.expose();
        Some([self.acme.root().as_bytes(), b"\n", chain].concat())
    }

    /// The same for a lane: `Some(None)` where there is no TLS, `None` where it cannot be verified.
    #[allow(clippy::option_option, reason = "no roots are needed, or there are none")]
    pub(super) fn lane_roots(&self, secret: Option<&NamespacedName>) -> Option<Option<Vec<u8>>> {
        match secret {
            None => Some(None),
            Some(secret) => self.roots_of(secret).map(Some),
        }
    }

    pub(super) fn start_probes(&mut self) {
        let mut places: BTreeMap<Place, Vec<Name>> = BTreeMap::new();
        for host in std::mem::take(&mut self.to_probe) {
            if let Some(place) = self.place_of(&host) {
                places.entry(place).or_default().push(host);
            }
        }
        for ((address, _, secret), hosts) in places {
            let Some(roots) = self.lane_roots(secret.as_ref()) else { continue };
            self.attempts += 1;
            let attempt = self.attempts;
            let hosts = hosts.into_iter().map(|host| {
                self.probing.insert(host.clone(), attempt);
                let asked = host.to_string();
                ((host, attempt), asked)
            });
            let lane = Lane { address, roots, hosts: hosts.collect(), connections: CONNECTIONS };
            let (events, permits) = (self.events.clone(), Arc::clone(&self.probes));
            tokio::spawn(probe(lane, permits, move |outcomes| drop(events.send(Event::Probed(outcomes)))));
        }
    }
}
