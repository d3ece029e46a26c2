//! SealedSecret: `Synced`, as bitnami/sealed-secrets `pkg/controller/controller.go` sets it.

use std::sync::Arc;

use portolan_model::{
    Condition, ObjectKey,
    input::{Maker, SealedSecret, Secret},
};
use serde_json::json;

use super::rows::ObjectStatus;
use crate::{Cx, secrets::rows::UnsealFailure};

pub(super) fn sealed_status(cx: &mut Cx<'_>, sealed: &Arc<SealedSecret>) {
    let key =
        ObjectKey::new("bitnami.com", "SealedSecret", sealed.key.namespace.clone(), sealed.key.name.clone());
    let failed = cx.get::<UnsealFailure>(&sealed.key).map(|failure| {
        let why = failure.failures.iter().map(|(name, why)| format!("{name}: {why}"));
        why.collect::<Vec<_>>().join("; ")
    });
    let maker = cx.get::<Secret>(&sealed.key).map(|secret| secret.maker);
    let synced = match (failed, maker) {
        // The upstream controller's own word is an empty message.
        (None, Some(Maker::Unsealed)) => Condition::new("Synced", true, "Unsealed", ""),
        (_, Some(maker)) if maker != Maker::Unsealed => Condition::new(
            "Synced",
            false,
            "AlreadyExists",
            format!("Secret {} exists already and is not managed by this SealedSecret", sealed.key),
        ),
        (Some(why), _) => Condition::new("Synced", false, "UnsealFailed", why),
        (None, _) => return,
    };
    cx.emit(ObjectStatus {
        conditions: vec![synced],
        fields: vec![("observedGeneration".into(), json!(sealed.generation))],
        ..ObjectStatus::new(key, sealed.generation)
    });
}
