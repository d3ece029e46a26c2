//! The door: what an API server would not store is not taken from a repository. Decided by `portolan_schema`; here it
//! becomes one finding.

use portolan_model::{Code, Object, ObjectKey, Origin, Problem, Severity, intake};
pub use portolan_schema::Definitions;
use portolan_schema::{Cause, Unknown, admit};
use serde_json::Value;

/// Most causes that one finding tells.
const TOLD: usize = 4;

/// The object as an API server would store it, with defaults; of a kind that is not defined, as it is. `stored` is what
/// stands there before.
///
/// # Errors
/// Why the server would refuse it. Unknown fields are refused as well: kubectl and Argo CD ask for that
/// (`fieldValidation: Strict`), and what somebody meant to restrict with one would be open.
pub fn judge(
    definitions: &Definitions,
    key: &ObjectKey,
    json: Value,
    stored: Option<&Object>,
) -> Result<Value, Problem> {
    match admit(definitions, json, stored.map(|stored| &*stored.json)) {
        Ok(admitted) if admitted.warnings.is_empty() => Ok(admitted.object),
        Ok(admitted) => Err(unknown(key, &admitted.warnings)),
        Err(causes) => Err(refused(key, causes)),
    }
}

/// What becomes of a document.
#[derive(Debug)]
pub enum Door {
    /// An object, as it is stored.
    Taken(Object),
    /// No object.
    Refused(ObjectKey, Problem),
    /// No object for an API server, and one here: it says that somebody meant to restrict something. As it is written.
    Restricts(Object, Problem),
}

/// As [`judge`], of a document.
///
/// # Errors
/// A sentence if it cannot be told which object it is.
pub fn enter(definitions: &Definitions, json: Value, origin: Origin) -> Result<Door, String> {
    let (key, _) = Object::identity(&json)?;
    let written = restricts(&key).then(|| json.clone());
    Ok(match (judge(definitions, &key, json, None), written) {
        (Ok(json), _) => Door::Taken(Object::from_json(json, origin)?),
        (Err(problem), Some(written)) => Door::Restricts(Object::from_json(written, origin)?, problem),
        (Err(problem), None) => Door::Refused(key, problem),
    })
}

/// Whether all that objects of the kind do is to restrict: of one that is wrong it is known that traffic is not meant to be
/// open, and no more.
pub fn restricts(key: &ObjectKey) -> bool {
    match &*key.kind.group {
        "gateway.envoyproxy.io" => intake::POLICIES.contains(&&*key.kind.kind),
        "gateway.networking.k8s.io" => &*key.kind.kind == "BackendTLSPolicy",
        _ => false,
    }
}

fn problem(key: &ObjectKey, field: &str, words: &str, hint: String) -> Problem {
    Problem {
        object: key.clone(),
        code: Code(4),
        field: field.into(),
        severity: Severity::Error,
        message: format!("the object is left out, as Kubernetes refuses it: {words}"),
        hint,
    }
}

const UNTIL: &str = "until then what was stored before stays";

fn unknown(key: &ObjectKey, unknown: &[Unknown]) -> Problem {
    let words: Vec<String> =
        unknown.iter().take(TOLD).map(|field| format!("unknown field {:?}", field.path)).collect();
    let words = format!("strict decoding error: {}{}", words.join(", "), more(unknown.len()));
    let near: Vec<&str> = unknown.iter().filter_map(|field| field.nearest.as_deref()).take(TOLD).collect();
    let hint = if near.is_empty() {
        format!("remove the field or correct its place; {UNTIL}")
    } else {
        format!("did you mean {}? {UNTIL}", near.join(", "))
    };
    problem(key, unknown.first().map_or("", |field| &field.path), &words, hint)
}

fn refused(key: &ObjectKey, mut causes: Vec<Cause>) -> Problem {
    // What names no field explains the others.
    causes.sort_by_key(|cause| cause.path == "<nil>");
    if holds_secrets(key) {
        causes.iter_mut().for_each(hide);
    }
    let words: Vec<String> = causes.iter().take(TOLD).map(ToString::to_string).collect();
    let words = format!("{}{}", words.join("; "), more(causes.len()));
    let field = causes.first().map_or("", |cause| if cause.path == "<nil>" { "" } else { &cause.path });
    problem(key, field, &words, format!("correct the object; {UNTIL}"))
}

fn more(causes: usize) -> String {
    if causes > TOLD { format!(" and {} more", causes - TOLD) } else { String::new() }
}

fn holds_secrets(key: &ObjectKey) -> bool {
    matches!((&*key.kind.group, &*key.kind.kind), ("", "Secret") | ("bitnami.com", "SealedSecret"))
}

/// Takes values away that may be secret.
fn hide(cause: &mut Cause) {
    if !cause.path.starts_with("metadata") && cause.value.as_ref().is_some_and(|value| !value.is_null()) {
        cause.value = None;
    }
}
