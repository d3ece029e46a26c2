//! Which listeners would take which routes, and under which hostnames, as long as no other route is in the way.

use std::sync::Arc;

use portolan_model::{
    Name, ObjectKey,
    input::{AllowedNamespaces, Namespace, ParentRef, Route},
};

use super::{
    GROUP,
    hosts::{intersection, keep_isolated},
    rows::{Age, GatewayListener, GatewayOwner, Offer, Refused, Taken},
};
use crate::{Cx, gitops::unseen::may_bring, policy::rows::Denied, world::ListenersByGateway};

pub(super) fn offers(cx: &mut Cx<'_>, route: &Arc<Route>) {
    for (at, parent) in route.parents.iter().enumerate() {
        let (controller, outcome) = match attach(cx, route, parent) {
            Verdict::NotOurs => continue,
            Verdict::Ours(controller, outcome) => (Some(controller), outcome),
            Verdict::Nobody(message, unknown) => {
                (None, Err(Refused { reason: "NoMatchingParent".into(), message, unknown }))
            }
        };
        cx.emit(Offer { key: (route.key.clone(), at), age: Age::of(route), controller, outcome });
    }
}

/// Whose parent it is.
enum Verdict {
    /// Another controller's: it says what becomes of the route there.
    NotOurs,
    /// Nobody's: it does not exist, or its class does not; no status is written for it. Whether it may stand in what was not
    /// read.
    Nobody(String, bool),
    /// Ours, by this controller name.
    Ours(Name, Result<Taken, Refused>),
}

fn attach(cx: &mut Cx<'_>, route: &Route, parent: &ParentRef) -> Verdict {
    if !parent.kind.is(GROUP, "Gateway") {
        return Verdict::Nobody(format!("parent kind {} is not served yet", parent.kind), false);
    }
    let Some(owner) = cx.get::<GatewayOwner>(&parent.name) else {
        let key = ObjectKey::new(GROUP, "Gateway", parent.name.namespace.clone(), parent.name.name.clone());
        if let Some(denied) = cx.get::<Denied>(&key) {
            let message =
                format!("Gateway {} is denied by ValidatingAdmissionPolicy {}", parent.name, denied.policy);
            return Verdict::Nobody(message, false);
        }
        return match may_bring(cx, &parent.name.namespace) {
            Some(source) => {
                let message = format!(
                    "Gateway {} is not in what was read: {source}, which was not read whole, may bring it",
                    parent.name
                );
                Verdict::Nobody(message, true)
            }
            None => Verdict::Nobody(format!("Gateway {} does not exist", parent.name), false),
        };
    };
    if owner.controller.is_none() {
        let source = may_bring(cx, &Name::default());
        let message = match &source {
            Some(source) => format!(
                "the GatewayClass of Gateway {} is not in what was read: {source}, which was not read whole, may bring it",
                parent.name
            ),
            None => format!("the GatewayClass of Gateway {} does not exist", parent.name),
        };
        return Verdict::Nobody(message, source.is_some());
    }
    match owner.ours() {
        None => Verdict::NotOurs,
        Some(controller) => Verdict::Ours(controller.clone(), listeners(cx, route, parent)),
    }
}

fn listeners(cx: &mut Cx<'_>, route: &Route, parent: &ParentRef) -> Result<Taken, Refused> {
    let (kind, own) = (route.key.kind, &route.key.name.namespace);
    let gateway_listeners = cx.find::<ListenersByGateway>(&parent.name);
    let chosen = |d: &&Arc<GatewayListener>| {
        parent.section.as_ref().is_none_or(|s| *s == d.key.name) && parent.port.is_none_or(|p| p == d.port)
    };
    let matching: Vec<Arc<GatewayListener>> = gateway_listeners.iter().filter(chosen).cloned().collect();
    if matching.is_empty() {
        let message = match (&parent.section, parent.port) {
            (Some(section), Some(port)) => {
                format!("Gateway {} has no listener {section} on port {port}", parent.name)
            }
            (Some(section), None) => format!("Gateway {} has no listener {section}", parent.name),
            (None, Some(port)) => format!("Gateway {} has no listener on port {port}", parent.name),
            (None, None) => format!("Gateway {} has no listener", parent.name),
        };
        return Err(Refused { reason: "NoMatchingParent".into(), message, unknown: false });
    }
    let allowed: Vec<Arc<GatewayListener>> =
        matching.into_iter().filter(|d| d.kinds.contains(&kind) && admits(cx, d, own)).collect();
    if allowed.is_empty() {
        let message =
            format!("no listener of Gateway {} takes {} from namespace {own}", parent.name, kind.kind());
        return Err(Refused { reason: "NotAllowedByListeners".into(), message, unknown: false });
    }
    let names = allowed.iter().map(|d| &*d.key.name).collect::<Vec<_>>().join(", ");
    let serving: Vec<Arc<GatewayListener>> = allowed.into_iter().filter(|d| d.accepted).collect();
    if serving.is_empty() {
        let message = format!("listener {names} of Gateway {} is not accepted itself", parent.name);
        return Err(Refused { reason: "NoMatchingParent".into(), message, unknown: false });
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
        let message = format!("no listener of Gateway {} serves {wanted}", parent.name);
        return Err(Refused { reason: "NoMatchingListenerHostname".into(), message, unknown: false });
    }
    Ok(taken)
}

fn admits(cx: &mut Cx<'_>, gateway_listener: &GatewayListener, namespace: &Name) -> bool {
    match &gateway_listener.from {
        AllowedNamespaces::All => true,
        AllowedNamespaces::Same => *namespace == gateway_listener.key.gateway.namespace,
        AllowedNamespaces::None => false,
        AllowedNamespaces::Selector(selector) => {
            cx.get::<Namespace>(namespace).is_some_and(|ns| selector.matches(&ns.labels))
        }
    }
}
