//! A CA that was given another key. cert-manager does not renew what the old key signed, and neither do we: the chain that
//! is served stays the one that was issued, and clients that trust only the new CA refuse it.

use std::sync::Arc;

use portolan_model::{
    NamespacedName, Severity,
    input::{Certificate, Issuer, IssuerRef, IssuerSpec, Maker, Secret},
};

use super::signers::secrets_of;
use crate::{Cx, problem};

pub(super) fn authority_changed(cx: &mut Cx<'_>, certificate: &Arc<Certificate>) {
    let IssuerRef::Known(key) = &certificate.issuer else { return };
    let Some(issuer) = cx.get::<Issuer>(key) else { return };
    let IssuerSpec::Ca { secret: ca, .. } = &issuer.spec else { return };
    let ca = NamespacedName::new(secrets_of(cx, key), ca.clone());
    let leaf = NamespacedName::new(certificate.key.namespace.clone(), certificate.secret.clone());
    let pair = |secret: Option<Arc<Secret>>| secret.and_then(|s| s.tls.as_ref().and_then(|t| t.clone().ok()));
    let issued = cx.get::<Secret>(&leaf).filter(|secret| secret.maker == Maker::Issued);
    let by = issued.as_ref().and_then(|secret| secret.annotations.get("cert-manager.io/issuer-name"));
    // What another issuer made is made anew anyhow.
    if by.is_none_or(|name| key.0.name != **name) {
        return;
    }
    let (Some(leaf_pair), Some(ca_pair)) = (pair(issued), pair(cx.get::<Secret>(&ca))) else { return };
    let (signed_with, holds) = (&leaf_pair.authority_key_id, &ca_pair.subject_key_id);
    if signed_with.is_empty() || holds.is_empty() || signed_with == holds {
        return;
    }
    let message = format!(
        "the certificate in Secret {leaf} was signed with a key that {key} no longer has (Secret {ca} was given another); it is served with its old chain until it is renewed"
    );
    let hint = format!("run: portolan renew {}; let clients trust both CAs meanwhile", certificate.key);
    problem(cx, certificate.object(), 316, Severity::Warning, "spec.issuerRef", message, &hint);
}
