#![allow(clippy::unwrap_used)]
//! Cases over the whole engine: objects in as YAML, rows of all rooms out.

mod admit;
mod edits;
mod kinds;
mod matches;
mod params;
mod platform;
mod policies;
mod requests;
mod uses;
mod work;

use portolan_engine::Engine;
use portolan_model::{Object, ObjectKey, Origin, Problem, input::Route, intake::intake, yaml};

use crate::{World, world, world::Finding};

fn objects(text: &str) -> Vec<Object> {
    let (documents, errors) = yaml::load(text);
    assert_eq!(errors, []);
    documents.into_iter().map(|d| Object::from_json(d.json, Origin::default()).unwrap()).collect()
}

/// Puts every document of `text`.
fn apply(engine: &mut Engine<World>, text: &str) {
    for object in objects(text) {
        world::put(engine, &object.key, intake(&object));
    }
}

fn step(engine: &mut Engine<World>) {
    let changes = engine.step(0);
    assert_eq!((changes.errors, changes.conflicts, changes.held.to_vec()), (vec![], vec![], vec![]));
}

/// Takes the object away.
fn remove(engine: &mut Engine<World>, kind: &str, name: &str) {
    let group = if kind.starts_with("Validating") {
        "admissionregistration.k8s.io"
    } else {
        "gateway.networking.k8s.io"
    };
    world::remove(engine, &ObjectKey::new(group, kind, "", name));
}

/// A policy over routes, Gateways and Certificates with `spec` (two spaces deep) besides, and a binding of the same name.
fn policy(name: &str, actions: &str, spec: &str) -> String {
    format!(
        r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints:
    resourceRules: [{{apiGroups: ["*"], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [httproutes, grpcroutes, gateways, certificates]}}]
{spec}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec: {{policyName: {name}, validationActions: [{actions}]}}
"#
    )
}

/// All findings as `code object field: message`.
fn findings(engine: &Engine<World>) -> Vec<String> {
    let line = |p: &Problem| format!("{} {} {}: {}", p.code.0, p.object, p.field, p.message);
    engine.rows::<Finding>().map(|finding| line(&finding.problem)).collect()
}

/// Names of the routes that were let in.
fn admitted(engine: &Engine<World>) -> Vec<String> {
    engine.rows::<Route>().map(|route| route.key.name.name.to_string()).collect()
}

/// The edge with one policy.
fn edge(policy: &str) -> Engine<World> {
    let mut engine = world::engine();
    apply(&mut engine, EDGE);
    apply(&mut engine, policy);
    step(&mut engine);
    engine
}

/// A Gateway, a Service and two hosts on one listener, `good` and `bad`.
const EDGE: &str = include_str!("testdata/edge.yaml");
