//! What a route loses stays as a copy of the route, under a name that no API server accepts.

use std::sync::Arc;

use portolan_engine::Engine;
use portolan_model::{
    GatewayKey, Instant, Name, NamespacedName, Object,
    input::Route,
    intake::{Fact, intake},
};
use serde_json::{Value, json};

use super::{MARK, annotations, is_leaving, published};
use crate::{World, dns::rows::DesiredRecord, world::DesiredByRoute};

const GROUP: &str = "gateway.networking.k8s.io";

/// The Gateways that a route in `namespace` names, in the order written. Other kinds are left out, those of other groups
/// that are named Gateway too.
fn parents(spec: &Value, namespace: &Name) -> Vec<(GatewayKey, Value)> {
    let all = spec.get("parentRefs").and_then(Value::as_array).into_iter().flatten();
    let is_gateway = |parent: &&Value| {
        let text =
            |field: &str, default| parent.get(field).map_or(default, |v| v.as_str().unwrap_or_default());
        text("group", GROUP) == GROUP && text("kind", "Gateway") == "Gateway"
    };
    all.filter(is_gateway)
        .map(|parent| {
            let text =
                |field: &str| parent.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
            let own = text("namespace").map_or_else(|| namespace.clone(), Name::new);
            (NamespacedName::new(own, text("name").unwrap_or_default()), parent.clone())
        })
        .collect()
}

pub(super) fn copy(
    engine: &Engine<World>,
    old: &Object,
    new: Option<&Object>,
    until: Instant,
) -> Option<Object> {
    let Some(Fact::Route(before)) = intake(old).fact else { return None };
    if is_leaving(&before.key) {
        return None;
    }
    let after: Option<Route> = match new.map(|new| intake(new).fact) {
        Some(Some(Fact::Route(after))) => Some(after),
        _ => None,
    };
    // Routes without hostnames serve all that their listener takes: what a narrower route loses nobody can list.
    let hosts: Vec<Name> = match &after {
        Some(after) if after.hostnames.is_empty() => vec![],
        Some(after) => before.hostnames.iter().filter(|h| !after.hostnames.contains(h)).cloned().collect(),
        None => before.hostnames.clone(),
    };
    let namespace = &before.key.name.namespace;
    let left = |key: &GatewayKey| {
        !after.iter().flat_map(|after| &after.parents).any(|p| p.kind.is(GROUP, "Gateway") && p.name == *key)
    };
    let lost: Vec<(GatewayKey, Value)> = match old.json.get("spec") {
        Some(spec) => parents(spec, namespace).into_iter().filter(|(key, _)| left(key)).collect(),
        None => vec![],
    };
    let goes = |desired: &&Arc<DesiredRecord>| {
        let host = desired.host.as_ref().is_some_and(|host| hosts.iter().any(|g| serves(g, host)));
        after.is_none() || host || lost.iter().any(|(key, _)| *key == desired.key.2)
    };
    let all_desired = engine.find::<DesiredByRoute>(&before.key);
    let published = published(engine, all_desired.iter().filter(goes))?;
    let mut json = (*old.json).clone();
    // Labels and annotations stay: policies look at them, and a denial cuts a copy as it cuts a route.
    let mut annotations = annotations(old);
    published.annotate(&mut annotations, until);
    json["metadata"] = json!({
        "name": format!("{}{MARK}{:x}", before.key.name.name, until.0),
        "namespace": namespace,
        "labels": json.pointer("/metadata/labels").filter(|labels| labels.is_object()).unwrap_or(&json!({})),
        "annotations": annotations,
    });
    if after.is_some()
        && let Some(spec) = json.get_mut("spec").and_then(Value::as_object_mut)
    {
        // Only what goes; where hostnames and Gateways go at once, the copy stands behind the route for the rest.
        if lost.is_empty() {
            spec.insert("hostnames".into(), json!(hosts));
        } else if hosts.is_empty() {
            spec.insert("parentRefs".into(), lost.into_iter().map(|(_, parent)| parent).collect());
        }
    }
    Object::from_json(json, old.origin.clone()).ok()
}

fn serves(pattern: &Name, host: &Name) -> bool {
    pattern == host || crate::gateway::takes(pattern, host) || crate::gateway::takes(host, pattern)
}
