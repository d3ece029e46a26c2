//! Which hostnames a listener serves for a route.

use std::sync::Arc;

use portolan_model::{Name, input::Route};

use super::{rows::GatewayListener, takes};

/// Hostnames under which a listener serves a route: the more specific of each overlapping pair.
pub(super) fn intersection(gateway_listener: &GatewayListener, route: &Route) -> Vec<Name> {
    let mut hosts: Vec<Name> = match (&gateway_listener.hostname, route.hostnames.is_empty()) {
        (None, true) => vec![Name::new("*")],
        (None, false) => route.hostnames.clone(),
        (Some(own), true) => vec![own.clone()],
        (Some(own), false) => {
            let both = |host: &Name| {
                if host == own || takes(own, host) {
                    Some(host.clone())
                } else {
                    takes(host, own).then(|| own.clone())
                }
            };
            route.hostnames.iter().filter_map(both).collect()
        }
    };
    hosts.sort();
    hosts.dedup();
    hosts
}

/// Listener isolation: a more specific listener of the same port keeps its hosts for itself, also one that is not accepted,
/// unless it is leaving: then the others take them over meanwhile.
pub(super) fn keep_isolated(
    gateway_listener: &GatewayListener,
    mut hosts: Vec<Name>,
    all: &[Arc<GatewayListener>],
) -> Vec<Name> {
    hosts.retain(|host| {
        !all.iter().any(|other| {
            (gateway_listener.leaving || !other.leaving)
                && other.port == gateway_listener.port
                && other.key != gateway_listener.key
                // The same hostname: one that is leaving and the one that it was renamed to.
                && other.hostname != gateway_listener.hostname
                && other.hostname.as_ref().is_some_and(|own| {
                    let narrower = gateway_listener.hostname.as_ref().is_none_or(|mine| takes(mine, own));
                    narrower && (own == host || takes(own, host))
                })
        })
    });
    hosts
}
