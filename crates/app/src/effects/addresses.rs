//! Addresses of Gateways that came or changed.

use std::sync::Arc;

use portolan_core::gateway::rows::GatewayAddress;
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
        let changed: Vec<(NamespacedName, Option<Arc<Gateway>>)> =
            step.of::<Gateway>().iter().map(|c| (c.key.clone(), c.after.clone())).collect();
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
