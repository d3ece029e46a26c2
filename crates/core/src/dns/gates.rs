//! What opens a listener's gate, and where a Gateway's names point.

use std::{net::IpAddr, sync::Arc};

use portolan_model::{
    Instant, Kind, Name, ObjectKey, Severity,
    input::{Gateway, GatewayClass},
};

use super::{
    annotations,
    drain::{LISTENERS, UNTIL},
    rows::{GatewayTargets, ListenerGate},
};
use crate::{
    Cx,
    gateway::rows::{Force, GatewayAddress, GatewayListener, ListenerCertificate, ListenerForce},
    problem,
    world::{Finding, at},
};

pub(super) fn listener_gates(cx: &mut Cx<'_>, gateway_listener: &Arc<GatewayListener>) {
    let open = open(cx, gateway_listener);
    cx.emit(ListenerGate { key: gateway_listener.key.clone(), open });
}

fn open(cx: &mut Cx<'_>, gateway_listener: &GatewayListener) -> Result<Option<Vec<Name>>, String> {
    let listener = &gateway_listener.key;
    match cx.get::<ListenerForce>(listener).map(|row| row.state.clone()) {
        Some(Force::InForce) => {}
        Some(Force::Pending(why) | Force::NotSent(why)) => return Err(why),
        Some(Force::Refused(why)) => return Err(format!("Envoy refused {why}")),
        None => return Err(format!("listener {listener} is gone")),
    }
    if !gateway_listener.https {
        return Ok(None);
    }
    let Some(certificate) = cx.get::<ListenerCertificate>(listener) else {
        return Err(format!("listener {listener} has no certificate"));
    };
    let end = certificate.not_after.unwrap_or(Instant(i64::MAX));
    if cx.due(at(end)) {
        let secret = certificate.secret.as_ref().map_or_else(|(_, why)| why.clone(), ToString::to_string);
        return Err(format!("the certificate in Secret {secret} has expired on {end}"));
    }
    Ok(Some(certificate.covers.clone()))
}

pub(super) fn gateway_targets(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    let object =
        || ObjectKey { kind: Kind::new("gateway.networking.k8s.io", "Gateway"), name: gateway.key.clone() };
    let (notes, problems) = annotations::read(&gateway.annotations);
    for problem in problems {
        cx.emit(Finding { problem: problem.on(object()) });
    }
    let mut targets = notes.targets;
    if targets.is_empty()
        && let Some(address) = cx.get::<GatewayAddress>(&gateway.key)
    {
        if address.address.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
            let message = format!(
                "Gateway {} is bound to {}, which is no address that a name can point to",
                gateway.key, address.address
            );
            let hint = "set the annotation external-dns.kubernetes.io/target to the public address";
            problem(cx, object(), 432, Severity::Warning, "metadata.annotations", message, hint);
        } else {
            targets.push(address.address.clone());
        }
    }
    // With a list of listeners only those are leaving.
    let whole = gateway.annotations.contains_key(UNTIL) && !gateway.annotations.contains_key(LISTENERS);
    let class = cx.get::<GatewayClass>(&gateway.class);
    let leaving = whole || class.is_some_and(|class| class.annotations.contains_key(UNTIL));
    cx.emit(GatewayTargets { key: gateway.key.clone(), targets, leaving });
}
