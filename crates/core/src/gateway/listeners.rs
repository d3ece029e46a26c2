//! Listeners: which are accepted, and what may attach to them.

mod refusals;

use std::sync::Arc;

use portolan_model::{
    Kind, Name, ObjectKey, RouteKind, Severity,
    input::{Gateway, GatewayClass, Listener, Protocol},
};
use refusals::{Taken, alone, no_clients, refusal};

use super::{
    GROUP,
    addresses::unaccepted,
    ours,
    rows::{
        ClientTrust, Clients, GatewayListener, GatewayOwner, InCluster, ListenerKey, ListenerState, Merged,
        MergedListeners, Speaks,
    },
    sets,
};
use crate::{Cx, gitops::unseen::may_bring, policy::rows::Denied, problem};

pub(super) fn object(gateway: &Gateway) -> ObjectKey {
    ObjectKey { kind: Kind::new(GROUP, "Gateway"), name: gateway.key.clone() }
}

/// Classes that other controllers make themselves, so that no repository holds them.
const CLASSES_OF_OTHERS: [&str; 12] = [
    "istio",
    "istio-remote",
    "istio-waypoint",
    "istio-east-west",
    "cilium",
    "kgateway",
    "kgateway-waypoint",
    "gke-l7-global-external-managed",
    "gke-l7-regional-external-managed",
    "gke-l7-rilb",
    "gke-l7-gxlb",
    "azure-alb-external",
];

pub(super) fn gateway_listeners(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    let class = cx.get::<GatewayClass>(&gateway.class);
    let denied = cx.get::<Denied>(&ObjectKey::new(GROUP, "GatewayClass", "", gateway.class.clone()));
    let elsewhere = class.is_none() && denied.is_none() && CLASSES_OF_OTHERS.contains(&&*gateway.class);
    // A class that its controller makes is named like it: what is known of that controller.
    let controller = class.as_ref().map(|class| &class.controller).or(elsewhere.then_some(&gateway.class));
    let is_ours = controller.is_some_and(|name| ours(cx, name));
    let owner = GatewayOwner { key: gateway.key.clone(), controller: controller.cloned(), is_ours };
    let (missing, ours) = (class.is_none(), owner.ours().is_some());
    cx.emit(owner);
    if missing {
        let source = (denied.is_none() && !elsewhere).then(|| may_bring(cx, &Name::default())).flatten();
        let message = match denied {
            None if elsewhere => None,
            None if source.is_some() => None,
            None => Some(format!("GatewayClass {} does not exist", gateway.class)),
            Some(denied) => Some(format!(
                "GatewayClass {} is denied by ValidatingAdmissionPolicy {}",
                gateway.class, denied.policy
            )),
        };
        let (severity, hint) = match (&message, &source) {
            (Some(_), _) => (Severity::Error, "create the GatewayClass, or correct spec.gatewayClassName"),
            (None, Some(_)) => {
                (Severity::Warning, "make that source readable here, or create the GatewayClass")
            }
            (None, None) => (Severity::Info, "nothing to do"),
        };
        let message = message.unwrap_or_else(|| match &source {
            Some(source) => format!(
                "GatewayClass {} is not in what was read: {source}, which was not read whole, may bring it; whether the Gateway is served here is unknown",
                gateway.class
            ),
            None => format!(
                "GatewayClass {} is made by its own controller; the Gateway is not served here",
                gateway.class
            ),
        });
        problem(cx, object(gateway), 201, severity, "spec.gatewayClassName", message, hint);
    }
    if !ours {
        // In a cluster whoever it belongs to is there, and it is nobody's business here.
        if let Some(class) = &class
            && cx.get::<InCluster>(&Name::default()).is_none()
        {
            let message = format!(
                "GatewayClass {} belongs to controller {}; the Gateway and what is attached to it are not served here",
                gateway.class, class.controller
            );
            let hint =
                "nothing to do if another controller is to serve it; else name a class of Envoy Gateway";
            problem(cx, object(gateway), 201, Severity::Warning, "spec.gatewayClassName", message, hint);
        }
        return;
    }
    let unaccepted = unaccepted(gateway);
    if let Some(why) = &unaccepted {
        let message = format!("{}; the Gateway is not accepted", why.message);
        problem(cx, object(gateway), 215, Severity::Error, why.field, message, why.hint);
    }
    let Some(merged) = cx.get::<MergedListeners>(&gateway.key) else { return };
    let mut taken = Taken::default();
    for (at, one) in merged.all.iter().enumerate() {
        let listener = &one.listener;
        let (written_in, field) = place(gateway, one);
        if one.set.is_none() && merged.all[..at].iter().any(|other| other.name == one.name) {
            let message = format!("listener name {} stands twice; this one is left out", listener.name);
            let hint = "give each listener a name of its own";
            problem(cx, written_in, 212, Severity::Error, &format!("{field}.name"), message, hint);
            continue;
        }
        let leaving = one.leaving;
        let (clients, wrong_clients) = clients(cx, gateway, listener);
        let wrong = match one.set {
            None => refusal(&merged.all, at),
            Some(_) => taken.refusal(one).or_else(|| alone(listener)),
        };
        let wrong = wrong.or_else(|| clients.as_ref().err().map(|why| no_clients(listener, why)));
        if one.set.is_none() && !leaving || wrong.is_none() {
            taken.add(one);
        }
        let conflicted = wrong.as_ref().is_some_and(|wrong| wrong.code == 203);
        if let Some(wrong) = wrong.as_ref().filter(|wrong| !leaving && wrong.code > 0) {
            let field = format!("{field}{}", wrong.field);
            let message = wrong.message.clone();
            problem(cx, written_in.clone(), wrong.code, Severity::Error, &field, message, wrong.hint);
        }
        let (kinds, wrong_kinds) = kinds(listener);
        if !wrong_kinds.is_empty() && !leaving {
            let message = format!(
                "listener {}: {} cannot attach to a listener of this protocol",
                listener.name,
                wrong_kinds.iter().map(|n| &**n).collect::<Vec<_>>().join(", ")
            );
            let field = format!("{field}.allowedRoutes.kinds");
            let hint = match listener.protocol {
                Protocol::Tls => "name TLSRoute of gateway.networking.k8s.io",
                Protocol::Tcp => "name TCPRoute of gateway.networking.k8s.io",
                Protocol::Udp => "name UDPRoute of gateway.networking.k8s.io",
                _ => "name HTTPRoute or GRPCRoute of gateway.networking.k8s.io",
            };
            problem(cx, written_in, 213, Severity::Error, &field, message, hint);
        }
        let key = ListenerKey { gateway: gateway.key.clone(), name: one.name.clone() };
        cx.emit(GatewayListener {
            key: key.clone(),
            hostname: listener.hostname.clone(),
            port: listener.port,
            speaks: speaks(listener),
            accepted: wrong.is_none() && unaccepted.is_none(),
            routes: routes_name(gateway, &merged.all, one),
            from: listener.from.clone(),
            kinds,
            leaving,
            set: one.set.clone(),
            clients: clients.unwrap_or_default(),
        });
        cx.emit(ListenerState {
            key,
            accepted: wrong.map_or(Ok(()), |wrong| Err((wrong.reason.into(), wrong.message))),
            conflicted,
            wrong_kinds,
            clients: wrong_clients,
        });
    }
}

