//! Scopes: what Envoy gets of a route table. A table is [`SHARDS`](crate::shards::SHARDS) scoped route configurations, and
//! one of them is the encoded virtual hosts of its shard one after the other.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use envoy_types::pb::{
    envoy::config::route::v3::{
        RouteConfiguration, ScopedRouteConfiguration,
        scoped_route_configuration::{
            Key,
            key::{Fragment, fragment::Type},
        },
    },
    google::protobuf::Any,
};
use portolan_core::gateway::rows::VirtualHost;
use portolan_model::Name;
use prost::{Message as _, Name as _};

use super::{
    bytes::{field, only},
    hosts, inside,
};
use crate::shards::HEADER;

/// One virtual host, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// A route configuration that holds this virtual host and nothing else.
    pub bytes: Box<[u8]>,
    /// Hash of the content.
    pub version: u64,
}

impl Piece {
    fn of(host: &[u8]) -> Self {
        let bytes = only(VIRTUAL_HOSTS, host).into_boxed_slice();
        let mut version = [0; 8];
        version.copy_from_slice(&digest(&SHA256, &bytes).as_ref()[..8]);
        Self { version: u64::from_be_bytes(version), bytes }
    }
}

/// Encodes a virtual host. Rules of `row.entries` at the positions in `without` answer an error to what they match: their
/// requests never go on to the next rule's backend.
pub fn piece(row: &VirtualHost, without: &BTreeSet<usize>) -> Piece {
    Piece::of(&hosts::virtual_host(row, without))
}

/// A virtual host that answers `status` to everything.
pub fn closed(row: &VirtualHost, status: u32) -> Piece {
    Piece::of(&hosts::closed(row, status))
}

/// Whether a host stands in every shard of its table: requests for it have hosts of any hash.
pub fn in_every_shard(host: &str) -> bool {
    host.starts_with('*')
}

/// Resource name of a shard of a table, and the key that its requests carry.
///
/// The key names the table too: all listeners of an Envoy share **one** wildcard subscription to scopes (tested: the scopes of
/// both tables arrive at both listeners, under the statistics of the first). So Envoy asks for no names when a further
/// listener comes; its scopes are pushed unprompted, and before the listener, which does not wait for them.
pub fn scope_name(table: &str, shard: impl std::fmt::Display) -> Name {
    format!("{table}#{shard}").into()
}

/// A shard of a table. Encoded messages that stand one after the other are one message with the fields of all (protobuf
/// encoding, "Last One Wins"), and the entries of repeated fields in their order.
pub fn scope<'a>(table: &str, shard: u16, pieces: impl Iterator<Item = &'a Piece>) -> Any {
    let name = scope_name(table, shard).to_string();
    let fragment = Fragment { r#type: Some(Type::StringKey(name.clone())) };
    let head = ScopedRouteConfiguration {
        name: name.clone(),
        key: Some(Key { fragments: vec![fragment] }),
        ..Default::default()
    };
    let mut table = RouteConfiguration { name, ..inside::table() };
    table.request_headers_to_remove.push(HEADER.into());
    table.response_headers_to_remove.push(HEADER.into());
    let mut routes = table.encode_to_vec();
    pieces.for_each(|piece| routes.extend_from_slice(&piece.bytes));
    let mut value = head.encode_to_vec();
    field(ROUTE_CONFIGURATION, &routes, &mut value);
    Any { type_url: ScopedRouteConfiguration::type_url(), value }
}

/// Makes a scope differ from the same one sent before, without another meaning: it removes a header that nobody sets.
pub fn mark(scope: &mut Any, number: u64) {
    if number > 0 {
        let name = format!("{HEADER}-{number}");
        let routes = RouteConfiguration { response_headers_to_remove: vec![name], ..Default::default() };
        // A message that comes twice is merged (protobuf encoding, "Last One Wins").
        field(ROUTE_CONFIGURATION, &routes.encode_to_vec(), &mut scope.value);
    }
}

/// Number of the field `RouteConfiguration.virtual_hosts`.
const VIRTUAL_HOSTS: u32 = 2;
/// Number of the field `ScopedRouteConfiguration.route_configuration`.
const ROUTE_CONFIGURATION: u32 = 5;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use envoy_types::pb::google::protobuf::BoolValue;

    use super::*;

    fn host(name: &str) -> VirtualHost {
        VirtualHost { key: ("table".into(), name.into()), entries: Vec::new(), misdirected: false }
    }

    #[test]
    fn a_scope_is_the_message_of_its_pieces() {
        let hosts = ["a.example.com", "b.example.com", "*"].map(host);
        let pieces = hosts.each_ref().map(|host| piece(host, &BTreeSet::new()));
        let any = scope("gw/ns/name/80", 7, pieces.iter());
        let read = ScopedRouteConfiguration::decode(&*any.value).unwrap();
        let routes = read.route_configuration.unwrap();
        assert_eq!((&*read.name, &*routes.name), ("gw/ns/name/80#7", "gw/ns/name/80#7"));
        assert_eq!(read.key.unwrap().fragments[0].r#type, Some(Type::StringKey("gw/ns/name/80#7".into())));
        assert_eq!(routes.validate_clusters, Some(BoolValue { value: false }));
        let names: Vec<&str> = routes.virtual_hosts.iter().map(|host| &*host.domains[0]).collect();
        assert_eq!(names, ["a.example.com", "b.example.com", "*"]);
    }

    #[test]
    fn versions_are_of_the_content() {
        let [a, b] = ["a", "b"].map(|name| piece(&host(name), &BTreeSet::new()).version);
        assert_ne!(a, b);
        assert_eq!(a, piece(&host("a"), &BTreeSet::new()).version);
        assert_ne!(a, closed(&host("a"), 500).version);
        assert_ne!(closed(&host("a"), 503).version, closed(&host("a"), 500).version);
    }
}
