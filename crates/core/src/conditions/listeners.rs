//! Listeners of a Gateway. Source of types and reasons: Gateway API `apis/v1/gateway_types.go`, `ListenerCondition*`.

use std::sync::Arc;

use portolan_model::{Condition, Name};

use super::rows::{ListenerStatus, Progress};
use crate::{
    Cx,
    gateway::rows::{
        GatewayListener, ListenerCertificate, ListenerState, WireAck, WireKey, WirePending, WireType,
        listener_name, secret_name,
    },
    world::AttachmentsByListener,
};

pub(super) fn listener_status(cx: &mut Cx<'_>, state: &Arc<ListenerState>) {
    let Some(gateway_listener) = cx.get::<GatewayListener>(&state.key) else { return };
    let certificate = cx.get::<ListenerCertificate>(&state.key);
    let attached = cx.count::<AttachmentsByListener>(&state.key);
    let progress = progress(cx, state, &gateway_listener, certificate.as_deref());
    let conditions = vec![
        accepted(state),
        conflicted(state),
        programmed(state, gateway_listener.accepted, certificate.as_deref(), &progress),
        resolved(state, certificate.as_deref()),
    ];
    let kinds = gateway_listener.kinds.iter().map(|kind| Name::new(kind.kind())).collect();
    cx.emit(ListenerStatus { key: state.key.clone(), attached, kinds, conditions, progress });
}

fn accepted(state: &ListenerState) -> Condition {
    match &state.accepted {
        Ok(()) => Condition::new("Accepted", true, "Accepted", "Listener is accepted"),
        Err((reason, message)) => Condition::new("Accepted", false, reason, message.clone()),
    }
}

fn conflicted(state: &ListenerState) -> Condition {
    match &state.accepted {
        Err((reason, message)) if state.conflicted => {
            Condition::new("Conflicted", true, reason, message.clone())
        }
        _ => Condition::new("Conflicted", false, "NoConflicts", "No conflicts"),
    }
}

fn resolved(state: &ListenerState, certificate: Option<&ListenerCertificate>) -> Condition {
    if let Some(Err((reason, message))) = certificate.map(|c| &c.secret) {
        return Condition::new("ResolvedRefs", false, reason, message.clone());
    }
    if !state.wrong_kinds.is_empty() {
        let kinds = state.wrong_kinds.iter().map(|n| &**n).collect::<Vec<_>>().join(", ");
        let message = format!("{kinds} cannot attach to a listener of this protocol");
        return Condition::new("ResolvedRefs", false, "InvalidRouteKinds", message);
    }
    Condition::new("ResolvedRefs", true, "ResolvedRefs", "All references are resolved")
}

fn programmed(
    state: &ListenerState,
    open: bool,
    certificate: Option<&ListenerCertificate>,
    progress: &Progress,
) -> Condition {
    let not = |reason: &str, message: String| Condition::new("Programmed", false, reason, message);
    if let Err((reason, message)) = &state.accepted {
        return not(if state.conflicted { reason } else { "Invalid" }, message.clone());
    }
    if !open {
        return not("Invalid", "The Gateway is not accepted".into());
    }
    if let Some(certificate) = certificate
        && let Err((_, message)) = &certificate.secret
    {
        return not(if certificate.waiting { "Pending" } else { "Invalid" }, message.clone());
    }
    match progress {
        Progress::NotSent => not("Pending", "The Gateway has no address yet".into()),
        Progress::Waiting => not("Pending", "Waiting for Envoy to accept it".into()),
        Progress::Refused(text) => not("Invalid", format!("Envoy refused {text}")),
        Progress::Programmed => {
            Condition::new("Programmed", true, "Programmed", "Listener is acknowledged by Envoy")
        }
    }
}

/// Programmed means acknowledged: the socket, its route table and its certificate, each at what is wanted now.
fn progress(
    cx: &mut Cx<'_>,
    state: &ListenerState,
    gateway_listener: &GatewayListener,
    certificate: Option<&ListenerCertificate>,
) -> Progress {
    if state.accepted.is_err() || !gateway_listener.accepted {
        return Progress::NotSent;
    }
    let mut needs = vec![
        WireKey {
            r#type: WireType::Listener,
            name: listener_name(&gateway_listener.key.gateway, gateway_listener.port),
        },
        WireKey { r#type: WireType::Routes, name: gateway_listener.routes.clone() },
    ];
    if gateway_listener.https {
        match certificate.map(|c| &c.secret) {
            Some(Ok(secret)) => {
                needs.push(WireKey { r#type: WireType::Secret, name: secret_name(secret) });
            }
            _ => return Progress::NotSent,
        }
    }
    let mut progress = Progress::Programmed;
    for key in needs {
        match cx.get::<WireAck>(&key).map(|ack| ack.state.clone()) {
            Some(Err(text)) => return Progress::Refused(format!("{}: {text}", key.name)),
            Some(Ok(())) if cx.get::<WirePending>(&key).is_none() => {}
            Some(Ok(())) | None => progress = Progress::Waiting,
        }
    }
    progress
}
