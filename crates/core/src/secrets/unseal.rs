//! SealedSecrets to open.

use std::sync::Arc;

use portolan_model::{
    Name,
    input::{Maker, SealedSecret, Secret},
};
use serde_json::Value;

use super::{
    credentials, problems,
    rows::{Over, Reach, UnsealFailure, UnsealWanted},
};
use crate::{Cx, door};

/// As the API server answers.
pub(super) const IMMUTABLE: &str = "data: Forbidden: field is immutable when `immutable` is set";

/// On a Secret: it does not go with its SealedSecret.
const INDEPENDENT: &str = "sealedsecrets.bitnami.com/skip-set-owner-references";

pub(super) fn unseal_wanted(cx: &mut Cx<'_>, sealed: &Arc<SealedSecret>) {
    // What an API server refuses is made nothing of: a Secret that lacks a key would be worse than none.
    if sealed.refused.is_some() {
        return;
    }
    let reach = cx.get::<Reach>(&Name::default());
    if reach.is_some_and(|reach| !reach.unseals(&sealed.key.namespace)) {
        return problems::out_of_reach(cx, &sealed.key);
    }
    let over = match cx.get::<Secret>(&sealed.key).filter(|secret| secret.maker < Maker::Unsealed) {
        None => Over::Nothing,
        Some(present) => match over(&present) {
            Over::Nothing => return problems::not_ours(cx, &sealed.key),
            over => over,
        },
    };
    if let Some(failure) = cx.get::<UnsealFailure>(&sealed.key).filter(|failure| failure.sealed == **sealed) {
        if let Some(words) = &failure.refused {
            problems::refused(cx, &sealed.key, words);
        }
        for (name, why) in &failure.templates {
            problems::templated(cx, &sealed.key, name, why);
        }
        let needless = credentials::only_for(cx, &sealed.key);
        if !failure.failures.is_empty() {
            problems::unopened(cx, &sealed.key, &failure.failures, needless.as_deref());
        }
    }
    cx.emit(UnsealWanted { key: sealed.key.clone(), sealed: (**sealed).clone(), over });
}

/// What an API server answers to a Secret that is written of a SealedSecret, as the controller does; `present` is what is there,
/// `wanted` the whole Secret or, over one of the repository, what is put into it.
pub fn refused(present: Option<&Value>, wanted: &Value, over: Over) -> Option<String> {
    if present.is_some_and(|present| immutable(present, wanted, over)) {
        return Some(IMMUTABLE.to_owned());
    }
    let whole = match (over, present) {
        (Over::Nothing, _) | (_, None) => wanted.clone(),
        (over, Some(present)) => {
            let mut whole = present.clone();
            let keeps = matches!(over, Over::Patched { .. });
            if !keeps {
                whole["data"] = Value::Null;
                whole["stringData"] = Value::Null;
            }
            for path in ["/data", "/metadata/labels", "/metadata/annotations"] {
                lay(&mut whole, path, wanted.pointer(path));
            }
            whole
        }
    };
    door::refused_secret(whole, present)
}

/// Lays the fields of a mapping over those that are there.
fn lay(whole: &mut Value, path: &str, fields: Option<&Value>) {
    let Some(fields) = fields.and_then(Value::as_object).filter(|fields| !fields.is_empty()) else { return };
    let mut place = whole;
    for part in path.split('/').skip(1) {
        place = &mut place[part];
    }
    for (key, value) in fields {
        place[key] = value.clone();
    }
}

/// Whether an API server refuses to make `wanted` of the Secret that is there (`ValidateSecretUpdate`): one that is
/// immutable keeps its data and stays so.
fn immutable(present: &Value, wanted: &Value, over: Over) -> bool {
    if present["immutable"] != true {
        return false;
    }
    let all = |of: &Value| of["data"].as_object().map_or(0, serde_json::Map::len);
    let mut put = wanted["data"].as_object().into_iter().flatten();
    let same = put.all(|(key, value)| present["data"][key] == *value);
    match over {
        Over::Patched { .. } => !same,
        Over::Managed { .. } => !same || all(wanted) != all(present),
        Over::Nothing => !same || all(wanted) != all(present) || wanted["immutable"] != true,
    }
}

/// What a Secret of the repository lets a SealedSecret do with it. As upstream: `patch` is looked at first.
fn over(present: &Secret) -> Over {
    let says = |annotation: &str| present.annotations.get(annotation).is_some_and(|value| value == "true");
    let asked = |over: Over| over.annotation().is_some_and(says);
    let managed = Over::Managed { independent: says(INDEPENDENT) };
    let owned = asked(managed) && !says(INDEPENDENT);
    let all = [Over::Patched { owned }, managed];
    all.into_iter().find(|over| asked(*over)).unwrap_or_default()
}
