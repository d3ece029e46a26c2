//! What of a Gateway or GatewayClass goes stays in the object itself, with a mark: a removed object as it was, a removed
//! listener beside those of the new object.

use std::collections::BTreeSet;

use portolan_engine::Engine;
use portolan_model::{
    GatewayKey, Instant, Name, Object,
    input::{Gateway, Route},
};
use serde_json::Value;

use super::{NAMES, Published, TARGETS, UNTIL, annotations, is_kept, list, published};
use crate::{World, dns::rows::DesiredRecord, gateway::rows::Attachment};

/// Annotation of a Gateway: its listeners that are leaving, separated by commas. Without it the whole Gateway is.
pub const LISTENERS: &str = "portolan.dev/leaving-listeners";

/// The marked Gateway in place of one that was removed.
pub(super) fn removed(engine: &Engine<World>, old: &Object, until: Instant) -> Option<Object> {
    let partly = old.annotation(LISTENERS).is_some();
    if is_kept(old) && !partly {
        return None;
    }
    let all_desired = engine.rows::<DesiredRecord>().filter(|desired| desired.key.2 == old.key.name);
    let mut found = published(engine, all_desired).unwrap_or_default();
    if partly {
        found.add(carried(old));
    }
    marked(&found, old, until)
}

/// The marked GatewayClass in place of one that was removed.
pub(super) fn class_removed(engine: &Engine<World>, old: &Object, until: Instant) -> Option<Object> {
    if is_kept(old) {
        return None;
    }
    let of_class = |key: &GatewayKey| {
        engine.get::<Gateway>(key).is_some_and(|gateway| gateway.class == old.key.name.name)
    };
    let all_desired = engine.rows::<DesiredRecord>().filter(|desired| of_class(&desired.key.2));
    marked(&published(engine, all_desired).unwrap_or_default(), old, until)
}

fn marked(found: &Published, old: &Object, until: Instant) -> Option<Object> {
    if found.names.is_empty() {
        return None;
    }
    let mut json = (*old.json).clone();
    let mut annotations = annotations(old);
    annotations.remove(LISTENERS);
    found.annotate(&mut annotations, until);
    json["metadata"]["annotations"] = Value::Object(annotations);
    Object::from_json(json, old.origin.clone()).ok()
}

/// The new Gateway with those listeners of the old one that served published names and are gone, or `None`. Whatever is
/// still on its way out since an edit before stays with them; a further loss gives all of them the time anew.
pub(super) fn edited(engine: &Engine<World>, old: &Object, new: &Object, until: Instant) -> Option<Object> {
    let before = list(old.annotation(LISTENERS));
    if is_kept(old) && before.is_empty() {
        // It was removed and comes back.
        return None;
    }
    let stays: BTreeSet<&str> = listeners(new).filter_map(name_of).collect();
    let mut leaving: BTreeSet<Name> =
        before.iter().filter(|name| !stays.contains(&***name)).cloned().collect();
    let mut found = if leaving.is_empty() { Published::default() } else { carried(old) };
    let mut ends = old.annotation(UNTIL).and_then(Instant::parse).filter(|_| !leaving.is_empty());
    for name in listeners(old).filter_map(name_of).map(Name::new) {
        if stays.contains(&*name) || before.contains(&name) {
            continue;
        }
        let all_desired = engine
            .rows::<DesiredRecord>()
            .filter(|desired| desired.key.2 == old.key.name && is_served_at(engine, desired, &name));
        if let Some(lost) = published(engine, all_desired) {
            found.add(lost);
            leaving.insert(name);
            ends = None;
        }
    }
    if leaving.is_empty() {
        return None;
    }
    let mut json = (*new.json).clone();
    let kept = listeners(old).filter(|listener| name_of(listener).is_some_and(|name| leaving.contains(name)));
    json.pointer_mut("/spec/listeners")?.as_array_mut()?.extend(kept.cloned());
    let mut annotations = annotations(new);
    found.annotate(&mut annotations, ends.unwrap_or(until));
    let names = leaving.iter().map(|name| &**name).collect::<Vec<_>>().join(",");
    annotations.insert(LISTENERS.into(), names.into());
    json["metadata"]["annotations"] = Value::Object(annotations);
    Object::from_json(json, new.origin.clone()).ok()
}

/// A Gateway without its listeners that were leaving, as it stands in the repository; `None` if all of it is leaving.
pub fn released(kept: &Object) -> Option<Object> {
    let leaving = list(Some(kept.annotation(LISTENERS)?));
    let mut json = (*kept.json).clone();
    json.pointer_mut("/spec/listeners")?.as_array_mut()?.retain(|listener| {
        name_of(listener).is_none_or(|name| !leaving.iter().any(|other| **other == *name))
    });
    let mut annotations = annotations(kept);
    for mark in [UNTIL, NAMES, TARGETS, LISTENERS] {
        annotations.remove(mark);
    }
    let metadata = json.get_mut("metadata")?.as_object_mut()?;
    if annotations.is_empty() {
        metadata.remove("annotations");
    } else {
        metadata.insert("annotations".into(), Value::Object(annotations));
    }
    Object::from_json(json, kept.origin.clone()).ok()
}

/// What the marks of an object say.
fn carried(old: &Object) -> Published {
    let names = list(old.annotation(NAMES)).into_iter().collect();
    Published { names, targets: list(old.annotation(TARGETS)).into_iter().collect() }
}

fn listeners(gateway: &Object) -> impl Iterator<Item = &Value> {
    gateway.json.pointer("/spec/listeners").and_then(Value::as_array).into_iter().flatten()
}

fn name_of(listener: &Value) -> Option<&str> {
    listener.get("name")?.as_str()
}

/// Whether the route of a desired record has a place at this listener of the Gateway. That it serves the name at others too does
/// not matter: then the name is desired there, and nothing waits.
fn is_served_at(engine: &Engine<World>, desired: &DesiredRecord, listener: &Name) -> bool {
    let parents = engine.get::<Route>(&desired.key.1).map_or(0, |route| route.parents.len());
    (0..parents).any(|at| {
        let attachment = engine.get::<Attachment>(&(desired.key.1.clone(), at));
        attachment.is_some_and(|attachment| {
            attachment.gateway == desired.key.2
                && attachment.taken.iter().any(|(key, _)| key.name == *listener)
        })
    })
}
