//! Which address and ports a Gateway gets: persisted, so that a Gateway keeps its address over restarts.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, TcpListener},
};

use portolan_core::gateway::rows::GatewayAddress;
use portolan_model::input::Gateway;

/// Numbers given to Gateways, and the rules for ports.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Addresses {
    /// Gateway to its number, from 1.
    numbers: BTreeMap<String, u8>,
    /// H of 127.77.H.n.
    #[serde(default)]
    range: u8,
    #[serde(skip)]
    bind: Option<IpAddr>,
    #[serde(skip)]
    low_ports: bool,
}

/// The address for all Gateways where a range of loopback addresses cannot be bound: some machines have 127.0.0.1 only.
pub fn only_loopback(range: u8) -> Option<IpAddr> {
    let other = SocketAddr::from(([127, 77, range, 1], 0));
    TcpListener::bind(other).is_err().then(|| IpAddr::from([127, 0, 0, 1]))
}

/// Ranges that are given, from 1.
const RANGES: u8 = 250;
/// Port on the last address of a range that its instance holds.
const CLAIM_PORT: u16 = 14777;

/// Holds a range of addresses against other instances of this machine, as long as it lives.
#[derive(Debug)]
pub struct Claim {
    _held: TcpListener,
    /// H of 127.77.H.n.
    pub range: u8,
}

impl Claim {
    /// The range `first`, or the next that no running instance holds; `None` if all are held.
    pub fn of(first: u8) -> Option<Self> {
        let first = first.clamp(1, RANGES);
        (first..=RANGES).chain(1..first).find_map(|range| {
            let held = TcpListener::bind(SocketAddr::from(([127, 77, range, 255], CLAIM_PORT))).ok()?;
            Some(Self { _held: held, range })
        })
    }
}

/// The range that a state had before, else the one that its number stands for.
pub fn range_of(saved: Option<&[u8]>, number: u64) -> u8 {
    let saved: Option<Addresses> = saved.and_then(|bytes| serde_json::from_slice(bytes).ok());
    let own = u8::try_from(number % u64::from(RANGES)).unwrap_or(0) + 1;
    saved.map(|saved| saved.range).filter(|range| *range > 0).unwrap_or(own)
}

impl Addresses {
    /// What was given before, with the settings of this run. `range` is the third byte of 127.77.H.n.
    pub fn new(saved: Option<&[u8]>, range: u8, bind: Option<IpAddr>, low_ports: bool) -> Self {
        let mut made: Self = saved.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        (made.range, made.bind, made.low_ports) = (range, bind, low_ports);
        made
    }

    /// The address of a Gateway; gives it a number if it has none. `None` when all 254 are taken.
    pub fn of(&mut self, gateway: &Gateway) -> Option<GatewayAddress> {
        let key = gateway.key.to_string();
        let number = if let Some(number) = self.numbers.get(&key) {
            *number
        } else {
            let free = (1..=254).find(|n| !self.numbers.values().any(|used| used == n))?;
            self.numbers.insert(key, free);
            free
        };
        let address = self.bind.unwrap_or_else(|| IpAddr::from([127, 77, self.range, number]));
        // One shared address: ports of further Gateways are moved apart.
        let apart = if self.bind.is_some() { u16::from(number - 1) * 10 } else { 0 };
        let bound = |port: u16| {
            let port = if port < 1024 && !self.low_ports { port + 8000 } else { port };
            port.saturating_add(apart)
        };
        Some(GatewayAddress {
            key: gateway.key.clone(),
            address: address.to_string().into(),
            ports: gateway.listeners.iter().map(|l| (l.port, bound(l.port))).collect(),
            loopback: address.is_loopback(),
        })
    }

    /// To be persisted.
    pub fn save(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_gateway_keeps_its_number() {
        let gateway = |name: &str| Gateway {
            addresses: vec![],
            key: portolan_model::NamespacedName::new("ns", name),
            generation: 1,
            class: "c".into(),
            listeners: vec![],
            annotations: BTreeMap::new(),
        };
        let mut first = Addresses::new(None, 9, None, false);
        assert_eq!(first.of(&gateway("a")).unwrap().address, "127.77.9.1");
        assert_eq!(first.of(&gateway("b")).unwrap().address, "127.77.9.2");
        let mut again = Addresses::new(Some(&first.save()), 9, None, false);
        assert_eq!(again.of(&gateway("b")).unwrap().address, "127.77.9.2");
        assert_eq!((range_of(Some(&first.save()), 3), range_of(None, 3)), (9, 4));
    }

    #[test]
    fn a_range_that_another_instance_holds_is_left_to_it() {
        let first = Claim::of(231).unwrap();
        let second = Claim::of(first.range).unwrap();
        assert_ne!(first.range, second.range);
        let range = first.range;
        drop(first);
        assert_eq!(Claim::of(range).unwrap().range, range);
    }
}
