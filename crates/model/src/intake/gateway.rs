//! Gateway API, core kinds it refers to, and kinds that restrict traffic.

use super::node::{Node, Root};
use crate::{
    Kind, LabelSelector, Name, NamespacedName, RouteKey, RouteKind, Severity,
    input::{
        ANY_SERVICE, AllowedNamespaces, BackendRef, BackendTarget, Filter, Gateway, GatewayClass,
        HeaderChange, LabelExpression, LabelOperator, LeftOut, Listener, ListenerTls, Namespace, ParentRef,
        PathChange, PathMatch, Protocol, Redirect, ReferenceGrant, Route, RouteMatch, RouteRule, ValueMatch,
    },
    re2,
};

const GATEWAY: &str = "gateway.networking.k8s.io";

pub(super) fn namespace(root: &mut Root<'_>) -> Namespace {
    let name = root.object.key.name.name.clone();
    let mut labels = root.labels();
    labels.insert("kubernetes.io/metadata.name".into(), name.clone());
    Namespace { name, labels }
}

pub(super) fn class(root: &mut Root<'_>) -> GatewayClass {
    let spec = root.spec();
    GatewayClass {
        name: root.object.key.name.name.clone(),
        controller: spec.get("controllerName").name(),
        generation: root.object.generation(),
        annotations: root.edge_annotations(),
    }
}

pub(super) fn gateway(root: &mut Root<'_>) -> Gateway {
    let spec = root.spec();
    let listeners = spec.get("listeners").items().iter().filter_map(|node| listener(root, node)).collect();
    Gateway {
        key: root.object.key.name.clone(),
        generation: root.object.generation(),
        class: spec.get("gatewayClassName").name(),
        listeners,
        addresses: spec
            .get("addresses")
            .items()
            .iter()
            .map(|node| (node.get("type").name_or("IPAddress"), node.get("value").name()))
            .collect(),
        labels: root.labels(),
        annotations: root.annotations(),
    }
}

fn listener(root: &mut Root<'_>, node: &Node<'_>) -> Option<Listener> {
    let port = node.get("port").required_port();
    let name = node.get("name");
    if name
        .text()
        .and_then(hostname)
        .is_none_or(|lower| Some(&*lower) != name.text() || lower.starts_with('*'))
    {
        let hint = "write lower-case letters, digits and dashes; the listener is left out";
        root.invalid(&name, format!("{} is no name of a listener", shown(&name)), hint);
        return None;
    }
    let written = node.get("hostname");
    let hostname = written.text().and_then(hostname);
    if written.present() && hostname.is_none() {
        // Without a hostname it would take every host: not what was asked for.
        let hint = "write a DNS name such as app.example.com or *.example.com; the listener is left out";
        root.invalid(&written, format!("{} is not a hostname", shown(&written)), hint);
        return None;
    }
    let own = root.object.key.name.namespace.clone();
    let tls = node.get("tls");
    let tls = tls.present().then(|| {
        let (mut certificates, mut unsupported) = (Vec::new(), Vec::new());
        for reference in tls.get("certificateRefs").items() {
            let kind = reference.get("kind").name_or("Secret");
            if kind == "Secret" && reference.get("group").opt().is_none() {
                certificates.push(NamespacedName::new(
                    reference.get("namespace").opt().unwrap_or_else(|| own.clone()),
                    reference.get("name").name(),
                ));
            } else {
                unsupported.push(kind);
            }
        }
        ListenerTls {
            terminate: tls.get("mode").name_or("Terminate") == "Terminate",
            certificates,
            unsupported,
        }
    });
    let allowed = node.get("allowedRoutes");
    let from = match &*allowed.get("namespaces").get("from").name_or("Same") {
        "All" => AllowedNamespaces::All,
        "Same" => AllowedNamespaces::Same,
        "Selector" => {
            let node = allowed.get("namespaces").get("selector");
            if node.present() {
                AllowedNamespaces::Selector(selector(root, &node))
            } else {
                root.invalid(
                    &node,
                    "from Selector needs a selector; no namespace may attach",
                    "add the selector",
                );
                AllowedNamespaces::None
            }
        }
        "None" => AllowedNamespaces::None,
        other => {
            let node = allowed.get("namespaces").get("from");
            let message = format!("from {other} is not known; no namespace may attach");
            root.invalid(&node, message, "use All, Same, Selector or None");
            AllowedNamespaces::None
        }
    };
    Some(Listener {
        name: node.get("name").name(),
        port,
        protocol: match &*node.get("protocol").name() {
            "HTTP" => Protocol::Http,
            "HTTPS" => Protocol::Https,
            other => Protocol::Other(other.into()),
        },
        hostname,
        tls,
        from,
        kinds: allowed
            .get("kinds")
            .items()
            .iter()
            .map(|kind| Kind::new(kind.get("group").name_or(GATEWAY), kind.get("kind").name()))
            .collect(),
    })
}

