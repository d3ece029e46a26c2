//! What cert-manager would create on the way to a certificate is created in a cluster only if policies let it be: a
//! CertificateRequest, for ACME its Order and a Challenge for each name. Asked before anything is issued.

use portolan_model::{
    Name, ObjectKey, Packed,
    input::{Certificate, Judged},
};
use serde_json::{Value, json};

use super::{
    names, records,
    rows::{IssueWanted, Signer},
};
use crate::{Cx, policy::made};

const REQUESTS: &str = "certificaterequests";
const ORDERS: &str = "orders";
const CHALLENGES: &str = "challenges";

/// What is denied of it, by which policy, and with which message.
pub(super) fn denied(
    cx: &mut Cx<'_>,
    certificate: &Certificate,
    wanted: &IssueWanted,
) -> Option<(ObjectKey, Name, String)> {
    if !made::concerns(cx, &[REQUESTS, ORDERS, CHALLENGES]) {
        return None;
    }
    // The signing request itself is not made yet, and holds nothing that its object does not say.
    let request = names::request(&certificate.key.name, wanted.revision);
    let namespace = &certificate.key.namespace;
    let key = ObjectKey::new("cert-manager.io", "CertificateRequest", namespace.clone(), request.clone());
    let mut all = vec![(key, REQUESTS, records::request_spec(certificate, wanted, ""))];
    if let Signer::Acme(acme) = &wanted.signer {
        let order = names::order(&request, wanted);
        let key = ObjectKey::new("acme.cert-manager.io", "Order", namespace.clone(), order.clone());
        all.push((key, ORDERS, records::order_spec(wanted, "")));
        for proof in &acme.proofs {
            let spec = json!({
                "dnsName": proof.name.strip_prefix("*.").unwrap_or(&proof.name),
                "issuerRef": names::IssuerRef::of(wanted),
                "solver": {"dns01": {&*proof.provider: {}}},
                "type": "DNS-01",
                "wildcard": proof.name.starts_with("*."),
            });
            let name = names::challenge(&order, &spec);
            let key = ObjectKey::new("acme.cert-manager.io", "Challenge", namespace.clone(), name);
            all.push((key, CHALLENGES, spec));
        }
    }
    all.into_iter().find_map(|(key, resource, spec)| {
        let object = object(certificate, wanted, &key, resource, &spec);
        made::refusal(cx, &object).map(|(policy, message)| (key, policy, message))
    })
}

fn object(
    certificate: &Certificate,
    wanted: &IssueWanted,
    key: &ObjectKey,
    resource: &str,
    spec: &Value,
) -> Judged {
    let json = records::body(certificate, wanted.revision, key, spec);
    let labels = json["metadata"]["labels"].as_object().into_iter().flatten();
    let labels =
        labels.filter_map(|(name, value)| Some((Name::new(name), Name::new(value.as_str()?)))).collect();
    Judged {
        key: key.clone(),
        resource: resource.into(),
        version: "v1".into(),
        labels,
        json: Packed::of(&json),
        before: None,
        defines: None,
    }
}
