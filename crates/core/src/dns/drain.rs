//! Removal order: what goes while names of it are published is served until its records are gone from the authoritative
//! server, at most until a fixed moment.
//!
//! A route, a hostname of it, or its place at a Gateway is kept as a copy in the store. A Gateway is kept itself, with a
//! mark. Both are objects like any other, so a killed process finds them again; nothing wishes for names in their name.

use std::{collections::BTreeSet, sync::Arc};

use portolan_engine::Engine;
use portolan_model::{
    GatewayKey, Instant, Kind, Name, NamespacedName, Object, ObjectKey, RouteKey,
    input::{Gateway, Route},
    intake::{Fact, intake},
};
use serde_json::{Value, json};

use super::rows::{Departed, NameWish, PublishedRecord, WantedName};
use crate::{
    Cx, World,
    world::{PublishedByName, WishesByName, WishesByRoute, at},
};

/// Annotation of what is leaving: until when it is kept at most (RFC 3339).
pub const UNTIL: &str = "portolan.dev/leaving-until";
/// Annotation of what is leaving: the names whose records it waits for, separated by commas.
pub const NAMES: &str = "portolan.dev/leaving-names";
/// Annotation of what is leaving: where those names still point to it, separated by commas.
pub const TARGETS: &str = "portolan.dev/leaving-targets";
/// Stands in the name of a copy and in no name that Kubernetes accepts.
const MARK: char = '~';

/// Whether this is the kept copy of a route that was removed.
pub fn is_leaving(route: &RouteKey) -> bool {
    route.name.name.contains(MARK)
}

/// Whether this object is kept for its records only: the copy of a route, or a marked Gateway.
pub fn is_kept(object: &Object) -> bool {
    object.key.name.name.contains(MARK) || is_gateway(object) && object.annotation(UNTIL).is_some()
}

/// The route that a copy was made of; any other route is its own.
pub fn original(route: &RouteKey) -> RouteKey {
    let name = route.name.name.split(MARK).next().unwrap_or_default();
    RouteKey { kind: route.kind, name: NamespacedName::new(route.name.namespace.clone(), name) }
}

fn is_gateway(object: &Object) -> bool {
    object.key.kind == Kind::new("gateway.networking.k8s.io", "Gateway")
}

/// What to keep when `old` is replaced by `new` (`None`: removed): the copy of a route or, under the key of `old`, the
/// marked Gateway. `None` if no published name goes or moves.
pub fn keep(engine: &Engine<World>, old: &Object, new: Option<&Object>, until: Instant) -> Option<Object> {
    if is_gateway(old) {
        return if new.is_none() && !is_kept(old) { marked(engine, old, until) } else { None };
    }
    copy(engine, old, new, until)
}

/// Names of these wishes that stand as ours, and where they point.
struct Published {
    names: BTreeSet<Name>,
    targets: BTreeSet<Name>,
}

fn published<'a>(
    engine: &Engine<World>,
    wishes: impl Iterator<Item = &'a Arc<NameWish>>,
) -> Option<Published> {
    let mut found = Published { names: BTreeSet::new(), targets: BTreeSet::new() };
    for wish in wishes.filter(|wish| wish.outside.is_none()) {
        let records = engine.find::<PublishedByName>(&wish.key.0);
        let ours: Vec<&Arc<PublishedRecord>> = records.iter().filter(|record| record.ours).collect();
        if ours.is_empty() {
            continue;
        }
        found.names.insert(wish.key.0.clone());
        if wish.targets.is_empty() {
            // It has lost its address for the moment: what stands is what points to it.
            found.targets.extend(ours.iter().flat_map(|record| &record.set.values).map(|v| Name::new(v)));
        }
        found.targets.extend(wish.targets.iter().cloned());
    }
    (!found.names.is_empty()).then_some(found)
}

impl Published {
    fn annotate(&self, annotations: &mut serde_json::Map<String, Value>, until: Instant) {
        let list = |names: &BTreeSet<Name>| names.iter().map(|name| &**name).collect::<Vec<_>>().join(",");
        annotations.insert(UNTIL.into(), until.timestamp().to_string().into());
        annotations.insert(NAMES.into(), list(&self.names).into());
        annotations.insert(TARGETS.into(), list(&self.targets).into());
    }
}

