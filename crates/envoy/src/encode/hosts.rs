//! Virtual hosts.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteMatch, VirtualHost as EnvoyHost, route_match::PathSpecifier,
};
use portolan_core::gateway::rows::VirtualHost;

use super::routes::{direct, refused, route};

/// A virtual host; the rules at the positions in `without` answer an error.
pub(super) fn virtual_host(row: &VirtualHost, without: &BTreeSet<usize>) -> EnvoyHost {
    let entries = row.entries.iter().enumerate();
    with_routes(
        row,
        entries.map(|(at, entry)| if without.contains(&at) { refused(entry) } else { route(entry) }),
    )
}

/// A virtual host that answers an error to everything.
pub(super) fn closed(row: &VirtualHost) -> EnvoyHost {
    let all = RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".into())), ..Default::default() };
    let error = Route { r#match: Some(all), action: Some(direct(500)), ..Default::default() };
    with_routes(row, std::iter::once(error))
}

fn with_routes(row: &VirtualHost, routes: impl Iterator<Item = Route>) -> EnvoyHost {
    EnvoyHost {
        name: row.key.1.to_string(),
        domains: vec![row.key.1.to_string()],
        routes: routes.collect(),
        ..Default::default()
    }
}
