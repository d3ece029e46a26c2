//! Addresses of Gateways out of a range of this machine. What stands in a Gateway's status is its address, so that it keeps it over
//! restarts and all replicas mean the same one; only the replica that writes statuses gives new ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    str::FromStr,
};

use portolan_model::GatewayKey;
use serde_json::Value;

/// A range of IPv4 addresses: `10.80.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: u32,
    bits: u32,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write NETWORK/BITS of IPv4 with 8 to 30 bits, such as 10.80.0.0/16".to_owned();
        let (network, bits) = text.split_once('/').ok_or_else(wrong)?;
        let (network, bits): (Ipv4Addr, u32) =
            (network.parse().map_err(|_| wrong())?, bits.parse().map_err(|_| wrong())?);
        if !(8..=30).contains(&bits) {
            return Err(wrong());
        }
        let first = u32::from(network);
        if first << bits != 0 {
            return Err(format!(
                "{network} is no network of {bits} bits: what stands behind them is not zero"
            ));
        }
        Ok(Self { first, bits })
    }
}

impl Range {
    const fn size(self) -> u32 {
        1 << (32 - self.bits)
    }

    /// All but the network itself and the broadcast address.
    fn all(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.first + 1..self.first + self.size() - 1).map(Ipv4Addr::from)
    }

    fn holds(self, address: Ipv4Addr) -> bool {
        let address = u32::from(address);
        address > self.first && address < self.first + self.size() - 1
    }
}

/// Who has which address.
#[derive(Debug)]
pub struct Given {
    range: Range,
    by_gateway: BTreeMap<GatewayKey, Ipv4Addr>,
    taken: BTreeSet<Ipv4Addr>,
    /// Those that have none, or not the one that they ask for.
    waiting: BTreeSet<GatewayKey>,
    /// Whether an address was given up since somebody asked.
    freed: bool,
}

impl Given {
    /// Nobody has one.
    pub const fn new(range: Range) -> Self {
        Self {
            range,
            by_gateway: BTreeMap::new(),
            taken: BTreeSet::new(),
            waiting: BTreeSet::new(),
            freed: false,
        }
    }

    /// The address of a Gateway whose object is `json`: one that it asks for and may have, else what its status says, else what it was
    /// given before, else, for whoever `leads`, a new one if it asks for none. `None` if it has none yet, or none is left.
    pub fn of(&mut self, gateway: &GatewayKey, json: &Value, leads: bool) -> Option<Ipv4Addr> {
        let told = json.pointer("/status/addresses/0/value").and_then(Value::as_str);
        let told = told.and_then(|text| text.parse().ok()).filter(|address| self.range.holds(*address));
        let before = self.by_gateway.get(gateway).copied();
        // Of two that say the same one has it already: a status can be copied, or written by hand.
        let told = told.filter(|address| before == Some(*address) || !self.taken.contains(address));
        // Whoever leads has written what stands there, or is about to write what it gave.
        let kept = if leads { before.or(told) } else { told.or(before) };
        let asked = asked(json);
        let may_have = |text: &&str| {
            let address = text.parse().ok().filter(|address| self.range.holds(*address))?;
            (before == Some(address) || !self.taken.contains(&address)).then_some(address)
        };
        let granted = asked.iter().find_map(may_have);
        // Names point at the one that it has: of an address that cannot be had it is not taken away.
        let new = || (leads && asked.is_empty()).then(|| self.free()).flatten();
        let address = granted.or(kept).or_else(new);
        if address.is_none() || granted.is_none() && !asked.is_empty() {
            self.waiting.insert(gateway.clone());
        } else {
            self.waiting.remove(gateway);
        }
        let address = address?;
        if before != Some(address) {
            self.give_up(gateway);
            self.by_gateway.insert(gateway.clone(), address);
            self.taken.insert(address);
        }
        Some(address)
    }

    /// A Gateway is gone: its address is free.
    pub fn forget(&mut self, gateway: &GatewayKey) {
        self.waiting.remove(gateway);
        self.give_up(gateway);
    }

    fn give_up(&mut self, gateway: &GatewayKey) {
        if let Some(address) = self.by_gateway.remove(gateway) {
            self.taken.remove(&address);
            self.freed = true;
        }
    }

    /// Those that may have an address now that they could not have when they asked.
    pub fn hopeful(&mut self) -> Vec<GatewayKey> {
        if std::mem::take(&mut self.freed) { self.waiting.iter().cloned().collect() } else { Vec::new() }
    }

