//! What of a Gateway, ListenerSet or GatewayClass goes stays in the object itself, with a mark: a removed object as it was, a removed
//! listener beside those of the new object.

use std::{collections::BTreeSet, sync::Arc};

use portolan_engine::Engine;
use portolan_model::{
    GatewayKey, Instant, Name, Object,
    input::{Gateway, GatewayClass, ListenerSet, Route},
};
use serde_json::Value;

use super::{NAMES, Published, TARGETS, UNTIL, annotations, is, is_kept, list, published};
use crate::{
    World,
    dns::rows::DesiredRecord,
    gateway::{CONTROLLERS, rows::Attachment, sets},
};

/// Annotation of a Gateway or ListenerSet: its listeners that are leaving, separated by commas. Without it the whole object is.
pub const LISTENERS: &str = "portolan.dev/leaving-listeners";
/// Annotation of a Gateway that is given to another controller or to none: the class that it names then.
const BECOMES: &str = "portolan.dev/leaving-becomes";
/// Where a Gateway names its class.
const CLASS: &str = "/spec/gatewayClassName";

/// The marked Gateway in place of one that was removed.
pub(super) fn removed(engine: &Engine<World>, old: &Object, until: Instant) -> Option<Object> {
    if old.annotation(BECOMES).is_some() {
        return marked(&carried(old), old, old.annotation(UNTIL).and_then(Instant::parse).unwrap_or(until));
    }
    marked(&of_gateway(engine, old)?, old, until)
}

/// The marked ListenerSet in place of one that was removed.
pub(super) fn set_removed(engine: &Engine<World>, old: &Object, until: Instant) -> Option<Object> {
    let partly = old.annotation(LISTENERS).is_some();
    if is_kept(old) && !partly {
        return None;
    }
    let mut found = if partly { carried(old) } else { Published::default() };
    for name in listeners(old).filter_map(name_of).map(Name::new) {
        found.add(at_listener(engine, old, &name).unwrap_or_default());
    }
    marked(&found, old, until)
}

/// The published names that a listener of a Gateway or ListenerSet serves.
fn at_listener(engine: &Engine<World>, object: &Object, listener: &Name) -> Option<Published> {
    let (gateway, listener) = if is(object, "Gateway") {
        (object.key.name.clone(), listener.clone())
    } else {
        let set = engine.get::<ListenerSet>(&object.key.name)?;
        (set.parent.name.clone(), sets::name(&object.key.name, listener))
    };
    let served =
        |desired: &&Arc<DesiredRecord>| desired.key.2 == gateway && is_served_at(engine, desired, &listener);
    published(engine, engine.rows::<DesiredRecord>().filter(served))
}

/// Names that a Gateway serves; `None` if it is on its way out.
fn of_gateway(engine: &Engine<World>, old: &Object) -> Option<Published> {
    let partly = old.annotation(LISTENERS).is_some();
    if is_kept(old) && !partly {
        return None;
    }
    let all_desired = engine.rows::<DesiredRecord>().filter(|desired| desired.key.2 == old.key.name);
    let mut found = published(engine, all_desired).unwrap_or_default();
    if partly {
        found.add(carried(old));
    }
    Some(found)
}

/// Whether an edit takes the Gateway from us: it names another controller's class, or one that there is not. (What
/// controller a class names cannot be edited.)
pub(super) fn is_given_away(engine: &Engine<World>, old: &Object, new: &Object, coming: &[&Object]) -> bool {
    if !is(old, "Gateway") {
        return false;
    }
    let named = |object: &Object| object.json.pointer(CLASS).and_then(Value::as_str).map(Name::new);
    let is_ours = |name: &str| CONTROLLERS.contains(&name);
    let serves = |name: &Name| match coming.iter().find(|class| class.key.name.name == *name) {
        Some(class) => {
            class.json.pointer("/spec/controllerName").and_then(Value::as_str).is_some_and(is_ours)
        }
        None => engine.get::<GatewayClass>(name).is_some_and(|class| is_ours(&class.controller)),
    };
    let (before, after) = (named(old), named(new));
    before != after && !after.is_some_and(|name| serves(&name))
}

/// The new Gateway as it is served until the names of the old one are gone.
pub(super) fn given_away(
    engine: &Engine<World>,
    old: &Object,
    new: &Object,
    until: Instant,
) -> Option<Object> {
    let becomes = new.json.pointer(CLASS).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (found, until) = if old.annotation(BECOMES).is_some() {
        // Edited again on its way.
        (carried(old), old.annotation(UNTIL).and_then(Instant::parse).unwrap_or(until))
    } else {
        (of_gateway(engine, old)?, until)
    };
    let served = old.json.pointer(CLASS)?.clone();
    let mut kept = marked(&found, new, until)?;
    let mut json = (*kept.json).clone();
    *json.pointer_mut(CLASS)? = served;
    json["metadata"]["annotations"][BECOMES] = becomes.into();
    kept.json = json.into();
    Some(kept)
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
    annotations.remove(BECOMES);
    found.annotate(&mut annotations, until);
    json["metadata"]["annotations"] = Value::Object(annotations);
    Object::from_json(json, old.origin.clone()).ok()
}

/// The new Gateway or ListenerSet with those listeners of the old one that served published names and are gone, or `None`. Whatever is
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
        if let Some(lost) = at_listener(engine, old, &name) {
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

/// What was leaving as it stands in the repository: a Gateway or ListenerSet without its listeners that did, and one that was given away with
/// the class that it names; `None` if all of it is leaving.
pub fn released(kept: &Object) -> Option<Object> {
    let mut json = (*kept.json).clone();
    if let Some(becomes) = kept.annotation(BECOMES) {
        *json.pointer_mut(CLASS)? = becomes.into();
    } else {
        let leaving = list(Some(kept.annotation(LISTENERS)?));
        json.pointer_mut("/spec/listeners")?.as_array_mut()?.retain(|listener| {
            name_of(listener).is_none_or(|name| !leaving.iter().any(|other| **other == *name))
        });
    }
    let mut annotations = annotations(kept);
    for mark in [UNTIL, NAMES, TARGETS, LISTENERS, BECOMES] {
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