/// A value in a message, cut where it is long.
fn shown(node: &Node<'_>) -> String {
    let text = node.value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A label selector. What cannot be read in it matches nothing: dropping it would widen the selector.
pub(super) fn selector(root: &mut Root<'_>, node: &Node<'_>) -> LabelSelector {
    let labels = node.get("matchLabels");
    let mut expressions = Vec::new();
    for (key, value) in labels.value.as_object().into_iter().flatten().filter(|(_, v)| !v.is_string()) {
        let message = format!("the label's value is {value}, not text; the selector matches nothing");
        root.invalid(&labels.get(key), message, "put it in quotes");
        expressions.push(LabelExpression {
            key: key.as_str().into(),
            operator: LabelOperator::Unknown,
            values: vec![],
        });
    }
    for e in node.get("matchExpressions").items() {
        let operator = match &*e.get("operator").name() {
            "In" => LabelOperator::In,
            "NotIn" => LabelOperator::NotIn,
            "Exists" => LabelOperator::Exists,
            "DoesNotExist" => LabelOperator::DoesNotExist,
            other => {
                let message = format!("operator {other:?} is not known; the selector matches nothing");
                root.invalid(&e.get("operator"), message, "use In, NotIn, Exists or DoesNotExist");
                LabelOperator::Unknown
            }
        };
        expressions.push(LabelExpression {
            key: e.get("key").name(),
            operator,
            values: e.get("values").names(),
        });
    }
    LabelSelector { labels: labels.map().into_iter().map(|(k, v)| (k, v.into())).collect(), expressions }
}

/// A hostname in lower case, if it is one: RFC 1123 labels, optionally with a leading `*.`; no IP address.
pub fn hostname(text: &str) -> Option<Name> {
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("*.").unwrap_or(&lower);
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let ok = !rest.is_empty()
        && lower.len() <= 253
        && rest.split('.').all(label)
        && rest.parse::<std::net::IpAddr>().is_err();
    ok.then(|| Name::from(lower))
}

pub(super) fn route(root: &mut Root<'_>) -> Route {
    let grpc = root.object.key.kind.kind == "GRPCRoute";
    let spec = root.spec();
    let own = root.object.key.name.namespace.clone();
    let mut hostnames = Vec::new();
    for node in spec.get("hostnames").items() {
        match node.text().and_then(hostname) {
            Some(name) => hostnames.push(name),
            None => root.invalid(
                &node,
                format!("{} is not a hostname", node.value),
                "write a DNS name such as app.example.com or *.example.com; this entry is left out",
            ),
        }
    }
    let mut parents: Vec<ParentRef> =
        spec.get("parentRefs").items().iter().map(|node| reference(node, &own)).collect();
    if hostnames.is_empty() && !spec.get("hostnames").items().is_empty() {
        // Without hostnames a route takes every host of its listener: not what was asked for.
        parents.clear();
    }
    let mut rules: Vec<RouteRule> =
        spec.get("rules").items().iter().map(|node| rule(root, node, &own, grpc)).collect();
    if rules.is_empty() {
        rules.push(RouteRule {
            matches: vec![any()],
            left_out: vec![],
            invalid: vec![],
            filters: vec![],
            backends: vec![],
            request_timeout: None,
            backend_timeout: None,
        });
    }
    Route {
        key: RouteKey {
            kind: if grpc { RouteKind::Grpc } else { RouteKind::Http },
            name: root.object.key.name.clone(),
        },
        generation: root.object.generation(),
        created: root.object.created(),
        hostnames,
        parents,
        rules,
        labels: root.labels(),
        annotations: root.annotations(),
    }
}

/// A parentRef, or the targetRef of a policy.
pub(super) fn reference(node: &Node<'_>, own: &Name) -> ParentRef {
    // Only an absent group stands for ours: the core group is written as the empty text.
    let group = node.get("group").text().map_or_else(|| Name::new(GATEWAY), Name::new);
    ParentRef {
        kind: Kind::new(group, node.get("kind").filled().unwrap_or_else(|| Name::new("Gateway"))),
        name: NamespacedName::new(
            node.get("namespace").filled().unwrap_or_else(|| own.clone()),
            node.get("name").name(),
        ),
        section: node.get("sectionName").filled(),
        port: node.get("port").port(),
    }
}

fn any() -> RouteMatch {
    RouteMatch { path: PathMatch::Prefix("/".into()), method: None, headers: vec![], query: vec![] }
}

fn rule(root: &mut Root<'_>, node: &Node<'_>, own: &Name, grpc: bool) -> RouteRule {
    for field in ["retry", "sessionPersistence"] {
        if node.get(field).present() {
            let hint = "the route works without it; remove it or wait for the release that brings it";
            root.problem(
                205,
                Severity::Warning,
                &node.get(field).path,
                format!("{field} is not served yet and has no effect"),
                hint,
            );
        }
    }
    let before = root.problems.len();
    let (mut matches, mut left_out) = (Vec::new(), Vec::new());
    for (at, m) in node.get("matches").items().into_iter().enumerate() {
        match if grpc { grpc_match(root, &m) } else { http_match(root, &m) } {
            Ok(read) => matches.push(read),
            Err(partly) => {
                let (rest, written) = *partly;
                left_out.push(LeftOut { at, rest, written });
            }
        }
    }
    if matches.is_empty() && node.get("matches").items().is_empty() {
        matches.push(any());
    }
    let invalid = |root: &Root<'_>| {
        root.problems[before..]
            .iter()
            .filter(|p| matches!(p.code.0, 1 | 204))
            .map(|p| p.message.clone())
            .collect()
    };
    let filters = rule_filters(root, &node.get("filters"), own);
    let backends = node.get("backendRefs").items().into_iter().map(|b| BackendRef {
        target: target(&b, own),
        weight: b.get("weight").u32().unwrap_or(1),
        filters: backend_filters(root, &b.get("filters"), own),
    });
    let backends = backends.collect();
    let timeout =
        |field: &str| node.get("timeouts").get(field).millis().and_then(|millis| u64::try_from(millis).ok());
    let (request_timeout, backend_timeout) = (timeout("request"), timeout("backendRequest"));
    let invalid = invalid(root);
    RouteRule { matches, left_out, invalid, filters, backends, request_timeout, backend_timeout }
}

