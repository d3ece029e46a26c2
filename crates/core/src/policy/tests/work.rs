//! Work per change: what is evaluated, and what is not.

use portolan_engine::{Changes, Engine};

use super::{EDGE, apply, policy};
use crate::{World, world};

const SPEC: &str = "  validations:\n  - {expression: \"object.kind != 'HTTPRoute' || object.spec.hostnames.all(h, h.endsWith('.example.com'))\"}\n";

fn route(number: usize, host: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r{number}, namespace: team}}\nspec:\n  parentRefs: [{{name: edge}}]\n  hostnames: ['{host}']\n  rules: [{{backendRefs: [{{name: app, port: 80}}]}}]\n"
    )
}

fn world_of(routes: usize) -> Engine<World> {
    let mut engine = world::engine();
    apply(&mut engine, EDGE);
    for number in 0..routes {
        apply(&mut engine, &route(number, &format!("h{number}.example.com")));
    }
    for name in ["one", "two", "three"] {
        apply(&mut engine, &policy(name, "Deny", SPEC));
    }
    engine.step(0);
    engine
}

fn runs(changes: &Changes, rule: &str) -> usize {
    changes.work.iter().find(|(name, _)| *name == rule).map_or(0, |(_, runs)| *runs)
}

#[test]
fn a_route_edit_runs_the_policies_for_that_route_whatever_the_number_of_routes() {
    let work = |routes: usize| {
        let mut engine = world_of(routes);
        apply(&mut engine, &route(3, "other.example.com"));
        let changes = engine.step(0);
        assert_eq!((runs(&changes, "policy_judgements"), runs(&changes, "compiled_policies")), (3, 0));
        changes.runs()
    };
    assert_eq!(work(10), work(80));
}

#[test]
fn a_policy_edit_runs_that_policy_over_what_it_matches_and_wakes_no_other_room() {
    let mut engine = world_of(20);
    apply(&mut engine, &policy("two", "Deny", &SPEC.replace("'.example.com'", "'.com'")));
    let changes = engine.step(0);
    // 22 routes and a Gateway; the policy once.
    assert_eq!((runs(&changes, "compiled_policies"), runs(&changes, "policy_judgements")), (1, 23));
    assert_eq!(runs(&changes, "policy_cases"), 0);
    assert_eq!((runs(&changes, "routes"), runs(&changes, "attachments")), (0, 0));

    // One route is denied: of the other rooms only its own rows follow.
    apply(
        &mut engine,
        &policy("two", "Deny", &SPEC.replace("'.example.com'", "'.example.com') || h.startsWith('h7.'")),
    );
    engine.step(0);
    apply(
        &mut engine,
        &policy("two", "Deny", &SPEC.replace("h.endsWith", "!h.startsWith('h7.') && h.endsWith")),
    );
    let changes = engine.step(0);
    assert_eq!(
        (runs(&changes, "policy_judgements"), runs(&changes, "denied"), runs(&changes, "routes")),
        (23, 1, 1)
    );
}

#[test]
fn objects_that_no_policy_judges_make_no_cases() {
    let mut engine = world_of(2);
    apply(
        &mut engine,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: team}\ndata: {a: b}\n",
    );
    let changes = engine.step(0);
    assert_eq!(runs(&changes, "policy_judgements"), 0);
}
