//! Listeners: what is accepted, and what certificate each serves.

use std::sync::Arc;

use portolan_model::{
    Kind, Name, ObjectKey, RouteKind, Severity,
    input::{Gateway, GatewayClass, Listener, Protocol, Secret},
};

use super::{
    CONTROLLERS,
    rows::{Door, ListenerCertificate, ListenerKey, TlsReady},
    takes,
};
use crate::{Cx, problem, world::GrantsByNamespace};

pub(super) fn object(gateway: &Gateway) -> ObjectKey {
    ObjectKey { kind: Kind::new("gateway.networking.k8s.io", "Gateway"), name: gateway.key.clone() }
}

/// The narrow row between a Secret and all that asks "can it be served".
pub(super) fn tls_ready(cx: &mut Cx<'_>, secret: &Arc<Secret>) {
    let Some(tls) = &secret.tls else { return };
    let state = match tls {
        Err(why) => Err(why.clone()),
        Ok(pair) if !pair.key_matches => Err("tls.key does not belong to tls.crt".to_owned()),
        Ok(pair) => {
            let mut covers = pair.dns_names.clone();
            if covers.is_empty() && !pair.common_name.is_empty() {
                covers.push(Name::from(pair.common_name.to_ascii_lowercase()));
            }
            Ok((covers, pair.not_after))
        }
    };
    cx.emit(TlsReady { key: secret.key.clone(), state });
}

pub(super) fn doors(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    let class = cx.get::<GatewayClass>(&gateway.class);
    let Some(class) = class else {
        let message = format!("GatewayClass {} does not exist", gateway.class);
        let hint = "create the GatewayClass, or correct spec.gatewayClassName";
        problem(cx, object(gateway), 201, Severity::Error, "spec.gatewayClassName", message, hint);
        return;
    };
    if !CONTROLLERS.contains(&&*class.controller) {
        return;
    }
    for (at, listener) in gateway.listeners.iter().enumerate() {
        let field = format!("spec.listeners[{at}]");
        let mut accepted = true;
        if let Protocol::Other(protocol) = &listener.protocol {
            let message = format!("listener {}: protocol {protocol} is not served yet", listener.name);
            problem(
                cx,
                object(gateway),
                202,
                Severity::Error,
                &format!("{field}.protocol"),
                message,
                "use HTTP or HTTPS",
            );
            accepted = false;
        }
        // On one port the protocol must be one, and each hostname may stand once (Gateway API, "Distinct listeners").
        let rival = gateway.listeners[..at].iter().find(|other| {
            other.port == listener.port
                && (other.protocol != listener.protocol || other.hostname == listener.hostname)
        });
        if let Some(rival) = rival {
            let message = format!(
                "listener {} conflicts with listener {} on port {}: same hostname or another protocol",
                listener.name, rival.name, listener.port
            );
            problem(
                cx,
                object(gateway),
                203,
                Severity::Error,
                &field,
                message,
                "give one of them another hostname or port",
            );
            accepted = false;
        }
        if listener.protocol == Protocol::Https && listener.tls.as_ref().is_none_or(|tls| !tls.terminate) {
            let message =
                format!("listener {}: HTTPS needs tls.mode Terminate and a certificate", listener.name);
            problem(
                cx,
                object(gateway),
                207,
                Severity::Error,
                &format!("{field}.tls"),
                message,
                "set tls.certificateRefs",
            );
            accepted = false;
        }
        let https = listener.protocol == Protocol::Https;
        cx.emit(Door {
            key: ListenerKey { gateway: gateway.key.clone(), name: listener.name.clone() },
            hostname: listener.hostname.clone(),
            port: listener.port,
            https,
            accepted,
            routes: routes_name(gateway, listener),
            from: listener.from.clone(),
            kinds: kinds(listener),
        });
    }
}

/// HTTP listeners of one port share a route configuration; each HTTPS listener has its own, since SNI chose it.
fn routes_name(gateway: &Gateway, listener: &Listener) -> Name {
    match listener.protocol {
        Protocol::Https => format!("rc/{}/{}/{}", gateway.key, listener.port, listener.name).into(),
        _ => format!("rc/{}/{}", gateway.key, listener.port).into(),
    }
}

