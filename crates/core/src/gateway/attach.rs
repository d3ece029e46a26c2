//! Which listeners take which routes, and under which hostnames.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use portolan_model::{
    Condition, GatewayKey, Name, RouteKind, Severity,
    condition::Status,
    input::{Filter, Route, RouteRule},
};

use super::{
    judge::{self, Verdict},
    offers::chosen,
    rows::{
        Attachment, GatewayListener, ListenerKey, Offer, ParentVerdict, Refused, RouteConflict, Speaks,
        Taken, service_host,
    },
    takes,
};
use crate::{
    Cx,
    dns::drain::is_leaving,
    problem,
    status::rows::{ClaimKey, HostClaim},
    world::ListenersByGateway,
};

/// What to do about a rival of the other kind.
const APART: &str = "give the two routes hostnames that do not overlap, or listeners of their own";

pub(super) fn attachments(cx: &mut Cx<'_>, route: &Arc<Route>) {
    let verdicts = judge::rules(cx, route);
    let invalid = invalid(route, &verdicts);
    refused_values(cx, route, &verdicts);
    let mut counted: BTreeSet<ListenerKey> = BTreeSet::new();
    for at in 0..route.parents.len() {
        let key = (route.key.clone(), at);
        let Some(offer) = cx.get::<Offer>(&key) else { continue };
        if let Err(refused) = &offer.outcome {
            let field = format!("spec.parentRefs[{at}]");
            let message = refused.message.clone();
            let severity = if refused.unknown { Severity::Warning } else { Severity::Error };
            problem(cx, route.key.object(), 220, severity, &field, message, refused.hint);
        }
        let mut lost = Vec::new();
        let outcome = offer.outcome.clone().and_then(|taken| without_rivals(cx, route, taken, &mut lost));
        if let Some(first) = lost.first()
            && !is_leaving(&route.key)
        {
            problem(cx, route.key.object(), 227, Severity::Error, "spec.hostnames", first.clone(), APART);
        }
        claims(cx, route, (at, &offer.gateway), outcome.as_ref(), &lost);
        let conditions = conditions(outcome.as_ref(), &invalid);
        let accepted = conditions.first().is_some_and(|c| c.status == Status::True);
        let taken = outcome.unwrap_or_default();
        let keys = taken.iter().map(|(key, _)| key).chain(&offer.unserved).cloned();
        let counted = keys.filter(|key| accepted && counted.insert(key.clone())).collect();
        let (gateway, controller) = (offer.gateway.clone(), offer.controller.clone());
        cx.emit(ParentVerdict { key: key.clone(), controller, conditions });
        cx.emit(Attachment { key, gateway, taken, counted });
    }
}

/// Leaves out the listeners at which a route of the other kind is accepted; `lost` gets a sentence for each.
fn without_rivals(
    cx: &mut Cx<'_>,
    route: &Route,
    mut taken: Taken,
    lost: &mut Vec<String>,
) -> Result<Taken, Refused> {
    taken.retain(|(listener, _)| {
        let Some(route_conflicts) = cx.get::<RouteConflict>(&(route.key.clone(), listener.clone())) else { return true };
        lost.push(format!(
            "{} comes first (by age, then by name) and has {} at listener {listener} too; an HTTPRoute and a GRPCRoute \
             cannot share a hostname there, so this route is not accepted",
            route_conflicts.winner, route_conflicts.host
        ));
        false
    });
    match lost.first() {
        Some(first) if taken.is_empty() => Err(Refused {
            reason: "HostnameConflict".into(),
            message: first.clone(),
            unknown: false,
            hint: APART,
        }),
        _ => Ok(taken),
    }
}

/// Claims of one parentRef: what its listeners serve, and what was asked for and is not served.
fn claims(
    cx: &mut Cx<'_>,
    route: &Route,
    (at, gateway): (usize, &GatewayKey),
    outcome: Result<&Taken, &Refused>,
    lost: &[String],
) {
    let claim = |host: &Name, listener: &Name| HostClaim {
        key: ClaimKey {
            host: host.clone(),
            route: route.key.clone(),
            parent: at,
            listener: listener.clone(),
        },
        gateway: gateway.clone(),
        speaks: Speaks::Http,
        port: 0,
        refused: None,
        unknown: false,
    };
    let taken = outcome.map_or(&[][..], |taken| &taken[..]);
    for (listener, hosts) in taken {
        let Some(gateway_listener) = cx.get::<GatewayListener>(listener) else { continue };
        let (speaks, port) = (gateway_listener.speaks, gateway_listener.port);
        for host in hosts {
            let named = nameless(&gateway_listener, route).unwrap_or_else(|| host.clone());
            cx.emit(HostClaim { speaks, port, ..claim(&named, &listener.name) });
        }
    }
    for host in asked(cx, route, (at, gateway), outcome.is_err()).iter() {
        // The hosts that were asked for are shown as refused, not forgotten.
        if taken.iter().flat_map(|(_, hosts)| hosts).any(|served| served == host || takes(host, served)) {
            continue;
        }
        let why = match (outcome, lost.first()) {
            (Err(refused), _) => refused.message.clone(),
            (Ok(_), Some(lost)) => lost.clone(),
            (Ok(_), None) => format!("no listener of Gateway {gateway} serves {host} for this route"),
        };
        if outcome.is_ok() && lost.is_empty() {
            let hint = "widen a listener's hostname, or remove the hostname from the route";
            problem(cx, route.key.object(), 226, Severity::Warning, "spec.hostnames", why.clone(), hint);
        }
        let unknown = outcome.is_err_and(|refused| refused.unknown);
        cx.emit(HostClaim { refused: Some(why), unknown, ..claim(host, &Name::default()) });
    }
}

