//! The door: what an API server would not store is not taken from a repository. Decided by `portolan_schema`; here it
//! becomes one finding.

mod flux;
mod size;
mod webhook;

use portolan_model::{
    Code, Object, ObjectKey, Origin, Problem, Severity, intake, shown,
    veil::{self, Veil},
};
pub use portolan_schema::Definitions;
use portolan_schema::{Cause, CauseKind, Unknown, decode, judges_updates, update};
use serde_json::Value;

/// Most causes that one finding tells.
const TOLD: usize = 4;

/// The object as an API server would store it, with defaults; of a kind that is not defined, as it is.
///
/// # Errors
/// Why the server would refuse it; endpoints at loopback addresses it would, and they are taken. Unknown fields are refused as
/// well: kubectl and Argo CD ask for that (`fieldValidation: Strict`), and what somebody meant to restrict with one would be
/// open.
fn judge(definitions: &Definitions, key: &ObjectKey, json: Value) -> Result<Value, Refused> {
    let none = |problem| Refused { problem: Box::new(problem), late: None };
    let decoded = decode(definitions, json).map_err(|causes| none(refused(key, &[], causes)))?;
    let unknown = decoded.unknown();
    let mut causes = decoded.wrong(None);
    if is_of_endpoints(key) {
        causes.retain(|cause| !is_local(cause));
    }
    if definitions.namespaced(&key.kind.group, &key.kind.kind).is_none() {
        causes.extend(flux::wrong(key, decoded.object()));
    }
    if causes.is_empty() && unknown.is_empty() {
        return Ok(decoded.into_object());
    }
    let problem = Box::new(refused(key, unknown, causes));
    let may_come = unknown.is_empty() && decoded.is_ratcheted();
    Err(Refused { problem, late: may_come.then(|| decoded.into_object()) })
}

/// Why an object is not taken, and the object where it may be taken in the place of one that has the same faults.
struct Refused {
    problem: Box<Problem>,
    late: Option<Value>,
}

/// What a server stores in the place of `stored` although it would not make it anew: what is as it was keeps its faults, as after
/// a definition that has become narrower (KEP-4008).
///
/// # Errors
/// Everything else that the server has against it.
pub fn ratcheted(definitions: &Definitions, stored: &Object, late: &Object) -> Result<Object, Box<Problem>> {
    let key = &late.key;
    let json = (*late.json).clone();
    let wrong = |causes| Box::new(covered(refused(key, &[], causes), &Veil::of_document(&late.json)));
    let decoded = decode(definitions, json).map_err(wrong)?;
    let causes = decoded.wrong(Some(&stored.json));
    if !causes.is_empty() {
        return Err(wrong(causes));
    }
    Ok(Object { json: decoded.into_object().into(), ..late.clone() })
}

/// Why an API server would not put `new` in the place of `stored`, although it would make it: both went through
/// [`enter`].
pub fn refused_update(definitions: &Definitions, stored: &Object, new: &Object) -> Option<Problem> {
    let kind = &new.key.kind;
    if !judges_updates(definitions, &kind.group, &new.version, &kind.kind) {
        return None;
    }
    let mut causes = update(definitions, &new.json, &stored.json);
    if is_of_endpoints(&new.key) {
        causes.retain(|cause| !is_local(cause));
    }
    (!causes.is_empty()).then(|| covered(refused(&new.key, &[], causes), &Veil::of_document(&new.json)))
}

/// What an API server says against a Secret that is made here, in its words: of one that stands there, if its type or what it
/// promised not to change would be another. Never with a part of a value.
pub fn refused_secret(mut secret: Value, stored: Option<&Value>) -> Option<String> {
    if let Some(metadata) = secret.get_mut("metadata").and_then(Value::as_object_mut) {
        // Written by us.
        metadata.remove("ownerReferences");
    }
    let decoded = decode(&Definitions::builtin(), secret);
    let mut causes = decoded.and_then(|decoded| decoded.admit(stored)).err()?;
    for cause in &mut causes {
        hide(cause);
        // Go quotes the first character that it cannot read.
        if cause.detail.starts_with("invalid character") {
            cause.detail = "it is no JSON".into();
        }
    }
    let words: Vec<String> = causes.iter().take(TOLD).map(ToString::to_string).collect();
    Some(format!("{}{}", words.join("; "), more(causes.len())))
}

/// Without what the document means to keep secret, and no longer than anybody reads.
fn covered(problem: Problem, veil: &Veil) -> Problem {
    let cover = |text: &str| shown::brief(&veil.cover(text)).into_owned();
    Problem { message: cover(&problem.message), hint: cover(&problem.hint), ..problem }
}

/// On one machine loopback is where backends are: the one thing that is taken and that a cluster refuses.
fn is_local(cause: &Cause) -> bool {
    cause.detail.starts_with("may not be in the loopback range")
}

