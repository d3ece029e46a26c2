//! Routes and their attachments become host rules in order of precedence, and uses of clusters.

mod backend;
mod order;
mod resolve;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use backend::{blended, by_gateway, passing, tls_uses};
use order::{precedence, width};
use portolan_model::{
    Name, RouteKey, RouteKind, Severity,
    input::{Filter, Route, RouteMatch, RouteRule},
};
use resolve::{Lost, Use, Words, resolve};

use super::{
    GROUP, judge,
    rows::{
        Age, Attachment, Closes, Cluster, ClusterUse, GatewayListener, GatewayOwner, GatewayPorts, HostRule,
        HostRuleKey, ListenerSetState, RouteEntry, Unenforced, Unresolved, WeightedCluster,
    },
};
use crate::{Cx, problem};

/// Whether every parent is a Gateway of another controller: what becomes of the route is that one's to say.
fn is_of_others(cx: &mut Cx<'_>, route: &Route) -> bool {
    let mut theirs = route.parents.iter().map(|parent| {
        let gateway = if parent.kind.is(GROUP, "ListenerSet") {
            cx.get::<ListenerSetState>(&parent.name).map(|state| state.gateway.clone())
        } else {
            parent.kind.is(GROUP, "Gateway").then(|| parent.name.clone())
        };
        let gateway = gateway.and_then(|gateway| cx.get::<GatewayOwner>(&gateway));
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
    let words = Words::of(route.key.kind);
    let what = if rule.backends.is_empty() { "it has no backendRefs" } else { "all its weights are 0" };
    if !is_of_others(cx, route) {
        let message = format!("{} of the rule {}: {what}", words.all, words.gets);
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
            traffic: rule.traffic.clone(),
            ..RouteEntry::of(route.key.clone())
        };
        for (position, backend) in rule.backends.iter().enumerate() {
            let field = format!("spec.rules[{at}].backendRefs[{position}]");
            let of = if backend.weight == 0 { Use::None } else { Use::Share };
            match resolve(cx, route, &backend.target, &field, of) {
                Ok(cluster) => {
                    let mirrors = mirrors(cx, route, &backend.filters, &field, &mut uses, &mut missing);
                    entry.clusters.push(WeightedCluster {
                        filters: backend.filters.clone(),
                        mirrors,
                        ..WeightedCluster::new(cluster.key.clone(), backend.weight)
                    });
                    uses.insert(cluster.key.clone(), cluster);
                }
                Err(why) => {
                    if backend.weight > 0 && lost.is_none() {
                        lost = Some((at, why.1.clone()));
                    }
                    missing.extend(unresolved(why));
                    entry.invalid_weight = entry.invalid_weight.saturating_add(backend.weight);
                }
            }
        }
        works |= !verdicts[at].closed && answers(&entry);
        idle(cx, route, at, rule);
        let field = format!("spec.rules[{at}]");
        entry.mirrors = mirrors(cx, route, &rule.filters, &field, &mut uses, &mut missing);
        if verdicts[at].closed {
            // Nothing of it is sent: what Envoy refuses would hold back every host beside it.
            entry = RouteEntry {
                filters: judge::error(),
                clusters: vec![],
                mirrors: vec![],
                traffic: None,
                ..entry
            };
        }
        if route.key.kind == RouteKind::Udp {
            blended(&route.key, &mut entry, &mut uses);
        }
        prepared.push(entry);
    }
    // Of streams only what is sent to: which cluster that is depends on the listener.
    let mut sent: BTreeSet<Name> = BTreeSet::new();
    for (parent, _) in route.parents.iter().enumerate() {
        let Some(attachment) = cx.get::<Attachment>(&(route.key.clone(), parent)) else { continue };
        let moved = cx.get::<GatewayPorts>(&attachment.gateway).map(|a| a.ports.clone()).unwrap_or_default();
        let unenforced = cx.get::<Unenforced>(&(route.key.clone(), parent)).filter(|row| row.refused);
        let prepared = by_gateway(cx, &attachment.gateway, &prepared, &mut uses);
        for (listener, hosts) in &attachment.taken {
            let Some(gateway_listener) = cx.get::<GatewayListener>(listener) else { continue };
            let prepared = passing(gateway_listener.speaks, &prepared, &mut uses);
            sent.extend(prepared.iter().flat_map(|entry| &entry.clusters).map(|share| share.cluster.clone()));
            let closed = unenforced.iter().flat_map(|row| row.at(listener)).cloned().map(Filter::Unsupported);
            let closed: Vec<Filter> = closed.collect();
            for host in hosts {
                let own = width(route, host);
                let at_host = |position, width, precedence| HostRuleKey {
                    routes: gateway_listener.routes.clone(),
                    host: host.clone(),
                    width,
                    precedence,
                    age: Age::of(route),
                    position,
                };
                let here = |entry: &RouteEntry, r#match: &RouteMatch| {
                    let mut entry = RouteEntry {
                        r#match: r#match.clone(),
                        moved_ports: moved.clone(),
                        https: gateway_listener.speaks.ends_tls(),
                        listener_port: gateway_listener.port,
                        ..entry.clone()
                    };
                    // Like a filter that is not served: answered with an error, never let through.
                    entry.filters.extend(closed.iter().cloned());
                    Arc::new(entry)
                };
                for (at, (verdict, entry)) in verdicts.iter().zip(prepared.iter()).enumerate() {
                    for (position, r#match) in &verdict.matches {
                        let position = (at, *position, Closes::Nothing);
                        let key = at_host(position, own, precedence(route.key.kind, r#match));
                        cx.emit(HostRule { key, entry: here(entry, r#match) });
                    }
                }
                for closing in &closings {
                    let closes = Closes::For(closing.of.0, closing.of.1, closing.form);
                    let key = match closing.before {
                        Some((at, position)) => {
                            let wider = verdicts[at].matches.iter().find(|(known, _)| *known == position);
                            let Some((_, wider)) = wider else { continue };
                            at_host((at, position, closes), own, precedence(route.key.kind, wider))
                        }
                        // Behind everything, of other routes too.
                        None => at_host((closing.of.0, closing.of.1, closes), u32::MAX, [u32::MAX; 5]),
                    };
                    let entry = RouteEntry {
                        rule: closing.of.0,
                        filters: judge::error(),
                        ..RouteEntry::of(route.key.clone())
                    };
                    cx.emit(HostRule { key, entry: here(&entry, &closing.r#match) });
                }
            }
        }
    }
    tls_uses(cx, route);
    if !missing.is_empty() || lost.is_some() {
        // With a rule that works the others harm only their own requests.
        let partly = lost.as_ref().filter(|_| works).map(|(rule, why)| format!("rule {rule}: {why}"));
        let refuses = lost.filter(|_| !works).map(|(_, why)| why);
        cx.emit(Unresolved { key: route.key.clone(), references: missing, refuses, partly });
    }
    if !route.key.kind.is_http() {
        uses.retain(|name, _| sent.contains(name));
    }
    for (name, cluster) in uses {
        cx.emit(ClusterUse { key: (name, route.key.clone()), cluster });
    }
}

/// Where copies go by the filters of a rule or backend that stand at `field`.
fn mirrors(
    cx: &mut Cx<'_>,
    route: &Route,
    filters: &[Filter],
    field: &str,
    uses: &mut BTreeMap<Name, Cluster>,
    missing: &mut Vec<(Name, String)>,
) -> Vec<(Name, u32)> {
    let mut made = Vec::new();
    for (position, filter) in filters.iter().enumerate() {
        let Filter::Mirror { backend, parts_per_million } = filter else { continue };
        let field = format!("{field}.filters[{position}].requestMirror.backendRef");
        match resolve(cx, route, backend, &field, Use::Mirror) {
            Ok(cluster) => {
                made.push((cluster.key.clone(), *parts_per_million));
                uses.insert(cluster.key.clone(), cluster);
            }
            Err(why) => missing.extend(unresolved(why)),
        }
    }
    made
}

/// A reference that does not resolve, if that is why it leads nowhere.
fn unresolved((reason, message): Lost) -> Option<(Name, String)> {
    Some((reason?, message))
}

/// For virtual hosts: two routes with the same match under one host; the earlier one is served. They may meet on more than
/// one listener: each is named, so that each has its own finding.
pub(super) fn shadowed(cx: &mut Cx<'_>, (routes, host): &(Name, Name), winner: &RouteKey, loser: &RouteKey) {
    let message = format!(
        "host {host} in {routes}: {winner} has the same match and comes first (by hostname, then by age, then by name); this route gets none of those requests"
    );
    let hint = "remove the host or the match from one of the two routes";
    problem(cx, loser.object(), 225, Severity::Warning, "spec.rules", message, hint);
}