fn regex(root: &mut Root<'_>, node: &Node<'_>) -> bool {
    let wrong = match node.text() {
        None => Some("it is not text".to_owned()),
        Some(text) => re2::check(text).err(),
    };
    if let Some(why) = &wrong {
        let hint =
            "correct the expression; requests that the match may be meant for are answered with an error";
        root.invalid(node, format!("this is not a regular expression that RE2 takes: {why}"), hint);
    }
    wrong.is_none()
}

/// Matches of headers or query parameters: those that can be served, and all that are written.
fn values(root: &mut Root<'_>, node: &Node<'_>, lower: bool) -> (Vec<ValueMatch>, Vec<ValueMatch>) {
    let (mut out, mut written) = (Vec::<ValueMatch>::new(), Vec::new());
    for entry in node.items() {
        let name = entry.get("name").text().unwrap_or_default();
        let name = Name::from(if lower { name.to_ascii_lowercase() } else { name.to_owned() });
        let (regex, good) = match &*entry.get("type").name_or("Exact") {
            "Exact" => (false, true),
            "RegularExpression" => (true, regex(root, &entry.get("value"))),
            other => {
                let hint = "use Exact or RegularExpression; the match is left out";
                root.invalid(&entry.get("type"), format!("match type {other} is not known"), hint);
                (true, false)
            }
        };
        let value = ValueMatch { name, value: entry.get("value").name(), regex };
        // The first of a name counts.
        if !written.iter().any(|known: &ValueMatch| known.name == value.name) {
            if good {
                out.push(value.clone());
            }
            written.push(value);
        }
    }
    (out, written)
}

