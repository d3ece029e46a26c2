//! ListenerSets. Source of types and reasons: Gateway API `apis/v1/listenerset_types.go`, `ListenerSetCondition*`.

use std::sync::Arc;

use portolan_model::{
    Condition, Name,
    input::{Gateway, ListenerSet},
};

use super::{
    gateways::{part, programmed},
    rows::{ListenerStatus, ObjectStatus},
};
use crate::{
    Cx,
    gateway::{
        addresses::{unaccepted, unusable},
        rows::{Force, GatewayAddress, GatewayOwner, ListenerKey, ListenerSetState, ListenerState},
        sets,
    },
};

/// Whether a listener has nothing to show since it may not refer to what it names: a set of such listeners alone is not valid
/// (`ListenerSetReferenceGrant` of the suite). What is merely not there yet is waited for.
fn may_not_refer(status: &ListenerStatus) -> bool {
    let refers = |c: &Condition| c.r#type == "ResolvedRefs" && c.reason == "RefNotPermitted";
    matches!(status.force, Force::NotSent(_)) && status.conditions.iter().any(refers)
}

pub(super) fn set_status(cx: &mut Cx<'_>, set: &Arc<ListenerSet>) {
    let Some(state) = cx.get::<ListenerSetState>(&set.key) else { return };
    if cx.get::<GatewayOwner>(&state.gateway).is_none_or(|owner| owner.ours().is_none()) {
        return;
    }
    let status = ObjectStatus::new(sets::object(&set.key), set.generation);
    let both = |reason: &str, message: &str| {
        ["Accepted", "Programmed"].map(|kind| Condition::new(kind, false, reason, message)).to_vec()
    };
    if let Err((reason, message)) = &state.attached {
        cx.emit(ObjectStatus { conditions: both(reason, message), ..status });
        return;
    }
    let (mut listeners, mut names, mut bad): (Vec<Arc<ListenerStatus>>, Vec<&Name>, Vec<&Name>) =
        (vec![], vec![], vec![]);
    for listener in &set.listeners {
        let key = ListenerKey { gateway: state.gateway.clone(), name: sets::name(&set.key, &listener.name) };
        let refused = cx.get::<ListenerState>(&key).is_some_and(|state| state.accepted.is_err());
        let status = cx.get::<ListenerStatus>(&key);
        if refused || status.as_ref().is_some_and(|status| may_not_refer(status)) {
            bad.push(&listener.name);
        }
        if let Some(status) = status {
            listeners.push(status);
            names.push(&listener.name);
        }
    }
    let gateway = cx.get::<Gateway>(&state.gateway);
    let address = cx.get::<GatewayAddress>(&state.gateway);
    let has = address.as_ref().map(|address| &*address.address);
    let is_usable = gateway.as_ref().is_none_or(|gateway| unusable(cx, gateway, has).is_none());
    let conditions = match gateway.and_then(|gateway| unaccepted(&gateway)) {
        Some(why) => vec![
            Condition::new("Accepted", false, "ParentNotAccepted", why.message),
            Condition::new("Programmed", false, "ParentNotProgrammed", "The Gateway is not accepted"),
        ],
        None if bad.len() == listeners.len() => both("ListenersNotValid", "No listener is accepted"),
        None => {
            let told = bad.iter().map(|name| &***name).collect::<Vec<_>>().join(", ");
            let accepted = if bad.is_empty() {
                Condition::new("Accepted", true, "Accepted", "ListenerSet is accepted")
            } else {
                let message = format!("Listeners not accepted: {told}");
                Condition::new("Accepted", true, "ListenersNotValid", message)
            };
            let works = if address.is_some() && is_usable {
                programmed(true, &listeners, false)
            } else {
                let message = "The Gateway has no address, or not the one that it asks for";
                Condition::new("Programmed", false, "ParentNotProgrammed", message)
            };
            vec![accepted, works]
        }
    };
    let parts = listeners.iter().zip(&names).map(|(listener, name)| part(listener, name)).collect();
    cx.emit(ObjectStatus { conditions, parts: Some(("listeners".into(), parts)), ..status });
}
