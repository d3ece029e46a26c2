//! What becomes of an object's status when ours is laid over it. Pure: what is written is what this gives.
//!
//! A status has several writers. `parents` of routes and `ancestors` of policies are lists that the API server knows only as
//! a whole (`listType=atomic`), so applying ours would erase theirs; conditions are a map by type. So the whole status is read,
//! ours replaced, theirs kept, and what differs is sent with the version that was read.

use std::collections::BTreeSet;

use portolan_model::{Instant, Name};
use serde_json::{Map, Value, json};

/// What of a status is ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ours {
    /// Our `controllerName`s in `parents` and `ancestors`.
    pub controllers: BTreeSet<Name>,
    /// Types of conditions that we have written: those that are not wanted any more go.
    pub types: BTreeSet<String>,
    /// Fields of the status that we have written: those that are not wanted any more go.
    pub fields: BTreeSet<String>,
}

/// Entries that a list may hold (Gateway API 1.7: `RouteStatus.parents`, `PolicyStatus.ancestors`).
const LISTS: [(&str, &str, usize); 2] = [("parents", "parentRef", 32), ("ancestors", "ancestorRef", 16)];

/// Lays `wanted` over a status, where `null` wants nothing of ours. Times of transition are those of the condition before,
/// unless its status is another: then `now`.
pub fn merge(current: &Value, wanted: &Value, ours: &Ours, now: Instant) -> Value {
    let now = Value::String(now.rfc3339());
    let empty = Map::new();
    let wanted = wanted.as_object().unwrap_or(&empty);
    let mut out = current.as_object().cloned().unwrap_or_default();
    for field in &ours.fields {
        if !wanted.contains_key(field) && !shared(field) {
            out.remove(field);
        }
    }
    let fields = wanted.keys().map(String::as_str).chain(["conditions", "parents", "ancestors"]);
    for field in fields.collect::<BTreeSet<_>>() {
        let before = out.get(field).unwrap_or(&Value::Null);
        let want = wanted.get(field).unwrap_or(&Value::Null);
        let list = LISTS.iter().find(|(list, ..)| *list == field);
        let merged = match (field, list) {
            ("conditions", _) => conditions(before, want, &ours.types, &now),
            (_, Some((_, reference, most))) => entries(before, want, ours, reference, *most, &now),
            ("listeners", _) => listeners(before, want, ours, &now),
            _ => want.clone(),
        };
        // A list that nobody has begun is not begun empty, unless that is wanted.
        let nothing = merged.as_array().is_some_and(Vec::is_empty) && want.is_null() && before.is_null();
        if !nothing {
            out.insert(field.to_owned(), merged);
        }
    }
    Value::Object(out)
}

