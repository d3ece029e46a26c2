use portolan_engine::Engine;
use portolan_model::{
    input::{Gateway, Route},
    intake::{Intake, intake},
};

use super::{EDGE, apply, objects, step};
use crate::{gateway::rows::VirtualHost, status::rows::EntryPoint, world};

#[test]
fn without_policies_everything_is_let_through_and_nothing_unjudged_is() {
    let mut engine: Engine<_> = world::engine();
    apply(&mut engine, EDGE);
    step(&mut engine);
    assert_eq!(engine.rows::<Route>().count(), 2);
    assert_eq!(engine.rows::<Gateway>().count(), 1);
    assert_eq!(engine.rows::<VirtualHost>().count(), 2);

    let key = engine.rows::<Route>().next().unwrap().key.clone();
    // An object of which intake made no row to judge: a mistake of ours, which must not open anything.
    let object = objects(EDGE).into_iter().find(|object| object.key == key.object()).unwrap();
    world::put(&mut engine, &object.key, Intake { judged: None, ..intake(&object) });
    step(&mut engine);
    assert_eq!(engine.rows::<Route>().count(), 1);
    assert_eq!(engine.rows::<VirtualHost>().count(), 1);
    let refused = engine.rows::<EntryPoint>().next().unwrap().clone();
    assert_eq!(refused.why, "HTTPRoute/team/bad was not judged");

    world::remove(&mut engine, &key.object());
    step(&mut engine);
    assert_eq!(engine.rows::<EntryPoint>().count(), 1);
}
