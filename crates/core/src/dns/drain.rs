//! Removal order: a route, or a hostname of it, that goes while names of it are published is kept as a copy in the store
//! and served until its records are gone from the authoritative server, at most until a fixed moment. The copy is an
//! object like any other, so a killed process finds it again; nothing wishes for names in its name.

use std::sync::Arc;

use portolan_engine::Engine;
use portolan_model::{
    Instant, Name, NamespacedName, Object, RouteKey,
    input::Route,
    intake::{Fact, intake},
};
use serde_json::{Value, json};

use super::rows::{Departed, WantedName};
use crate::{
    Cx, World,
    world::{PublishedByName, WishesByRoute, at},
};

/// Annotation of a copy: until when it is kept at most (RFC 3339).
pub const UNTIL: &str = "portolan.dev/leaving-until";
/// Annotation of a copy: the names whose records it waits for, separated by commas.
pub const NAMES: &str = "portolan.dev/leaving-names";
/// Stands in the name of a copy and in no name that Kubernetes accepts.
const MARK: char = '~';

/// Whether this is the kept copy of a route that was removed.
pub fn is_leaving(route: &RouteKey) -> bool {
    route.name.name.contains(MARK)
}

/// The route that a copy was made of; any other route is its own.
pub fn original(route: &RouteKey) -> RouteKey {
    let name = route.name.name.split(MARK).next().unwrap_or_default();
    RouteKey { kind: route.kind, name: NamespacedName::new(route.name.namespace.clone(), name) }
}

/// The copy to keep when `old` is replaced by `new` (`None`: removed); `None` if no name of it that is published goes.
pub fn copy(engine: &Engine<World>, old: &Object, new: Option<&Object>, until: Instant) -> Option<Object> {
    let Some(Fact::Route(before)) = intake(old).fact else { return None };
    if is_leaving(&before.key) {
        return None;
    }
    let after: Option<Route> = match new.map(|new| intake(new).fact) {
        Some(Some(Fact::Route(after))) => Some(after),
        _ => None,
    };
    // Routes without hostnames serve all that their listener takes: what a narrower route loses nobody can list.
    let gone: Vec<Name> = match &after {
        None => before.hostnames.clone(),
        Some(after) if after.hostnames.is_empty() => return None,
        Some(after) => before.hostnames.iter().filter(|h| !after.hostnames.contains(h)).cloned().collect(),
    };
    if after.is_some() && gone.is_empty() {
        return None;
    }
    let wishes = engine.find::<WishesByRoute>(&before.key);
    let mut names: Vec<&Name> = wishes
        .iter()
        .filter(|wish| {
            after.is_none() || wish.host.as_ref().is_some_and(|host| gone.iter().any(|g| serves(g, host)))
        })
        .map(|wish| &wish.key.0)
        .filter(|name| engine.find::<PublishedByName>(name).iter().any(|record| record.ours))
        .collect();
    names.dedup();
    if names.is_empty() {
        return None;
    }
    let names = names.iter().map(|name| &***name).collect::<Vec<_>>().join(",");
    let mut json = (*old.json).clone();
    // Labels and annotations stay: policies look at them, and a denial cuts a copy as it cuts a route.
    let mut annotations =
        json.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default();
    annotations.insert(UNTIL.into(), until.timestamp().to_string().into());
    annotations.insert(NAMES.into(), names.into());
    json["metadata"] = json!({
        "name": format!("{}{MARK}{:x}", before.key.name.name, until.0),
        "namespace": before.key.name.namespace,
        "labels": json.pointer("/metadata/labels").filter(|labels| labels.is_object()).unwrap_or(&json!({})),
        "annotations": annotations,
    });
    if after.is_some()
        && let Some(spec) = json.get_mut("spec").and_then(Value::as_object_mut)
    {
        spec.insert("hostnames".into(), json!(gone));
    }
    let made = Object::from_json(json, old.origin.clone()).ok()?;
    Some(made)
}

fn serves(pattern: &Name, host: &Name) -> bool {
    pattern == host || crate::gateway::takes(pattern, host) || crate::gateway::takes(host, pattern)
}

/// Lets a copy go once no name of it stands in a zone any more, or all that do are wanted by others, or its time is up.
pub(super) fn departed(cx: &mut Cx<'_>, route: &Arc<Route>) {
    if !is_leaving(&route.key) {
        return;
    }
    let until = route.annotations.get(UNTIL).and_then(|text| Instant::parse(text)).unwrap_or_default();
    let names = route.annotations.get(NAMES).cloned().unwrap_or_default();
    let mut held = false;
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let name = Name::new(name);
        held |= cx.find::<PublishedByName>(&name).iter().any(|record| record.ours)
            && cx.get::<WantedName>(&name).is_none();
    }
    if !held || cx.due(at(until)) {
        cx.emit(Departed { key: route.key.clone(), late: held, until });
    }
}