/// Fields in which others write too.
fn shared(field: &str) -> bool {
    matches!(field, "conditions" | "parents" | "ancestors")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Conditions are a map by type: ours are replaced where they stand, others stay.
fn conditions(before: &Value, wanted: &Value, ours: &BTreeSet<String>, now: &Value) -> Value {
    let of = |all: &Value, kind: &Value| list(all).find(|one| one["type"] == *kind).cloned();
    let is_ours = |one: &Value| one["type"].as_str().is_some_and(|kind| ours.contains(kind));
    let mut out: Vec<Value> = list(before)
        .filter_map(|one| match of(wanted, &one["type"]) {
            Some(want) => Some(timed(want, Some(one), now)),
            None => (!is_ours(one)).then(|| one.clone()),
        })
        .collect();
    for want in list(wanted) {
        if !out.iter().any(|one| one["type"] == want["type"]) {
            out.push(timed(want.clone(), None, now));
        }
    }
    out.into()
}

fn timed(mut want: Value, before: Option<&Value>, now: &Value) -> Value {
    let kept = before.filter(|before| before["status"] == want["status"]);
    let at = kept.map_or(now, |before| &before["lastTransitionTime"]);
    want["lastTransitionTime"] = if at.is_null() { now.clone() } else { at.clone() };
    want
}

/// Entries of one controller each. Ours stand after those of others only where they are new.
fn entries(before: &Value, wanted: &Value, ours: &Ours, reference: &str, most: usize, now: &Value) -> Value {
    let mine =
        |entry: &Value| entry["controllerName"].as_str().is_some_and(|name| ours.controllers.contains(name));
    let same = |one: &Value, other: &Value| {
        one[reference] == other[reference] && one["controllerName"] == other["controllerName"]
    };
    let timed = |want: &Value, before: Option<&Value>| {
        let mut entry = want.clone();
        let old = before.map_or(&Value::Null, |before| &before["conditions"]);
        entry["conditions"] = conditions(old, &want["conditions"], &types(old), now);
        entry
    };
    let mut out: Vec<Value> = list(before)
        .filter_map(|old| match list(wanted).find(|want| same(want, old)) {
            Some(want) => Some(timed(want, Some(old))),
            None => (!mine(old)).then(|| old.clone()),
        })
        .collect();
    for want in list(wanted) {
        // Who comes when a list is full has no place in it: the entries of others are theirs.
        if out.len() < most && !out.iter().any(|old| same(want, old)) {
            out.push(timed(want, None));
        }
    }
    out.into()
}

/// All types of these conditions: an entry with our name is ours whole.
fn types(conditions: &Value) -> BTreeSet<String> {
    list(conditions).filter_map(|one| one["type"].as_str().map(str::to_owned)).collect()
}

/// Listeners are ours, a map by name; a condition of an unknown type on one is not.
fn listeners(before: &Value, wanted: &Value, ours: &Ours, now: &Value) -> Value {
    let entries = list(wanted).map(|want| {
        let old = list(before).find(|old| old["name"] == want["name"]);
        let old = old.map_or(&Value::Null, |old| &old["conditions"]);
        let mut entry = want.clone();
        entry["conditions"] = conditions(old, &want["conditions"], &ours.types, now);
        entry
    });
    entries.collect::<Vec<_>>().into()
}

/// What has to be remembered of a status that is wanted, to take it away later.
pub fn remember(wanted: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let fields: BTreeSet<String> =
        wanted.as_object().into_iter().flatten().map(|(field, _)| field.clone()).collect();
    let mut kinds = types(&wanted["conditions"]);
    for listener in list(&wanted["listeners"]) {
        kinds.extend(types(&listener["conditions"]));
    }
    (kinds, fields)
}

/// The JSON merge patch (RFC 7386) that makes `to` of `from`; `null` if they are the same. A list is sent whole.
pub fn patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return if from == to { Value::Null } else { to.clone() };
    };
    let mut out = Map::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        out.insert(key.clone(), Value::Null);
    }
    for (key, value) in to {
        match from.get(key) {
            Some(before) if before == value => {}
            Some(before) if before.is_object() && value.is_object() => {
                out.insert(key.clone(), patch(before, value));
            }
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    if out.is_empty() { Value::Null } else { Value::Object(out) }
}

/// Types of conditions that are known to be written by implementations of these kinds, so that one of an earlier run that is
/// not wanted any more goes. `null` statuses and kinds that are not named have none.
pub fn known(kind: &portolan_model::Kind) -> Ours {
    let (types, fields): (&[&str], &[&str]) = match (&*kind.group, &*kind.kind) {
        ("gateway.networking.k8s.io", "Gateway" | "ListenerSet") => (
            &[
                "Accepted",
                "Programmed",
                "ResolvedRefs",
                "Conflicted",
                "OverlappingTLSConfig",
                "InsecureFrontendValidationMode",
            ],
            &["addresses", "listeners", "attachedListenerSets"],
        ),
        ("gateway.networking.k8s.io", "GatewayClass") => {
            (&["Accepted", "SupportedVersion"], &["supportedFeatures"])
        }
        ("cert-manager.io", "Certificate") => (
            &["Ready", "Issuing"],
            &[
                "notBefore",
                "notAfter",
                "renewalTime",
                "revision",
                "failedIssuanceAttempts",
                "lastFailureTime",
                "nextPrivateKeySecretName",
            ],
        ),
        ("cert-manager.io", "Issuer" | "ClusterIssuer") => (&["Ready"], &["acme"]),
        ("bitnami.com", "SealedSecret") => (&["Synced"], &["observedGeneration"]),
        _ => (&[], &[]),
    };
    let own = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
    Ours { controllers: BTreeSet::new(), types: own(types), fields: own(fields) }
}

/// Nothing at all: what a status that nobody has written is.
pub fn is_nothing(status: &Value) -> bool {
    match status {
        Value::Null => true,
        Value::Object(map) => map.values().all(|value| *value == json!([]) || value.is_null()),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
