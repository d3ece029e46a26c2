//! SealedSecret: `Synced`, as bitnami/sealed-secrets `pkg/controller/controller.go` sets it.

use std::sync::Arc;

use portolan_model::{
    Condition, ObjectKey,
    input::{Maker, SealedSecret, Secret},
};
use serde_json::json;

use super::rows::ObjectStatus;
use crate::{
    Cx,
    secrets::rows::{Over, UnsealFailure, UnsealWanted},
};

pub(super) fn sealed_status(cx: &mut Cx<'_>, sealed: &Arc<SealedSecret>) {
    let key =
        ObjectKey::new("bitnami.com", "SealedSecret", sealed.key.namespace.clone(), sealed.key.name.clone());
    let failed = cx.get::<UnsealFailure>(&sealed.key).map(|failure| {
        if let Some(words) = &failure.refused {
            return format!("Secret \"{}\" is invalid: {words}", sealed.key.name);
        }
        let unopened = failure.failures.iter().map(|(name, why)| format!("{name}: {why}"));
        let why = unopened.chain(failure.templates.iter().map(|(name, why)| format!("{name}: {why}")));
        why.collect::<Vec<_>>().join("; ")
    });
    let over = cx.get::<UnsealWanted>(&sealed.key).map(|wanted| wanted.over);
    let maker = cx.get::<Secret>(&sealed.key).map(|secret| secret.maker);
    let failed = sealed.refused.clone().or(failed);
    let synced = match (over, failed, maker) {
        (None, Some(why), _) if sealed.refused.is_some() => {
            Condition::new("Synced", false, "UnsealFailed", why)
        }
        (None, _, Some(Maker::Repository)) => Condition::new(
            "Synced",
            false,
            "AlreadyExists",
            format!("Secret {} exists already and is not managed by this SealedSecret", sealed.key),
        ),
        (_, Some(why), _) => Condition::new("Synced", false, "UnsealFailed", why),
        // The upstream controller's own word is an empty message.
        (Some(Over::Nothing), None, Some(Maker::Unsealed)) => Condition::new("Synced", true, "Unsealed", ""),
        (Some(Over::Managed { .. } | Over::Patched { .. }), None, Some(_)) => {
            Condition::new("Synced", true, "Unsealed", "")
        }
        _ => return,
    };
    cx.emit(ObjectStatus {
        conditions: vec![synced],
        fields: vec![("observedGeneration".into(), json!(sealed.generation))],
        ..ObjectStatus::new(key, sealed.generation)
    });
}
