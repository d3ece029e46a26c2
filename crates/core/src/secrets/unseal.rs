//! SealedSecrets to open.

use std::sync::Arc;

use portolan_model::input::{Maker, SealedSecret, Secret};

use super::{
    credentials, problems,
    rows::{UnsealFailure, UnsealWanted},
};
use crate::Cx;

/// Begins every action of a Go template.
const ACTION: &str = "{{";

pub(super) fn unseal_wanted(cx: &mut Cx<'_>, sealed: &Arc<SealedSecret>) {
    let mut wanted = (**sealed).clone();
    for name in sealed.template.iter().filter(|(_, text)| text.contains(ACTION)).map(|(name, _)| name) {
        problems::templated(cx, &sealed.key, name);
        wanted.template.remove(name);
    }
    let present = cx.get::<Secret>(&sealed.key).map(|secret| secret.maker);
    if let Some(maker) = present.filter(|maker| *maker != Maker::Unsealed) {
        problems::not_ours(cx, &sealed.key, maker);
        return;
    }
    if let Some(failure) = cx.get::<UnsealFailure>(&sealed.key).filter(|failure| failure.sealed == wanted) {
        let needless = credentials::only_for(cx, &sealed.key);
        problems::unopened(cx, &sealed.key, &failure.failures, needless.as_deref());
    }
    cx.emit(UnsealWanted { key: sealed.key.clone(), sealed: wanted });
}
