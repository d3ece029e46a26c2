//! Orders and Challenges. Source of fields and messages: cert-manager `pkg/apis/acme/v1`, `pkg/controller/{acmeorders,acmechallenges}`.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_model::ObjectKey;
use serde_json::{Value, json};

use super::rows::ObjectStatus;
use crate::{
    Cx,
    certificates::{
        acme::{Authorization, AuthorizationStatus, OrderState},
        records::{challenge_key, challenges, order_key},
        rows::{Issuance, OrderProgress, Outcome, RecordWanted, Signer},
    },
};

pub(super) fn order_status(cx: &mut Cx<'_>, issuance: &Arc<Issuance>) {
    if !matches!(issuance.wanted.signer, Signer::Acme(_)) {
        return;
    }
    let key = order_key(issuance);
    if cx.get::<RecordWanted>(&key).is_none() {
        return;
    }
    let progress = cx.get::<OrderProgress>(&issuance.key);
    let mut status = ObjectStatus::new(key.clone(), 0);
    let mut put = |field: &str, value: Value| status.fields.push((field.into(), value));
    if let Some(state) = progress.as_ref().map(|p| &p.state) {
        if let Some(order) = &state.order {
            put("url", json!(order.url));
            put("finalizeURL", json!(order.finalize));
            put("authorizations", state.authorizations.iter().map(authorization).collect());
        }
        if !state.status().is_empty() {
            put("state", json!(state.status()));
        }
    }
    match &issuance.outcome {
        Outcome::Pending => {}
        Outcome::Issued { certificate, .. } => put("certificate", json!(STANDARD.encode(certificate))),
        Outcome::Failed { message, at } => {
            put("reason", json!(message));
            put("failureTime", json!(at.rfc3339()));
        }
    }
    cx.emit(status);
    for one in progress.iter().flat_map(|progress| challenges(&progress.state)) {
        let key = challenge_key(&key, one);
        if cx.get::<RecordWanted>(&key).is_some() {
            let status = challenge(key, one, progress.as_ref().map(|p| &*p.state));
            cx.emit(status);
        }
    }
}

/// Like cert-manager: only its URL until it is read.
fn authorization(one: &Authorization) -> Value {
    if one.name.is_empty() {
        return json!({"url": one.url});
    }
    // `initialState` is how it was first seen: one that was valid already has no challenge here.
    let initial = if one.token.is_empty() { "valid" } else { "pending" };
    let mut json = json!({
        "url": one.url,
        "identifier": one.name.strip_prefix("*.").unwrap_or(&one.name),
        "wildcard": one.name.starts_with("*."),
        "initialState": initial,
    });
    if !one.token.is_empty() {
        json["challenges"] = json!([{"url": one.challenge, "token": one.token, "type": "dns-01"}]);
    }
    json
}

fn challenge(key: ObjectKey, one: &Authorization, order: Option<&OrderState>) -> ObjectStatus {
    let valid = one.status == AuthorizationStatus::Valid;
    let state = match (valid, one.answered) {
        (true, _) => "valid",
        (false, true) => "processing",
        (false, false) => "pending",
    };
    let reason = if valid {
        "Successfully authorized domain".to_owned()
    } else if one.presented && !one.visible {
        format!("Waiting for DNS-01 challenge propagation: {}", one.waiting)
    } else if one.visible && !one.answered && one.waiting.is_empty() {
        "Waiting for the other values of the TXT record set".to_owned()
    } else {
        one.waiting.clone()
    };
    let kept = order.is_some_and(|order| {
        order.presented.iter().any(|(fqdn, value)| (fqdn, value) == (&one.fqdn, &one.value))
    });
    let mut status = ObjectStatus::new(key, 0);
    status.fields = vec![
        ("processing".into(), json!(!valid)),
        ("presented".into(), json!(kept)),
        ("state".into(), json!(state)),
    ];
    if !reason.is_empty() {
        status.fields.push(("reason".into(), json!(reason)));
    }
    status
}
