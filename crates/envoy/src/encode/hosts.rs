//! Virtual hosts.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteMatch, VirtualHost as EnvoyHost, route_match::PathSpecifier,
};
use portolan_core::gateway::rows::VirtualHost;
use prost::Message as _;

use super::{
    index,
    routes::{direct, refused, route},
};

/// Number of the field `VirtualHost.matcher`.
const MATCHER: u32 = 21;

/// A virtual host, encoded; the rules at the positions in `without` answer an error. What no rule matches gets 404; one that
/// belongs to another listener than the connection answers 421 Misdirected Request (RFC 9110 §15.5.20): the client may ask
/// again on a connection of its own.
pub(super) fn virtual_host(row: &VirtualHost, without: &BTreeSet<usize>) -> Vec<u8> {
    if row.misdirected {
        return with_routes(row, vec![all(421)]);
    }
    let entries = row.entries.iter().enumerate();
    let routes: Vec<Route> = entries
        .map(|(at, entry)| if without.contains(&at) { refused(entry) } else { route(&row.key.1, entry) })
        .collect();
    let Some(matcher) = index::of(&row.entries, &routes) else { return with_routes(row, routes) };
    let mut made = with_routes(row, Vec::new());
    super::bytes::field(MATCHER, &matcher, &mut made);
    made
}

/// A virtual host that answers an error to everything.
pub(super) fn closed(row: &VirtualHost, status: u32) -> Vec<u8> {
    with_routes(row, vec![all(status)])
}

/// Answers everything with this status.
fn all(status: u32) -> Route {
    let all = RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".into())), ..Default::default() };
    Route { r#match: Some(all), action: Some(direct(status)), ..Default::default() }
}

fn with_routes(row: &VirtualHost, routes: Vec<Route>) -> Vec<u8> {
    let domains = vec![row.key.1.to_string()];
    EnvoyHost { name: row.key.1.to_string(), domains, routes, ..Default::default() }.encode_to_vec()
}
