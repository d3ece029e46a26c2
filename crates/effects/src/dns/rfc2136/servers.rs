//! Which servers answer for a zone: those that were named, and those that its NS records name.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use portolan_model::{Name, dns::RecordType};

use super::zone::Copy;

/// The port of name servers.
const PORT: u16 = 53;

/// A name server of a zone, with the addresses that the zone itself has for it.
pub(super) struct Named {
    pub(super) name: Name,
    pub(super) addresses: Vec<IpAddr>,
}

/// The name servers of a zone.
pub(super) fn named(copy: &Copy) -> Vec<Named> {
    let addresses = |name: &Name| {
        [RecordType::A, RecordType::Aaaa]
            .into_iter()
            .filter_map(|r#type| copy.get(name, r#type))
            .flat_map(|held| held.values.values())
            .filter_map(|text| text.parse().ok())
            .collect()
    };
    copy.servers.iter().map(|name| Named { name: name.clone(), addresses: addresses(name) }).collect()
}

/// The given servers, then those of the NS records at other addresses, at port 53. A given server whose address an NS record has
/// is asked where it was given: it may listen at another port.
pub(super) async fn all(given: &[SocketAddr], named: Vec<Named>) -> Vec<SocketAddr> {
    let mut seen: BTreeSet<IpAddr> = given.iter().map(SocketAddr::ip).collect();
    let mut servers = given.to_vec();
    for Named { name, mut addresses } in named {
        if addresses.is_empty() {
            // Its zone is elsewhere. One that cannot be found is not asked: nobody else can ask it either.
            let found = tokio::net::lookup_host((&*name, PORT)).await;
            addresses = found.map(|found| found.map(|address| address.ip()).collect()).unwrap_or_default();
        }
        servers
            .extend(addresses.into_iter().filter(|ip| seen.insert(*ip)).map(|ip| SocketAddr::new(ip, PORT)));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_server_is_asked_once_and_given_ones_at_their_port() {
        let given = ["127.0.0.1:5353".parse().unwrap_or_else(|_| unreachable!())];
        let of = |name: &str, addresses: &[&str]| Named {
            name: name.into(),
            addresses: addresses.iter().filter_map(|text| text.parse().ok()).collect(),
        };
        let named = vec![
            of("ns1.example.com", &["127.0.0.1"]),
            of("ns2.example.com", &["192.0.2.1", "2001:db8::1"]),
            of("ns3.example.com", &["192.0.2.1"]),
        ];
        let all: Vec<String> = all(&given, named).await.iter().map(ToString::to_string).collect();
        assert_eq!(all, ["127.0.0.1:5353", "192.0.2.1:53", "[2001:db8::1]:53"]);
    }
}