fn http_match(root: &mut Root<'_>, node: &Node<'_>) -> Result<RouteMatch, Partly> {
    let path = node.get("path");
    let value = path.get("value").name_or("/");
    let (path, wrong) = match &*path.get("type").name_or("PathPrefix") {
        "Exact" => (Some(PathMatch::Exact(value)), None),
        "RegularExpression" => {
            let begin = PathMatch::Prefix(re2::literal_prefix(&value).into());
            let good = regex(root, &path.get("value"));
            (Some(PathMatch::Regex(value)), (!good).then_some(begin))
        }
        "PathPrefix" => {
            // Two slashes at the end are no spelling of one: they stay, to be refused.
            let cut = if value.contains("//") { &value } else { value.trim_end_matches('/') };
            (Some(PathMatch::Prefix(if cut.is_empty() { "/".into() } else { cut.into() })), None)
        }
        other => {
            let hint = "use Exact, PathPrefix or RegularExpression; the match is left out";
            root.invalid(&path.get("type"), format!("path type {other} is not known"), hint);
            (None, Some(PathMatch::Prefix("/".into())))
        }
    };
    let headers = values(root, &node.get("headers"), true);
    let query = values(root, &node.get("queryParams"), false);
    left_out(path, wrong, node.get("method").opt(), headers, query)
}

/// What can be expressed of a match that cannot be served, and the match as written if that is known.
type Partly = Box<(RouteMatch, Option<RouteMatch>)>;

/// The match, or what can be expressed of it. `path` is the path as written, `wrong` what stands for one that cannot be
/// served; of headers and query parameters those that can be served, and all.
fn left_out(
    path: Option<PathMatch>,
    wrong: Option<PathMatch>,
    method: Option<Name>,
    headers: (Vec<ValueMatch>, Vec<ValueMatch>),
    query: (Vec<ValueMatch>, Vec<ValueMatch>),
) -> Result<RouteMatch, Partly> {
    let whole = wrong.is_none() && headers.0 == headers.1 && query.0 == query.1;
    let rest = wrong.or_else(|| path.clone()).unwrap_or_else(|| PathMatch::Prefix("/".into()));
    let rest = RouteMatch { path: rest, method: method.clone(), headers: headers.0, query: query.0 };
    if whole {
        return Ok(rest);
    }
    let written = path.map(|path| RouteMatch { path, method, headers: headers.1, query: query.1 });
    Err(Box::new((rest, written)))
}

fn grpc_match(root: &mut Root<'_>, node: &Node<'_>) -> Result<RouteMatch, Partly> {
    let method = node.get("method");
    let is_regex = match &*method.get("type").name_or("Exact") {
        "Exact" => Some(false),
        "RegularExpression" => Some(true),
        other => {
            let hint = "use Exact or RegularExpression; the match is left out";
            root.invalid(&method.get("type"), format!("method type {other} is not known"), hint);
            None
        }
    };
    let part = |field: &str| method.get(field).text().filter(|t| !t.is_empty());
    let mut wrong = None;
    let path = match (part("service"), part("method"), is_regex) {
        (_, _, None) => {
            wrong = Some(PathMatch::Prefix("/".into()));
            None
        }
        (None, None, _) => Some(PathMatch::Prefix("/".into())),
        (Some(service), Some(method), Some(false)) => {
            Some(PathMatch::Exact(format!("/{service}/{method}").into()))
        }
        (Some(service), None, Some(false)) => Some(PathMatch::Prefix(format!("/{service}").into())),
        (None, Some(method), Some(false)) => {
            Some(PathMatch::Regex(format!("{ANY_SERVICE}{}", regex::escape(method)).into()))
        }
        (service, name, Some(true)) => {
            for field in ["service", "method"] {
                if part(field).is_some() && !regex(root, &method.get(field)) {
                    wrong = Some(PathMatch::Prefix("/".into()));
                }
            }
            // Grouped: `a|b` of one must not reach over the slash between them.
            let group = |part: Option<&str>| part.map_or("[^/]+".to_owned(), |text| format!("(?:{text})"));
            Some(PathMatch::Regex(format!("/{}/{}", group(service), group(name)).into()))
        }
    };
    let headers = values(root, &node.get("headers"), true);
    left_out(path, wrong, None, headers, (vec![], vec![]))
}

fn target(node: &Node<'_>, own: &Name) -> BackendTarget {
    BackendTarget {
        kind: Kind::new(node.get("group").name(), node.get("kind").name_or("Service")),
        name: NamespacedName::new(
            node.get("namespace").opt().unwrap_or_else(|| own.clone()),
            node.get("name").name(),
        ),
        port: node.get("port").port(),
    }
}

