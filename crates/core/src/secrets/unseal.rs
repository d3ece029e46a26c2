//! SealedSecrets to open.

use std::sync::Arc;

use portolan_model::input::{Maker, SealedSecret, Secret};

use super::{
    credentials, problems,
    rows::{Over, UnsealFailure, UnsealWanted},
};
use crate::Cx;

/// On a Secret: it does not go with its SealedSecret.
const INDEPENDENT: &str = "sealedsecrets.bitnami.com/skip-set-owner-references";
/// Begins every action of a Go template.
const ACTION: &str = "{{";

pub(super) fn unseal_wanted(cx: &mut Cx<'_>, sealed: &Arc<SealedSecret>) {
    // What an API server refuses is made nothing of: a Secret that lacks a key would be worse than none.
    if sealed.refused.is_some() {
        return;
    }
    let mut wanted = (**sealed).clone();
    for name in sealed.template.iter().filter(|(_, text)| text.contains(ACTION)).map(|(name, _)| name) {
        problems::templated(cx, &sealed.key, name);
        wanted.template.remove(name);
    }
    let over = match cx.get::<Secret>(&sealed.key).filter(|secret| secret.maker < Maker::Unsealed) {
        None => Over::Nothing,
        Some(present) => match over(&present) {
            Over::Nothing => return problems::not_ours(cx, &sealed.key),
            over => over,
        },
    };
    if let Some(failure) = cx.get::<UnsealFailure>(&sealed.key).filter(|failure| failure.sealed == wanted) {
        let needless = credentials::only_for(cx, &sealed.key);
        problems::unopened(cx, &sealed.key, &failure.failures, needless.as_deref());
    }
    cx.emit(UnsealWanted { key: sealed.key.clone(), sealed: wanted, over });
}

/// What a Secret of the repository lets a SealedSecret do with it. As upstream: `patch` is looked at first.
fn over(present: &Secret) -> Over {
    let says = |annotation: &str| present.annotations.get(annotation).is_some_and(|value| value == "true");
    let asked = |over: Over| over.annotation().is_some_and(says);
    let managed = Over::Managed { independent: says(INDEPENDENT) };
    let all = [Over::Patched, managed];
    all.into_iter().find(|over| asked(*over)).unwrap_or_default()
}
