//! Gateways. Source of types and reasons: Gateway API `apis/v1/gateway_types.go`, `GatewayCondition*`.

use std::sync::Arc;

use portolan_model::{
    Condition, Name, NamespacedName, ObjectKey,
    input::{Gateway, ListenerSet},
};
use serde_json::json;

use super::rows::{ListenerStatus, ObjectStatus, Part};
use crate::{
    Cx,
    gateway::{
        GROUP,
        addresses::{unaccepted, unusable},
        rows::{ClientCertificate, Force, GatewayAddress, GatewayOwner, ListenerKey, ListenerState},
        sets,
    },
    infrastructure::rows::FleetFailure,
    world::SetsByGateway,
};

pub(super) fn gateway_status(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    if cx.get::<GatewayOwner>(&gateway.key).is_none_or(|owner| owner.ours().is_none()) {
        return;
    }
    let address = cx.get::<GatewayAddress>(&gateway.key);
    let mut listeners: Vec<Arc<ListenerStatus>> = Vec::new();
    let mut bad: Vec<Name> = Vec::new();
    for listener in &gateway.listeners {
        let key = ListenerKey { gateway: gateway.key.clone(), name: listener.name.clone() };
        if listeners.iter().any(|known| known.key == key) {
            continue;
        }
        if cx.get::<ListenerState>(&key).is_some_and(|state| state.accepted.is_err()) {
            bad.push(listener.name.clone());
        }
        listeners.extend(cx.get::<ListenerStatus>(&key));
    }
    let sets = cx.find::<SetsByGateway>(&gateway.key);
    let sets = sets.iter().filter(|set| set.attached.is_ok() && is_accepted(cx, gateway, &set.key)).count();
    let mut fields = vec![("attachedListenerSets".into(), json!(sets))];
    if let Some(address) = &address {
        let is_address = address.address.parse::<std::net::IpAddr>().is_ok();
        let kind = if is_address { "IPAddress" } else { "Hostname" };
        let addresses = json!([{"type": kind, "value": address.address}]);
        fields.push(("addresses".into(), addresses));
    }
    let key = ObjectKey { kind: portolan_model::Kind::new(GROUP, "Gateway"), name: gateway.key.clone() };
    let mut conditions = match unaccepted(gateway) {
        Some(why) => vec![
            Condition::new("Accepted", false, why.reason, why.message),
            Condition::new("Programmed", false, "Invalid", "The Gateway is not accepted"),
        ],
        None => vec![
            accepted(&listeners, &bad),
            if let Some(failure) = cx.get::<FleetFailure>(&gateway.key) {
                Condition::new("Programmed", false, "Invalid", failure.words())
            } else {
                let none_accepted = bad.len() == listeners.len();
                let has = address.as_ref().map(|address| &*address.address);
                let unusable = unusable(cx, gateway, has).filter(|_| !none_accepted);
                unusable.map_or_else(
                    || programmed(address.is_some(), &listeners, none_accepted),
                    |message| Condition::new("Programmed", false, "AddressNotUsable", message),
                )
            },
        ],
    };
    conditions.extend(cx.get::<ClientCertificate>(&gateway.key).map(|row| resolved(&row)));
    conditions.extend(insecure(gateway));
    cx.emit(ObjectStatus {
        conditions,
        parts: Some(("listeners".into(), listeners.iter().map(|l| part(l, &l.key.name)).collect())),
        fields,
        ..ObjectStatus::new(key, gateway.generation)
    });
}

/// References of the Gateway that are no listener's (`GatewayConditionResolvedRefs`).
fn resolved(row: &ClientCertificate) -> Condition {
    match &row.secret {
        Ok(_) => Condition::new("ResolvedRefs", true, "ResolvedRefs", "All references are resolved"),
        Err((reason, message)) => Condition::new("ResolvedRefs", false, reason, message.clone()),
    }
}

