//! Which range of loopback addresses an instance holds against the others of its machine.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
};

use super::Addresses;

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
    /// The range `first`, or the next that no running instance holds and nobody else's Envoy serves; `None` if there is none.
    ///
    /// `listening` are the addresses of the state's own Envoy and of all others. An instance that was killed holds nothing,
    /// but its Envoy serves on, and the next run of its state wants the range again. One that took it would have the same
    /// sockets: Envoy shares them with whom is of the same user (`SO_REUSEPORT`), so each would get requests of the other.
    pub fn of(first: u8, listening: &[BTreeSet<Ipv4Addr>; 2]) -> Option<Self> {
        candidates(first, listening).find_map(|range| {
            let held = TcpListener::bind(SocketAddr::from(([127, 77, range, 255], CLAIM_PORT))).ok()?;
            Some(Self { _held: held, range })
        })
    }
}

/// Ranges to try, `first` before all others, without those that only Envoys of others serve.
fn candidates(first: u8, listening: &[BTreeSet<Ipv4Addr>; 2]) -> impl Iterator<Item = u8> + use<> {
    let first = first.clamp(1, RANGES);
    let [own, others] = listening.each_ref().map(ranges);
    (first..=RANGES).chain(1..first).filter(move |range| own.contains(range) || !others.contains(range))
}

/// Ranges that these addresses lie in.
fn ranges(addresses: &BTreeSet<Ipv4Addr>) -> BTreeSet<u8> {
    let range = |address: &Ipv4Addr| match address.octets() {
        [127, 77, range, _] => Some(range),
        _ => None,
    };
    addresses.iter().filter_map(range).collect()
}

/// The range that a state had before, else the one that its number stands for.
pub fn range_of(saved: Option<&[u8]>, number: u64) -> u8 {
    let saved: Option<Addresses> = saved.and_then(|bytes| serde_json::from_slice(bytes).ok());
    let own = u8::try_from(number % u64::from(RANGES)).unwrap_or(0) + 1;
    saved.map(|saved| saved.range).filter(|range| *range > 0).unwrap_or(own)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_range_that_another_instance_holds_is_left_to_it() {
        let none = [BTreeSet::new(), BTreeSet::new()];
        let first = Claim::of(231, &none).unwrap();
        let second = Claim::of(first.range, &none).unwrap();
        assert_ne!(first.range, second.range);
        let range = first.range;
        drop(first);
        assert_eq!(Claim::of(range, &none).unwrap().range, range);
    }

    #[test]
    fn a_range_that_an_envoy_of_a_killed_instance_serves_is_that_of_its_state_alone() {
        let at = |all: &[[u8; 4]]| all.iter().map(|octets| Ipv4Addr::from(*octets)).collect();
        let tried = |first, listening| candidates(first, &listening).collect::<Vec<u8>>();
        let [own, others] = [[127, 77, 8, 1], [127, 77, 9, 1]];
        let seen = tried(9, [at(&[]), at(&[own, others, [127, 0, 0, 1], [10, 77, 10, 1]])]);
        assert_eq!((seen[0], seen.len()), (10, 248));
        assert!(!seen.contains(&8) && !seen.contains(&9));
        // Also when another has come into it already: what is served stays.
        let seen = tried(8, [at(&[own]), at(&[own, others])]);
        assert_eq!((seen[0], seen[1], seen.len()), (8, 10, 249));
    }
}
