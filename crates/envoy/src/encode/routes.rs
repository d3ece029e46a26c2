//! Single routes.

use envoy_types::pb::{
    envoy::{
        config::{
            core::v3::{
                HeaderValue, HeaderValueOption, RuntimeFractionalPercent,
                header_value_option::HeaderAppendAction,
            },
            route::v3::{
                DirectResponseAction, HeaderMatcher, QueryParameterMatcher, RedirectAction, Route,
                RouteAction, RouteMatch, WeightedCluster as EnvoyWeighted,
                header_matcher::HeaderMatchSpecifier,
                query_parameter_matcher::QueryParameterMatchSpecifier,
                redirect_action::{PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier},
                route::Action,
                route_action::{
                    ClusterNotFoundResponseCode, ClusterSpecifier, HostRewriteSpecifier, RequestMirrorPolicy,
                },
                route_match::PathSpecifier,
                weighted_cluster::ClusterWeight,
            },
        },
        r#type::{
            matcher::v3::{
                RegexMatchAndSubstitute, RegexMatcher, StringMatcher, string_matcher::MatchPattern,
            },
            v3::{FractionalPercent, fractional_percent::DenominatorType},
        },
    },
    google::protobuf::{Duration, UInt32Value},
};
use portolan_core::gateway::rows::RouteEntry;
use portolan_model::{
    RouteKind,
    input::{Filter, HeaderChange, PathChange, PathMatch, Redirect, RouteMatch as Wanted},
};

/// Name of a cluster that never exists: the share of a rule whose backends do not resolve goes there and gets an error.
pub(super) const UNRESOLVED: &str = "unresolved";

/// What a rule answers where it cannot be served: 500, or of a GRPCRoute 503, which Envoy turns into the gRPC status
/// UNAVAILABLE for a gRPC request (Gateway API, `GRPCRouteRule.backendRefs`; Envoy, `Grpc::Utility::httpToGrpcStatus`).
fn unserved(entry: &RouteEntry) -> (u32, ClusterNotFoundResponseCode) {
    match entry.route.kind {
        RouteKind::Http => (500, ClusterNotFoundResponseCode::InternalServerError),
        RouteKind::Grpc => (503, ClusterNotFoundResponseCode::ServiceUnavailable),
    }
}

/// A rule that Envoy does not take as it is: what it matches gets an error.
pub(super) fn refused(entry: &RouteEntry) -> Route {
    Route {
        name: entry.route.to_string(),
        r#match: Some(route_match(&entry.r#match)),
        action: Some(direct(unserved(entry).0)),
        ..Default::default()
    }
}

/// The route of an entry under a hostname (`*` for any, `*.x`).
pub(super) fn route(host: &str, entry: &RouteEntry) -> Route {
    let mut made = Route {
        name: entry.route.to_string(),
        r#match: Some(route_match(&entry.r#match)),
        action: Some(action(host, entry)),
        ..Default::default()
    };
    for filter in &entry.filters {
        match filter {
            Filter::RequestHeaders(change) => {
                made.request_headers_to_add.extend(header_values(change));
                made.request_headers_to_remove.extend(change.remove.iter().map(ToString::to_string));
            }
            Filter::ResponseHeaders(change) => {
                made.response_headers_to_add.extend(header_values(change));
                made.response_headers_to_remove.extend(change.remove.iter().map(ToString::to_string));
            }
            _ => {}
        }
    }
    made
}

fn header_values(change: &HeaderChange) -> Vec<HeaderValueOption> {
    let option =
        |(name, value): &(portolan_model::Name, String), action: HeaderAppendAction| HeaderValueOption {
            header: Some(HeaderValue {
                key: name.to_string(),
                // `%` begins a substitution in Envoy's formatter.
                value: value.replace('%', "%%"),
                ..Default::default()
            }),
            append_action: action as i32,
            // Without it Envoy passes over an empty value, and what the client sent stays.
            keep_empty_value: value.is_empty(),
            ..Default::default()
        };
    let set = change.set.iter().map(|pair| option(pair, HeaderAppendAction::OverwriteIfExistsOrAdd));
    let add = change.add.iter().map(|pair| option(pair, HeaderAppendAction::AppendIfExistsOrAdd));
    set.chain(add).collect()
}

fn regex(text: &str) -> RegexMatcher {
    RegexMatcher { regex: text.to_owned(), ..Default::default() }
}

fn text(value: &str, is_regex: bool) -> StringMatcher {
    StringMatcher {
        match_pattern: Some(if is_regex {
            MatchPattern::SafeRegex(regex(value))
        } else {
            MatchPattern::Exact(value.to_owned())
        }),
        ..Default::default()
    }
}

fn header(name: &str, value: &str, is_regex: bool) -> HeaderMatcher {
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(text(value, is_regex))),
        ..Default::default()
    }
}

