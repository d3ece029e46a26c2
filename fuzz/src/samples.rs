//! Objects of every kind that is acted on or judged: those that the schemas are held against a real API server with.

use std::sync::LazyLock;

use portolan_model::{Problem, Severity, yaml};
use portolan_schema::Definitions;
use serde_json::{Value, json};

const FILES: [&str; 8] = [
    include_str!("../../crates/schema/tests/server/testdata/bases/certificates.yaml"),
    include_str!("../../crates/schema/tests/server/testdata/bases/core.yaml"),
    include_str!("../../crates/schema/tests/server/testdata/bases/envoy.yaml"),
    include_str!("../../crates/schema/tests/server/testdata/bases/gateway.yaml"),
    include_str!("../../crates/schema/tests/server/testdata/bases/others.yaml"),
    include_str!("../../examples/first-steps/certificates.yaml"),
    include_str!("../../examples/first-steps/gateway.yaml"),
    include_str!("../../examples/first-steps/team-a.yaml"),
];

/// All of them, and of every other packed kind an object with nothing in it.
pub static OBJECTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut all: Vec<Value> = FILES.iter().flat_map(|text| documents(text)).collect();
    for one in Definitions::packed() {
        let version = if one.group.is_empty() {
            one.version.to_string()
        } else {
            format!("{}/{}", one.group, one.version)
        };
        if !all.iter().any(|object| object["apiVersion"] == version && object["kind"] == *one.kind) {
            let metadata = json!({"name": "a", "namespace": one.namespaced.then_some("team-a")});
            all.push(json!({"apiVersion": version, "kind": one.kind, "metadata": metadata, "spec": {}}));
        }
    }
    all
});

/// Documents of a text that is known to be good.
pub fn documents(text: &str) -> Vec<Value> {
    let (documents, errors) = yaml::load(text);
    assert_eq!(errors, [], "a sample");
    documents.into_iter().map(|document| document.json).collect()
}

/// What holds of every problem: it says what is wrong, and what is an error says what to do.
pub fn check(problems: &[Problem]) {
    for problem in problems {
        assert!(!problem.message.is_empty(), "{problem:?}");
        assert!(problem.severity != Severity::Error || !problem.hint.is_empty(), "{problem:?}");
        // What one finding prints is bounded, whatever stands in the object.
        assert!(problem.message.len() < 256 << 10, "{} bytes", problem.message.len());
    }
}
