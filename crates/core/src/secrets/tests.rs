#![allow(clippy::unwrap_used)]
//! Cases over the whole engine: objects in as YAML, rows of this room out.

mod mirrors;
mod owner;
mod unseal;

use portolan_engine::Engine;
use portolan_model::{Object, ObjectKey, Origin, Severity, intake::intake, yaml};

use crate::{World, world, world::Finding};

fn apply(engine: &mut Engine<World>, text: &str) {
    let (documents, errors) = yaml::load(text);
    assert_eq!(errors, []);
    for document in documents {
        let object = Object::from_json(document.json, Origin::default()).unwrap();
        world::put(engine, &object.key, intake(&object));
    }
}

fn remove(engine: &mut Engine<World>, kind: &str, namespace: &str, name: &str) {
    world::remove(engine, &ObjectKey::new("", kind, namespace, name));
}

fn step(engine: &mut Engine<World>) {
    let changes = engine.step(0);
    assert_eq!((changes.errors, changes.conflicts, changes.held.to_vec()), (vec![], vec![], vec![]));
}

/// Code, severity, object and message of every finding, in order.
fn findings(engine: &Engine<World>) -> Vec<(u16, Severity, String, String)> {
    engine
        .rows::<Finding>()
        .map(|f| &f.problem)
        .map(|p| (p.code.0, p.severity, p.object.to_string(), p.message.clone()))
        .collect()
}

fn codes(engine: &Engine<World>) -> Vec<u16> {
    findings(engine).into_iter().map(|f| f.0).collect()
}