fn route_match(wanted: &Wanted) -> RouteMatch {
    let path = match &wanted.path {
        PathMatch::Exact(path) => PathSpecifier::Path(path.to_string()),
        PathMatch::Prefix(path) if &**path == "/" => PathSpecifier::Prefix("/".into()),
        PathMatch::Prefix(path) => PathSpecifier::PathSeparatedPrefix(path.to_string()),
        PathMatch::Regex(path) => PathSpecifier::SafeRegex(regex(path)),
    };
    let mut headers: Vec<HeaderMatcher> =
        wanted.method.iter().map(|method| header(":method", method, false)).collect();
    headers.extend(wanted.headers.iter().map(|h| header(&h.name, &h.value, h.regex)));
    RouteMatch {
        headers,
        query_parameters: wanted
            .query
            .iter()
            .map(|q| QueryParameterMatcher {
                name: q.name.to_string(),
                query_parameter_match_specifier: Some(QueryParameterMatchSpecifier::StringMatch(text(
                    &q.value, q.regex,
                ))),
            })
            .collect(),
        path_specifier: Some(path),
        ..Default::default()
    }
}

pub(super) fn direct(status: u32) -> Action {
    Action::DirectResponse(DirectResponseAction { status, ..Default::default() })
}

fn action(host: &str, entry: &RouteEntry) -> Action {
    let (status, missing) = unserved(entry);
    if entry.filters.iter().any(|f| matches!(f, Filter::Unsupported(_))) {
        return direct(status);
    }
    if let Some(redirect) = entry.filters.iter().find_map(|f| match f {
        Filter::Redirect(redirect) => Some(redirect),
        _ => None,
    }) {
        return Action::Redirect(redirect_action(host, entry, redirect));
    }
    let total: u64 =
        entry.clusters.iter().map(|c| u64::from(c.weight)).sum::<u64>() + u64::from(entry.invalid_weight);
    if total == 0 {
        return direct(status);
    }
    let mut made = RouteAction {
        cluster_not_found_response_code: missing as i32,
        timeout: Some(timeout(entry).map_or_else(Duration::default, millis)),
        idle_timeout: idle_timeout(entry).map(millis),
        cluster_specifier: Some(cluster_specifier(entry)),
        request_mirror_policies: entry
            .mirrors
            .iter()
            .map(|(cluster, parts)| mirror(cluster, *parts))
            .collect(),
        ..Default::default()
    };
    for filter in &entry.filters {
        if let Filter::Rewrite { hostname, path } = filter {
            if let Some(host) = hostname {
                made.host_rewrite_specifier =
                    Some(HostRewriteSpecifier::HostRewriteLiteral(host.to_string()));
            }
            match path {
                Some(PathChange::Full(full)) => {
                    made.regex_rewrite = Some(substitute("^/.*$", full));
                }
                Some(PathChange::Prefix(to)) => match prefix_rewrite(&entry.r#match.path, to) {
                    Rewrite::Prefix(prefix) => made.prefix_rewrite = prefix,
                    Rewrite::Regex(regex) => made.regex_rewrite = Some(regex),
                },
                None => {}
            }
        }
    }
    Action::Route(made)
}

/// The shorter of both: without retries the backend's try is the whole request (Gateway API, `HTTPRouteTimeouts`). Zero
/// switches one off. The specification leaves the default open; Envoy's 15 s would cut long answers, so there is none.
fn timeout(entry: &RouteEntry) -> Option<u64> {
    [entry.request_timeout, entry.backend_timeout].into_iter().flatten().filter(|ms| *ms > 0).min()
}

