//! Routes of Envoy: what becomes of a rule at a hostname.

mod headers;
mod matches;
mod paths;
mod policies;

use envoy_types::pb::{
    envoy::{
        config::{
            core::v3::RuntimeFractionalPercent,
            route::v3::{
                DirectResponseAction, Route, RouteAction, WeightedCluster as EnvoyWeighted,
                route::Action,
                route_action::{ClusterNotFoundResponseCode, ClusterSpecifier, RequestMirrorPolicy},
                weighted_cluster::ClusterWeight,
            },
        },
        r#type::v3::{FractionalPercent, fractional_percent::DenominatorType},
    },
    google::protobuf::{Any, Duration, UInt32Value},
};
use portolan_core::gateway::rows::{RouteEntry, WeightedCluster};
use portolan_model::{
    Name, RouteKind,
    input::{Filter, RouteMatch, Traffic, ValueMatch},
};
use prost::Message as _;

use self::{headers::Headers, matches::route_match};
use super::bytes::{field, only};

/// Name of a cluster that never exists: the share of a rule whose backends do not resolve goes there and gets an error.
pub(super) const UNRESOLVED: &str = "unresolved";

/// An encoded route.
pub(super) type Encoded = Vec<u8>;

/// What a rule answers where it cannot be served: 500, or of a GRPCRoute 503, which Envoy turns into the gRPC status
/// UNAVAILABLE for a gRPC request (Gateway API, `GRPCRouteRule.backendRefs`; Envoy, `Grpc::Utility::httpToGrpcStatus`).
fn unserved(entry: &RouteEntry) -> (u32, ClusterNotFoundResponseCode) {
    match entry.route.kind {
        // Others have no requests.
        RouteKind::Http | RouteKind::Tls | RouteKind::Tcp | RouteKind::Udp => {
            (500, ClusterNotFoundResponseCode::InternalServerError)
        }
        RouteKind::Grpc => (503, ClusterNotFoundResponseCode::ServiceUnavailable),
    }
}

/// A rule that Envoy does not take as it is: what it matches gets an error.
pub(super) fn refused(entry: &RouteEntry) -> Vec<Encoded> {
    let made = Route {
        name: entry.route.to_string(),
        r#match: Some(route_match(&entry.r#match)),
        action: Some(direct(unserved(entry).0)),
        ..Default::default()
    };
    vec![made.encode_to_vec()]
}