/// The object that a listener is written in, and its field.
pub(super) fn place(gateway: &Gateway, one: &Merged) -> (ObjectKey, String) {
    let written_in = one.set.as_ref().map_or_else(|| object(gateway), sets::object);
    (written_in, format!("spec.listeners[{}]", one.at))
}

/// Which clients a listener lets in, or why it lets in none; and what of it does not resolve.
type LetIn = (Result<Option<Clients>, String>, Option<(Name, String)>);

fn clients(cx: &mut Cx<'_>, gateway: &Gateway, listener: &Listener) -> LetIn {
    let (port, validation) = gateway.frontend.at(listener.port);
    if listener.protocol != Protocol::Https || validation.is_none() {
        return (Ok(None), None);
    }
    let Some(trust) = cx.get::<ClientTrust>(&(gateway.key.clone(), port)) else {
        return (Err("which clients are let in is not known".into()), None);
    };
    let wrong = trust.wrong.clone();
    let Some(authorities) = trust.authorities.clone() else {
        let why = wrong.as_ref().map_or_else(String::new, |(_, message)| message.clone());
        return (Err(why), wrong);
    };
    (Ok(Some(Clients { authorities, optional: trust.optional })), wrong)
}

/// What a listener speaks; of a protocol that is not served it does not matter.
fn speaks(listener: &Listener) -> Speaks {
    match listener.protocol {
        Protocol::Http | Protocol::Other(_) => Speaks::Http,
        Protocol::Https => Speaks::Https,
        Protocol::Tls if listener.tls.as_ref().is_some_and(|tls| tls.terminate) => Speaks::TlsEnds,
        Protocol::Tls => Speaks::TlsPasses,
        Protocol::Tcp => Speaks::Tcp,
        Protocol::Udp => Speaks::Udp,
    }
}

/// HTTP listeners of one port share a route configuration; each other one has its own name, since something else chose it. A listener
/// that was renamed and is leaving under its old name has that of the new one.
fn routes_name(gateway: &Gateway, all: &[Merged], one: &Merged) -> Name {
    let successor = |other: &&Merged| {
        let at = |one: &Merged| {
            let listener = &one.listener;
            (listener.port, listener.protocol.clone(), listener.hostname.clone())
        };
        other.set.is_none() && at(other) == at(one) && !other.leaving
    };
    let renamed = one.leaving.then(|| all.iter().find(successor)).flatten();
    let name = &renamed.unwrap_or(one).name;
    let port = one.listener.port;
    match one.listener.protocol {
        Protocol::Http | Protocol::Other(_) => format!("rc/{}/{port}", gateway.key).into(),
        _ => format!("rc/{}/{port}/{name}", gateway.key).into(),
    }
}

/// Route kinds that may attach, and kinds that are named but cannot.
fn kinds(listener: &Listener) -> (Vec<RouteKind>, Vec<Name>) {
    let all = match listener.protocol {
        Protocol::Http | Protocol::Https => vec![RouteKind::Http, RouteKind::Grpc],
        Protocol::Tls => vec![RouteKind::Tls],
        Protocol::Tcp => vec![RouteKind::Tcp],
        Protocol::Udp => vec![RouteKind::Udp],
        Protocol::Other(_) => vec![],
    };
    if listener.kinds.is_empty() || all.is_empty() {
        return (all, vec![]);
    }
    let is = |kind: &Kind, route: RouteKind| kind.group == GROUP && kind.kind == route.kind();
    let wrong = listener
        .kinds
        .iter()
        .filter(|kind| !all.iter().any(|route| is(kind, *route)))
        .map(|kind| kind.kind.clone())
        .collect();
    (all.into_iter().filter(|route| listener.kinds.iter().any(|kind| is(kind, *route))).collect(), wrong)
}
