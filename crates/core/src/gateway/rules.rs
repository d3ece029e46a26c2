//! Routes and their attachments become host rules in order of precedence, and uses of clusters.

use std::{collections::BTreeMap, sync::Arc};

use portolan_model::{
    Name, RouteKey, RouteKind, Severity,
    input::{ANY_SERVICE, BackendTarget, Filter, PathMatch, Route, RouteMatch, RouteRule, Service},
};

use super::{
    GROUP,
    backends::tcp,
    grants::granted,
    judge, operated,
    rows::{
        Age, Attachment, Closes, Cluster, ClusterUse, GatewayListener, GatewayOwner, GatewayPorts, HostRule,
        HostRuleKey, RouteEntry, Unenforced, Unresolved, WeightedCluster,
    },
};
use crate::{Cx, problem};

/// Whether every parent is a Gateway of another controller: what becomes of the route is that one's to say.
fn is_of_others(cx: &mut Cx<'_>, route: &Route) -> bool {
    let mut theirs = route.parents.iter().map(|parent| {
        let gateway =
            parent.kind.is(GROUP, "Gateway").then(|| cx.get::<GatewayOwner>(&parent.name)).flatten();
        gateway.is_some_and(|owner| owner.controller.is_some() && owner.ours().is_none())
    });
    !route.parents.is_empty() && theirs.all(|theirs| theirs)
}

/// Whether requests of a rule get an answer that its author meant: from a backend, or a redirect.
fn answers(entry: &RouteEntry) -> bool {
    entry.clusters.iter().any(|cluster| cluster.weight > 0)
        || entry.filters.iter().any(|filter| matches!(filter, Filter::Redirect(_)))
}

/// Names a rule whose requests go nowhere, as its author wrote it: the specification answers them with an error.
fn idle(cx: &mut Cx<'_>, route: &Route, at: usize, rule: &RouteRule) {
    let answered = |filter: &Filter| matches!(filter, Filter::Redirect(_) | Filter::Unsupported(_));
    if rule.filters.iter().any(answered) || rule.backends.iter().any(|backend| backend.weight > 0) {
        return;
    }
    let error = if route.key.kind == RouteKind::Grpc { "UNAVAILABLE" } else { "500" };
    let what = if rule.backends.is_empty() { "it has no backendRefs" } else { "all its weights are 0" };
    if !is_of_others(cx, route) {
        let message = format!("requests of the rule get {error}: {what}");
        let field = format!("spec.rules[{at}].backendRefs");
        let hint = "name a backend with a weight above 0, or redirect, or remove the rule";
        problem(cx, route.key.object(), 229, Severity::Warning, &field, message, hint);
    }
}

