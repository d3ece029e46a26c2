//! What certificate each listener serves.

use std::sync::Arc;

use portolan_model::{
    Kind, Name, ObjectKey, Severity,
    input::{Gateway, Maker, Secret},
    intake::tls::{too_weak, unread},
};

use super::{
    grants::granted,
    listeners::object,
    rows::{GatewayListener, ListenerCertificate, ListenerKey, TlsReady},
    takes,
};
use crate::{
    Cx,
    policy::rows::Denied,
    problem,
    secrets::{REFLECTS, source},
    world::CutsBySecret,
};

/// The narrow row between a Secret and all that asks "can it be served".
pub(super) fn tls_ready(cx: &mut Cx<'_>, secret: &Arc<Secret>) {
    let Some(tls) = &secret.tls else { return };
    let state = match tls {
        Err(why) => Err(why.clone()),
        // Weakness first: a weak key is not read far enough to compare it.
        Ok(pair) => match too_weak(&pair.key).or_else(|| secret.data.get("tls.key").and_then(unread)) {
            Some(why) => Err(why),
            None if !pair.key_matches => Err("tls.key does not belong to tls.crt".to_owned()),
            None => {
                let mut covers = pair.dns_names.clone();
                if covers.is_empty() && !pair.common_name.is_empty() {
                    covers.push(Name::from(pair.common_name.to_ascii_lowercase()));
                }
                Ok((covers, pair.not_after))
            }
        },
    };
    let denied = denied(cx, secret);
    cx.emit(TlsReady { key: secret.key.clone(), state, denied });
}

/// Whether the Secret is denied, or the Certificate that it, or the source that it mirrors, was issued for is by now.
fn denied(cx: &mut Cx<'_>, secret: &Arc<Secret>) -> Option<String> {
    let key = ObjectKey { kind: Kind::new("", "Secret"), name: secret.key.clone() };
    if let Some(denied) = cx.get::<Denied>(&key) {
        return Some(format!("it is denied by ValidatingAdmissionPolicy {}", denied.policy));
    }
    let (source, issued) = match secret.annotations.get(REFLECTS).and_then(|text| source(text)) {
        None => (secret.key.clone(), Some(Arc::clone(secret))),
        Some(source) => (source, None),
    };
    for cut in cx.find::<CutsBySecret>(&source) {
        let issued = issued.clone().or_else(|| cx.get::<Secret>(&source));
        let by = |issued: &Arc<Secret>| {
            issued.maker == Maker::Issued
                && issued
                    .annotations
                    .get("cert-manager.io/certificate-name")
                    .is_some_and(|name| *name == *cut.key.1.name)
        };
        if issued.as_ref().is_some_and(by) {
            let (certificate, policy) = (&cut.key.1, &cut.policy);
            return Some(format!(
                "Certificate {certificate} is denied by ValidatingAdmissionPolicy {policy}"
            ));
        }
    }
    None
}

pub(super) fn listener_certificates(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    for (at, listener) in gateway.listeners.iter().enumerate() {
        let key = ListenerKey { gateway: gateway.key.clone(), name: listener.name.clone() };
        if cx
            .get::<GatewayListener>(&key)
            .is_none_or(|gateway_listener| !gateway_listener.accepted || !gateway_listener.https)
        {
            continue;
        }
        let Some(tls) = &listener.tls else { continue };
        let field = format!("spec.listeners[{at}].tls.certificateRefs");
        let mut row = ListenerCertificate {
            key,
            secret: Err(("InvalidCertificateRef".into(), "no certificateRefs".into())),
            covers: vec![],
            not_after: None,
            waiting: false,
        };
        if let Some(kind) = tls.unsupported.first() {
            let message = format!("listener {} refers to a {kind}, not to a Secret", listener.name);
            let hint = "refer to a core Secret of type kubernetes.io/tls";
            problem(cx, object(gateway), 214, Severity::Error, &field, message.clone(), hint);
            row.secret = Err(("InvalidCertificateRef".into(), message));
            cx.emit(row);
            continue;
        }
        if tls.certificates.is_empty() {
            let message = format!("listener {} names no certificate", listener.name);
            let hint = "set tls.certificateRefs";
            problem(cx, object(gateway), 207, Severity::Error, &field, message, hint);
        }
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
                let ready = cx.get::<TlsReady>(secret);
                let denied = ready.as_ref().and_then(|ready| ready.denied.clone());
                match ready.map(|ready| ready.state.clone()) {
                    _ if denied.is_some() => {
                        let why = denied.unwrap_or_default();
                        let message = format!("Secret {secret} is not served any longer: {why}");
                        let hint = "change the Secret or its Certificate so that the policy admits it";
                        problem(cx, object(gateway), 217, Severity::Error, &field, message.clone(), hint);
                        row.secret = Err(("InvalidCertificateRef".into(), message));
                    }
                    None => {
                        let message =
                            format!("Secret {secret} is not there yet; only this listener waits for it");
                        row.secret = Err(("InvalidCertificateRef".into(), message));
                        row.waiting = true;
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
