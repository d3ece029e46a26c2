//! Which of several matches gets a request.

use portolan_model::{
    Name, RouteKind,
    input::{ANY_SERVICE, PathMatch, Route, RouteMatch},
};

use crate::gateway::takes;

/// How wide the hostname is with which a route is at an effective host: exact ones before wildcards, longer before shorter,
/// then none. "Precedence using the original hostnames configured on the Route, not the calculated Listener/Route hostname
/// intersection" (Gateway API v1.7, `HTTPRouteSpec.hostnames`). Narrowest first.
pub(super) fn width(route: &Route, host: &str) -> u32 {
    const NONE: u32 = u32::MAX - 1;
    if !host.starts_with('*') && route.hostnames.iter().any(|name| **name == *host) {
        return 0;
    }
    let wide = route.hostnames.iter().filter(|name| ***name == *host || takes(name, host));
    let length = |name: &Name| u32::try_from(name.len()).unwrap_or(NONE);
    wide.map(length).max().map_or(NONE, |longest| NONE - longest)
}

/// Gateway API, `HTTPRouteRule.matches`: exact path, then longest prefix, then method, then most headers, then most
/// query parameters; of a GRPCRoute (`GRPCRouteRule.matches`) most characters of the service, then of the method, then most
/// headers. Regular expressions, whose place the specification leaves open, stand between exact and prefix, the longer
/// one first, as Envoy Gateway sorts them. At equal counts an exact header does not come before an expression, as it does there
/// (envoyproxy/gateway#5736): "the FIRST matching rule (in list order)" leaves no choice. Smallest first.
pub(super) fn precedence(kind: RouteKind, m: &RouteMatch) -> [u32; 5] {
    let desc = |n: usize| u32::MAX - u32::try_from(n).unwrap_or(u32::MAX);
    let headers = desc(m.headers.len());
    match kind {
        // One rule that takes everything.
        RouteKind::Tls | RouteKind::Tcp | RouteKind::Udp => [0; 5],
        RouteKind::Http => {
            let (class, length) = match &m.path {
                PathMatch::Exact(path) => (0, path.len()),
                PathMatch::Regex(path) => (1, path.len()),
                PathMatch::Prefix(path) => (2, path.len()),
            };
            [class, desc(length), u32::from(m.method.is_none()), headers, desc(m.query.len())]
        }
        RouteKind::Grpc => {
            let (class, service, method) = match &m.path {
                PathMatch::Exact(path) => {
                    let (service, method) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
                    (0, service.len(), method.len())
                }
                // A method alone is an expression here only; its own expression would stand in a group.
                PathMatch::Regex(path) => match path.strip_prefix(ANY_SERVICE) {
                    Some(method) if !method.starts_with("(?:") => (2, 0, method.len()),
                    _ => (1, path.len(), 0),
                },
                PathMatch::Prefix(path) => (2, path.len() - 1, 0),
            };
            [class, desc(service), desc(method), headers, 0]
        }
    }
}
