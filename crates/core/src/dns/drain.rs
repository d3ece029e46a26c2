//! Removal order: what goes while names of it are published is served until its records are gone from the authoritative
//! server, at most until a fixed moment.
//!
//! A route, a hostname of it, or its place at a Gateway is kept as a copy in the store (`route.rs`). A Gateway, a ListenerSet, a listener of
//! one and a GatewayClass are kept themselves, with a mark (`gateway.rs`). All are objects like any other, so a killed process
//! finds them again; nothing desires names in their name.

mod gateway;
mod leave;
mod route;

pub use gateway::{LISTENERS, released};
pub use leave::{Leave, leave, route_key};

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_engine::Engine;
use portolan_model::{
    Instant, Name, NamespacedName, Object, ObjectKey, RouteKey,
    input::{Gateway, GatewayClass, ListenerSet, Route},
};
use serde_json::Value;

use super::{
    problems::DnsProblem,
    rows::{Departed, DesiredRecord, PublishedRecord, WantedName},
};
use crate::{
    Cx, World,
    gateway::sets,
    world::{DesiredByName, ProblemsByName, PublishedByName, at},
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

/// Whether this object, or a listener of it, is kept for its records only: the copy of a route, or what is marked.
pub fn is_kept(object: &Object) -> bool {
    let marked = || object.annotation(UNTIL).is_some();
    let route = route_key(&object.key).is_some();
    route && object.key.name.name.contains(MARK)
        || ["Gateway", "GatewayClass", "ListenerSet"].iter().any(|kind| is(object, kind)) && marked()
}

/// Whether an object with these annotations is kept for its records as a whole.
pub(crate) fn is_marked(annotations: &BTreeMap<Name, String>) -> bool {
    annotations.contains_key(UNTIL) && !annotations.contains_key(LISTENERS)
}

/// Whether a listener of an object with these annotations was removed, and is kept for its records.
pub(crate) fn listener_leaves(annotations: &BTreeMap<Name, String>, listener: &Name) -> bool {
    list(annotations.get(LISTENERS).map(String::as_str)).contains(listener)
}

/// Until when what is kept is served at most; the start of time for what is not.
pub fn until(object: &Object) -> Instant {
    object.annotation(UNTIL).and_then(Instant::parse).unwrap_or_default()
}

/// The route that a copy was made of; any other route is its own.
pub fn original(route: &RouteKey) -> RouteKey {
    let name = route.name.name.split(MARK).next().unwrap_or_default();
    RouteKey { kind: route.kind, name: NamespacedName::new(route.name.namespace.clone(), name) }
}

/// A sentence in which copies are named, with the names of what they were made of: nobody knows theirs.
pub fn spoken(text: &str) -> Cow<'_, str> {
    /// Fewest digits of a moment in milliseconds, written in base 16, since 1979.
    const DIGITS: usize = 10;
    let mut out = String::new();
    let (mut from, mut at) = (0, 0);
    while let Some(found) = text[at..].find(MARK) {
        let mark = at + found;
        let rest = &text[mark + 1..];
        let digits = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let in_name = text[..mark].ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        at = mark + 1;
        if in_name && digits >= DIGITS {
            out.push_str(&text[from..mark]);
            from = at + digits;
            at = from;
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

fn is(object: &Object, kind: &str) -> bool {
    object.key.kind.is("gateway.networking.k8s.io", kind)
}

/// What to keep when `old` is replaced by `new` (`None`: removed): the copy of a route or, under the key of `old`, the
/// marked Gateway, ListenerSet or GatewayClass. `None` if no published name goes or moves. `coming` are the GatewayClasses that are written
/// with it.
pub fn keep(
    engine: &Engine<World>,
    old: &Object,
    new: Option<&Object>,
    coming: &[&Object],
    until: Instant,
) -> Option<Object> {
    match new {
        Some(new) if gateway::is_given_away(engine, old, new, coming) => {
            gateway::given_away(engine, old, new, until)
        }
        None if is(old, "Gateway") => gateway::removed(engine, old, until),
        None if is(old, "ListenerSet") => gateway::set_removed(engine, old, until),
        Some(new) if is(old, "Gateway") || is(old, "ListenerSet") => gateway::edited(engine, old, new, until),
        None if is(old, "GatewayClass") => gateway::class_removed(engine, old, until),
        _ => route::copy(engine, old, new, until),
    }
}

/// Names of these desired records that stand as ours, and where they point.
#[derive(Default)]
struct Published {
    names: BTreeSet<Name>,
    targets: BTreeSet<Name>,
}

fn published<'a>(
    engine: &Engine<World>,
    all_desired: impl Iterator<Item = &'a Arc<DesiredRecord>>,
) -> Option<Published> {
    let mut found = Published::default();
    for desired in all_desired.filter(|desired| desired.outside.is_none()) {
        let records = engine.find::<PublishedByName>(&desired.key.0);
        let ours: Vec<&Arc<PublishedRecord>> = records.iter().filter(|record| record.ours).collect();
        if ours.is_empty() {
            continue;
        }
        found.names.insert(desired.key.0.clone());
        if desired.targets.is_empty() {
            // It has lost its address for the moment: what stands is what points to it.
            found.targets.extend(ours.iter().flat_map(|record| &record.set.values).map(|v| Name::new(v)));
        }
        found.targets.extend(desired.targets.iter().cloned());
    }
    (!found.names.is_empty()).then_some(found)
}

impl Published {
    fn add(&mut self, other: Self) {
        self.names.extend(other.names);
        self.targets.extend(other.targets);
    }

    fn annotate(&self, annotations: &mut serde_json::Map<String, Value>, until: Instant) {
        let list = |names: &BTreeSet<Name>| names.iter().map(|name| &**name).collect::<Vec<_>>().join(",");
        annotations.insert(UNTIL.into(), until.timestamp().to_string().into());
        annotations.insert(NAMES.into(), list(&self.names).into());
        annotations.insert(TARGETS.into(), list(&self.targets).into());
    }
}

/// An annotation that holds a list.
fn list(text: Option<&str>) -> Vec<Name> {
    text.unwrap_or_default().split(',').filter(|name| !name.is_empty()).map(Name::new).collect()
}

fn annotations(object: &Object) -> serde_json::Map<String, Value> {
    object.json.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Lets a copy go once no name of it points to it any more, or all that do are wanted there by others, or its time is up.
pub(super) fn departed_routes(cx: &mut Cx<'_>, route: &Arc<Route>) {
    if is_leaving(&route.key) {
        departed(cx, route.key.object(), &|key| route.annotations.get(key).map(String::as_str));
    }
}

/// The same for a Gateway that was removed, or that has lost listeners.
pub(super) fn departed_gateways(cx: &mut Cx<'_>, gateway: &Arc<Gateway>) {
    if gateway.annotations.contains_key(UNTIL) {
        let (namespace, name) = (gateway.key.namespace.clone(), gateway.key.name.clone());
        let key = ObjectKey::new("gateway.networking.k8s.io", "Gateway", namespace, name);
        departed(cx, key, &|key| gateway.annotations.get(key).map(String::as_str));
    }
}

/// The same for a ListenerSet.
pub(super) fn departed_sets(cx: &mut Cx<'_>, set: &Arc<ListenerSet>) {
    if set.annotations.contains_key(UNTIL) {
        departed(cx, sets::object(&set.key), &|key| set.annotations.get(key).map(String::as_str));
    }
}

/// The same for a GatewayClass that was removed.
pub(super) fn departed_classes(cx: &mut Cx<'_>, class: &Arc<GatewayClass>) {
    if class.annotations.contains_key(UNTIL) {
        let key = ObjectKey::new("gateway.networking.k8s.io", "GatewayClass", "", class.name.clone());
        departed(cx, key, &|key| class.annotations.get(key).map(String::as_str));
    }
}

fn departed<'a>(cx: &mut Cx<'_>, key: ObjectKey, annotation: &dyn Fn(&str) -> Option<&'a str>) {
    let until = annotation(UNTIL).and_then(Instant::parse).unwrap_or_default();
    let targets = list(annotation(TARGETS));
    let mut held = false;
    for name in list(annotation(NAMES)) {
        let records = cx.find::<PublishedByName>(&name);
        let mut ours = records.iter().filter(|record| record.ours);
        held |= if targets.is_empty() {
            ours.next().is_some() && cx.get::<WantedName>(&name).is_none()
        } else {
            let all_desired = cx.find::<DesiredByName>(&name);
            let desired = |target: &Name| {
                all_desired
                    .iter()
                    .any(|desired| desired.outside.is_none() && desired.targets.contains(target))
            };
            let stands = |target: &&Name| {
                records.iter().any(|r| r.ours && r.set.values.iter().any(|value| *value == ***target))
            };
            targets.iter().filter(stands).any(|target| !desired(target))
        };
    }
    // While a mass deletion is held back, so is what the names that it keeps are served by.
    if !held || (cx.due(at(until)) && !list(annotation(NAMES)).iter().any(|name| deletions_stopped(cx, name)))
    {
        cx.emit(Departed { key, late: held, until });
    }
}

/// Whether no record of this name is deleted now, since too many would be.
fn deletions_stopped(cx: &mut Cx<'_>, name: &Name) -> bool {
    let of_zones = cx.find::<ProblemsByName>(&Name::default());
    of_zones.iter().any(|row| {
        let (problem, zone) = (&row.key.1, &row.key.1.object.name.name);
        problem.code == DnsProblem::STOPPED && (name == zone || name.ends_with(&format!(".{zone}")))
    })
}
