//! A route table as one RouteConfiguration, pushed whole.

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::{envoy::config::route::v3::RouteConfiguration, google::protobuf::Any};
use portolan_core::gateway::rows::VirtualHost;
use portolan_model::Name;
use prost::{Message as _, Name as _};

use super::inside;
use crate::resources::{Resource, version};

/// A route configuration in pieces: its virtual hosts are encoded one by one, and only those that change again.
#[derive(Debug, Default)]
pub struct RouteTable {
    hosts: BTreeMap<Name, Piece>,
}

/// A route configuration that holds one virtual host and nothing else.
#[derive(Debug)]
struct Piece {
    bytes: Box<[u8]>,
    version: String,
}

impl RouteTable {
    /// Puts a virtual host.
    pub fn put(&mut self, host: &VirtualHost) {
        let bytes = super::piece(host, &BTreeSet::new()).bytes;
        let version = version(&bytes);
        self.hosts.insert(host.key.1.clone(), Piece { bytes, version });
    }

    /// Removes one.
    pub fn remove(&mut self, host: &Name) {
        self.hosts.remove(host);
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// All of it. Encoded messages that stand one after the other are one message with the fields of all (protobuf
    /// encoding, "Last One Wins"), and the entries of repeated fields in their order.
    pub fn resource(&self, name: &str) -> Resource {
        let frame = RouteConfiguration { name: name.to_owned(), ..inside::table() };
        let size = self.hosts.values().map(|piece| piece.bytes.len()).sum::<usize>();
        let mut value = Vec::with_capacity(frame.encoded_len() + size);
        frame.encode(&mut value).expect("a vector grows");
        let mut versions = version(&value);
        for piece in self.hosts.values() {
            value.extend_from_slice(&piece.bytes);
            versions.push_str(&piece.version);
        }
        let version = version(versions.as_bytes());
        Resource { version, body: Any { type_url: RouteConfiguration::type_url(), value } }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn host(name: &str) -> VirtualHost {
        VirtualHost { key: ("table".into(), name.into()), entries: Vec::new(), misdirected: false }
    }

    #[test]
    fn pieces_are_one_message() {
        let mut table = RouteTable::default();
        for name in ["b.example.com", "a.example.com", "gone.example.com"] {
            table.put(&host(name));
        }
        table.remove(&"gone.example.com".into());
        let resource = table.resource("table");
        let read = RouteConfiguration::decode(&*resource.body.value).unwrap();
        let names: Vec<&str> = read.virtual_hosts.iter().map(|host| &*host.name).collect();
        assert_eq!((&*read.name, names), ("table", vec!["a.example.com", "b.example.com"]));
        // The version is that of the content, whatever came before.
        let mut other = RouteTable::default();
        other.put(&host("a.example.com"));
        assert_ne!(other.resource("table").version, resource.version);
        other.put(&host("b.example.com"));
        assert_eq!(other.resource("table"), resource);
    }
}
