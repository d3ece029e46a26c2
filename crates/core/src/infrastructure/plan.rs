//! Which objects a Gateway is to have.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use portolan_model::{
    Kind, Name, NamespacedName, ObjectKey, Severity,
    input::{Gateway, Judged},
};
use serde_json::Value;

use super::{
    objects::{Fleet, Port},
    parameters::Parameters,
    rows::{FleetFailure, FleetSettings, FleetWanted},
};
use crate::{
    Cx,
    gateway::{GROUP, addresses::unaccepted, rows::GatewayOwner},
    problem,
    world::ListenersByGateway,
};

/// What is made of a Gateway, and has to go again when it is not wanted any more while the Gateway stays.
const OPTIONAL: [(&str, &str); 2] = [("", "Service"), ("autoscaling", "HorizontalPodAutoscaler")];

pub(super) fn fleets(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    let Some(settings) = cx.get::<FleetSettings>(&Name::default()) else { return };
    let ours = cx.get::<GatewayOwner>(&gateway.key).is_some_and(|owner| owner.ours().is_some());
    if settings.files.is_empty() {
        // What they are to trust is not known yet.
        return;
    }
    // What serves one that was accepted before goes on: nothing is removed for its sake.
    if !ours || unaccepted(gateway).is_some() {
        return;
    }
    let listeners = cx.find::<ListenersByGateway>(&gateway.key);
    let sockets = listeners.iter().filter(|listener| listener.accepted).map(|listener| listener.socket());
    let mut ports: Vec<Port> = sockets.map(|socket| Port { number: socket.port, udp: socket.udp }).collect();
    ports.sort_unstable();
    ports.dedup();
    let asked = asked(cx, gateway);
    let addresses: Vec<String> = gateway
        .addresses
        .iter()
        .filter(|address| &*address.kind == "IPAddress" && address.value.parse::<IpAddr>().is_ok())
        .map(|address| address.value.to_string())
        .collect();
    let texts = |all: &BTreeMap<Name, String>| -> BTreeMap<String, String> {
        all.iter().map(|(key, value)| (key.to_string(), value.clone())).collect()
    };
    let fleet = Fleet {
        gateway: &gateway.key,
        class: &gateway.class,
        ports: &ports,
        labels: &texts(&gateway.infrastructure.labels),
        annotations: &texts(&gateway.infrastructure.annotations),
        addresses: &addresses,
        asked: &asked,
        settings: &settings,
    };
    let objects = fleet.objects();
    let is_made = |kind: &str| objects.iter().any(|object| object["kind"] == kind);
    let unwanted = OPTIONAL.iter().filter(|(_, kind)| !is_made(kind));
    let unwanted = unwanted.map(|(group, kind)| Kind::new(*group, *kind)).collect();
    cx.emit(FleetWanted { key: gateway.key.clone(), objects, unwanted });
}

/// What the EnvoyProxy of a Gateway asks for.
fn asked(cx: &mut Cx<'_>, gateway: &Gateway) -> Parameters {
    let nothing = || Parameters::of(&Value::Null);
    let Some(reference) = &gateway.infrastructure.parameters else { return nothing() };
    let object = ObjectKey { kind: Kind::new(GROUP, "Gateway"), name: gateway.key.clone() };
    let named = NamespacedName::new(gateway.key.namespace.clone(), reference.name.clone());
    let key = ObjectKey { kind: reference.kind.clone(), name: named };
    let Some(found) = cx.get::<Judged>(&key) else {
        let message = format!("{key} is not there: the Gateway is served as without it");
        let field = "spec.infrastructure.parametersRef";
        problem(
            cx,
            object,
            270,
            Severity::Error,
            field,
            message,
            "make it in the namespace of the Gateway, or leave the reference out",
        );
        return nothing();
    };
    let asked = Parameters::of(&found.json.unpack()["spec"]);
    if !asked.left.is_empty() {
        let message = format!("{} have no effect here", asked.left.join(", "));
        problem(
            cx,
            key,
            271,
            Severity::Warning,
            "spec",
            message,
            "leave them out, or set what they mean on the Gateway",
        );
    }
    asked
}

pub(super) fn failures(cx: &mut Cx<'_>, failure: &Arc<FleetFailure>) {
    let object = ObjectKey { kind: Kind::new(GROUP, "Gateway"), name: failure.key.clone() };
    let (code, hint) = if failure.taken.is_some() {
        (272, "rename one of the two: what somebody else made is not touched")
    } else {
        (273, "see what the API server says; it is tried again and again")
    };
    problem(cx, object, code, Severity::Error, "spec.infrastructure", failure.words(), hint);
}
