//! Issuers and ClusterIssuers. Source of types and reasons: cert-manager `pkg/issuer/{acme,ca,selfsigned}/setup.go`.

use std::sync::Arc;

use portolan_model::input::Issuer;
use serde_json::json;

use super::rows::ObjectStatus;
use crate::{Cx, certificates::rows::IssuerState};

pub(super) fn issuer_status(cx: &mut Cx<'_>, issuer: &Arc<Issuer>) {
    let Some(state) = cx.get::<IssuerState>(&issuer.key) else { return };
    // cert-manager sets no condition either before it has tried.
    let Some(ready) = &state.ready else { return };
    let mut status = ObjectStatus::new(issuer.key.object(), issuer.generation);
    status.conditions.push(ready.clone());
    if let Some((account, email)) = &state.account {
        let mut acme = json!({"uri": account.uri, "lastPrivateKeyHash": account.key_hash});
        if !email.is_empty() {
            acme["lastRegisteredEmail"] = json!(email);
        }
        status.fields.push(("acme".into(), acme));
    }
    cx.emit(status);
}
