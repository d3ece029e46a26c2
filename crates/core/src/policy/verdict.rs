//! One policy over one object (Kubernetes, `apiserver/pkg/admission/plugin/policy/validating/validator.go`).

use portolan_cel::{Inputs, Run};
use portolan_model::input::Judged;
use serde_json::{Value, json};

use super::{
    matching::{self, Matched},
    program::{Program, Validation},
};

/// Longest message that an expression may make, in bytes; a longer one is not used.
const MESSAGE: usize = 5 * 1024;

/// A validation that failed, or an expression that has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Why.
    pub cause: Cause,
    /// What is wrong.
    pub message: String,
    /// Field of the object; empty for the whole.
    pub field: String,
}

/// Why something is complained of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A validation is false.
    False,
    /// An expression has no value; `failurePolicy` says what that means.
    NoValue,
    /// An audit annotation has no value: under `Fail` that denies whatever the binding's actions are, and else the annotation is left out.
    NoAnnotation,
    /// An audit annotation is neither text nor null, which always denies.
    OddAnnotation,
}

/// What the program has to say against an object. Without complaints it admits, or its conditions do not hold.
pub fn complaints(program: &Program, inputs: Inputs<'_>) -> Vec<Complaint> {
    // One condition that does not hold is enough to leave the object alone, whatever becomes of the others. The API server
    // evaluates them without the namespace (`webhook/matchconditions/matcher.go`): `namespaceObject` is null there.
    let mut run = Run::new(Inputs { namespace: None, ..inputs }, &program.variables);
    let held: Vec<_> = program.conditions.iter().map(|(_, condition)| run.truth(condition)).collect();
    if held.contains(&Ok(false)) {
        return Vec::new();
    }
    if let Some(failure) = held.into_iter().find_map(Result::err) {
        return vec![Complaint { cause: Cause::NoValue, message: failure.0, field: String::new() }];
    }
    drop(run);
    let mut run = Run::new(inputs, &program.variables);
    let mut complaints = Vec::new();
    for validation in &program.validations {
        let complaint = match run.truth(&validation.expression) {
            Ok(true) => continue,
            Ok(false) => (Cause::False, message(&mut run, validation)),
            Err(failure) => (Cause::NoValue, failure.0),
        };
        let (cause, message) = complaint;
        complaints.push(Complaint { cause, message, field: validation.expression.field(inputs.object) });
    }
    for audit in &program.audits {
        if let Err((odd, failure)) = run.annotation(audit) {
            let cause = if odd { Cause::OddAnnotation } else { Cause::NoAnnotation };
            complaints.push(Complaint { cause, message: failure.0, field: String::new() });
        }
    }
    complaints
}

/// The message expression's text if it is usable, else the message, else the expression.
fn message(run: &mut Run<'_>, validation: &Validation) -> String {
    let made = validation.message_expression.as_ref().and_then(|expression| run.text(expression));
    let made = made.map(|text| text.trim().to_owned());
    let usable = made.filter(|text| !text.is_empty() && text.len() <= MESSAGE && !text.contains('\n'));
    usable.unwrap_or_else(|| {
        if validation.message.is_empty() {
            format!("failed expression: {}", validation.expression.source)
        } else {
            validation.message.clone()
        }
    })
}

/// The request under which objects are judged. It has what is known of one: who asks is Portolan itself. `kind` and
/// `resource` are of the version that matched, `requestKind` and `requestResource` of the one that was written.
pub fn request(object: &Judged, matched: &Matched) -> Value {
    let (group, kind) = (object.group(), &object.key.kind.kind);
    let kind = |version: &str| json!({"group": group, "version": version, "kind": kind});
    let resource = |version: &str| json!({"group": group, "version": version, "resource": matched.resource});
    let own = matching::own_version(object);
    let mut request = json!({
        "uid": "",
        "kind": kind(&matched.version),
        "resource": resource(&matched.version),
        "requestKind": kind(own),
        "requestResource": resource(own),
        "name": object.key.name.name,
        "operation": matched.operation.name(),
        "userInfo": {"username": "portolan", "groups": ["system:authenticated"]},
        "dryRun": false,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": matched.operation.options()},
    });
    // `omitempty`: a key that is empty is none. "the namespace object has the namespace of itself" (`validating/dispatcher.go`).
    let name = &object.key.name;
    let namespace = if object.key.kind.is("", "Namespace") { &name.name } else { &name.namespace };
    if !namespace.is_empty() {
        request["namespace"] = namespace.as_str().into();
    }
    request
}
