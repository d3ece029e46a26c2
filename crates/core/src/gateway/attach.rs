//! Which listeners take which routes, and under which hostnames.

use std::{collections::BTreeSet, sync::Arc};

use portolan_model::{
    Condition, Name, ObjectKey, Severity,
    condition::Status,
    input::{AllowedNamespaces, Filter, Namespace, ParentRef, Route},
};

use super::{
    GROUP,
    hosts::{intersection, keep_isolated},
    rows::{Attachment, Door, GatewayOwner, ListenerKey},
    takes,
};
use crate::{
    Cx,
    policy::rows::Denied,
    problem,
    status::rows::{ClaimKey, HostClaim},
    world::DoorsByGateway,
};

pub(super) fn attachments(cx: &mut Cx<'_>, route: &Arc<Route>) {
    let invalid = invalid(route);
    let mut counted: BTreeSet<ListenerKey> = BTreeSet::new();
    for (at, parent) in route.parents.iter().enumerate() {
        let (controller, outcome) = match attach(cx, route, parent) {
            Verdict::NotOurs => continue,
            Verdict::Ours(controller, outcome) => (Some(controller), outcome),
            Verdict::Nobody(message) => (None, Err(Refused { reason: "NoMatchingParent", message })),
        };
        if let Err(refused) = &outcome {
            let field = format!("spec.parentRefs[{at}]");
            let message = refused.message.clone();
            problem(cx, route.key.object(), 220, Severity::Error, &field, message, refused.hint());
        }
        claims(cx, route, at, outcome.as_ref(), &invalid);
        let conditions = conditions(outcome.as_ref(), &invalid);
        let accepted = conditions.first().is_some_and(|c| c.status == Status::True);
        let taken: Vec<_> =
            outcome.unwrap_or_default().into_iter().map(|(door, hosts)| (door.key.clone(), hosts)).collect();
        let keys = taken.iter().map(|(key, _)| key.clone());
        let counted = keys.filter(|key| accepted && counted.insert(key.clone())).collect();
        let (key, gateway) = ((route.key.clone(), at), parent.name.clone());
        cx.emit(Attachment { key, gateway, controller, taken, counted, conditions });
    }
}

