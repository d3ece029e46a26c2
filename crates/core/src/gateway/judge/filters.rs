//! Filters, weights and timeouts: what closes the whole rule.

use portolan_model::{
    input::{Filter, HeaderChange, PathChange, PathMatch, Redirect, RouteRule},
    intake::hostname,
};

use super::{
    Wrong, cors, headers,
    text::{HEADER_BYTES, breaks, shown},
    traffic,
};

/// What of a rule cannot be expressed, one finding a filter or field.
pub(super) fn judge(rule: &RouteRule) -> Vec<Wrong> {
    let mut found = Vec::new();
    for (at, filter) in rule.filters.iter().enumerate() {
        found.extend(one(filter, rule, &format!("filters[{at}]")));
    }
    found.extend(count(&rule.filters.iter(), "filters"));
    found.extend(twice(&rule.filters, "filters"));
    let path = |filter: &Filter| matches!(filter, Filter::Rewrite { path: Some(_), .. });
    let rewrites = rule.filters.iter().any(path);
    for (at, backend) in rule.backends.iter().enumerate() {
        let field = format!("backendRefs[{at}].filters");
        for (position, filter) in backend.filters.iter().enumerate() {
            found.extend(one(filter, rule, &format!("{field}[{position}]")));
        }
        // Those of a backend that has a route of its own stand in it with those of the rule.
        let before = rule.filters.iter().filter(|_| backend.filters.iter().any(is_whole));
        found.extend(count(&before.chain(&backend.filters), &field));
        found.extend(twice(&backend.filters, &field));
        if rewrites && backend.filters.iter().any(path) {
            let hint = "rewrite the path in the rule or in its backends, not in both";
            found.push(Wrong::new(field, "the rule rewrites the path too", hint));
        }
    }
    // Envoy adds them up in 32 bits.
    let sum: u64 = rule.backends.iter().map(|backend| u64::from(backend.weight)).sum();
    if sum > u64::from(u32::MAX) {
        let message = format!("the weights add up to {sum}, and Envoy takes {}", u32::MAX);
        found.push(Wrong::new("backendRefs", message, "use weights of at most 1000000"));
    }
    found.extend(rule.traffic.iter().flat_map(|one| traffic::judge(one)));
    found
}

/// Whether a filter concerns a whole route: a backend with one has a route of its own (`envoy/src/encode/routes.rs`).
const fn is_whole(filter: &Filter) -> bool {
    !matches!(filter, Filter::RequestHeaders(_) | Filter::ResponseHeaders(_) | Filter::Unsupported(_))
}

/// Filters of which only one is applied (Gateway API, `HTTPRouteRule.filters`: each may stand once).
fn twice(filters: &[Filter], field: &str) -> Vec<Wrong> {
    let more = |what: fn(&Filter) -> bool| filters.iter().filter(|f| what(f)).count() > 1;
    let all = [
        ("URLRewrite", more(|f| matches!(f, Filter::Rewrite { .. }))),
        ("RequestRedirect", more(|f| matches!(f, Filter::Redirect(_)))),
        ("CORS", more(|f| matches!(f, Filter::Cors(_)))),
    ];
    let wrong =
        |name: &str| Wrong::new(field, format!("{name} stands twice in one list"), "keep one of them");
    all.into_iter().filter(|(_, repeated)| *repeated).map(|(name, _)| wrong(name)).collect()
}

fn count<'a>(filters: &(impl Iterator<Item = &'a Filter> + Clone), field: &str) -> Option<Wrong> {
    let changes = |wanted: fn(&Filter) -> Option<&HeaderChange>| {
        headers::count(filters.clone().filter_map(wanted), field)
    };
    changes(|f| if let Filter::RequestHeaders(change) = f { Some(change) } else { None })
        .or_else(|| changes(|f| if let Filter::ResponseHeaders(change) = f { Some(change) } else { None }))
}

