//! Addresses of Gateways that came or changed.

use std::sync::Arc;

use portolan_core::gateway::rows::{GatewayAddress, MergedListeners};
use portolan_engine::Changes;
use portolan_model::{NamespacedName, input::Gateway};

use super::{Context, Effect};
use crate::addresses::Addresses;

/// Gives them, and keeps which.
pub struct GatewayAddresses {
    addresses: Addresses,
}

impl GatewayAddresses {
    /// With the addresses of an earlier run.
    pub fn new(addresses: Addresses) -> Self {
        Self { addresses }
    }
}

impl Effect for GatewayAddresses {
    fn follow(&mut self, step: &Changes, cx: &mut Context) {
        // With the listeners of its ListenerSets.
        let whole = |merged: &MergedListeners| {
            let gateway = cx.engine.get::<Gateway>(&merged.key)?;
            let listeners = merged.all.iter().map(|one| one.listener.clone()).collect();
            Some(Arc::new(Gateway { listeners, ..Gateway::clone(&gateway) }))
        };
        let changed: Vec<(NamespacedName, Option<Arc<Gateway>>)> = step
            .of::<MergedListeners>()
            .iter()
            .map(|change| (change.key.clone(), change.after.as_deref().and_then(whole)))
            .collect();
        if changed.is_empty() {
            return;
        }
        for (key, address) in self.addresses.give(&changed) {
            if cx.engine.get::<GatewayAddress>(&key).as_deref() == address.as_ref() {
                continue;
            }
            match address {
                Some(address) => cx.engine.put(address),
                None => cx.engine.remove::<GatewayAddress>(&key),
            }
            cx.facts = true;
        }
        cx.keep("addresses.json", self.addresses.save());
    }
}