fn kinds(listener: &Listener) -> Vec<RouteKind> {
    let all = [RouteKind::Http, RouteKind::Grpc];
    if listener.kinds.is_empty() {
        return all.to_vec();
    }
    all.into_iter().filter(|k| listener.kinds.iter().any(|kind| kind.kind == k.kind())).collect()
}

pub(super) fn listener_certificates(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    for (at, listener) in gateway.listeners.iter().enumerate() {
        let key = ListenerKey { gateway: gateway.key.clone(), name: listener.name.clone() };
        if cx.get::<Door>(&key).is_none_or(|door| !door.accepted || !door.https) {
            continue;
        }
        let Some(tls) = &listener.tls else { continue };
        let field = format!("spec.listeners[{at}].tls.certificateRefs");
        let mut row = ListenerCertificate {
            key,
            secret: Err(("InvalidCertificateRef".into(), "no certificateRefs".into())),
            covers: vec![],
            not_after: None,
        };
        if tls.certificates.len() > 1 {
            let message =
                format!("listener {} names several certificates; the first is served", listener.name);
            problem(
                cx,
                object(gateway),
                208,
                Severity::Warning,
                &field,
                message,
                "use one certificate that covers all names",
            );
        }
        if let Some(secret) = tls.certificates.first() {
            if secret.namespace != gateway.key.namespace
                && !granted(cx, "Gateway", &gateway.key.namespace, "Secret", secret)
            {
                let message =
                    format!("Secret {secret} is in another namespace and no ReferenceGrant allows it");
                let hint = "add a ReferenceGrant in the Secret's namespace, or mirror the Secret";
                problem(cx, object(gateway), 209, Severity::Error, &field, message.clone(), hint);
                row.secret = Err(("RefNotPermitted".into(), message));
            } else {
                match cx.get::<TlsReady>(secret).map(|ready| ready.state.clone()) {
                    None => {
                        let message =
                            format!("Secret {secret} is not there yet; only this listener waits for it");
                        row.secret = Err(("InvalidCertificateRef".into(), message));
                    }
                    Some(Err(why)) => {
                        let message = format!("Secret {secret} cannot be served: {why}");
                        let hint = "put a PEM chain into tls.crt and its key into tls.key";
                        problem(cx, object(gateway), 210, Severity::Error, &field, message.clone(), hint);
                        row.secret = Err(("InvalidCertificateRef".into(), message));
                    }
                    Some(Ok((covers, not_after))) => {
                        if let Some(hostname) = &listener.hostname
                            && !covers.iter().any(|name| name == hostname || one_label(name, hostname))
                        {
                            let names = covers.iter().map(|n| &**n).collect::<Vec<_>>().join(", ");
                            let message =
                                format!("the certificate in Secret {secret} covers {names}, not {hostname}");
                            let hint =
                                "add the name to the Certificate's dnsNames, or refer to another Secret";
                            problem(cx, object(gateway), 211, Severity::Error, &field, message, hint);
                        }
                        row.secret = Ok(secret.clone());
                        row.covers = covers;
                        row.not_after = Some(not_after);
                    }
                }
            }
        }
        cx.emit(row);
    }
}

/// Whether a certificate name covers a hostname: a wildcard stands for exactly one label (RFC 9525 §6.3).
pub fn one_label(pattern: &str, host: &str) -> bool {
    if pattern == host {
        return true;
    }
    takes(pattern, host)
        && pattern.strip_prefix("*.").is_some_and(|parent| {
            host.len() > parent.len() + 1 && !host[..host.len() - parent.len() - 1].contains('.')
        })
}

/// Whether a ReferenceGrant in the target's namespace lets objects of `from` refer to it.
pub(super) fn granted(
    cx: &mut Cx<'_>,
    from: &str,
    namespace: &Name,
    kind: &str,
    target: &portolan_model::NamespacedName,
) -> bool {
    cx.find::<GrantsByNamespace>(&target.namespace).iter().any(|grant| {
        grant.from.iter().any(|(k, ns)| k.kind == from && ns == namespace)
            && grant
                .to
                .iter()
                .any(|(k, name)| k.kind == kind && name.as_ref().is_none_or(|n| *n == target.name))
    })
}
