//! Listeners of a Gateway. Source of types and reasons: Gateway API `apis/v1/gateway_types.go`, `ListenerCondition*`.

use std::sync::Arc;

use portolan_model::{Condition, Name, condition::Status};

use super::rows::ListenerStatus;
use crate::{
    Cx,
    gateway::{
        MADE,
        rows::{Force, GatewayListener, ListenerCertificate, ListenerForce, ListenerState},
    },
    world::AttachmentsByListener,
};

pub(super) fn listener_status(cx: &mut Cx<'_>, state: &Arc<ListenerState>) {
    let Some(gateway_listener) = cx.get::<GatewayListener>(&state.key) else { return };
    let certificate = cx.get::<ListenerCertificate>(&state.key);
    let attached = cx.count::<AttachmentsByListener>(&state.key);
    let force = cx.get::<ListenerForce>(&state.key).map(|row| row.state.clone());
    let force = force.unwrap_or_else(|| Force::NotSent("The listener is gone".into()));
    let conditions = vec![
        accepted(state),
        conflicted(state),
        programmed(state, gateway_listener.accepted, certificate.as_deref(), &force),
        resolved(state, certificate.as_deref()),
    ];
    let kinds = gateway_listener.kinds.iter().map(|kind| Name::new(kind.kind())).collect();
    cx.emit(ListenerStatus { key: state.key.clone(), attached, kinds, conditions, force });
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
    if let Some((reason, message)) = &state.clients {
        return Condition::new("ResolvedRefs", false, reason, message.clone());
    }
    // "If any of the references is invalid", others aside (`ListenerConditionResolvedRefs`).
    let broken = |c: &ListenerCertificate| c.secret.as_ref().err().or(c.broken.as_ref()).cloned();
    if let Some((reason, message)) = &certificate.and_then(broken) {
        let known = Condition::new("ResolvedRefs", false, reason, message.clone());
        return if **reason == *MADE { Condition { status: Status::Unknown, ..known } } else { known };
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
    force: &Force,
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
    // Programmed means in force: the socket with its chain, and the certificate, each at what is wanted now.
    match force {
        Force::NotSent(why) | Force::Pending(why) => not("Pending", why.clone()),
        Force::Refused(why) => not("Invalid", format!("Envoy refused {why}")),
        Force::InForce => {
            Condition::new("Programmed", true, "Programmed", "Listener is acknowledged by Envoy")
        }
    }
}
