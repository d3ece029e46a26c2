//! Edits that an API server would refuse.

use portolan_model::{Object, Origin, yaml};

use super::policy;
use crate::policy::edit::{is_looked_at, refused};

fn objects(text: &str) -> Vec<Object> {
    let (documents, errors) = yaml::load(text);
    assert_eq!(errors, []);
    documents.into_iter().map(|d| Object::from_json(d.json, Origin::default()).unwrap()).collect()
}

fn with(expression: &str, more: &str) -> Object {
    let spec = format!("  validations:\n  - {{expression: \"{expression}\", message: nope}}\n{more}");
    objects(&policy("p", "Deny", &spec)).remove(0)
}

fn code(stored: &Object, new: &Object) -> Option<(u16, String)> {
    refused(stored, new).map(|problem| (problem.code.0, problem.field.to_string()))
}

#[test]
fn what_does_not_compile_does_not_replace_what_does() {
    let (good, other, broken) = (with("true", ""), with("false", ""), with("objct.x", ""));
    assert!(is_looked_at(&good));
    assert_eq!(code(&good, &other), None);
    assert_eq!(code(&good, &broken), Some((507, "spec.validations[0].expression".to_owned())));
    let problem = refused(&good, &broken).unwrap();
    assert!(problem.message.contains("stays in force: line 1, column 1"), "{}", problem.message);
    assert!(!problem.hint.is_empty());
    // There is no good version: the newest is shown with its own error.
    assert_eq!(code(&broken, &with("objct.y", "")), None);
    assert_eq!(code(&broken, &good), None);
}

#[test]
fn a_field_that_no_api_server_takes_is_refused_as_well() {
    let good = with("true", "");
    assert_eq!(
        code(&good, &with("true", "  failurePolicy: Sometimes\n")),
        Some((507, "spec.failurePolicy".to_owned()))
    );
    // A misspelt field is a warning there too, and taken.
    assert_eq!(code(&good, &with("true", "  failurPolicy: Ignore\n")), None);
    // Worse than before is refused, as bad as before is taken.
    let odd = with("true", "  failurePolicy: Sometimes\n");
    assert_eq!(code(&odd, &with("objct.x", "")), Some((507, "spec.validations[0].expression".to_owned())));
    assert_eq!(code(&odd, &with("false", "  failurePolicy: Never\n")), None);
}

#[test]
fn bindings_are_looked_at_and_nothing_else_is() {
    let binding = |actions: &str| objects(&policy("p", actions, "  validations: []\n")).remove(1);
    assert_eq!(code(&binding("Deny"), &binding("Denny")), Some((507, "spec.validationActions".to_owned())));
    assert_eq!(code(&binding("Deny"), &binding("Audit")), None);
    let route =
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: ns}\n";
    assert!(!is_looked_at(&objects(route)[0]));
}
