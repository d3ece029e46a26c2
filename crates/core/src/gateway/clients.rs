//! Which clients are let in where TLS ends: certificates of authorities for a Gateway, and for ports of it.
//! Source: Gateway API v1.7 `apis/v1/gateway_types.go`, `FrontendTLSConfig`.

use std::sync::Arc;

use portolan_model::{
    Name, Severity,
    input::{ClientValidation, Gateway},
};

use super::{
    authorities::{self, Fault},
    listeners::object,
    rows::{ClientTrust, TrustedCa},
    tls::MADE,
};
use crate::{Cx, problem};

pub(super) fn client_trusts(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    let frontend = &gateway.frontend;
    if let Some(validation) = &frontend.default {
        one(cx, gateway, None, validation, "spec.tls.frontend.default.validation");
    }
    for (at, (port, validation)) in frontend.ports.iter().enumerate() {
        if frontend.ports[..at].iter().any(|(other, _)| other == port) {
            continue;
        }
        if let Some(validation) = validation {
            let field = format!("spec.tls.frontend.perPort[{at}].tls.validation");
            one(cx, gateway, Some(*port), validation, &field);
        }
    }
}

fn one(cx: &mut Cx<'_>, gateway: &Gateway, port: Option<u16>, validation: &ClientValidation, field: &str) {
    let own = &gateway.key.namespace;
    let found = authorities::read(cx, "Gateway", own, &validation.authorities);
    let usable = !found.pem.is_empty();
    // What comes with the next answer of the API server is nobody's to mend.
    for (_, message) in found.wrong.iter().filter(|(fault, _)| *fault != Fault::Unread) {
        let effect = if usable {
            "clients of the other authorities are let in"
        } else {
            "no client is let in, and HTTPS listeners that it is for are not served"
        };
        let hint = "refer to a ConfigMap with a bundle of certificates in ca.crt";
        let field = format!("{field}.caCertificateRefs");
        problem(cx, object(gateway), 250, Severity::Error, &field, format!("{message}; {effect}"), hint);
    }
    let reason = |fault| match fault {
        Fault::Kind => "InvalidCACertificateKind",
        Fault::NotPermitted => "RefNotPermitted",
        Fault::Invalid => "InvalidCACertificateRef",
        Fault::Unread => MADE,
    };
    let mut wrong = found.wrong.into_iter().map(|(fault, message)| (Name::new(reason(fault)), message));
    let wrong = wrong.next().or_else(|| {
        let none = || (Name::new("InvalidCACertificateRef"), "no authority is named".to_owned());
        (!usable).then(none)
    });
    let at = port.map_or_else(|| "default".to_owned(), |port| port.to_string());
    let name = Name::from(format!("ca/{}/{at}", gateway.key));
    if usable {
        cx.emit(TrustedCa { key: name.clone(), pem: found.pem.into(), optional: validation.optional });
    }
    cx.emit(ClientTrust {
        key: (gateway.key.clone(), port),
        authorities: usable.then_some(name),
        optional: validation.optional,
        wrong,
    });
}
