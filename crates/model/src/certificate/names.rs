//! Names that certificates hold besides DNS names, checked.

use std::net::IpAddr;

use crate::input::{ConstrainedNames, NameConstraints as Written};

/// A range of addresses: the first, and a mask of the same length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The network.
    pub network: Vec<u8>,
    /// Its mask.
    pub mask: Vec<u8>,
}

/// The names that a CA may or may not sign, valid by construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    /// Whether who does not know them must refuse.
    pub critical: bool,
    /// All others may not be signed.
    pub permitted: Names,
    /// These may not be signed.
    pub excluded: Names,
}

/// Names of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Domains.
    pub dns: Vec<String>,
    /// Addresses.
    pub ranges: Vec<Range>,
    /// Mailboxes, or hosts of them.
    pub emails: Vec<String>,
    /// Hosts of URIs.
    pub uris: Vec<String>,
}

impl NameConstraints {
    /// Reads them.
    ///
    /// # Errors
    /// The value that is wrong.
    pub(super) fn read(written: &Written) -> Result<Self, String> {
        let names = |of: &ConstrainedNames| -> Result<Names, String> {
            let texts = |list: &[crate::Name]| -> Result<Vec<String>, String> {
                let ascii = |text: &crate::Name| {
                    if text.is_ascii() { Ok(text.to_string()) } else { Err(format!("{text} is not ASCII")) }
                };
                list.iter().map(ascii).collect()
            };
            let range =
                |text: &crate::Name| range(text).ok_or_else(|| format!("{text}: invalid CIDR address"));
            Ok(Names {
                dns: texts(&of.dns_domains)?,
                ranges: of.ip_ranges.iter().map(range).collect::<Result<_, _>>()?,
                emails: texts(&of.email_addresses)?,
                uris: texts(&of.uri_domains)?,
            })
        };
        let (permitted, excluded) = (names(&written.permitted)?, names(&written.excluded)?);
        Ok(Self { critical: written.critical, permitted, excluded })
    }

    /// Whether nothing is constrained.
    pub fn is_empty(&self) -> bool {
        self.permitted == Names::default() && self.excluded == Names::default()
    }
}

/// `192.0.2.0/24` and the like; what stands behind the mask is left out.
pub fn range(text: &str) -> Option<Range> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let address: Vec<u8> = match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    };
    if bits.is_empty() || !bits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let bits: usize = bits.parse().ok().filter(|bits| *bits <= address.len() * 8)?;
    let octet = |at: usize| match bits.saturating_sub(at * 8) {
        0 => 0,
        1..8 => !(0xff_u8 >> (bits - at * 8)),
        _ => 0xff,
    };
    let mask: Vec<u8> = (0..address.len()).map(octet).collect();
    let network = address.iter().zip(&mask).map(|(byte, mask)| byte & mask).collect();
    Some(Range { network, mask })
}

/// An address as certificates hold it: one of IPv4 within IPv6 is one of IPv4, as in Go.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    Some(match text.parse().ok()? {
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4),
        address @ IpAddr::V4(_) => address,
    })
}

/// Whether a text is a mailbox and nothing else (Go's `mail.ParseAddress`, as far as certificates can hold it).
pub(super) fn is_mailbox(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    local.split('.').all(atom) && domain.split('.').all(atom)
}

/// Whether a text can stand as a URI in a certificate: ASCII without spaces, with a scheme.
pub(super) fn is_uri(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, rest)| (scheme, !rest.is_empty()));
    scheme.is_some_and(|(scheme, more)| {
        more && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    }) && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ranges_and_addresses() {
        let read = |text: &str| range(text).map(|range| (range.network, range.mask));
        assert_eq!(read("192.0.2.77/24"), Some((vec![192, 0, 2, 0], vec![255, 255, 255, 0])));
        assert_eq!(read("10.0.0.0/9"), Some((vec![10, 0, 0, 0], vec![255, 128, 0, 0])));
        assert_eq!(read("0.0.0.0/0"), Some((vec![0; 4], vec![0; 4])));
        assert_eq!(read("2001:db8::/32").unwrap().1[..5], [255, 255, 255, 255, 0]);
        for bad in ["192.0.2.0", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/+8", "x/8"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(address("::ffff:192.0.2.8").unwrap().to_string(), "192.0.2.8");
        assert_eq!(address("2001:0DB8::7").unwrap().to_string(), "2001:db8::7");
    }

    #[test]
    fn mailboxes_and_uris() {
        for good in ["a@b.example", "first.last+tag@example"] {
            assert!(is_mailbox(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "A <a@b>", "a b@c", "a..b@c", "ü@b", "a@b@c"] {
            assert!(!is_mailbox(bad), "{bad}");
        }
        for good in ["spiffe://shop.example/ns/a", "urn:x:y", "https://a"] {
            assert!(is_uri(good), "{good}");
        }
        for bad in ["", "a", "://x", "a b:c", "http://ü", "1a:b", "x:"] {
            assert!(!is_uri(bad), "{bad}");
        }
    }
}