pub(super) fn host_rules(cx: &mut Cx<'_>, route: &Arc<Route>) {
    let mut uses: BTreeMap<Name, Cluster> = BTreeMap::new();
    let mut prepared = Vec::new();
    let mut missing: Vec<(Name, String)> = Vec::new();
    let (mut lost, mut works): (Option<(usize, String)>, bool) = (None, false);
    let verdicts = judge::rules(cx, route);
    let closings = judge::closings(&verdicts, |m| precedence(route.key.kind, m));
    for (at, rule) in route.rules.iter().enumerate() {
        let mut entry = RouteEntry {
            rule: at,
            filters: rule.filters.clone(),
            request_timeout: rule.request_timeout,
            backend_timeout: rule.backend_timeout,
            ..unserved(route)
        };
        for (position, backend) in rule.backends.iter().enumerate() {
            let field = format!("spec.rules[{at}].backendRefs[{position}]");
            let of = if backend.weight == 0 { Use::None } else { Use::Share };
            match resolve(cx, route, &backend.target, &field, of) {
                Ok(cluster) => {
                    entry.clusters.push(WeightedCluster {
                        cluster: cluster.key.clone(),
                        weight: backend.weight,
                        filters: backend.filters.clone(),
                    });
                    uses.insert(cluster.key.clone(), cluster);
                }
                Err(why) => {
                    if backend.weight > 0 && lost.is_none() {
                        lost = Some((at, why.1.clone()));
                    }
                    missing.push(why);
                    entry.invalid_weight = entry.invalid_weight.saturating_add(backend.weight);
                }
            }
        }
        works |= !verdicts[at].closed && answers(&entry);
        idle(cx, route, at, rule);
        for (position, filter) in rule.filters.iter().enumerate() {
            if let Filter::Mirror { backend, parts_per_million } = filter {
                let field = format!("spec.rules[{at}].filters[{position}].requestMirror.backendRef");
                match resolve(cx, route, backend, &field, Use::Mirror) {
                    Ok(cluster) => {
                        entry.mirrors.push((cluster.key.clone(), *parts_per_million));
                        uses.insert(cluster.key.clone(), cluster);
                    }
                    Err(why) => missing.push(why),
                }
            }
        }
        if verdicts[at].closed {
            // Nothing of it is sent: what Envoy refuses would hold back every host beside it.
            entry = RouteEntry {
                filters: judge::error(),
                clusters: vec![],
                mirrors: vec![],
                request_timeout: None,
                backend_timeout: None,
                ..entry
            };
        }
        prepared.push(entry);
    }
    for (parent, _) in route.parents.iter().enumerate() {
        let Some(attachment) = cx.get::<Attachment>(&(route.key.clone(), parent)) else { continue };
        let moved = cx.get::<GatewayPorts>(&attachment.gateway).map(|a| a.ports.clone()).unwrap_or_default();
        let unenforced = cx.get::<Unenforced>(&(route.key.clone(), parent)).filter(|row| row.refused);
        for (listener, hosts) in &attachment.taken {
            let Some(gateway_listener) = cx.get::<GatewayListener>(listener) else { continue };
            let closed = unenforced.iter().flat_map(|row| row.at(listener)).cloned().map(Filter::Unsupported);
            let closed: Vec<Filter> = closed.collect();
            for host in hosts {
                let at_host = |position, precedence| HostRuleKey {
                    routes: gateway_listener.routes.clone(),
                    host: host.clone(),
                    precedence,
                    age: Age::of(route),
                    position,
                };
                let here = |entry: &RouteEntry, r#match: &RouteMatch| {
                    let mut entry = RouteEntry {
                        r#match: r#match.clone(),
                        moved_ports: moved.clone(),
                        https: gateway_listener.https,
                        listener_port: gateway_listener.port,
                        ..entry.clone()
                    };
                    // Like a filter that is not served: answered with an error, never let through.
                    entry.filters.extend(closed.iter().cloned());
                    Arc::new(entry)
                };
                for (at, (verdict, entry)) in verdicts.iter().zip(&prepared).enumerate() {
                    for (position, r#match) in &verdict.matches {
                        let key =
                            at_host((at, *position, Closes::Nothing), precedence(route.key.kind, r#match));
                        cx.emit(HostRule { key, entry: here(entry, r#match) });
                    }
                }
                for closing in &closings {
                    let closes = Closes::For(closing.of.0, closing.of.1, closing.form);
                    let key = match closing.before {
                        Some((at, position)) => {
                            let wider = verdicts[at].matches.iter().find(|(known, _)| *known == position);
                            let Some((_, wider)) = wider else { continue };
                            at_host((at, position, closes), precedence(route.key.kind, wider))
                        }
                        None => at_host((closing.of.0, closing.of.1, closes), [u32::MAX; 5]),
                    };
                    let entry = RouteEntry { rule: closing.of.0, filters: judge::error(), ..unserved(route) };
                    cx.emit(HostRule { key, entry: here(&entry, &closing.r#match) });
                }
            }
        }
    }
    if !missing.is_empty() {
        // With a rule that works the others harm only their own requests.
        let partly = lost.as_ref().filter(|_| works).map(|(rule, why)| format!("rule {rule}: {why}"));
        let refuses = lost.filter(|_| !works).map(|(_, why)| why);
        cx.emit(Unresolved { key: route.key.clone(), references: missing, refuses, partly });
    }
    for (name, cluster) in uses {
        cx.emit(ClusterUse { key: (name, route.key.clone()), cluster });
    }
}

/// An entry of a route with no backend.
fn unserved(route: &Route) -> RouteEntry {
    RouteEntry {
        route: route.key.clone(),
        rule: 0,
        r#match: RouteMatch {
            path: PathMatch::Prefix("/".into()),
            method: None,
            headers: vec![],
            query: vec![],
        },
        filters: vec![],
        clusters: vec![],
        invalid_weight: 0,
        request_timeout: None,
        backend_timeout: None,
        mirrors: vec![],
        moved_ports: BTreeMap::new(),
        https: false,
        listener_port: 0,
    }
}

/// Gateway API, `HTTPRouteRule.matches`: exact path, then longest prefix, then method, then most headers, then most
/// query parameters; of a GRPCRoute (`GRPCRouteRule.matches`) most characters of the service, then of the method, then most
/// headers. Regular expressions, whose place the specification leaves open, stand between exact and prefix, the longer
/// one first, as Envoy Gateway sorts them. Smallest first.
fn precedence(kind: RouteKind, m: &RouteMatch) -> [u32; 5] {
    let desc = |n: usize| u32::MAX - u32::try_from(n).unwrap_or(u32::MAX);
    let headers = desc(m.headers.len());
    match kind {
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

/// What a reference to a backend is for.
#[derive(Clone, Copy)]
enum Use {
    /// It gets a share of the requests.
    Share,
    /// Its weight is 0.
    None,
    /// It gets copies.
    Mirror,
}

/// The cluster of a reference, or why there is none: reason of the specification (`RouteConditionResolvedRefs`) and
/// message.
fn resolve(
    cx: &mut Cx<'_>,
    route: &Route,
    target: &BackendTarget,
    field: &str,
    of: Use,
) -> Result<Cluster, (Name, String)> {
    let refused = |cx: &mut Cx<'_>, code, field: &str, reason: &str, message: String, hint| {
        if !is_of_others(cx, route) {
            problem(cx, route.key.object(), code, Severity::Error, field, message.clone(), hint);
        }
        Err((Name::new(reason), message))
    };
    if !target.kind.is("", "Service") {
        let message = format!("backend kind {} is not served", target.kind);
        return refused(cx, 221, &format!("{field}.kind"), "InvalidKind", message, "refer to a Service");
    }
    if target.name.namespace != route.key.name.namespace
        && !granted(cx, route.key.kind.kind(), &route.key.name.namespace, "Service", &target.name)
    {
        let message =
            format!("Service {} is in another namespace and no ReferenceGrant allows it", target.name);
        let hint = match of {
            Use::Share => {
                "add a ReferenceGrant in the Service's namespace; until then this share of requests gets an error"
            }
            Use::None => {
                "add a ReferenceGrant in the Service's namespace; its weight is 0, so no request needs it"
            }
            Use::Mirror => {
                "add a ReferenceGrant in the Service's namespace; until then nothing is copied to it"
            }
        };
        return refused(cx, 222, field, "RefNotPermitted", message, hint);
    }
    let error = if route.key.kind == RouteKind::Grpc { "UNAVAILABLE" } else { "500" };
    let Some(service) = cx.get::<Service>(&target.name) else {
        let effect = match of {
            Use::Share => format!("this share of requests gets {error}"),
            Use::None => "its weight is 0, so no request needs it".to_owned(),
            Use::Mirror => "no request is copied to it".to_owned(),
        };
        if let Some(why) = operated::elsewhere(cx, &target.name) {
            return absent(cx, route, target, field, of, &why);
        }
        let message = format!("Service {} does not exist; {effect}", target.name);
        let hint = "create the Service or correct the name";
        return refused(cx, 223, &format!("{field}.name"), "BackendNotFound", message, hint);
    };
    if let Some(external) = &service.external {
        let message = format!("Service {} is an ExternalName ({external}), which is not served", target.name);
        // It would let whoever may write Services send this edge anywhere (CVE-2021-25740); Envoy Gateway refuses it too.
        let hint = "refer to a Service with endpoints";
        return refused(cx, 243, &format!("{field}.name"), "UnsupportedValue", message, hint);
    }
    let field = format!("{field}.port");
    let have = || {
        let all = service.ports.iter().map(|p| format!("{} {}", p.port, p.protocol));
        all.collect::<Vec<_>>().join(", ")
    };
    let Some(number) = target.port else {
        let message = format!("no port of Service {} is named (it has {})", target.name, have());
        return refused(
            cx,
            224,
            &field,
            "BackendNotFound",
            message,
            "name the port: of a Service it is required",
        );
    };
    // One number may stand for TCP and for UDP: these are two ports.
    if !service.ports.iter().any(|p| p.port == number) {
        let message = format!("Service {} has no port {number} (it has {})", target.name, have());
        return refused(cx, 224, &field, "BackendNotFound", message, "use a port of the Service");
    }
    let Some(port) = tcp(&service, number) else {
        let message = format!("Service {} has no port {number} for TCP (it has {})", target.name, have());
        let hint = "use a port whose protocol is TCP";
        return refused(cx, 244, &field, "UnsupportedProtocol", message, hint);
    };
    let protocol = port.app_protocol.as_deref().unwrap_or_default();
    let Some(http2) = http2(route.key.kind, protocol) else {
        let (port, kind) = (port.port, route.key.kind.kind());
        let message = format!(
            "port {port} of Service {} speaks {protocol}, which is not served to {kind}s",
            target.name
        );
        let hint = "use a port that speaks HTTP in clear: without appProtocol, or http, kubernetes.io/h2c, kubernetes.io/ws";
        return refused(cx, 244, &field, "UnsupportedProtocol", message, hint);
    };
    let suffix = if http2 { "/h2c" } else { "" };
    Ok(Cluster {
        key: format!("svc/{}/{}{suffix}", target.name, port.port).into(),
        service: target.name.clone(),
        port: port.port,
        http2,
    })
}

/// The cluster of a Service that is not here and may be in a cluster: the host is served with a stand-in, and it is said.
fn absent(
    cx: &mut Cx<'_>,
    route: &Route,
    target: &BackendTarget,
    field: &str,
    of: Use,
    why: &str,
) -> Result<Cluster, (Name, String)> {
    let ours = !is_of_others(cx, route);
    let Some(port) = target.port else {
        let message = format!("no port of Service {} is named", target.name);
        if ours {
            let (key, field) = (route.key.object(), format!("{field}.port"));
            let hint = "name the port: of a Service it is required";
            problem(cx, key, 224, Severity::Error, &field, message.clone(), hint);
        }
        return Err((Name::new("BackendNotFound"), message));
    };
    if ours {
        let effect = match of {
            Use::Share => "the built-in echo backend answers in its place",
            Use::None => "its weight is 0, so no request needs it",
            Use::Mirror => "copies go to the built-in echo backend",
        };
        let message = format!("Service {} {why}; {effect}", target.name);
        let hint = "nothing to do if it does; else create the Service or correct the name";
        problem(cx, route.key.object(), 223, Severity::Warning, &format!("{field}.name"), message, hint);
    }
    let http2 = route.key.kind == RouteKind::Grpc;
    let suffix = if http2 { "/h2c" } else { "" };
    Ok(Cluster {
        key: format!("svc/{}/{port}{suffix}", target.name).into(),
        service: target.name.clone(),
        port,
        http2,
    })
}

/// Whether a backend is spoken to by HTTP/2, or `None` if this route cannot speak its `appProtocol` (Gateway API, GEP-1911):
/// TLS to a backend needs a BackendTLSPolicy, which is not enforced yet. Other names are hints; as in Envoy Gateway
/// (`resolveBackendProtocol`) they change nothing.
fn http2(kind: RouteKind, app_protocol: &str) -> Option<bool> {
    let grpc = kind == RouteKind::Grpc;
    match app_protocol {
        "kubernetes.io/h2c" | "gateway.envoyproxy.io/h2c" | "grpc" => Some(true),
        "kubernetes.io/ws" | "gateway.envoyproxy.io/ws" if grpc => None,
        "https" | "kubernetes.io/wss" | "gateway.envoyproxy.io/wss" => None,
        _ => Some(grpc),
    }
}

/// For virtual hosts: two routes with the same match under one host; the earlier one is served. They may meet on more than
/// one listener: each is named, so that each has its own finding.
pub(super) fn shadowed(cx: &mut Cx<'_>, (routes, host): &(Name, Name), winner: &RouteKey, loser: &RouteKey) {
    let message = format!(
        "host {host} in {routes}: {winner} has the same match and comes first (by age, then by name); this route gets none of those requests"
    );
    let hint = "remove the host or the match from one of the two routes";
    problem(cx, loser.object(), 225, Severity::Warning, "spec.rules", message, hint);
}
