//! Which addresses may be asked on behalf of a repository. Whoever proposes a change names URLs, and so does every server that
//! answers (indexes, redirects); what they lead to is looked at when it is dialled.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _},
};

/// From a name and a port to addresses.
pub type Resolve = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// As the system resolves names.
///
/// # Errors
/// The system's own.
pub fn system(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

/// Metadata services of clouds that stand outside of the link-local networks (Alibaba and Oracle; AWS over IPv6).
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// An IPv4 address that stands in an IPv6 one, as itself: mapped, compatible (RFC 4291 §2.5.5) or translated (RFC 6052).
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let parts = six.segments();
    let inside = matches!(parts, [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..]);
    let [.., a, b] = parts;
    if !inside || six.is_loopback() || six.is_unspecified() {
        return address;
    }
    let ([a, b], [c, d]) = (a.to_be_bytes(), b.to_be_bytes());
    Ipv4Addr::new(a, b, c, d).into()
}

/// Whether it is this machine.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    plain(address).is_loopback()
}

/// Whether an address may be dialled: not this machine (unless `loopback`), not its own link, and nobody in particular.
/// Private networks may: that is where a company's own charts stand.
pub(super) fn may_be_asked(address: IpAddr, loopback: bool) -> bool {
    let address = plain(address);
    if address.is_loopback() {
        return loopback;
    }
    let link = match address {
        IpAddr::V4(four) => four.is_link_local() || four.is_broadcast() || four.octets()[0] == 0,
        IpAddr::V6(six) => six.is_unicast_link_local(),
    };
    !link && !address.is_unspecified() && !address.is_multicast() && !METADATA.contains(&address)
}