/// Filters of a rule. A redirect and a rewrite exclude each other (Gateway API, `HTTPRouteRule.filters`).
fn rule_filters(root: &mut Root<'_>, node: &Node<'_>, own: &Name) -> Vec<Filter> {
    let mut made: Vec<Filter> = node.items().iter().map(|f| filter(root, f, own)).collect();
    let redirects = made.iter().any(|f| matches!(f, Filter::Redirect(_)));
    if redirects && made.iter().any(|f| matches!(f, Filter::Rewrite { .. })) {
        made.push(unserved(root, &node.path, "RequestRedirect together with URLRewrite"));
    }
    made
}

/// Filters of a backend: changes of headers only.
fn backend_filters(root: &mut Root<'_>, node: &Node<'_>, own: &Name) -> Vec<Filter> {
    let mut one = |f: &Node<'_>| match filter(root, f, own) {
        made @ (Filter::RequestHeaders(_) | Filter::ResponseHeaders(_) | Filter::Unsupported(_)) => made,
        _ => unserved(root, &f.get("type").path, &format!("{} on a backend", f.get("type").name())),
    };
    node.items().iter().map(&mut one).collect()
}

fn unserved(root: &mut Root<'_>, field: &str, what: &str) -> Filter {
    root.problem(
        204,
        Severity::Error,
        field,
        format!("filter {what} is not served yet; requests that it is for are answered with 500"),
        "remove the filter; a rule must not be served without a filter that its author asked for",
    );
    Filter::Unsupported(what.into())
}

fn filter(root: &mut Root<'_>, node: &Node<'_>, own: &Name) -> Filter {
    let change = |field: &str| {
        let node = node.get(field);
        let pairs = |field: &str| {
            let pair =
                |e: &Node<'_>| (e.get("name").name(), e.get("value").text().unwrap_or_default().to_owned());
            node.get(field).items().iter().map(pair).collect()
        };
        HeaderChange { set: pairs("set"), add: pairs("add"), remove: node.get("remove").names() }
    };
    let path = |node: &Node<'_>| match node.get("type").text() {
        Some("ReplaceFullPath") => Some(PathChange::Full(node.get("replaceFullPath").name_or("/"))),
        Some("ReplacePrefixMatch") => Some(PathChange::Prefix(node.get("replacePrefixMatch").name_or("/"))),
        _ => None,
    };
    match &*node.get("type").name() {
        "RequestHeaderModifier" => Filter::RequestHeaders(change("requestHeaderModifier")),
        "ResponseHeaderModifier" => Filter::ResponseHeaders(change("responseHeaderModifier")),
        "RequestRedirect" => {
            let redirect = node.get("requestRedirect");
            let status = redirect.get("statusCode").u32();
            Filter::Redirect(Redirect {
                scheme: redirect.get("scheme").opt(),
                hostname: redirect.get("hostname").opt(),
                path: path(&redirect.get("path")),
                port: redirect.get("port").port(),
                // What is no status is not what is meant where nothing is written.
                status: status.map_or(302, |status| u16::try_from(status).unwrap_or(0)),
            })
        }
        "URLRewrite" => Filter::Rewrite {
            hostname: node.get("urlRewrite").get("hostname").opt(),
            path: path(&node.get("urlRewrite").get("path")),
        },
        "RequestMirror" => {
            let mirror = node.get("requestMirror");
            let part = mirror.get("fraction");
            let parts = match (mirror.get("percent").u32(), part.get("numerator").u32()) {
                (Some(percent), _) => u64::from(percent) * 10_000,
                (None, Some(n)) => {
                    let whole = u64::from(part.get("denominator").u32().unwrap_or(100));
                    (u64::from(n) * 1_000_000).checked_div(whole).unwrap_or(u64::MAX)
                }
                (None, None) => 1_000_000,
            };
            Filter::Mirror {
                backend: target(&mirror.get("backendRef"), own),
                parts_per_million: u32::try_from(parts).unwrap_or(u32::MAX),
            }
        }
        other => unserved(root, &node.get("type").path, other),
    }
}

pub(super) fn grant(root: &mut Root<'_>) -> ReferenceGrant {
    let spec = root.spec();
    let kind = |n: &Node<'_>| Kind::new(n.get("group").name(), n.get("kind").name());
    let (from, to) = (spec.get("from").items(), spec.get("to").items());
    ReferenceGrant {
        key: root.object.key.name.clone(),
        from: from.iter().map(|f| (kind(f), f.get("namespace").name())).collect(),
        to: to.iter().map(|t| (kind(t), t.get("name").filled())).collect(),
    }
}