fn one(filter: &Filter, rule: &RouteRule, field: &str) -> Option<Wrong> {
    match filter {
        Filter::RequestHeaders(change) => {
            let field = format!("{field}.requestHeaderModifier");
            headers::judge(change, &field).or_else(|| headers::orders(change, &field))
        }
        Filter::ResponseHeaders(change) => headers::judge(change, &format!("{field}.responseHeaderModifier")),
        Filter::Redirect(redirect) => self::redirect(redirect, rule, &format!("{field}.requestRedirect")),
        Filter::Rewrite { hostname, path } => {
            let field = format!("{field}.urlRewrite");
            let path = path.as_ref().and_then(|path| change(path, rule, &format!("{field}.path"), false));
            hostname.as_ref().and_then(|name| host(name, &format!("{field}.hostname"))).or(path)
        }
        Filter::Mirror { parts_per_million, .. } => (*parts_per_million > 1_000_000).then(|| {
            let hint = "use a percent from 0 to 100, or a numerator that is not above its denominator";
            Wrong::new(format!("{field}.requestMirror"), "the share of requests to copy is no share", hint)
        }),
        Filter::Cors(one) => cors::judge(one, &format!("{field}.cors")),
        // Named where it was read.
        Filter::Unsupported(_) => None,
    }
}

fn redirect(redirect: &Redirect, rule: &RouteRule, field: &str) -> Option<Wrong> {
    if let Some(scheme) = redirect.scheme.as_ref().filter(|scheme| !matches!(&***scheme, "http" | "https")) {
        let message = format!("{} is no scheme to redirect to", shown(scheme));
        return Some(Wrong::new(format!("{field}.scheme"), message, "use http or https"));
    }
    if ![301, 302, 303, 307, 308].contains(&redirect.status) {
        let message = "this is no status of a redirect";
        return Some(Wrong::new(format!("{field}.statusCode"), message, "use 301, 302, 303, 307 or 308"));
    }
    let path = redirect.path.as_ref().and_then(|path| change(path, rule, &format!("{field}.path"), true));
    redirect.hostname.as_ref().and_then(|name| host(name, &format!("{field}.hostname"))).or(path)
}

/// `PreciseHostname`: no wildcard, no port, no address.
fn host(name: &str, field: &str) -> Option<Wrong> {
    let precise = hostname(name).is_some_and(|lower| !lower.starts_with("*."));
    let message = format!("{} is not a hostname", shown(name));
    (!precise).then(|| Wrong::new(field, message, "write a DNS name such as app.example.com, without a port"))
}

fn change(path: &PathChange, rule: &RouteRule, field: &str, redirect: bool) -> Option<Wrong> {
    let (text, name) = match path {
        PathChange::Full(text) => (text, "replaceFullPath"),
        PathChange::Prefix(text) => (text, "replacePrefixMatch"),
    };
    let field = format!("{field}.{name}");
    let prefix = matches!(path, PathChange::Prefix(_));
    if prefix && rule.matches.iter().any(|m| !matches!(m.path, PathMatch::Prefix(_))) {
        let message = "replacePrefixMatch needs matches of type PathPrefix: no other has a prefix to replace";
        return Some(Wrong::new(field, message, "match by PathPrefix, or use replaceFullPath"));
    }
    // An empty prefix stands for `/`.
    let rooted = text.starts_with('/') || prefix && text.is_empty();
    if !rooted {
        let message = format!("the path {} does not begin with a slash", shown(text));
        return Some(Wrong::new(field, message, "begin it with a slash"));
    }
    let cut = |c: char| breaks(c) || c == '\t' || c == ' ' || c == '#' || c == '?' && (prefix || !redirect);
    if let Some(c) = text.chars().find(|c| cut(*c)) {
        let message = format!("the path {} has {c:?}, which a path cannot have", shown(text));
        return Some(Wrong::new(field, message, "write it percent-encoded, without query and fragment"));
    }
    // Backslashes are doubled where the path goes into a substitution.
    let message = format!("the path has {} bytes, more than a request can have", text.len());
    (text.len() > HEADER_BYTES).then(|| Wrong::new(field, message, "shorten it"))
}