fn annotations(object: &Object) -> serde_json::Map<String, Value> {
    object.json.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn marked(engine: &Engine<World>, old: &Object, until: Instant) -> Option<Object> {
    let mut wishes: Vec<&Arc<NameWish>> = engine.rows::<NameWish>().collect();
    wishes.retain(|wish| wish.key.2 == old.key.name);
    let published = published(engine, wishes.into_iter())?;
    let mut json = (*old.json).clone();
    let mut annotations = annotations(old);
    published.annotate(&mut annotations, until);
    json["metadata"]["annotations"] = Value::Object(annotations);
    Object::from_json(json, old.origin.clone()).ok()
}

/// The Gateways that a route in `namespace` names, in the order written.
fn parents(spec: &Value, namespace: &Name) -> Vec<(GatewayKey, Value)> {
    let all = spec.get("parentRefs").and_then(Value::as_array).into_iter().flatten();
    all.map(|parent| {
        let text = |field: &str| parent.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        let own = text("namespace").map_or_else(|| namespace.clone(), Name::new);
        (NamespacedName::new(own, text("name").unwrap_or_default()), parent.clone())
    })
    .collect()
}

fn copy(engine: &Engine<World>, old: &Object, new: Option<&Object>, until: Instant) -> Option<Object> {
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
    let left = |key: &GatewayKey| !after.iter().flat_map(|after| &after.parents).any(|p| p.name == *key);
    let lost: Vec<(GatewayKey, Value)> = match old.json.get("spec") {
        Some(spec) => parents(spec, namespace).into_iter().filter(|(key, _)| left(key)).collect(),
        None => vec![],
    };
    let goes = |wish: &&Arc<NameWish>| {
        let host = wish.host.as_ref().is_some_and(|host| hosts.iter().any(|g| serves(g, host)));
        after.is_none() || host || lost.iter().any(|(key, _)| *key == wish.key.2)
    };
    let wishes = engine.find::<WishesByRoute>(&before.key);
    let published = published(engine, wishes.iter().filter(goes))?;
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

/// Lets a copy go once no name of it points to it any more, or all that do are wanted there by others, or its time is up.
pub(super) fn departed_routes(cx: &mut Cx<'_>, route: &Arc<Route>) {
    if is_leaving(&route.key) {
        departed(cx, route.key.object(), &|key| route.annotations.get(key).map(String::as_str));
    }
}

/// The same for a Gateway that was removed.
pub(super) fn departed_gateways(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    if gateway.annotations.contains_key(UNTIL) {
        let key = ObjectKey::new(
            "gateway.networking.k8s.io",
            "Gateway",
            gateway.key.namespace.clone(),
            gateway.key.name.clone(),
        );
        departed(cx, key, &|key| gateway.annotations.get(key).map(String::as_str));
    }
}

fn departed<'a>(cx: &mut Cx<'_>, key: ObjectKey, annotation: &dyn Fn(&str) -> Option<&'a str>) {
    let until = annotation(UNTIL).and_then(Instant::parse).unwrap_or_default();
    let list = |key: &str| -> Vec<Name> {
        let text = annotation(key).unwrap_or_default();
        text.split(',').filter(|name| !name.is_empty()).map(Name::new).collect()
    };
    let targets = list(TARGETS);
    let mut held = false;
    for name in list(NAMES) {
        let records = cx.find::<PublishedByName>(&name);
        let mut ours = records.iter().filter(|record| record.ours);
        held |= if targets.is_empty() {
            ours.next().is_some() && cx.get::<WantedName>(&name).is_none()
        } else {
            let wishes = cx.find::<WishesByName>(&name);
            let wished = |target: &Name| {
                wishes.iter().any(|wish| wish.outside.is_none() && wish.targets.contains(target))
            };
            let stands = |target: &&Name| {
                records.iter().any(|r| r.ours && r.set.values.iter().any(|value| *value == ***target))
            };
            targets.iter().filter(stands).any(|target| !wished(target))
        };
    }
    if !held || cx.due(at(until)) {
        cx.emit(Departed { key, late: held, until });
    }
}
