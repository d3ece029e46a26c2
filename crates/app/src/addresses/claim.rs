//! Which range of loopback addresses an instance holds against the others of its machine.

use std::net::{IpAddr, SocketAddr, TcpListener};

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
