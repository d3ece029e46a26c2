//! Live probes through Envoy.

use std::{sync::Arc, time::Duration};

use portolan_core::status::rows::{EntryPoint, Probe};
use portolan_engine::Changes;
use portolan_model::{Name, input::Secret};

use super::{Driver, Event};

impl Driver {
    /// Probes what became probable, once Envoy has settled, and forgets what is no longer probed.
    pub(super) fn follow_probes(&mut self, step: &Changes) {
        for change in step.of::<EntryPoint>() {
            match &change.after {
                Some(entry) if entry.probe => {
                    let before = change.before.as_ref();
                    let same = before
                        .is_some_and(|b| b.probe && b.url == entry.url && b.certificate == entry.certificate);
                    if !same {
                        self.to_probe.insert(change.key.clone());
                    }
                }
                _ => {
                    self.to_probe.remove(&change.key);
                    self.probing.remove(&change.key);
                }
            }
        }
        if self.wire.settled() {
            self.start_probes();
        }
        let gone: Vec<Name> = step
            .of::<EntryPoint>()
            .iter()
            .filter(|c| c.after.as_ref().is_none_or(|e| !e.probe))
            .map(|c| c.key.clone())
            .collect();
        for host in gone {
            if self.engine.get::<Probe>(&host).is_some() {
                self.engine.remove::<Probe>(&host);
                self.facts = true;
            }
        }
    }

    /// A failed probe is made again in two seconds.
    pub(super) fn again(&mut self, host: Name) {
        self.attempts += 1;
        let (attempt, events) = (self.attempts, self.events.clone());
        if let Some(ask) = self.probe_of(&host) {
            self.probing.insert(host.clone(), attempt);
            let permits = Arc::clone(&self.probes);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                let _permit = permits.acquire().await;
                let _ = events.send(Event::Probed(host, attempt, portolan_effects::probe::probe(ask).await));
            });
        }
    }

    pub(super) fn probe_of(&self, host: &Name) -> Option<portolan_effects::probe::Ask> {
        let entry = self.engine.get::<EntryPoint>(host)?;
        let roots = match &entry.certificate {
            None => None,
            Some((secret, _)) => {
                let secret = self.engine.get::<Secret>(secret)?;
                if let Some(root) = secret.data.get("ca.crt") {
                    Some(root.expose().to_vec())
                } else {
                    // The development CA's root, and its own chain as anchor for what others signed, so that names and
                    // dates are still verified.
                    let chain = secret.data.get("tls.crt")?.expose();
                    Some([self.acme.root().as_bytes(), b"\n", chain].concat())
                }
            }
        };
        let address = format!("{}:{}", entry.address, entry.port).parse().ok()?;
        Some(portolan_effects::probe::Ask { host: host.to_string(), address, roots })
    }

    pub(super) fn start_probes(&mut self) {
        for host in std::mem::take(&mut self.to_probe) {
            let Some(ask) = self.probe_of(&host) else { continue };
            self.attempts += 1;
            let (attempt, events) = (self.attempts, self.events.clone());
            self.probing.insert(host.clone(), attempt);
            let permits = Arc::clone(&self.probes);
            tokio::spawn(async move {
                let _permit = permits.acquire().await;
                let _ = events.send(Event::Probed(host, attempt, portolan_effects::probe::probe(ask).await));
            });
        }
    }
}
