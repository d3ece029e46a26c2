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

/// What to do where the parent may stand in what was not read.
const UNREAD: &str = "make that source readable here, or correct the parentRef";
/// What to do where the parentRef leads nowhere.
const CORRECT: &str = "correct name, namespace, sectionName or port of the parentRef";

pub(super) fn offers(cx: &mut Cx<'_>, route: &Arc<Route>) {
    for (at, parent) in route.parents.iter().enumerate() {
        let (controller, outcome) = match attach(cx, route, parent) {
            Verdict::NotOurs => continue,
            Verdict::Ours(controller, outcome) => (Some(controller), outcome),
            Verdict::Nobody(message, hint) => {
                let unknown = hint == UNREAD;
                (None, Err(Refused { reason: "NoMatchingParent".into(), message, unknown, hint }))
            }
        };
        cx.emit(Offer { key: (route.key.clone(), at), age: Age::of(route), controller, outcome });
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

fn attach(cx: &mut Cx<'_>, route: &Route, parent: &ParentRef) -> Verdict {
    if !parent.kind.is(GROUP, "Gateway") {
        let hint = "attach the route to a Gateway";
        return Verdict::Nobody(format!("parent kind {} is not served yet", parent.kind), hint);
    }
    let Some(owner) = cx.get::<GatewayOwner>(&parent.name) else {
        let key = ObjectKey::new(GROUP, "Gateway", parent.name.namespace.clone(), parent.name.name.clone());
        if let Some(denied) = cx.get::<Denied>(&key) {
            let message =
                format!("Gateway {} is denied by ValidatingAdmissionPolicy {}", parent.name, denied.policy);
            return Verdict::Nobody(message, "correct the Gateway until the policy lets it in");
        }
        return match may_bring(cx, &parent.name.namespace) {
            Some(source) => {
                let message = format!(
                    "Gateway {} is not in what was read: {source}, which was not read whole, may bring it",
                    parent.name
                );
                Verdict::Nobody(message, UNREAD)
            }
            None => Verdict::Nobody(format!("Gateway {} does not exist", parent.name), CORRECT),
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
        let class = "correct gatewayClassName of the Gateway, or add the GatewayClass";
        return Verdict::Nobody(message, if source.is_some() { UNREAD } else { class });
    }
    match owner.ours() {
        None => Verdict::NotOurs,
        Some(controller) => Verdict::Ours(controller.clone(), listeners(cx, route, parent)),
    }
}

fn listeners(cx: &mut Cx<'_>, route: &Route, parent: &ParentRef) -> Result<Taken, Refused> {
    let (kind, own) = (route.key.kind, &route.key.name.namespace);
    let gateway_listeners = cx.find::<ListenersByGateway>(&parent.name);
    let matching: Vec<Arc<GatewayListener>> =
        gateway_listeners.iter().filter(|listener| chosen(parent, listener)).cloned().collect();
    if matching.is_empty() {
        let message = match (&parent.section, parent.port) {
            (Some(section), Some(port)) => {
                format!("Gateway {} has no listener {section} on port {port}", parent.name)
            }
            (Some(section), None) => format!("Gateway {} has no listener {section}", parent.name),
            (None, Some(port)) => format!("Gateway {} has no listener on port {port}", parent.name),
            (None, None) => format!("Gateway {} has no listener", parent.name),
        };
        return Err(Refused { reason: "NoMatchingParent".into(), message, unknown: false, hint: CORRECT });
    }
    let allowed: Vec<Arc<GatewayListener>> =
        matching.into_iter().filter(|d| d.kinds.contains(&kind) && admits(cx, d, own)).collect();
    if allowed.is_empty() {
        let message =
            format!("no listener of Gateway {} takes {} from namespace {own}", parent.name, kind.kind());
        return Err(Refused {
            reason: "NotAllowedByListeners".into(),
            message,
            unknown: false,
            hint: "let the listener's allowedRoutes take the route's namespace and kind",
        });
    }
    let names = allowed.iter().map(|d| &*d.key.name).collect::<Vec<_>>().join(", ");
    let serving: Vec<Arc<GatewayListener>> = allowed.into_iter().filter(|d| d.accepted).collect();
    if serving.is_empty() {
        let message = format!("listener {names} of Gateway {} is not accepted itself", parent.name);
        return Err(Refused {
            reason: "NoMatchingParent".into(),
            message,
            unknown: false,
            hint: "correct the listener: the Gateway's findings say what is wrong with it",
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
        let message = format!("no listener of Gateway {} serves {wanted}", parent.name);
        return Err(Refused {
            reason: "NoMatchingListenerHostname".into(),
            message,
            unknown: false,
            hint: "use a hostname inside the listener's, or widen the listener",
        });
    }
    Ok(taken)
}

/// Whether a parentRef is for a listener of its Gateway.
pub(super) fn chosen(parent: &ParentRef, listener: &GatewayListener) -> bool {
    parent.section.as_ref().is_none_or(|section| *section == listener.key.name)
        && parent.port.is_none_or(|port| port == listener.port)
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
