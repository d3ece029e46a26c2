//! Which address and ports a Gateway gets: persisted, so that a Gateway keeps them over restarts.

mod claim;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

pub use claim::{Claim, only_loopback, range_of};
use portolan_core::gateway::rows::GatewayAddress;
use portolan_model::{GatewayKey, input::Gateway};

/// Ports that need no privilege begin here; written ones below it are moved up.
const UNPRIVILEGED: u16 = 1024;

/// Numbers and ports given to Gateways, and the rules for them.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Addresses {
    /// Gateway to its number, from 1.
    numbers: BTreeMap<String, u8>,
    /// H of 127.77.H.n.
    #[serde(default)]
    range: u8,
    /// Gateway to its ports: written to bound. Those of a Gateway that this run has not seen yet are kept for it.
    #[serde(default)]
    ports: BTreeMap<String, BTreeMap<u16, u16>>,
    /// One address for all Gateways, and whether ports below 1024 are bound as written: the ports were given for these.
    #[serde(default)]
    bind: Option<IpAddr>,
    #[serde(default)]
    low_ports: bool,
    /// Gateways with a number that are gone, the first of them first.
    #[serde(skip)]
    gone: Vec<String>,
    /// Sockets that Portolan itself listens on.
    #[serde(skip)]
    ours: Vec<SocketAddr>,
}

/// Whether two sockets of these addresses are one.
fn meet(one: IpAddr, other: IpAddr) -> bool {
    one == other || one.is_unspecified() || other.is_unspecified()
}

/// Ports that a Gateway listens on, as written. One of UDP moves as the one of TCP with its number does.
fn written(gateway: &Gateway) -> BTreeSet<u16> {
    gateway.listeners.iter().map(|listener| listener.port).collect()
}

/// What an earlier run gave, as [`Addresses::new`] takes it.
///
/// # Errors
/// When it is there and cannot be read: all Gateways would move.
pub fn saved(state: &std::path::Path) -> anyhow::Result<Option<Vec<u8>>> {
    let file = state.join("addresses.json");
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(why) => anyhow::bail!("{} cannot be read: {why}", file.display()),
    };
    if let Err(why) = serde_json::from_slice::<Addresses>(&bytes) {
        let file = file.display();
        anyhow::bail!(
            "{file} is damaged ({why}): restore it from a backup, or remove it, and Gateways are given addresses anew"
        );
    }
    Ok(Some(bytes))
}

impl Addresses {
    /// What was given before, with the settings of this run. `range` is the third byte of 127.77.H.n; no Gateway gets a
    /// socket of `ours`.
    pub fn new(
        saved: Option<&[u8]>,
        range: u8,
        bind: Option<IpAddr>,
        low_ports: bool,
        ours: Vec<SocketAddr>,
    ) -> Self {
        let mut made: Self = saved.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        // Those that are there say so before a new one asks.
        made.gone = made.numbers.keys().filter(|key| !made.ports.contains_key(*key)).cloned().collect();
        if (made.bind, made.low_ports) != (bind, low_ports) {
            made.ports.clear();
        }
        (made.range, made.bind, made.low_ports, made.ours) = (range, bind, low_ports, ours);
        made
    }

