//! Which listeners would take which routes, and under which hostnames, as long as no other route is in the way.

use std::sync::Arc;

use portolan_model::{
    GatewayKey, Name, NamespacedName, ObjectKey,
    input::{Gateway, ParentRef, Route},
};

use super::{
    GROUP,
    hosts::{intersection, keep_isolated},
    rows::{Age, GatewayListener, GatewayOwner, ListenerKey, ListenerSetState, Offer, Refused, Taken},
    sets,
};
use crate::{Cx, gitops::unseen::may_bring, policy::denial, world::ListenersByGateway};

/// What to do where the parent may stand in what was not read.
const UNREAD: &str = "make that source readable here, or correct the parentRef";
/// What to do where the parentRef leads nowhere.
const CORRECT: &str = "correct name, namespace, sectionName or port of the parentRef";

pub(super) fn offers(cx: &mut Cx<'_>, route: &Arc<Route>) {
    for (at, parent) in route.parents.iter().enumerate() {
        let (gateway, verdict) = match of(cx, parent) {
            Err((message, hint)) => (parent.name.clone(), Verdict::Nobody(message, hint)),
            Ok((gateway, attached)) => (gateway.clone(), attach(cx, route, parent, &gateway, attached)),
        };
        let mut unserved = Vec::new();
        let (controller, outcome) = match verdict {
            Verdict::NotOurs => continue,
            Verdict::Ours(controller, outcome) => {
                if outcome.is_ok() {
                    unserved = unaccepted(cx, route, parent, &gateway);
                }
                (Some(controller), outcome)
            }
            Verdict::Nobody(message, hint) => {
                let unknown = hint == UNREAD;
                (None, Err(Refused { reason: "NoMatchingParent".into(), message, unknown, hint }))
            }
        };
        let (key, age) = ((route.key.clone(), at), Age::of(route));
        cx.emit(Offer { key, age, gateway, controller, outcome, unserved });
    }
}

/// A Gateway, and of a ListenerSet why that is not attached to it.
type Attached = (GatewayKey, Result<(), String>);

/// The Gateway of a parent; or why there is none, and what to do.
fn of(cx: &mut Cx<'_>, parent: &ParentRef) -> Result<Attached, (String, &'static str)> {
    if parent.kind.is(GROUP, "Gateway") {
        return Ok((parent.name.clone(), Ok(())));
    }
    if !parent.kind.is(GROUP, "ListenerSet") {
        let hint = "attach the route to a Gateway or ListenerSet";
        return Err((format!("parent kind {} is not served yet", parent.kind), hint));
    }
    let name = &parent.name;
    if let Some(state) = cx.get::<ListenerSetState>(name) {
        let attached = state
            .attached
            .as_ref()
            .map_err(|(_, why)| format!("ListenerSet {name} is not attached to its Gateway: {why}"));
        return Ok((state.gateway.clone(), attached.copied()));
    }
    Err(missing(cx, "ListenerSet", name))
}

/// Why a parent is not there, and what to do.
fn missing(cx: &mut Cx<'_>, kind: &str, name: &NamespacedName) -> (String, &'static str) {
    let key = ObjectKey::new(GROUP, kind, name.namespace.clone(), name.name.clone());
    if let Some(denied) = denial(cx, &key) {
        let message = format!("{kind} {name} {}", denied.words(&key));
        let hint = match kind {
            "Gateway" => "correct the Gateway until the policy lets it in",
            _ => "correct the ListenerSet until the policy lets it in",
        };
        return (message, hint);
    }
    match may_bring(cx, &name.namespace) {
        Some(source) => {
            let message = format!(
                "{kind} {name} is not in what was read: {source}, which was not read whole, may bring it"
            );
            (message, UNREAD)
        }
        None => (format!("{kind} {name} does not exist"), CORRECT),
    }
}

