//! Certificates. Source of types, reasons and messages: cert-manager `pkg/controller/certificates/{readiness,trigger,issuing}`.

use std::sync::Arc;

use portolan_model::{Condition, ObjectKey, input::Certificate};
use serde_json::json;

use super::rows::ObjectStatus;
use crate::{Cx, certificates::rows::CertificateState};

pub(super) fn certificate_status(cx: &mut Cx<'_>, certificate: &Arc<Certificate>) {
    let Some(state) = cx.get::<CertificateState>(&certificate.key) else { return };
    let (namespace, name) = (certificate.key.namespace.clone(), certificate.key.name.clone());
    let key = ObjectKey::new("cert-manager.io", "Certificate", namespace, name);
    let mut status = ObjectStatus::new(key, certificate.generation);
    let issuing = issuing(&state);
    // Where nothing is under way, what stands in the way is said here.
    let stuck = !state.ready && issuing.is_none() && !state.detail.is_empty();
    let message = if stuck { format!("{}; {}", state.message, state.detail) } else { state.message.clone() };
    status.conditions.push(Condition::new("Ready", state.ready, &state.reason, message));
    status.conditions.extend(issuing);
    let mut time = |field: &str, at: Option<portolan_model::Instant>| {
        status.fields.extend(at.map(|at| (field.into(), json!(at.rfc3339()))));
    };
    time("notBefore", state.not_before);
    time("notAfter", state.not_after);
    time("renewalTime", state.renewal);
    time("lastFailureTime", state.failures.map(|(_, at)| at));
    if let Some((attempts, _)) = state.failures {
        status.fields.push(("failedIssuanceAttempts".into(), json!(attempts)));
    }
    if let Some(revision) = state.revision {
        status.fields.push(("revision".into(), json!(revision)));
    }
    cx.emit(status);
}

/// True while a certificate is being made, with cert-manager's words and what is waited for; False after a failure,
/// until the next attempt. Absent otherwise, as cert-manager takes it away.
fn issuing(state: &CertificateState) -> Option<Condition> {
    let (reason, message) = state.trigger.as_ref()?;
    if state.issuing {
        let waiting = if state.detail.is_empty() { String::new() } else { format!("; {}", state.detail) };
        return Some(Condition::new("Issuing", true, reason, format!("{message}{waiting}")));
    }
    state.failures?;
    let message =
        format!("The certificate request has failed to complete and will be retried: {}", state.detail);
    Some(Condition::new("Issuing", false, "Failed", message))
}
