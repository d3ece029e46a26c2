//! The objects in which cert-manager's users look how a certificate comes about: CertificateRequest, Order, Challenge.
//! Fields, names and lifetimes are cert-manager's; their statuses are worded in the conditions room.
//!
//! A CertificateRequest and its Order stay while the revision is among the last `revisionHistoryLimit`; Challenges are
//! there while their order is pending.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_model::{Name, ObjectKey, certificate::Usage, input::Certificate, intake::MANAGED_BY};
use serde_json::{Map, Value, json};

use super::{
    acme::{Authorization, OrderState},
    names,
    rows::{
        CertificateState, Issuance, IssueWanted, OrderProgress, Outcome, RecordWanted, Signer, TsigKey,
        TxtServer,
    },
};
use crate::{Cx, world::IssuancesByCertificate};

/// Lifetime that a Certificate asks for when it says nothing, in milliseconds.
const DEFAULT_DURATION: i64 = 2160 * 3_600_000;

pub(super) fn certificate_requests(cx: &mut Cx<'_>, issuance: &Arc<Issuance>) {
    let Some(certificate) = kept(cx, issuance) else { return };
    let spec = request_spec(&certificate, &issuance.wanted, &issuance.request);
    record(cx, issuance, &certificate, request_key(issuance), certificate.object(), &spec);
}

/// `spec` of a CertificateRequest.
pub(super) fn request_spec(certificate: &Certificate, wanted: &IssueWanted, request: &str) -> Value {
    let mut spec = Map::new();
    if wanted.request.duration != DEFAULT_DURATION {
        spec.insert("duration".into(), go_duration(wanted.request.duration).into());
    }
    spec.insert("issuerRef".into(), json!(names::IssuerRef::of(wanted)));
    spec.insert("request".into(), STANDARD.encode(request).into());
    if wanted.request.is_ca {
        spec.insert("isCA".into(), true.into());
    }
    if !certificate.request.usages.is_empty() {
        let usages: Vec<&str> = wanted.request.usages.iter().copied().map(Usage::as_str).collect();
        spec.insert("usages".into(), json!(usages));
    }
    spec.into()
}

/// `spec` of an Order.
pub(super) fn order_spec(wanted: &IssueWanted, request: &str) -> Value {
    let mut spec = json!({
        "request": STANDARD.encode(request),
        "issuerRef": names::IssuerRef::of(wanted),
        "dnsNames": wanted.request.dns_names,
    });
    if !wanted.request.common_name.is_empty() {
        spec["commonName"] = wanted.request.common_name.clone().into();
    }
    spec
}

pub(super) fn orders(cx: &mut Cx<'_>, issuance: &Arc<Issuance>) {
    let Signer::Acme(acme) = &issuance.wanted.signer else { return };
    let Some(certificate) = kept(cx, issuance) else { return };
    let spec = order_spec(&issuance.wanted, &issuance.request);
    let order = order_key(issuance);
    record(cx, issuance, &certificate, order.clone(), request_key(issuance), &spec);
    let progress = cx.get::<OrderProgress>(&issuance.key);
    let Some(state) = progress.as_ref().map(|p| &p.state).filter(|_| issuance.outcome == Outcome::Pending)
    else {
        return;
    };
    for one in challenges(state) {
        let proof = acme.proofs.iter().find(|proof| *proof.name == *one.name);
        let provider = proof.map_or_else(Name::default, |proof| proof.provider.clone());
        let spec = json!({
            "authorizationURL": one.url,
            "dnsName": one.name.strip_prefix("*.").unwrap_or(&one.name),
            "issuerRef": names::IssuerRef::of(&issuance.wanted),
            // The TXT value, which anybody can read in the DNS; not the key authorization that it is the digest of.
            "key": one.value,
            "solver": {"dns01": {&*provider: proof.and_then(|proof| proof.update.as_ref()).map_or_else(|| json!({}), updates)}},
            "token": one.token,
            "type": "DNS-01",
            "url": one.challenge,
            "wildcard": one.name.starts_with("*."),
        });
        record(cx, issuance, &certificate, challenge_key(&order, one), order.clone(), &spec);
    }
}