/// Claims of one parentRef: what its listeners serve, and what was asked for and is not served.
fn claims(
    cx: &mut Cx<'_>,
    route: &Route,
    at: usize,
    outcome: Result<&Taken, &Refused>,
    invalid: &[Invalid<'_>],
) {
    let gateway = &route.parents[at].name;
    let claim = |host: &Name, listener: &Name| HostClaim {
        key: ClaimKey {
            host: host.clone(),
            route: route.key.clone(),
            parent: at,
            listener: listener.clone(),
        },
        gateway: gateway.clone(),
        https: false,
        port: 0,
        refused: None,
        unresolved: None,
    };
    let taken = outcome.map_or(&[][..], |taken| &taken[..]);
    let unresolved = invalid.iter().find(|i| i.unserved).map(|i| i.why.to_string());
    for (door, hosts) in taken {
        for host in hosts {
            let (https, port, unresolved) = (door.https, door.port, unresolved.clone());
            cx.emit(HostClaim { https, port, unresolved, ..claim(host, &door.key.name) });
        }
    }
    for host in &route.hostnames {
        // The hosts that were asked for are shown as refused, not forgotten.
        if taken.iter().flat_map(|(_, hosts)| hosts).any(|served| served == host || takes(host, served)) {
            continue;
        }
        let why = match outcome {
            Err(refused) => refused.message.clone(),
            Ok(_) => format!("no listener of Gateway {gateway} serves {host} for this route"),
        };
        if outcome.is_ok() {
            let hint = "widen a listener's hostname, or remove the hostname from the route";
            problem(cx, route.key.object(), 226, Severity::Warning, "spec.hostnames", why.clone(), hint);
        }
        cx.emit(HostClaim { refused: Some(why), ..claim(host, &Name::default()) });
    }
}

/// `Accepted`, and `PartiallyInvalid` where some rules are left out and others are served.
fn conditions(outcome: Result<&Taken, &Refused>, invalid: &[Invalid<'_>]) -> Vec<Condition> {
    if let Err(refused) = outcome {
        return vec![Condition::new("Accepted", false, refused.reason, refused.message.clone())];
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
    why: std::borrow::Cow<'a, str>,
    /// Requests that match it are answered with 500: it asks for a filter that is not served.
    unserved: bool,
    /// No rule of the route is valid.
    whole: bool,
}

fn invalid(route: &Route) -> Vec<Invalid<'_>> {
    let mut found = Vec::new();
    let mut valid = false;
    for (at, rule) in route.rules.iter().enumerate() {
        let unserved = rule.filters.iter().find_map(|filter| match filter {
            Filter::Unsupported(name) => Some(format!("filter {name} is not served yet")),
            _ => None,
        });
        valid |= unserved.is_none() && !rule.matches.is_empty();
        if let Some(why) = unserved {
            found.push(Invalid { rule: at, why: why.into(), unserved: true, whole: false });
        } else if let Some(why) = rule.invalid.first() {
            found.push(Invalid { rule: at, why: why.as_str().into(), unserved: false, whole: false });
        }
    }
    for invalid in &mut found {
        invalid.whole = !valid;
    }
    found
}

type Taken = Vec<(Arc<Door>, Vec<Name>)>;

/// Why no listener took a route. Reasons are those of the specification (`RouteConditionAccepted`).
struct Refused {
    reason: &'static str,
    message: String,
}

impl Refused {
    fn hint(&self) -> &'static str {
        match self.reason {
            "NoMatchingListenerHostname" => "use a hostname inside the listener's, or widen the listener",
            "NotAllowedByListeners" => "let the listener's allowedRoutes take the route's namespace and kind",
            _ => "correct name, namespace, sectionName or port of the parentRef",
        }
    }
}

/// Whose parent it is.
enum Verdict {
    /// Another controller's: it says what becomes of the route there.
    NotOurs,
    /// Nobody's: it does not exist, or its class does not; no status is written for it.
    Nobody(String),
    /// Ours, by this controller name.
    Ours(Name, Result<Taken, Refused>),
}

fn attach(cx: &mut Cx<'_>, route: &Route, parent: &ParentRef) -> Verdict {
    if parent.kind.group != GROUP || parent.kind.kind != "Gateway" {
        return Verdict::Nobody(format!("parent kind {} is not served yet", parent.kind));
    }
    let Some(owner) = cx.get::<GatewayOwner>(&parent.name) else {
        let key = ObjectKey::new(GROUP, "Gateway", parent.name.namespace.clone(), parent.name.name.clone());
        return Verdict::Nobody(match cx.get::<Denied>(&key) {
            Some(denied) => {
                format!("Gateway {} is denied by ValidatingAdmissionPolicy {}", parent.name, denied.policy)
            }
            None => format!("Gateway {} does not exist", parent.name),
        });
    };
    if owner.controller.is_none() {
        return Verdict::Nobody(format!("the GatewayClass of Gateway {} does not exist", parent.name));
    }
    match owner.ours() {
        None => Verdict::NotOurs,
        Some(controller) => Verdict::Ours(controller.clone(), listeners(cx, route, parent)),
    }
}

fn listeners(cx: &mut Cx<'_>, route: &Route, parent: &ParentRef) -> Result<Taken, Refused> {
    let (kind, own) = (route.key.kind, &route.key.name.namespace);
    let doors = cx.find::<DoorsByGateway>(&parent.name);
    let chosen = |d: &&Arc<Door>| {
        parent.section.as_ref().is_none_or(|s| *s == d.key.name) && parent.port.is_none_or(|p| p == d.port)
    };
    let matching: Vec<Arc<Door>> = doors.iter().filter(chosen).cloned().collect();
    if matching.is_empty() {
        let message = match (&parent.section, parent.port) {
            (Some(section), Some(port)) => {
                format!("Gateway {} has no listener {section} on port {port}", parent.name)
            }
            (Some(section), None) => format!("Gateway {} has no listener {section}", parent.name),
            (None, Some(port)) => format!("Gateway {} has no listener on port {port}", parent.name),
            (None, None) => format!("Gateway {} has no listener", parent.name),
        };
        return Err(Refused { reason: "NoMatchingParent", message });
    }
    let allowed: Vec<Arc<Door>> =
        matching.into_iter().filter(|d| d.kinds.contains(&kind) && admits(cx, d, own)).collect();
    if allowed.is_empty() {
        let message =
            format!("no listener of Gateway {} takes {} from namespace {own}", parent.name, kind.kind());
        return Err(Refused { reason: "NotAllowedByListeners", message });
    }
    let names = allowed.iter().map(|d| &*d.key.name).collect::<Vec<_>>().join(", ");
    let serving: Vec<Arc<Door>> = allowed.into_iter().filter(|d| d.accepted).collect();
    if serving.is_empty() {
        let message = format!("listener {names} of Gateway {} is not accepted itself", parent.name);
        return Err(Refused { reason: "NoMatchingParent", message });
    }
    let taken: Taken = serving
        .into_iter()
        .filter_map(|door| {
            let hosts = intersection(&door, route);
            let kept = keep_isolated(&door, hosts.clone(), &doors);
            (!hosts.is_empty()).then_some((door, kept))
        })
        .collect();
    if taken.is_empty() {
        let wanted = route.hostnames.iter().map(|h| &**h).collect::<Vec<_>>().join(", ");
        let message = format!("no listener of Gateway {} serves {wanted}", parent.name);
        return Err(Refused { reason: "NoMatchingListenerHostname", message });
    }
    Ok(taken)
}

fn admits(cx: &mut Cx<'_>, door: &Door, namespace: &Name) -> bool {
    match &door.from {
        AllowedNamespaces::All => true,
        AllowedNamespaces::Same => *namespace == door.key.gateway.namespace,
        AllowedNamespaces::None => false,
        AllowedNamespaces::Selector(selector) => {
            cx.get::<Namespace>(namespace).is_some_and(|ns| selector.matches(&ns.labels))
        }
    }
}
