//! Which cluster a reference to a backend leads to.

use portolan_model::{
    Kind, Name, ObjectKey, RouteKind, Severity,
    input::{BackendTarget, Route, Service},
};

use super::is_of_others;
use crate::{
    Cx,
    gateway::{
        backend_tls,
        backends::of_protocol,
        grants::granted,
        operated,
        rows::{BackendTrust, Carries, Cluster},
    },
    policy::absence,
    problem,
};

/// What a reference to a backend is for.
#[derive(Clone, Copy)]
pub(super) enum Use {
    /// It gets a share of the requests.
    Share,
    /// Its weight is 0.
    None,
    /// It gets copies.
    Mirror,
}

/// Why a reference leads to no cluster: reason of the specification (`RouteConditionResolvedRefs`) and message; without a
/// reason it resolves, and what it leads to cannot be spoken to.
pub(super) type Lost = (Option<Name>, String);

/// The cluster of a reference, or why there is none.
pub(super) fn resolve(
    cx: &mut Cx<'_>,
    route: &Route,
    target: &BackendTarget,
    field: &str,
    of: Use,
) -> Result<Cluster, Lost> {
    let refused = |cx: &mut Cx<'_>, code, field: &str, reason: &str, message: String, hint| {
        if !is_of_others(cx, route) {
            problem(cx, route.key.object(), code, Severity::Error, field, message.clone(), hint);
        }
        Err((Some(Name::new(reason)), message))
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
            Use::Share if !route.key.kind.is_http() => {
                "add a ReferenceGrant in the Service's namespace; until then this share goes nowhere"
            }
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
    let words = Words::of(route.key.kind);
    let Some(service) = cx.get::<Service>(&target.name) else {
        let effect = match of {
            Use::Share => format!("this share of {} {}", words.all, words.share),
            Use::None => format!("its weight is 0, so no {} needs it", words.one),
            Use::Mirror => "no request is copied to it".to_owned(),
        };
        if let Some(why) = operated::elsewhere(cx, &target.name) {
            return absent(cx, route, target, field, of, &why);
        }
        let why = absence(cx, &ObjectKey { kind: Kind::new("", "Service"), name: target.name.clone() });
        let message = format!("Service {} {why}; {effect}", target.name);
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
    let protocol = if route.key.kind == RouteKind::Udp { "UDP" } else { "TCP" };
    let Some(port) = of_protocol(&service, number, protocol) else {
        let message =
            format!("Service {} has no port {number} for {protocol} (it has {})", target.name, have());
        let hint = match protocol {
            "UDP" => "use a port whose protocol is UDP",
            _ => "use a port whose protocol is TCP",
        };
        return refused(cx, 244, &field, "UnsupportedProtocol", message, hint);
    };
    if route.key.kind == RouteKind::Udp {
        return Ok(datagrams(target, number));
    }
    let protocol = port.app_protocol.as_deref().unwrap_or_default();
    let policy = backend_tls::of_port(cx, &target.name, port);
    let Some(http2) = http2(route.key.kind, protocol, policy.is_some()) else {
        let (port, kind) = (port.port, route.key.kind.kind());
        let message = format!(
            "port {port} of Service {} speaks {protocol}, which is not served to {kind}s",
            target.name
        );
        let hint = "say in a BackendTLSPolicy whom to believe, or use a port that speaks HTTP in clear: without appProtocol, or http, kubernetes.io/h2c, kubernetes.io/ws";
        return refused(cx, 244, &field, "UnsupportedProtocol", message, hint);
    };
    let tls = match policy {
        None => None,
        // Its own findings and conditions say what is wrong with it.
        Some(policy) => match cx.get::<BackendTrust>(&policy.key).map(|trust| trust.tls.clone()) {
            Some(Ok(tls)) => Some(tls),
            Some(Err(why)) => return Err((None, format!("BackendTLSPolicy {}: {why}", policy.key))),
            None => return Err((None, format!("BackendTLSPolicy {} was not judged", policy.key))),
        },
    };
    let streams = !route.key.kind.is_http() && tls.is_some();
    let suffix = match (http2, tls.is_some()) {
        (false, true) if streams => "/tls/connections",
        (false, false) => "",
        (true, false) => "/h2c",
        (false, true) => "/tls",
        (true, true) => "/tls/h2",
    };
    Ok(Cluster {
        key: format!("svc/{}/{}{suffix}", target.name, port.port).into(),
        service: target.name.clone(),
        port: port.port,
        http2,
        tls,
        carries: if streams { Carries::Connections } else { Carries::Requests },
        blend: None,
    })
}

fn datagrams(target: &BackendTarget, port: u16) -> Cluster {
    Cluster {
        key: format!("svc/{}/{port}/udp", target.name).into(),
        service: target.name.clone(),
        port,
        http2: false,
        tls: None,
        carries: Carries::Datagrams,
        blend: None,
    }
}

/// What comes to a route of a kind, and what becomes of it where it leads nowhere.
pub(super) struct Words {
    /// Of several.
    pub all: &'static str,
    /// Of one.
    one: &'static str,
    /// What all of a rule gets.
    pub gets: &'static str,
    /// What a share gets.
    share: &'static str,
}

impl Words {
    pub fn of(kind: RouteKind) -> Self {
        let (all, one, gets, share) = match kind {
            RouteKind::Http => ("requests", "request", "get 500", "gets 500"),
            RouteKind::Grpc => ("requests", "request", "get UNAVAILABLE", "gets UNAVAILABLE"),
            RouteKind::Tls | RouteKind::Tcp => ("connections", "connection", "are closed", "is closed"),
            RouteKind::Udp => ("datagrams", "datagram", "are dropped", "is dropped"),
        };
        Self { all, one, gets, share }
    }
}

/// The cluster of a Service that is not here and may be in a cluster: the host is served with a stand-in, and it is said.
fn absent(
    cx: &mut Cx<'_>,
    route: &Route,
    target: &BackendTarget,
    field: &str,
    of: Use,
    why: &str,
) -> Result<Cluster, Lost> {
    let ours = !is_of_others(cx, route);
    let Some(port) = target.port else {
        let message = format!("no port of Service {} is named", target.name);
        if ours {
            let (key, field) = (route.key.object(), format!("{field}.port"));
            let hint = "name the port: of a Service it is required";
            problem(cx, key, 224, Severity::Error, &field, message.clone(), hint);
        }
        return Err((Some(Name::new("BackendNotFound")), message));
    };
    let udp = route.key.kind == RouteKind::Udp;
    if ours {
        let effect = match of {
            Use::Share if udp => "datagrams are dropped",
            Use::Share => "the built-in echo backend answers in its place",
            Use::None => "its weight is 0, so no request needs it",
            Use::Mirror => "copies go to the built-in echo backend",
        };
        let message = format!("Service {} {why}; {effect}", target.name);
        let hint = "nothing to do if it does; else create the Service or correct the name";
        problem(cx, route.key.object(), 223, Severity::Warning, &format!("{field}.name"), message, hint);
    }
    if udp {
        return Ok(datagrams(target, port));
    }
    let http2 = route.key.kind == RouteKind::Grpc;
    let suffix = if http2 { "/h2c" } else { "" };
    Ok(Cluster {
        key: format!("svc/{}/{port}{suffix}", target.name).into(),
        service: target.name.clone(),
        port,
        http2,
        // Its stand-in is never spoken to by TLS.
        tls: None,
        carries: Carries::Requests,
        blend: None,
    })
}

/// Whether a backend is spoken to by HTTP/2, or `None` if this route cannot speak its `appProtocol` (Gateway API, GEP-1911):
/// TLS to a backend needs a BackendTLSPolicy. Other names are hints; as in Envoy Gateway (`resolveBackendProtocol`) they
/// change nothing.
fn http2(kind: RouteKind, app_protocol: &str, tls: bool) -> Option<bool> {
    if !kind.is_http() {
        // Nothing is added to what is sent, whatever it is.
        return Some(false);
    }
    let grpc = kind == RouteKind::Grpc;
    match &*app_protocol.to_ascii_lowercase() {
        "kubernetes.io/h2c" | "gateway.envoyproxy.io/h2c" | "grpc" => Some(true),
        "kubernetes.io/ws"
        | "gateway.envoyproxy.io/ws"
        | "kubernetes.io/wss"
        | "gateway.envoyproxy.io/wss"
            if grpc =>
        {
            None
        }
        "https" | "kubernetes.io/wss" | "gateway.envoyproxy.io/wss" => tls.then_some(grpc),
        _ => Some(grpc),
    }
}