fn is_of_endpoints(key: &ObjectKey) -> bool {
    matches!((&*key.kind.group, &*key.kind.kind), ("discovery.k8s.io", "EndpointSlice") | ("", "Endpoints"))
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

/// Judges a document.
///
/// # Errors
/// A sentence if it cannot be told which object it is.
pub fn enter(definitions: &Definitions, json: Value, origin: Origin) -> Result<Door, String> {
    enter_late(definitions, json, origin).map(|(door, _)| door)
}

/// As [`enter`], with the object that is refused where it may be put in the place of one that is stored ([`ratcheted`]).
///
/// # Errors
/// As of [`enter`].
pub fn enter_late(
    definitions: &Definitions,
    json: Value,
    origin: Origin,
) -> Result<(Door, Option<Object>), String> {
    let (key, _) = Object::identity(&json)?;
    let written = restricts(&key).then(|| json.clone());
    let veil = Veil::of_document(&json);
    let none = |problem| Refused { problem: Box::new(problem), late: None };
    let sized = size::too_large(&key, &json).map_or(Ok(()), |problem| Err(none(problem)));
    let judged = sized
        .and_then(|()| judge(definitions, &key, json))
        .and_then(|json| webhook::refused(&key, &json).map_or(Ok(json), |problem| Err(none(problem))));
    Ok(match (judged, written) {
        (Ok(json), _) => (Door::Taken(Object::from_json(json, origin)?), None),
        (Err(Refused { problem, .. }), Some(written)) => {
            let problem = restricting(covered(*problem, &veil));
            (Door::Restricts(Object::from_json(written, origin)?, problem), None)
        }
        (Err(Refused { problem, late }), None) => {
            // What cert-manager's webhook has against it, it has against an update too.
            let late = late.filter(|late| webhook::refused(&key, late).is_none());
            let late = late.and_then(|late| Object::from_json(late, origin).ok());
            (Door::Refused(key, covered(*problem, &veil)), late)
        }
    })
}

/// How the message begins of what a server would not store.
const LEFT_OUT: &str = "the object is left out, as Kubernetes refuses it";
/// How its hint ends.
const STAYS: &str = "until then what was stored before stays";

/// The same of an object that is not left out, since it is meant to restrict.
fn restricting(problem: Problem) -> Problem {
    let taken = "Kubernetes refuses the object, which restricts here as it is written";
    let until = "until then what was stored before stays, and without that this one restricts";
    let (message, hint) = (problem.message.replace(LEFT_OUT, taken), problem.hint.replace(STAYS, until));
    Problem { message, hint, ..problem }
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

/// One problem of all that is wrong. Unknown fields come first, as the server tells them before it looks at values.
fn refused(key: &ObjectKey, unknown: &[Unknown], mut causes: Vec<Cause>) -> Problem {
    // That rules were not asked says nothing of the object.
    if causes.len() > 1 {
        causes.retain(|cause| !cause.detail.starts_with("some validation rules were not checked"));
    }
    // What names no field explains the others.
    causes.sort_by_key(|cause| cause.path == "<nil>");
    if holds_secrets(key) {
        causes.iter_mut().for_each(hide);
    }
    // Fields of a mapping where a list belongs are not unknown: they stand in the wrong thing.
    let misplaced = |field: &Unknown| {
        let below = |of: &Cause| field.path.strip_prefix(&of.path).is_some_and(|rest| rest.starts_with('.'));
        causes.iter().any(|cause| cause.kind == CauseKind::TypeInvalid && below(cause))
    };
    let unknown: Vec<&Unknown> = unknown.iter().filter(|field| !misplaced(field)).collect();
    let fields: Vec<String> =
        unknown.iter().take(TOLD).map(|field| format!("unknown field {:?}", field.path)).collect();
    let strict = (!fields.is_empty())
        .then(|| format!("strict decoding error: {}{}", fields.join(", "), more(unknown.len())));
    let told = causes.iter().take(TOLD).map(ToString::to_string);
    let words: Vec<String> = strict.into_iter().chain(told).collect();
    let field = match (unknown.first(), causes.first()) {
        (Some(unknown), _) => &unknown.path,
        (None, Some(cause)) if cause.path != "<nil>" => &cause.path,
        _ => "",
    };
    let near: Vec<&str> = unknown.iter().filter_map(|field| field.nearest.as_deref()).take(TOLD).collect();
    let hint = if !near.is_empty() {
        format!("did you mean {}?", near.join(", "))
    } else if let Some(known) = causes.iter().take(TOLD).find_map(|cause| cause.hint.as_ref()) {
        format!("{known};")
    } else if unknown.is_empty() && causes.iter().any(is_variable) {
        "it holds a variable that nothing here fills in (Flux does in a Kustomization with postBuild);"
            .to_owned()
    } else if unknown.is_empty() && causes.first().is_some_and(wants_list) {
        "write a list there: begin each item with a dash;".to_owned()
    } else if unknown.is_empty() {
        "correct the object;".to_owned()
    } else {
        "remove the field or correct its place;".to_owned()
    };
    Problem {
        object: key.clone(),
        code: Code(5),
        field: field.into(),
        severity: Severity::Error,
        message: format!("{LEFT_OUT}: {}{}", words.join("; "), more(causes.len())),
        hint: format!("{hint} {STAYS}"),
    }
}

/// Whether the value was to be made of a variable.
fn is_variable(cause: &Cause) -> bool {
    cause.value.as_ref().and_then(Value::as_str).is_some_and(|text| text.contains("${"))
}

/// Whether a mapping stands where a list belongs.
fn wants_list(cause: &Cause) -> bool {
    cause.kind == CauseKind::TypeInvalid && cause.detail.ends_with("must be of type array: \"object\"")
}

fn more(all: usize) -> String {
    if all > TOLD { format!(" and {} more", all - TOLD) } else { String::new() }
}

fn holds_secrets(key: &ObjectKey) -> bool {
    veil::is_secret_kind(&key.kind.kind)
}

/// Takes values away that may be secret.
fn hide(cause: &mut Cause) {
    if !cause.path.starts_with("metadata") && cause.value.as_ref().is_some_and(|value| !value.is_null()) {
        cause.value = None;
    }
}