/// What the route asks for: without hostnames of its own, where nothing of it is served, those of the listeners that it is
/// for, or any host.
fn asked<'a>(
    cx: &mut Cx<'_>,
    route: &'a Route,
    (at, gateway): (usize, &GatewayKey),
    refused: bool,
) -> Cow<'a, [Name]> {
    if !route.hostnames.is_empty() || !refused {
        return Cow::Borrowed(&route.hostnames);
    }
    let parent = &route.parents[at];
    let mut hosts: Vec<Name> = cx
        .find::<ListenersByGateway>(gateway)
        .iter()
        .filter(|listener| chosen(parent, listener))
        .map(|listener| {
            let any = || listener.hostname.clone().unwrap_or_else(|| "*".into());
            nameless(listener, route).unwrap_or_else(any)
        })
        .collect();
    hosts.sort();
    hosts.dedup();
    if hosts.is_empty() {
        // Of the parent as it is named: its Gateway may be unknown.
        hosts.push(any_host(route.key.kind, &parent.name));
    }
    Cow::Owned(hosts)
}

/// Under which name a listener stands among hostnames for a route that has none because its kind has none.
fn nameless(listener: &GatewayListener, route: &Route) -> Option<Name> {
    let nameless = matches!(route.key.kind, RouteKind::Tcp | RouteKind::Udp);
    let udp = route.key.kind == RouteKind::Udp;
    nameless.then(|| service_host(&listener.key.gateway, Some(listener.port), udp))
}

/// What a route asks for of which neither hostnames nor listeners are known.
pub(crate) fn any_host(kind: RouteKind, gateway: &GatewayKey) -> Name {
    match kind {
        RouteKind::Tcp | RouteKind::Udp => service_host(gateway, None, kind == RouteKind::Udp),
        _ => "*".into(),
    }
}

/// `Accepted`, and `PartiallyInvalid` where some rules are left out and others are served.
fn conditions(outcome: Result<&Taken, &Refused>, invalid: &[Invalid<'_>]) -> Vec<Condition> {
    if let Err(refused) = outcome {
        return vec![Condition::new("Accepted", false, &refused.reason, refused.message.clone())];
    }
    let Some(first) = invalid.first() else {
        return vec![Condition::new("Accepted", true, "Accepted", "Route is accepted")];
    };
    let why = |i: &Invalid<'_>| format!("rule {}: {}", i.rule, i.why);
    let all = invalid.iter().map(why).collect::<Vec<_>>().join("; ");
    if first.whole {
        return vec![Condition::new("Accepted", false, "UnsupportedValue", all)];
    }
    vec![
        Condition::new("Accepted", true, "Accepted", "Route is accepted in part"),
        Condition::new("PartiallyInvalid", true, "UnsupportedValue", format!("Dropped Rule: {all}")),
    ]
}

/// A rule that cannot be served as written.
struct Invalid<'a> {
    rule: usize,
    why: Cow<'a, str>,
    /// No rule of the route is valid.
    whole: bool,
}

fn invalid<'a>(route: &'a Route, verdicts: &'a [Verdict<'_>]) -> Vec<Invalid<'a>> {
    let mut found = Vec::new();
    let mut valid = false;
    for (at, (rule, verdict)) in route.rules.iter().zip(verdicts).enumerate() {
        let unserved = rule.filters.iter().find_map(|filter| match filter {
            Filter::Unsupported(name) => Some(unserved(rule, name)),
            _ => None,
        });
        valid |= unserved.is_none() && !verdict.closed && !verdict.matches.is_empty();
        let why: Option<Cow<'_, str>> = match (unserved, verdict.wrong.first()) {
            (Some(why), _) => Some(why.into()),
            (None, Some(wrong)) => Some(wrong.message.as_str().into()),
            (None, None) => rule.invalid.first().map(|why| why.as_str().into()),
        };
        if let Some(why) = why {
            found.push(Invalid { rule: at, why, whole: false });
        }
    }
    for invalid in &mut found {
        invalid.whole = !valid;
    }
    found
}

/// Why a rule is closed by the intake: a filter that is not served, or another value, in the words of its finding.
fn unserved(rule: &RouteRule, name: &Name) -> String {
    let filter = format!("filter {name} is not served yet");
    let named = rule.invalid.iter().any(|why| why.starts_with(&filter));
    rule.invalid.first().filter(|_| !named).cloned().unwrap_or(filter)
}

/// One finding a value that cannot be served.
fn refused_values(cx: &mut Cx<'_>, route: &Route, verdicts: &[Verdict<'_>]) {
    if is_leaving(&route.key) {
        return;
    }
    for (at, verdict) in verdicts.iter().enumerate() {
        for wrong in &verdict.wrong {
            let field = format!("spec.rules[{at}].{}", wrong.field);
            let message = format!("{}; requests that it is for get an error", wrong.message);
            problem(cx, route.key.object(), 232, Severity::Error, &field, message, wrong.hint);
        }
    }
}
