//! Addresses and networks as old fields of Kubernetes take them: with leading zeros, IPv4 in IPv6, and bits past the prefix.

use std::net::{IpAddr, Ipv4Addr};

use super::Out;
use crate::path::Path;

/// `netutils.ParseIPSloppy`.
pub fn parse(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(match ip {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
            IpAddr::V4(_) => ip,
        });
    }
    let parts: Vec<&str> = text.split('.').collect();
    let [a, b, c, d] = parts[..] else { return None };
    let octet = |part: &str| {
        let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        part.trim_start_matches('0')
            .parse::<u8>()
            .ok()
            .or((part.bytes().all(|b| b == b'0')).then_some(0))
            .filter(|_| plain)
    };
    Some(IpAddr::V4(Ipv4Addr::new(octet(a)?, octet(b)?, octet(c)?, octet(d)?)))
}

/// `netutils.ParseCIDRSloppy`: address and length of the prefix.
pub fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let address = parse(address)?;
    if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let length: u8 = length.parse().ok()?;
    (length <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, length))
}

/// Whether the one network is a smaller part of the other.
pub fn is_part(part: (IpAddr, u8), whole: (IpAddr, u8)) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(whole.1)).unwrap_or(0);
    part.0.is_ipv4() == whole.0.is_ipv4() && bits(part.0) & mask == bits(whole.0) & mask && whole.1 < part.1
}

/// `IsValidIPForLegacyField`: whether it is one.
pub fn check(text: &str, path: &Path<'_>, out: &mut Out<'_>) -> Option<IpAddr> {
    let ip = parse(text);
    if ip.is_none() {
        out.invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    }
    ip
}

/// `IsValidCIDRForLegacyField`.
pub fn check_network(text: &str, path: &Path<'_>, out: &mut Out<'_>) -> Option<(IpAddr, u8)> {
    let network = network(text);
    if network.is_none() {
        out.invalid(path, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    }
    network
}

/// `ValidateEndpointIP`: addresses that nothing outside of one machine may be sent to.
pub fn check_endpoint(text: &str, path: &Path<'_>, out: &mut Out<'_>) {
    let Some(ip) = parse(text) else {
        return out.invalid(path, text, "must be a valid IP address");
    };
    let (local, multicast) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if ip.is_unspecified() {
        out.invalid(path, text, format!("may not be unspecified ({text})"));
    }
    if ip.is_loopback() {
        out.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    if local {
        out.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if multicast {
        out.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}