/// How long a stream may be silent. Envoy's default of five minutes would cut what the rule allows: a timeout that is
/// switched off switches this off, and a long one makes it as long (Envoy Gateway, `idleTimeout`).
fn idle_timeout(entry: &RouteEntry) -> Option<u64> {
    const HOUR: u64 = 3_600_000;
    match timeout(entry) {
        Some(ms) => Some(ms.max(HOUR)),
        None => entry.request_timeout.or(entry.backend_timeout).map(|_| 0),
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
            let mut made = ClusterWeight {
                name: c.cluster.to_string(),
                weight: Some(UInt32Value { value: c.weight }),
                ..Default::default()
            };
            for filter in &c.filters {
                match filter {
                    Filter::RequestHeaders(change) => {
                        made.request_headers_to_add.extend(header_values(change));
                        made.request_headers_to_remove.extend(change.remove.iter().map(ToString::to_string));
                    }
                    Filter::ResponseHeaders(change) => {
                        made.response_headers_to_add.extend(header_values(change));
                        made.response_headers_to_remove.extend(change.remove.iter().map(ToString::to_string));
                    }
                    // Not served on a backend: that share must not pass without its filter.
                    _ => UNRESOLVED.clone_into(&mut made.name),
                }
            }
            made
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

fn mirror(cluster: &str, parts: u32) -> RequestMirrorPolicy {
    RequestMirrorPolicy {
        cluster: cluster.to_owned(),
        runtime_fraction: Some(RuntimeFractionalPercent {
            default_value: Some(FractionalPercent {
                numerator: parts,
                denominator: DenominatorType::Million as i32,
            }),
            ..Default::default()
        }),
        // Another cluster tells the copy apart; its Host is what the client wrote.
        disable_shadow_host_suffix_append: true,
        ..Default::default()
    }
}

fn substitute(pattern: &str, to: &str) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute {
        pattern: Some(regex(pattern)),
        // A backslash begins a group reference in RE2 substitutions.
        substitution: to.replace('\\', "\\\\"),
    }
}

enum Rewrite {
    Prefix(String),
    Regex(RegexMatchAndSubstitute),
}

/// Replaces the matched prefix so that exactly one slash stands at the seam (Gateway API, `HTTPPathModifier` table).
fn prefix_rewrite(matched: &PathMatch, to: &str) -> Rewrite {
    let to = to.trim_end_matches('/');
    match matched {
        PathMatch::Prefix(path) if &**path == "/" => Rewrite::Prefix(format!("{to}/")),
        PathMatch::Prefix(path) if to.is_empty() => {
            let escaped: String = path
                .chars()
                .flat_map(|c| if c.is_alphanumeric() || c == '/' { vec![c] } else { vec!['\\', c] })
                .collect();
            Rewrite::Regex(substitute(&format!("^{escaped}/*"), "/"))
        }
        _ => Rewrite::Prefix(to.to_owned()),
    }
}

fn redirect_action(host: &str, entry: &RouteEntry, redirect: &Redirect) -> RedirectAction {
    let scheme = redirect.scheme.as_deref().unwrap_or(if entry.https { "https" } else { "http" });
    let known = if scheme == "https" { 443 } else { 80 };
    let written =
        redirect.port.unwrap_or(if redirect.scheme.is_some() { known } else { entry.listener_port });
    let bound = entry.moved_ports.get(&written).copied().unwrap_or(written);
    // Without a port of its own Envoy keeps that of the request's Host, whatever it is. A wildcard has no name to write.
    let same = (bound == known && !host.starts_with('*')).then_some(host);
    let mut made = RedirectAction {
        host_redirect: redirect.hostname.as_deref().or(same).unwrap_or_default().to_owned(),
        port_redirect: if bound == known { 0 } else { u32::from(bound) },
        response_code: match redirect.status {
            301 => RedirectResponseCode::MovedPermanently,
            303 => RedirectResponseCode::SeeOther,
            307 => RedirectResponseCode::TemporaryRedirect,
            308 => RedirectResponseCode::PermanentRedirect,
            _ => RedirectResponseCode::Found,
        } as i32,
        scheme_rewrite_specifier: Some(SchemeRewriteSpecifier::SchemeRedirect(scheme.to_owned())),
        ..Default::default()
    };
    made.path_rewrite_specifier = redirect.path.as_ref().map(|path| match path {
        PathChange::Full(full) => PathRewriteSpecifier::PathRedirect(full.to_string()),
        PathChange::Prefix(to) => match prefix_rewrite(&entry.r#match.path, to) {
            Rewrite::Prefix(prefix) => PathRewriteSpecifier::PrefixRewrite(prefix),
            Rewrite::Regex(regex) => PathRewriteSpecifier::RegexRewrite(regex),
        },
    });
    made
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn an_empty_value_takes_the_place_of_what_the_client_sent() {
        let set = vec![("x-user".into(), String::new()), ("x-a".into(), "a".into())];
        let made = header_values(&HeaderChange { set, ..Default::default() });
        assert_eq!(made.iter().map(|option| option.keep_empty_value).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn the_shorter_timeout_and_an_idle_timeout_that_cuts_none() {
        let entry = |request_timeout, backend_timeout| RouteEntry {
            route: portolan_model::RouteKey {
                kind: RouteKind::Http,
                name: portolan_model::NamespacedName::new("ns", "r"),
            },
            rule: 0,
            r#match: Wanted {
                path: PathMatch::Prefix("/".into()),
                method: None,
                headers: vec![],
                query: vec![],
            },
            filters: vec![],
            clusters: vec![],
            invalid_weight: 0,
            request_timeout,
            backend_timeout,
            mirrors: vec![],
            moved_ports: BTreeMap::new(),
            https: false,
            listener_port: 80,
        };
        for (request, backend, held, idle) in [
            (None, None, None, None),
            (Some(0), None, None, Some(0)),
            (Some(0), Some(0), None, Some(0)),
            (Some(10_000), Some(1000), Some(1000), Some(HOUR)),
            (Some(1000), Some(10_000), Some(1000), Some(HOUR)),
            (Some(0), Some(1000), Some(1000), Some(HOUR)),
            (Some(900_000), None, Some(900_000), Some(HOUR)),
            (None, Some(2 * HOUR), Some(2 * HOUR), Some(2 * HOUR)),
        ] {
            let entry = entry(request, backend);
            assert_eq!((timeout(&entry), idle_timeout(&entry)), (held, idle), "{request:?} {backend:?}");
        }
    }
}
