//! Addresses of Gateways, and the roots that clients of their listeners need.

use std::{collections::BTreeSet, sync::Arc};

use portolan_core::gateway::rows::{GatewayAddress, ListenerCertificate};
use portolan_engine::Changes;
use portolan_model::{
    NamespacedName,
    input::{Gateway, Issuer, IssuerSpec, Secret},
};

use super::Driver;

impl Driver {
    /// Gives addresses to Gateways that came or changed, and keeps which.
    pub(super) fn give_addresses(&mut self, step: &Changes) {
        let changed: Vec<(NamespacedName, Option<Arc<Gateway>>)> =
            step.of::<Gateway>().iter().map(|c| (c.key.clone(), c.after.clone())).collect();
        if changed.is_empty() {
            return;
        }
        for (key, address) in self.addresses.give(&changed) {
            if self.engine.get::<GatewayAddress>(&key).as_deref() == address.as_ref() {
                continue;
            }
            match address {
                Some(address) => self.engine.put(address),
                None => self.engine.remove::<GatewayAddress>(&key),
            }
            self.facts = true;
        }
        self.keep("addresses.json", self.addresses.save());
    }

    /// `ca.pem` holds the public roots of what the listeners serve, so that `curl --cacert` works. It never enters a
    /// trust store.
    pub(super) fn publish_roots(&mut self, step: &Changes) {
        if step.of::<Secret>().is_empty() && step.of::<ListenerCertificate>().is_empty() {
            return;
        }
        let secrets: BTreeSet<NamespacedName> = self
            .engine
            .rows::<ListenerCertificate>()
            .flat_map(|l| l.served.iter().map(|one| one.secret.clone()))
            .collect();
        let roots: BTreeSet<Vec<u8>> = secrets
            .iter()
            .filter_map(|key| {
                self.engine.get::<Secret>(key)?.data.get("ca.crt").map(|pem| pem.expose().to_vec())
            })
            .collect();
        let ours = self.engine.rows::<Issuer>().any(|i| matches!(i.spec, IssuerSpec::Acme { .. }));
        let roots = roots.into_iter().chain(ours.then(|| self.acme.root().as_bytes().to_vec()));
        let roots = roots.flatten().collect();
        self.keep("ca.pem", roots);
    }
}