/// `rfc2136` of a solver, which has to name its server. Where its key stands, and no secret.
fn updates(server: &TxtServer) -> Value {
    let mut config = json!({"nameserver": server.address});
    if let Some(TsigKey { name, algorithm, secret: (secret, entry) }) = &server.key {
        config["tsigKeyName"] = json!(name);
        config["tsigAlgorithm"] = json!(algorithm);
        config["tsigSecretSecretRef"] = json!({"name": secret.name, "key": entry});
    }
    config
}

/// The authorizations that have a Challenge now.
pub(crate) fn challenges(state: &OrderState) -> impl Iterator<Item = &Authorization> {
    let pending = state.status() == "pending";
    state.authorizations.iter().filter(move |one| pending && !one.token.is_empty())
}

/// Key of the CertificateRequest.
pub(crate) fn request_key(issuance: &Issuance) -> ObjectKey {
    let (certificate, revision) = &issuance.key;
    let name = names::request(&certificate.name, *revision);
    ObjectKey::new("cert-manager.io", "CertificateRequest", certificate.namespace.clone(), name)
}

/// Key of the Order.
pub(crate) fn order_key(issuance: &Issuance) -> ObjectKey {
    let request = request_key(issuance).name;
    let name = names::order(&request.name, &issuance.wanted);
    ObjectKey::new("acme.cert-manager.io", "Order", request.namespace, name)
}

/// Key of a Challenge.
pub(crate) fn challenge_key(order: &ObjectKey, one: &Authorization) -> ObjectKey {
    let name = names::challenge(&order.name.name, &[&one.challenge, &one.name, &one.token]);
    ObjectKey::new("acme.cert-manager.io", "Challenge", order.name.namespace.clone(), name)
}

/// The Certificate of an issuance whose records are kept. Like cert-manager, nothing old goes before the Certificate is
/// ready.
fn kept(cx: &mut Cx<'_>, issuance: &Issuance) -> Option<Arc<Certificate>> {
    let (key, revision) = &issuance.key;
    let certificate = cx.get::<Certificate>(key)?;
    let newer = cx.keys::<IssuancesByCertificate>(key).iter().filter(|(_, other)| other > revision).count();
    let within = u32::try_from(newer).is_ok_and(|newer| newer < certificate.revisions);
    let keep = within || !cx.get::<CertificateState>(key).is_some_and(|state| state.ready);
    keep.then_some(certificate)
}

fn record(
    cx: &mut Cx<'_>,
    issuance: &Issuance,
    certificate: &Certificate,
    key: ObjectKey,
    owner: ObjectKey,
    spec: &Value,
) {
    let body = body(certificate, issuance.key.1, &key, spec);
    cx.emit(RecordWanted { key, issuance: issuance.key.clone(), owner, body });
}

/// A record as an object.
pub(super) fn body(certificate: &Certificate, revision: u32, key: &ObjectKey, spec: &Value) -> Value {
    let (labels, annotations) = &*certificate.passed_on;
    let challenge = key.kind.is("acme.cert-manager.io", "Challenge");
    let mut metadata = json!({"name": key.name.name, "namespace": key.name.namespace, "labels": {}});
    if !challenge {
        metadata["labels"] = json!(labels);
        metadata["annotations"] = json!(annotations);
        metadata["annotations"]["cert-manager.io/certificate-name"] = json!(certificate.key.name);
        metadata["annotations"]["cert-manager.io/certificate-revision"] = revision.to_string().into();
    }
    metadata["labels"][MANAGED_BY.0] = MANAGED_BY.1.into();
    json!({
        "apiVersion": format!("{}/v1", key.kind.group),
        "kind": key.kind.kind,
        "metadata": metadata,
        "spec": spec,
    })
}

/// Go's `time.Duration.String` in whole seconds: `2160h0m0s`.
fn go_duration(millis: i64) -> String {
    let seconds = millis / 1000;
    format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
