//! Which listeners take which routes, and under which hostnames.

use std::sync::Arc;

use portolan_model::{
    Condition, Name, ObjectKey, RouteKind, Severity,
    input::{AllowedNamespaces, Gateway, Namespace, ParentRef, Route},
};

use super::{
    rows::{Attachment, Door},
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
    for (at, parent) in route.parents.iter().enumerate() {
        let field = format!("spec.parentRefs[{at}]");
        let gateway = parent.name.clone();
        let (taken, reason, message) = if parent.kind.kind == "Gateway" {
            attach(cx, route, parent)
        } else {
            let message = format!("parent kind {} is not served yet", parent.kind);
            (vec![], "NotAllowedByListeners", message)
        };
        let accepted = !taken.is_empty();
        if !accepted {
            let hint = match reason {
                "NoMatchingListenerHostname" => "use a hostname inside the listener's, or widen the listener",
                "NotAllowedByListeners" => {
                    "let the listener's allowedRoutes take the route's namespace and kind"
                }
                _ => "correct name, namespace, sectionName or port of the parentRef",
            };
            problem(cx, route.key.object(), 220, Severity::Error, &field, message.clone(), hint);
            // The hosts that were asked for are shown as refused, not forgotten.
            for host in &route.hostnames {
                cx.emit(HostClaim {
                    key: ClaimKey {
                        host: host.clone(),
                        route: route.key.clone(),
                        parent: at,
                        listener: Name::default(),
                    },
                    gateway: gateway.clone(),
                    https: false,
                    port: 0,
                    refused: Some(message.clone()),
                    unresolved: None,
                });
            }
        }
        for (door, hosts) in &taken {
            for host in hosts {
                cx.emit(HostClaim {
                    key: ClaimKey {
                        host: host.clone(),
                        route: route.key.clone(),
                        parent: at,
                        listener: door.key.name.clone(),
                    },
                    gateway: gateway.clone(),
                    https: door.https,
                    port: door.port,
                    refused: None,
                    unresolved: unresolved(route),
                });
            }
        }
        cx.emit(Attachment {
            key: (route.key.clone(), at),
            gateway,
            conditions: vec![Condition::new(
                "Accepted",
                accepted,
                if accepted { "Accepted" } else { reason },
                message,
            )],
            taken: taken.into_iter().map(|(door, hosts)| (door.key.clone(), hosts)).collect(),
        });
    }
}

/// A rule that serves nothing because a filter is not enforced.
fn unresolved(route: &Route) -> Option<String> {
    route.rules.iter().flat_map(|r| &r.filters).find_map(|f| match f {
        portolan_model::input::Filter::Unsupported(name) => Some(format!("filter {name} is not served yet")),
        _ => None,
    })
}

type Taken = Vec<(Arc<Door>, Vec<Name>)>;

fn attach(cx: &mut Cx<'_>, route: &Route, parent: &ParentRef) -> (Taken, &'static str, String) {
    if cx.get::<Gateway>(&parent.name).is_none() {
        let key = ObjectKey::new(
            "gateway.networking.k8s.io",
            "Gateway",
            parent.name.namespace.clone(),
            parent.name.name.clone(),
        );
        let message = match cx.get::<Denied>(&key) {
            Some(denied) => {
                format!("Gateway {} is denied by ValidatingAdmissionPolicy {}", parent.name, denied.policy)
            }
            None => format!("Gateway {} does not exist", parent.name),
        };
        return (vec![], "NoMatchingParent", message);
    }
    let doors = cx.find::<DoorsByGateway>(&parent.name);
    let matching: Vec<Arc<Door>> = doors
        .iter()
        .filter(|d| {
            parent.section.as_ref().is_none_or(|s| *s == d.key.name)
                && parent.port.is_none_or(|p| p == d.port)
        })
        .cloned()
        .collect();
    if matching.is_empty() {
        let message = match &parent.section {
            Some(section) => format!("Gateway {} has no listener {section}", parent.name),
            None => format!("Gateway {} has no listener that fits", parent.name),
        };
        return (vec![], "NoMatchingParent", message);
    }
    let own = &route.key.name.namespace;
    let allowed: Vec<Arc<Door>> = matching
        .into_iter()
        .filter(|d| d.accepted && d.kinds.contains(&route.key.kind) && admits(cx, d, own))
        .collect();
    if allowed.is_empty() {
        let message = format!(
            "no listener of Gateway {} takes {} from namespace {own}",
            parent.name,
            kind(route.key.kind)
        );
        return (vec![], "NotAllowedByListeners", message);
    }
    let taken: Taken = allowed
        .into_iter()
        .filter_map(|door| {
            let hosts = effective(&door, route, &doors);
            (!hosts.is_empty()).then_some((door, hosts))
        })
        .collect();
    let wanted = route.hostnames.iter().map(|h| &**h).collect::<Vec<_>>().join(", ");
    let message = if taken.is_empty() {
        format!("no listener of Gateway {} serves {wanted}", parent.name)
    } else {
        "Route is accepted".to_owned()
    };
    (taken, "NoMatchingListenerHostname", message)
}

fn kind(kind: RouteKind) -> &'static str {
    kind.kind()
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

/// Hostnames under which the route is served at this listener: the more specific of each overlapping pair. On a
/// cleartext port a more specific listener keeps its hosts for itself (listener isolation).
fn effective(door: &Door, route: &Route, all: &[Arc<Door>]) -> Vec<Name> {
    let any = Name::new("*");
    let mut hosts: Vec<Name> = match (&door.hostname, route.hostnames.is_empty()) {
        (None, true) => vec![any],
        (None, false) => route.hostnames.clone(),
        (Some(own), true) => vec![own.clone()],
        (Some(own), false) => route
            .hostnames
            .iter()
            .filter_map(|host| {
                if host == own || takes(own, host) {
                    Some(host.clone())
                } else if takes(host, own) {
                    Some(own.clone())
                } else {
                    None
                }
            })
            .collect(),
    };
    hosts.retain(|host| {
        !all.iter().any(|other| {
            other.accepted
                && other.port == door.port
                && other.key != door.key
                && other.hostname.as_ref().is_some_and(|own| {
                    let narrower = door.hostname.as_ref().is_none_or(|mine| takes(mine, own));
                    narrower && (own == host || takes(own, host))
                })
        })
    });
    hosts.sort();
    hosts.dedup();
    hosts
}
