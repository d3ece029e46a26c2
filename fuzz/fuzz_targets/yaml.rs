//! YAML text to objects: what `helm template` printed, and what stands in a file.
#![no_main]

use std::sync::LazyLock;

use portolan_effects::fuzzing;
use portolan_fuzz::{samples, target};
use portolan_model::{intake::intake, yaml};
use portolan_schema::Definitions;
use serde_json::Value;

static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(Definitions::builtin);

target!(|bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // A carriage return alone ends a line too.
    let lines = u32::try_from(text.matches(['\n', '\r']).count()).unwrap_or(u32::MAX) + 1;
    let (documents, errors) = yaml::load(text);
    for error in &errors {
        assert!(!error.message.is_empty() && (1..=lines).contains(&error.line), "{error:?}");
    }
    for document in &documents {
        assert!((1..=lines).contains(&document.line));
        for field in fields(&document.json) {
            let line = document.lines.get(&field);
            assert!(line.is_none_or(|line| (1..=lines).contains(&line)), "{field} {line:?}");
        }
        // JSON is YAML, but for what is not printable: what was read is read again as the same.
        let (again, errors) = yaml::load(&yaml::of_json(&document.json));
        assert_eq!(errors, []);
        assert_eq!(again.first().map(|again| &again.json), Some(&document.json));
    }
    let (objects, problems) = fuzzing::rendered(text, &DEFINITIONS);
    samples::check(&problems);
    for object in objects {
        samples::check(&intake(&object).problems);
    }
});

/// Names of the fields of the first level.
fn fields(json: &Value) -> impl Iterator<Item = String> {
    json.as_object().into_iter().flat_map(|map| map.keys().cloned())
}
