//! Listeners: which are accepted, and what may attach to them.

use std::sync::Arc;

use portolan_model::{
    Kind, Name, ObjectKey, RouteKind, Severity,
    input::{Gateway, GatewayClass, Listener, Protocol},
};

use super::{
    GROUP,
    addresses::unsupported,
    ours,
    rows::{GatewayListener, GatewayOwner, InCluster, ListenerKey, ListenerState},
};
use crate::{Cx, dns::drain::LISTENERS, gitops::unseen::may_bring, policy::rows::Denied, problem};

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
    let unsupported = unsupported(gateway);
    if let Some(message) = &unsupported {
        let message = format!("{message}; the Gateway is not accepted");
        let hint = "use IPAddress or Hostname, or leave the addresses out";
        problem(cx, object(gateway), 215, Severity::Error, "spec.addresses", message, hint);
    }
    for (at, listener) in gateway.listeners.iter().enumerate() {
        let field = format!("spec.listeners[{at}]");
        if gateway.listeners[..at].iter().any(|other| other.name == listener.name) {
            let message = format!("listener name {} stands twice; this one is left out", listener.name);
            let hint = "give each listener a name of its own";
            problem(cx, object(gateway), 212, Severity::Error, &format!("{field}.name"), message, hint);
            continue;
        }
        let leaving = is_leaving(gateway, listener);
        let wrong = refusal(gateway, at);
        let conflicted = wrong.as_ref().is_some_and(|wrong| wrong.code == 203);
        if let Some(wrong) = wrong.as_ref().filter(|_| !leaving) {
            let field = format!("{field}{}", wrong.field);
            let message = wrong.message.clone();
            problem(cx, object(gateway), wrong.code, Severity::Error, &field, message, wrong.hint);
        }
        let (kinds, wrong_kinds) = kinds(listener);
        if !wrong_kinds.is_empty() && !leaving {
            let message = format!(
                "listener {}: {} cannot attach to a listener of this protocol",
                listener.name,
                wrong_kinds.iter().map(|n| &**n).collect::<Vec<_>>().join(", ")
            );
            let field = format!("{field}.allowedRoutes.kinds");
            let hint = "name HTTPRoute or GRPCRoute of gateway.networking.k8s.io";
            problem(cx, object(gateway), 213, Severity::Error, &field, message, hint);
        }
        let key = ListenerKey { gateway: gateway.key.clone(), name: listener.name.clone() };
        cx.emit(GatewayListener {
            key: key.clone(),
            hostname: listener.hostname.clone(),
            port: listener.port,
            https: listener.protocol == Protocol::Https,
            accepted: wrong.is_none() && unsupported.is_none(),
            routes: routes_name(gateway, listener),
            from: listener.from.clone(),
            kinds,
            leaving,
        });
        cx.emit(ListenerState {
            key,
            accepted: wrong.map_or(Ok(()), |wrong| Err((wrong.reason.into(), wrong.message))),
            conflicted,
            wrong_kinds,
        });
    }
}

/// Why a listener is not accepted.
struct Refusal {
    code: u16,
    reason: &'static str,
    field: &'static str,
    message: String,
    hint: &'static str,
}

fn refusal(gateway: &Gateway, at: usize) -> Option<Refusal> {
    let listener = &gateway.listeners[at];
    let name = &listener.name;
    if let Protocol::Other(protocol) = &listener.protocol {
        return Some(Refusal {
            code: 202,
            reason: "UnsupportedProtocol",
            field: ".protocol",
            message: format!("listener {name}: protocol {protocol} is not served yet"),
            hint: "use HTTP or HTTPS",
        });
    }
    // "The implementation MUST NOT pick one conflicting Listener as the winner" (`Gateway.spec.listeners`). Listeners
    // of protocols that are not served take part in no conflict. One that is leaving is in nobody's way.
    let leaving = is_leaving(gateway, listener);
    let served = |other: &Listener| {
        !matches!(other.protocol, Protocol::Other(_)) && (leaving || !is_leaving(gateway, other))
    };
    let mut rivals = gateway.listeners.iter().enumerate().filter(|(position, other)| {
        *position != at && other.name != *name && other.port == listener.port && served(other)
    });
    let conflict = |reason, rival: &Listener, what: &str| Refusal {
        code: 203,
        reason,
        field: "",
        message: format!(
            "listener {name} conflicts with listener {} on port {}: {what}; neither is served",
            rival.name, listener.port
        ),
        hint: "give one of them another hostname or port",
    };
    if let Some((_, rival)) = rivals.clone().find(|(_, other)| other.protocol != listener.protocol) {
        return Some(conflict("ProtocolConflict", rival, "another protocol"));
    }
    let same = |other: &Listener| other.hostname == listener.hostname;
    // One that is leaving and has a successor shares its route configuration.
    if let Some((_, rival)) =
        rivals.find(|(_, other)| same(other) && (!leaving || is_leaving(gateway, other)))
    {
        return Some(conflict("HostnameConflict", rival, "the same hostname"));
    }
    let tls = listener.tls.as_ref();
    if listener.protocol == Protocol::Https && tls.is_none_or(|tls| !tls.terminate) {
        return Some(Refusal {
            code: 207,
            reason: "UnsupportedValue",
            field: ".tls",
            message: format!("listener {name}: HTTPS needs tls.mode Terminate and a certificate"),
            hint: "set tls.certificateRefs",
        });
    }
    None
}

/// Whether it was removed and is served until its DNS records are gone.
fn is_leaving(gateway: &Gateway, listener: &Listener) -> bool {
    let leaving = gateway.annotations.get(LISTENERS);
    leaving.is_some_and(|names| names.split(',').any(|name| *name == *listener.name))
}

/// HTTP listeners of one port share a route configuration; each HTTPS listener has its own, since SNI chose it. A listener
/// that was renamed and is leaving under its old name has that of the new one.
fn routes_name(gateway: &Gateway, listener: &Listener) -> Name {
    let successor = |other: &&Listener| {
        let at = |l: &Listener| (l.port, l.protocol.clone(), l.hostname.clone());
        at(other) == at(listener) && !is_leaving(gateway, other)
    };
    let renamed = is_leaving(gateway, listener).then(|| gateway.listeners.iter().find(successor)).flatten();
    let name = &renamed.unwrap_or(listener).name;
    match listener.protocol {
        Protocol::Https => format!("rc/{}/{}/{name}", gateway.key, listener.port).into(),
        _ => format!("rc/{}/{}", gateway.key, listener.port).into(),
    }
}

/// Route kinds that may attach, and kinds that are named but cannot.
fn kinds(listener: &Listener) -> (Vec<RouteKind>, Vec<Name>) {
    let all = match listener.protocol {
        Protocol::Http | Protocol::Https => vec![RouteKind::Http, RouteKind::Grpc],
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