/// Whose parent it is.
enum Verdict {
    /// Another controller's: it says what becomes of the route there.
    NotOurs,
    /// Nobody's: it does not exist, or its class does not; no status is written for it. Why, and what to do.
    Nobody(String, &'static str),
    /// Ours, by this controller name.
    Ours(Name, Result<Taken, Refused>),
}

fn attach(
    cx: &mut Cx<'_>,
    route: &Route,
    parent: &ParentRef,
    gateway: &GatewayKey,
    attached: Result<(), String>,
) -> Verdict {
    let Some(owner) = cx.get::<GatewayOwner>(gateway) else {
        let (message, hint) = missing(cx, "Gateway", gateway);
        return Verdict::Nobody(message, hint);
    };
    if owner.controller.is_none() {
        let source = may_bring(cx, &Name::default());
        let class = cx.get::<Gateway>(gateway).map(|gateway| gateway.class.clone()).unwrap_or_default();
        let denied = denial(cx, &ObjectKey::new(GROUP, "GatewayClass", "", class.clone()));
        if let Some(denied) = denied {
            let message =
                format!("the GatewayClass of Gateway {gateway}, {class}, {}", denied.words(&denied.key));
            return Verdict::Nobody(message, "correct the GatewayClass until the policy lets it in");
        }
        let message = match &source {
            Some(source) => format!(
                "the GatewayClass of Gateway {gateway} is not in what was read: {source}, which was not read whole, may bring it"
            ),
            None => format!("the GatewayClass of Gateway {gateway} does not exist"),
        };
        let class = "correct gatewayClassName of the Gateway, or add the GatewayClass";
        return Verdict::Nobody(message, if source.is_some() { UNREAD } else { class });
    }
    match (owner.ours(), attached) {
        (None, _) => Verdict::NotOurs,
        (Some(controller), Ok(())) => {
            Verdict::Ours(controller.clone(), listeners(cx, route, parent, gateway))
        }
        (Some(controller), Err(message)) => {
            let hint = "see what is said of the ListenerSet";
            let refused = Refused { reason: "NoMatchingParent".into(), message, unknown: false, hint };
            Verdict::Ours(controller.clone(), Err(refused))
        }
    }
}

fn listeners(
    cx: &mut Cx<'_>,
    route: &Route,
    parent: &ParentRef,
    gateway: &GatewayKey,
) -> Result<Taken, Refused> {
    let (kind, own) = (route.key.kind, &route.key.name.namespace);
    let gateway_listeners = cx.find::<ListenersByGateway>(gateway);
    let named = format!("{} {}", parent.kind.kind, parent.name);
    let matching: Vec<Arc<GatewayListener>> =
        gateway_listeners.iter().filter(|listener| chosen(parent, listener)).cloned().collect();
    if matching.is_empty() {
        let message = match (&parent.section, parent.port) {
            (Some(section), Some(port)) => {
                format!("{named} has no listener {section} on port {port}")
            }
            (Some(section), None) => format!("{named} has no listener {section}"),
            (None, Some(port)) => format!("{named} has no listener on port {port}"),
            (None, None) => format!("{named} has no listener"),
        };
        return Err(Refused { reason: "NoMatchingParent".into(), message, unknown: false, hint: CORRECT });
    }
    let allowed: Vec<Arc<GatewayListener>> =
        matching.into_iter().filter(|d| d.kinds.contains(&kind) && admits(cx, d, own)).collect();
    if allowed.is_empty() {
        let message = format!("no listener of {named} takes {} from namespace {own}", kind.kind());
        return Err(Refused {
            reason: "NotAllowedByListeners".into(),
            message,
            unknown: false,
            hint: "let the listener's allowedRoutes take the route's namespace and kind",
        });
    }
    let names = allowed.iter().map(|d| d.section()).collect::<Vec<_>>().join(", ");
    let serving: Vec<Arc<GatewayListener>> = allowed.into_iter().filter(|d| d.accepted).collect();
    if serving.is_empty() {
        let message = format!("listener {names} of {named} is not accepted itself");
        return Err(Refused {
            reason: "NoMatchingParent".into(),
            message,
            unknown: false,
            hint: "correct the listener: the findings of its object say what is wrong with it",
        });
    }
    let taken: Taken = serving
        .into_iter()
        .filter_map(|gateway_listener| {
            let hosts = intersection(&gateway_listener, route);
            let kept = keep_isolated(&gateway_listener, hosts.clone(), &gateway_listeners);
            (!hosts.is_empty()).then(|| (gateway_listener.key.clone(), kept))
        })
        .collect();
    if taken.is_empty() {
        let wanted = route.hostnames.iter().map(|h| &**h).collect::<Vec<_>>().join(", ");
        let message = format!("no listener of {named} serves {wanted}");
        return Err(Refused {
            reason: "NoMatchingListenerHostname".into(),
            message,
            unknown: false,
            hint: "use a hostname inside the listener's, or widen the listener",
        });
    }
    Ok(taken)
}

/// Listeners that would take a route if they were accepted: "Listener status does not impact successful attachment"
/// (`ListenerStatus.attachedRoutes`).
fn unaccepted(cx: &mut Cx<'_>, route: &Route, parent: &ParentRef, gateway: &GatewayKey) -> Vec<ListenerKey> {
    let mut all = cx.find::<ListenersByGateway>(gateway);
    all.retain(|listener| !listener.accepted && !listener.leaving && chosen(parent, listener));
    let (kind, own) = (route.key.kind, &route.key.name.namespace);
    all.retain(|d| d.kinds.contains(&kind) && admits(cx, d, own) && !intersection(d, route).is_empty());
    all.iter().map(|listener| listener.key.clone()).collect()
}

/// Whether a parentRef is for a listener of its Gateway or ListenerSet.
pub(super) fn chosen(parent: &ParentRef, listener: &GatewayListener) -> bool {
    let brought = match &listener.set {
        Some(set) => parent.kind.is(GROUP, "ListenerSet") && parent.name == *set,
        None => parent.kind.is(GROUP, "Gateway"),
    };
    brought
        && parent.section.as_ref().is_none_or(|section| **section == *listener.section())
        && parent.port.is_none_or(|port| port == listener.port)
}

fn admits(cx: &mut Cx<'_>, gateway_listener: &GatewayListener, namespace: &Name) -> bool {
    let home = gateway_listener.object().name.namespace;
    sets::allows(cx, &gateway_listener.from, &home, namespace)
}
