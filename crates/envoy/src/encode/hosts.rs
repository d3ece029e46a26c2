//! Virtual hosts.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteMatch, VirtualHost as EnvoyHost, route_match::PathSpecifier,
};
use portolan_core::gateway::rows::VirtualHost;
use prost::Message as _;

use super::{
    bytes::field,
    index,
    routes::{Encoded, direct, refused, routes},
};

/// Number of the field `VirtualHost.routes`.
const ROUTES: u32 = 3;
/// Number of the field `VirtualHost.matcher`.
const MATCHER: u32 = 21;

/// A virtual host, encoded; the rules at the positions in `without` answer an error. What no rule matches gets 404; one that
/// belongs to another listener than the connection answers 421 Misdirected Request (RFC 9110 §15.5.20): the client may ask
/// again on a connection of its own.
pub(super) fn virtual_host(row: &VirtualHost, without: &BTreeSet<usize>) -> Vec<u8> {
    if row.misdirected {
        return with_routes(row, &[all(421)]);
    }
    let entries = row.entries.iter().enumerate();
    let routes: Vec<Vec<Encoded>> = entries
        .map(|(at, entry)| if without.contains(&at) { refused(entry) } else { routes(&row.key.1, entry) })
        .collect();
    let Some(matcher) = index::of(&row.entries, &routes) else {
        return with_routes(row, routes.iter().flatten());
    };
    let mut made = with_routes(row, &[]);
    field(MATCHER, &matcher, &mut made);
    made
}

/// A virtual host that answers an error to everything.
pub(super) fn closed(row: &VirtualHost, status: u32) -> Vec<u8> {
    with_routes(row, &[all(status)])
}

/// Answers everything with this status.
fn all(status: u32) -> Encoded {
    let all = RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".into())), ..Default::default() };
    Route { r#match: Some(all), action: Some(direct(status)), ..Default::default() }.encode_to_vec()
}

fn with_routes<'a>(row: &VirtualHost, routes: impl IntoIterator<Item = &'a Encoded>) -> Vec<u8> {
    let domains = vec![row.key.1.to_string()];
    let mut made = EnvoyHost { name: row.key.1.to_string(), domains, ..Default::default() }.encode_to_vec();
    routes.into_iter().for_each(|route| field(ROUTES, route, &mut made));
    made
}
