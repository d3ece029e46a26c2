//! CertificateRequests. Source of types, reasons and messages: cert-manager `pkg/controller/certificaterequests`.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_model::Condition;
use serde_json::json;

use super::rows::ObjectStatus;
use crate::{
    Cx,
    certificates::{
        records::{order_key, request_key},
        rows::{Issuance, OrderProgress, Outcome, RecordWanted, Signer},
    },
};

pub(super) fn request_status(cx: &mut Cx<'_>, issuance: &Arc<Issuance>) {
    let key = request_key(issuance);
    if cx.get::<RecordWanted>(&key).is_none() {
        return;
    }
    let order = matches!(issuance.wanted.signer, Signer::Acme(_)).then(|| order_key(issuance).name);
    let mut status = ObjectStatus::new(key, 0);
    let approved = "Certificate request has been approved by cert-manager.io";
    status.conditions.push(Condition::new("Approved", true, "cert-manager.io", approved));
    let ready = match (&issuance.outcome, order) {
        (Outcome::Issued { certificate, ca }, _) => {
            status.fields.push(("certificate".into(), json!(STANDARD.encode(certificate))));
            if !ca.is_empty() {
                status.fields.push(("ca".into(), json!(STANDARD.encode(ca))));
            }
            Condition::new("Ready", true, "Issued", "Certificate fetched from issuer successfully")
        }
        (Outcome::Failed { message, at }, order) => {
            status.fields.push(("failureTime".into(), json!(at.rfc3339())));
            let state = cx.get::<OrderProgress>(&issuance.key).map_or("errored", |p| p.state.status());
            let message = match order {
                Some(order) => format!(
                    "Failed to wait for order resource \"{}\" to become ready: order is in \"{state}\" state: {message}",
                    order.name
                ),
                None => format!("Error signing certificate: {message}"),
            };
            Condition::new("Ready", false, "Failed", message)
        }
        (Outcome::Pending, Some(order)) => {
            let state = cx.get::<OrderProgress>(&issuance.key).map_or("", |p| p.state.status());
            let message = if state.is_empty() {
                format!("Created Order resource {order}")
            } else {
                format!("Waiting on certificate issuance from order {order}: \"{state}\"")
            };
            Condition::new("Ready", false, "Pending", message)
        }
        (Outcome::Pending, None) => {
            Condition::new("Ready", false, "Pending", "The certificate is being signed")
        }
    };
    status.conditions.push(ready);
    cx.emit(status);
}
