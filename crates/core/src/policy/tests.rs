#![allow(clippy::unwrap_used)]
//! Cases over the whole engine: objects in as YAML, rows of all rooms out.

mod admit;

use portolan_engine::Engine;
use portolan_model::{Object, Origin, intake::intake, yaml};

use crate::{World, world};

/// Puts every document of `text`.
fn apply(engine: &mut Engine<World>, text: &str) {
    let (documents, errors) = yaml::load(text);
    assert_eq!(errors, []);
    for document in documents {
        let object = Object::from_json(document.json, Origin::default()).unwrap();
        world::put(engine, &object.key, intake(&object));
    }
}

fn step(engine: &mut Engine<World>) {
    let changes = engine.step(0);
    assert_eq!((changes.errors, changes.conflicts, changes.held), (vec![], vec![], vec![]));
}

/// A Gateway, a Service and two hosts on one listener, `good` and `bad`.
const EDGE: &str = include_str!("testdata/edge.yaml");
