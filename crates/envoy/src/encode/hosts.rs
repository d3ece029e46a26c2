//! Virtual hosts.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteMatch, VirtualHost as EnvoyHost, route_match::PathSpecifier,
};
use portolan_core::gateway::rows::VirtualHost;

use super::routes::{direct, refused, route};

/// A virtual host; the rules at the positions in `without` answer an error. What no rule matches gets 404; one that belongs
/// to another listener than the connection answers 421 Misdirected Request (RFC 9110 §15.5.20): the client may ask again on
/// a connection of its own.
pub(super) fn virtual_host(row: &VirtualHost, without: &BTreeSet<usize>) -> EnvoyHost {
    if row.misdirected {
        return with_routes(row, std::iter::once(all(421)));
    }
    let entries = row.entries.iter().enumerate();
    with_routes(
        row,
        entries.map(|(at, entry)| if without.contains(&at) { refused(entry) } else { route(entry) }),
    )
}

/// A virtual host that answers an error to everything.
pub(super) fn closed(row: &VirtualHost) -> EnvoyHost {
    with_routes(row, std::iter::once(all(500)))
}

/// Answers everything with this status.
fn all(status: u32) -> Route {
    let all = RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".into())), ..Default::default() };
    Route { r#match: Some(all), action: Some(direct(status)), ..Default::default() }
}

fn with_routes(row: &VirtualHost, routes: impl Iterator<Item = Route>) -> EnvoyHost {
    EnvoyHost {
        name: row.key.1.to_string(),
        domains: vec![row.key.1.to_string()],
        routes: routes.collect(),
        ..Default::default()
    }
}