/// The routes of an entry under a hostname (`*` for any, `*.x`), in the order in which Envoy tries them.
pub(super) fn routes(host: &str, entry: &RouteEntry) -> Vec<Encoded> {
    let mut made = Vec::new();
    for share in shares(entry) {
        made.push(share.route(host, entry, &entry.r#match));
        if let (Some(method), true) = (&entry.r#match.method, share.cors().is_some())
            && &**method != "OPTIONS"
        {
            made.push(share.route(host, entry, &preflight(&entry.r#match, method)));
        }
    }
    made
}

/// The preflight requests for what a match by method takes. Other headers than these a browser does not send with them.
fn preflight(r#match: &RouteMatch, method: &Name) -> RouteMatch {
    let asked =
        ValueMatch { name: "access-control-request-method".into(), value: method.clone(), regex: false };
    RouteMatch { method: Some("OPTIONS".into()), headers: vec![asked], ..r#match.clone() }
}

/// What a part of the requests of a rule is given.
struct Share<'a> {
    /// Filters of the rule, then those of the backend.
    filters: Vec<&'a Filter>,
    mirrors: Vec<&'a (Name, u32)>,
    to: To<'a>,
    /// Which part of the requests that come so far, in parts per million; `None` is all of them.
    part: Option<u32>,
}

enum To<'a> {
    /// All backends by their weights.
    All,
    One(&'a WeightedCluster),
    Nobody,
}

/// A rule is one route, whose backends Envoy chooses by weight, unless a backend has filters that Envoy has for whole routes only:
/// then each backend has a route of its own, that takes its part of the requests. Envoy compares one random number of a
/// request with all of them, so the parts are added up.
fn shares(entry: &RouteEntry) -> Vec<Share<'_>> {
    let whole = |filter: &Filter| {
        !matches!(filter, Filter::RequestHeaders(_) | Filter::ResponseHeaders(_) | Filter::Unsupported(_))
    };
    let filters: Vec<&Filter> = entry.filters.iter().collect();
    let mirrors: Vec<&(Name, u32)> = entry.mirrors.iter().collect();
    let served = entry.clusters.iter().filter(|cluster| cluster.weight > 0);
    if !served.clone().any(|cluster| cluster.filters.iter().any(whole)) {
        return vec![Share { filters, mirrors, to: To::All, part: None }];
    }
    let total = served.clone().map(|c| u64::from(c.weight)).sum::<u64>() + u64::from(entry.invalid_weight);
    let mut before = 0;
    let mut made: Vec<Share<'_>> = served
        .map(|cluster| {
            before += u64::from(cluster.weight);
            let part = u32::try_from(before * 1_000_000 / total).unwrap_or(1_000_000);
            Share {
                filters: filters.iter().copied().chain(&cluster.filters).collect(),
                mirrors: mirrors.iter().copied().chain(&cluster.mirrors).collect(),
                to: To::One(cluster),
                part: Some(part),
            }
        })
        .collect();
    if entry.invalid_weight > 0 {
        made.push(Share { filters, mirrors, to: To::Nobody, part: None });
    }
    if let Some(last) = made.last_mut() {
        last.part = None;
    }
    made
}

impl Share<'_> {
    fn cors(&self) -> Option<&portolan_model::input::Cors> {
        self.filters.iter().rev().find_map(|filter| match filter {
            Filter::Cors(cors) => Some(&**cors),
            _ => None,
        })
    }

    fn route(&self, host: &str, entry: &RouteEntry, wanted: &RouteMatch) -> Encoded {
        let mut r#match = route_match(wanted);
        r#match.runtime_fraction = self.part.map(million);
        let (request, response) = Headers::of(self.filters.iter().copied());
        let mut made = Route {
            name: entry.route.to_string(),
            r#match: Some(r#match),
            action: Some(self.action(host, entry)),
            request_headers_to_add: request.add,
            request_headers_to_remove: request.remove,
            response_headers_to_add: response.add,
            response_headers_to_remove: response.remove,
            ..Default::default()
        }
        .encode_to_vec();
        let session = entry.traffic.as_ref().and_then(|traffic| traffic.session.as_ref());
        let configs = [
            self.cors().map(|cors| ("envoy.filters.http.cors", policies::cors(cors))),
            session.map(|one| ("envoy.filters.http.stateful_session", policies::session(entry, one))),
        ];
        for (name, config) in configs.into_iter().flatten() {
            filter_config(name, &config, &mut made);
        }
        made
    }

    fn action(&self, host: &str, entry: &RouteEntry) -> Action {
        let (status, missing) = unserved(entry);
        if self.filters.iter().any(|f| matches!(f, Filter::Unsupported(_))) {
            return direct(status);
        }
        if let Some(redirect) = self.filters.iter().find_map(|f| match f {
            Filter::Redirect(redirect) => Some(redirect),
            _ => None,
        }) {
            return Action::Redirect(paths::redirect_action(host, entry, redirect));
        }
        let total: u64 =
            entry.clusters.iter().map(|c| u64::from(c.weight)).sum::<u64>() + u64::from(entry.invalid_weight);
        let cluster = match self.to {
            To::All if total > 0 => cluster_specifier(entry),
            To::One(cluster) => ClusterSpecifier::Cluster(cluster.cluster.to_string()),
            _ => return direct(status),
        };
        let traffic = entry.traffic.as_deref();
        let retry = traffic.and_then(|traffic| {
            policies::retry(traffic.retry.as_ref()?, traffic.backend_timeout.filter(|ms| *ms > 0))
        });
        let mut made = RouteAction {
            cluster_not_found_response_code: missing as i32,
            timeout: Some(traffic.and_then(timeout).map_or_else(Duration::default, millis)),
            idle_timeout: traffic.and_then(idle_timeout).map(millis),
            cluster_specifier: Some(cluster),
            request_mirror_policies: self
                .mirrors
                .iter()
                .map(|(cluster, parts)| mirror(cluster, *parts))
                .collect(),
            retry_policy: retry,
            ..Default::default()
        };
        for filter in &self.filters {
            if let Filter::Rewrite { hostname, path } = filter {
                paths::rewrite(&mut made, &entry.r#match.path, hostname.as_deref(), path.as_ref());
            }
        }
        Action::Route(made)
    }
}

/// Number of the field `Route.typed_per_filter_config`.
const FILTER_CONFIG: u32 = 13;

/// An entry of that map, which the generated type would bring in any order.
fn filter_config(name: &str, config: &Any, route: &mut Encoded) {
    let mut entry = only(1, name.as_bytes());
    field(2, &config.encode_to_vec(), &mut entry);
    field(FILTER_CONFIG, &entry, route);
}

pub(super) fn direct(status: u32) -> Action {
    Action::DirectResponse(DirectResponseAction { status, ..Default::default() })
}

/// The time of the whole request. Without retries the backend's try is the whole request (Gateway API, `HTTPRouteTimeouts`), so it
/// is the shorter of both. Zero switches one off. The specification leaves the default open; Envoy's 15 s would cut long
/// answers, so there is none.
fn timeout(traffic: &Traffic) -> Option<u64> {
    let retries = traffic.retry.as_ref().is_some_and(|retry| retry.attempts > 0);
    let tries = traffic.backend_timeout.filter(|_| !retries);
    [traffic.request_timeout, tries].into_iter().flatten().filter(|ms| *ms > 0).min()
}

/// How long a stream may be silent. Envoy's default of five minutes would cut what the rule allows: a timeout that is
/// switched off switches this off, and a long one makes it as long (Envoy Gateway, `idleTimeout`).
fn idle_timeout(traffic: &Traffic) -> Option<u64> {
    const HOUR: u64 = 3_600_000;
    match timeout(traffic).or(traffic.backend_timeout.filter(|ms| *ms > 0)) {
        Some(ms) => Some(ms.max(HOUR)),
        None => traffic.request_timeout.or(traffic.backend_timeout).map(|_| 0),
    }
}

fn millis(ms: u64) -> Duration {
    Duration {
        seconds: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(ms % 1000 * 1_000_000).unwrap_or(0),
    }
}

/// One backend that takes everything costs Envoy less by its name than as the only share of several.
fn cluster_specifier(entry: &RouteEntry) -> ClusterSpecifier {
    let mut shares = entry.clusters.iter().filter(|c| c.weight > 0);
    match (shares.next(), shares.next()) {
        (Some(only), None) if only.filters.is_empty() && entry.invalid_weight == 0 => {
            ClusterSpecifier::Cluster(only.cluster.to_string())
        }
        _ => ClusterSpecifier::WeightedClusters(weighted(entry)),
    }
}

fn weighted(entry: &RouteEntry) -> EnvoyWeighted {
    let mut clusters: Vec<ClusterWeight> = entry
        .clusters
        .iter()
        .map(|c| {
            let (request, response) = Headers::of(&c.filters);
            // That share must not pass without a filter that is not served.
            let closed = c.filters.iter().any(|filter| matches!(filter, Filter::Unsupported(_)));
            ClusterWeight {
                name: if closed { UNRESOLVED.to_owned() } else { c.cluster.to_string() },
                weight: Some(UInt32Value { value: c.weight }),
                request_headers_to_add: request.add,
                request_headers_to_remove: request.remove,
                response_headers_to_add: response.add,
                response_headers_to_remove: response.remove,
                ..Default::default()
            }
        })
        .collect();
    if entry.invalid_weight > 0 {
        clusters.push(ClusterWeight {
            name: UNRESOLVED.into(),
            weight: Some(UInt32Value { value: entry.invalid_weight }),
            ..Default::default()
        });
    }
    EnvoyWeighted { clusters, ..Default::default() }
}

/// A part of all requests.
fn million(parts: u32) -> RuntimeFractionalPercent {
    RuntimeFractionalPercent {
        default_value: Some(FractionalPercent {
            numerator: parts,
            denominator: DenominatorType::Million as i32,
        }),
        ..Default::default()
    }
}

fn mirror(cluster: &str, parts: u32) -> RequestMirrorPolicy {
    RequestMirrorPolicy {
        cluster: cluster.to_owned(),
        runtime_fraction: Some(million(parts)),
        // Another cluster tells the copy apart; its Host is what the client wrote.
        disable_shadow_host_suffix_append: true,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use portolan_model::input::Retry;

    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn the_shorter_timeout_and_an_idle_timeout_that_cuts_none() {
        for (request_timeout, backend_timeout, held, idle) in [
            (None, None, None, None),
            (Some(0), None, None, Some(0)),
            (Some(0), Some(0), None, Some(0)),
            (Some(10_000), Some(1000), Some(1000), Some(HOUR)),
            (Some(1000), Some(10_000), Some(1000), Some(HOUR)),
            (Some(0), Some(1000), Some(1000), Some(HOUR)),
            (Some(900_000), None, Some(900_000), Some(HOUR)),
            (None, Some(2 * HOUR), Some(2 * HOUR), Some(2 * HOUR)),
        ] {
            let traffic = Traffic { request_timeout, backend_timeout, ..Default::default() };
            let is = (timeout(&traffic), idle_timeout(&traffic));
            assert_eq!(is, (held, idle), "{request_timeout:?} {backend_timeout:?}");
        }
    }

    #[test]
    fn with_retries_the_time_of_a_try_is_not_that_of_the_request() {
        let traffic = |attempts, request_timeout| Traffic {
            request_timeout,
            backend_timeout: Some(1000),
            retry: Some(Retry { codes: vec![], attempts, backoff: None }),
            session: None,
        };
        assert_eq!(timeout(&traffic(2, Some(5000))), Some(5000));
        assert_eq!(timeout(&traffic(2, None)), None);
        assert_eq!(idle_timeout(&traffic(2, None)), Some(HOUR));
        assert_eq!(timeout(&traffic(0, Some(5000))), Some(1000));
        let retry = Retry { codes: vec![500], attempts: 2, backoff: None };
        let made =
            policies::retry(&retry, Some(1000)).map(|policy| (policy.retry_on, policy.per_try_timeout));
        let on = "connect-failure,refused-stream,reset-before-request,retriable-status-codes".to_owned();
        assert_eq!(made, Some((on, Some(millis(1000)))));
        assert_eq!(policies::retry(&Retry { attempts: 0, ..retry }, None), None);
    }
}