/// That clients without a certificate are let in where one is asked for (`GatewayConditionInsecureFrontendValidationMode`).
fn insecure(gateway: &Gateway) -> Option<Condition> {
    let message = "AllowInsecureFallback lets in clients without a certificate that is believed";
    let is = gateway.frontend.all().any(|validation| validation.optional);
    is.then(|| Condition::new("InsecureFrontendValidationMode", true, "ConfigurationChanged", message))
}

/// Whether a ListenerSet that is attached brings a listener that can be served.
fn is_accepted(cx: &mut Cx<'_>, gateway: &Gateway, set: &NamespacedName) -> bool {
    let Some(set) = cx.get::<ListenerSet>(set) else { return false };
    set.listeners.iter().any(|listener| {
        let key = ListenerKey { gateway: gateway.key.clone(), name: sets::name(&set.key, &listener.name) };
        cx.get::<ListenerState>(&key).is_some_and(|state| state.accepted.is_ok())
    })
}

/// A listener under its name in the object that it is written in.
pub(super) fn part(listener: &ListenerStatus, name: &Name) -> Part {
    let kind = |kind: &Name| json!({"group": GROUP, "kind": kind});
    let fields = [
        ("name", json!(name)),
        ("attachedRoutes", json!(listener.attached)),
        ("supportedKinds", listener.kinds.iter().map(kind).collect()),
    ];
    Part::new(fields, listener.conditions.clone())
}

fn names<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    names.map(|n| &**n).collect::<Vec<_>>().join(", ")
}

fn accepted(listeners: &[Arc<ListenerStatus>], bad: &[Name]) -> Condition {
    if listeners.is_empty() {
        let message = "The Gateway has no listener that can be read";
        return Condition::new("Accepted", false, "ListenersNotValid", message);
    }
    if bad.is_empty() {
        return Condition::new("Accepted", true, "Accepted", "Gateway is accepted");
    }
    let good = names(listeners.iter().map(|l| &l.key.name).filter(|name| !bad.contains(name)));
    let bad = names(bad.iter());
    let message = if good.is_empty() {
        format!("No listener is accepted: {bad}")
    } else {
        format!("Listeners not accepted: {bad}; accepted: {good}")
    };
    Condition::new("Accepted", !good.is_empty(), "ListenersNotValid", message)
}

pub(super) fn programmed(address: bool, listeners: &[Arc<ListenerStatus>], none_accepted: bool) -> Condition {
    let not = |reason: &str, message: String| Condition::new("Programmed", false, reason, message);
    if none_accepted {
        return not("Invalid", "No listener is accepted".into());
    }
    if !address {
        return not("AddressNotAssigned", "No address is left for this Gateway".into());
    }
    let refused = listeners.iter().find_map(|l| match &l.force {
        Force::Refused(text) => Some(format!("Envoy refused {text}")),
        _ => None,
    });
    if let Some(text) = refused {
        return not("Invalid", text);
    }
    let at = |is: fn(&Force) -> bool| names(listeners.iter().filter(|l| is(&l.force)).map(|l| &l.key.name));
    let waiting = at(|force| matches!(force, Force::Pending(_)));
    if !waiting.is_empty() {
        return not("Pending", format!("Waiting for Envoy to accept listeners: {waiting}"));
    }
    if at(|force| *force == Force::InForce).is_empty() {
        // Nobody has to edit anything for what is merely not there yet.
        let pending = |l: &ListenerStatus| {
            l.conditions.iter().any(|c| c.r#type == "Programmed" && c.reason == "Pending")
        };
        let pending = names(listeners.iter().filter(|l| pending(l)).map(|l| &l.key.name));
        if pending.is_empty() {
            return not(
                "Invalid",
                format!("No listener can be served: {}", at(|force| matches!(force, Force::NotSent(_)))),
            );
        }
        return not("Pending", format!("Listeners wait for their certificates: {pending}"));
    }
    let rest = at(|force| matches!(force, Force::NotSent(_)));
    let rest = if rest.is_empty() { rest } else { format!("; not served: {rest}") };
    Condition::new("Programmed", true, "Programmed", format!("Acknowledged by Envoy{rest}"))
}