    /// Gives addresses to Gateways that came or changed, and takes them from those that are gone. `None` when all 254
    /// are taken. What is served already stays where it is; of what comes at once, ports that are bound as written come
    /// first, then those that are moved.
    pub fn give(
        &mut self,
        changed: &[(GatewayKey, Option<Arc<Gateway>>)],
    ) -> Vec<(GatewayKey, Option<GatewayAddress>)> {
        let mut present: Vec<(&Gateway, IpAddr)> = Vec::new();
        for (key, gateway) in changed {
            self.gone.retain(|gone| *gone != key.to_string());
            if gateway.is_none() {
                self.ports.remove(&key.to_string());
                self.gone.push(key.to_string());
            }
        }
        for (key, gateway) in changed {
            match gateway {
                None => {}
                Some(gateway) => {
                    present.extend(self.number(key).map(|number| (&**gateway, self.address(number))));
                }
            }
        }
        for (gateway, address) in &present {
            self.keep(gateway, *address);
        }
        for moved in [false, true] {
            for (gateway, address) in &present {
                for port in written(gateway) {
                    if self.is_low(port) == moved {
                        self.bind(gateway, *address, port);
                    }
                }
            }
        }
        let row = |key: &GatewayKey| {
            let (gateway, address) = present.iter().find(|(gateway, _)| gateway.key == *key)?;
            Some(GatewayAddress {
                key: gateway.key.clone(),
                address: address.to_string().into(),
                ports: self.ports.get(&key.to_string()).cloned().unwrap_or_default(),
                loopback: address.is_loopback(),
            })
        };
        changed.iter().map(|(key, _)| (key.clone(), row(key))).collect()
    }

    /// The number of a Gateway; gives it one if it has none. When all are taken it is that of the one that is gone longest:
    /// a Gateway is gone once nothing points to it any more.
    fn number(&mut self, key: &GatewayKey) -> Option<u8> {
        let key = key.to_string();
        if let Some(number) = self.numbers.get(&key) {
            return Some(*number);
        }
        let taken: BTreeSet<u8> = self.numbers.values().copied().collect();
        let free = (1..=254).find(|number| !taken.contains(number)).or_else(|| {
            let gone = (!self.gone.is_empty()).then(|| self.gone.remove(0))?;
            self.numbers.remove(&gone)
        })?;
        self.numbers.insert(key, free);
        Some(free)
    }

    fn address(&self, number: u8) -> IpAddr {
        self.bind.unwrap_or_else(|| IpAddr::from([127, 77, self.range, number]))
    }

    const fn is_low(&self, port: u16) -> bool {
        port < UNPRIVILEGED && !self.low_ports
    }

    /// Forgets ports that the Gateway has no longer, and those that are another's or ours by now.
    fn keep(&mut self, gateway: &Gateway, address: IpAddr) {
        let written = written(gateway);
        let key = gateway.key.to_string();
        let Some(mut ports) = self.ports.remove(&key) else { return };
        let mut seen = BTreeSet::new();
        ports.retain(|port, bound| {
            written.contains(port) && seen.insert(*bound) && self.is_free(address, *bound)
        });
        self.ports.insert(key, ports);
    }

    /// Whether no other Gateway of this address and nothing of ours has the port. Ports of the Gateway itself are looked at
    /// by whom gives them.
    fn is_free(&self, address: IpAddr, port: u16) -> bool {
        let ours = self.ours.iter().any(|socket| socket.port() == port && meet(socket.ip(), address));
        let others =
            self.bind.is_some() && self.ports.values().any(|ports| ports.values().any(|b| *b == port));
        !ours && !others
    }

    /// Binds a written port: as it is written, or a privileged one 8,000 higher; else at the next free step of ten.
    fn bind(&mut self, gateway: &Gateway, address: IpAddr, port: u16) {
        let key = gateway.key.to_string();
        if self.ports.get(&key).is_some_and(|ports| ports.contains_key(&port)) {
            return;
        }
        let wanted = if self.is_low(port) { port + 8000 } else { port };
        let steps = (0..=u16::MAX).map_while(|step| wanted.checked_add(step.checked_mul(10)?));
        let mut candidates = steps.chain((UNPRIVILEGED..=u16::MAX).rev());
        let own = self.ports.get(&key);
        let taken = |bound: u16| own.is_some_and(|ports| ports.values().any(|other| *other == bound));
        let free = candidates.find(|bound| !taken(*bound) && self.is_free(address, *bound));
        if let Some(bound) = free {
            self.ports.entry(key).or_default().insert(port, bound);
        }
    }

    /// To be persisted.
    pub fn save(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
