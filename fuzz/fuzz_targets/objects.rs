//! The door and the intake of every kind, on trees that are edited: a judgement of all, and rows of what is taken.
#![no_main]

use std::sync::LazyLock;

use portolan_core::door::{Door, enter, refused_update};
use portolan_fuzz::{arbitrary::Unstructured, samples, target, tree};
use portolan_model::{Object, Origin, intake::intake};
use portolan_schema::Definitions;

static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(Definitions::builtin);

target!(|bytes| {
    let mut bytes = Unstructured::new(bytes);
    let all = &*samples::OBJECTS;
    let Ok(which) = bytes.arbitrary::<u16>() else { return };
    let json = tree::edited(all[usize::from(which) % all.len()].clone(), &mut bytes, all);
    // A repository's own definition may let in what the packed one does not.
    if let Ok(object) = Object::from_json(json.clone(), Origin::default()) {
        let read = intake(&object);
        samples::check(&read.problems);
        assert_eq!(intake(&object), read, "it is read the same again");
    }
    let Ok(door) = enter(&DEFINITIONS, json, Origin::default()) else { return };
    let object = match door {
        Door::Taken(object) => object,
        Door::Refused(_, problem) => return samples::check(&[problem]),
        Door::Restricts(object, problem) => {
            samples::check(&[problem]);
            samples::check(&intake(&object).problems);
            return;
        }
    };
    samples::check(&intake(&object).problems);
    // What an API server has stored it takes again, as it is.
    match enter(&DEFINITIONS, object.json.clone().into_value(), Origin::default()) {
        Ok(Door::Taken(again)) => assert_eq!(again.json, object.json),
        other => panic!("stored and then refused: {other:?}"),
    }
    if let Some(problem) = refused_update(&DEFINITIONS, &object, &object) {
        panic!("refused beside itself: {problem:?}");
    }
});