    fn free(&self) -> Option<Ipv4Addr> {
        self.range.all().find(|address| !self.taken.contains(address))
    }
}

/// Addresses that a Gateway asks for by value (`spec.addresses`); one without a type is an `IPAddress`.
fn asked(json: &Value) -> Vec<&str> {
    let all = json.pointer("/spec/addresses").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|address| address["value"].as_str().filter(|value| !value.is_empty())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn key(name: &str) -> GatewayKey {
        GatewayKey::new("infra", name)
    }

    fn at(text: &str) -> Option<Ipv4Addr> {
        text.parse().ok()
    }

    fn says(address: &str) -> Value {
        json!({"status": {"addresses": [{"type": "IPAddress", "value": address}]}})
    }

    #[test]
    fn who_leads_gives_and_the_others_read_it_in_the_status() {
        let range: Range = "10.80.0.0/30".parse().unwrap();
        let (mut leader, mut other) = (Given::new(range), Given::new(range));
        assert_eq!(leader.of(&key("a"), &json!({}), true), at("10.80.0.1"));
        assert_eq!(other.of(&key("a"), &json!({}), false), None, "it waits for who leads");
        assert_eq!(other.of(&key("a"), &says("10.80.0.1"), false), at("10.80.0.1"));
        assert_eq!(leader.of(&key("b"), &json!({}), true), at("10.80.0.2"));
        assert_eq!(leader.of(&key("c"), &json!({}), true), None, "none is left");
        leader.forget(&key("a"));
        assert_eq!(leader.of(&key("c"), &json!({}), true), at("10.80.0.1"));
        // It has another now: the status that is read late does not take it back.
        assert_eq!(leader.of(&key("c"), &says("10.80.0.2"), true), at("10.80.0.1"));
    }

    #[test]
    fn after_a_restart_everybody_has_the_address_of_before() {
        let mut given = Given::new("10.80.0.0/16".parse().unwrap());
        assert_eq!(given.of(&key("b"), &says("10.80.3.4"), true), at("10.80.3.4"));
        assert_eq!(given.of(&key("copy"), &says("10.80.3.4"), true), at("10.80.0.1"), "not twice");
        assert_eq!(
            given.of(&key("c"), &says("192.0.2.1"), true),
            at("10.80.0.2"),
            "not one of another range"
        );
        assert_eq!(
            given.of(&key("b"), &json!({}), true),
            at("10.80.3.4"),
            "a status that was lost takes nothing"
        );
    }

    #[test]
    fn an_address_that_is_asked_for_is_had_if_it_can_be() {
        let mut given = Given::new("10.80.0.0/16".parse().unwrap());
        let asks = |values: &[&str]| {
            let all: Vec<Value> = values.iter().map(|value| json!({"value": value})).collect();
            json!({"spec": {"addresses": all}})
        };
        assert_eq!(given.of(&key("a"), &asks(&["192.0.2.1"]), true), None, "no other in the place of it");
        assert_eq!(given.of(&key("a"), &asks(&["192.0.2.1", "10.80.200.1"]), false), at("10.80.200.1"));
        assert_eq!(given.of(&key("b"), &asks(&["10.80.200.1"]), true), None, "somebody has it");
        assert_eq!(given.of(&key("b"), &asks(&[""]), true), at("10.80.0.1"), "any");
        // It moves to one that it may have, and from it to none that it may not.
        assert_eq!(given.of(&key("b"), &asks(&["10.80.3.3"]), true), at("10.80.3.3"));
        assert_eq!(given.of(&key("b"), &asks(&["10.80.200.1"]), true), at("10.80.3.3"));
        assert_eq!(given.of(&key("c"), &json!({}), true), at("10.80.0.1"), "what it had is free");
        given.hopeful();
        assert_eq!(given.hopeful(), [], "nothing was given up since");
        given.forget(&key("a"));
        assert_eq!(given.hopeful(), [key("b")]);
        assert_eq!(given.of(&key("b"), &asks(&["10.80.200.1"]), true), at("10.80.200.1"));
    }

    #[test]
    fn ranges_are_written_as_networks() {
        for wrong in ["10.80.0.0", "10.80.0.1/16", "10.80.0.0/31", "::/64", "10.80.0.0/x"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }
}
