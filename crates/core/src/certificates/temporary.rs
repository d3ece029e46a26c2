//! A certificate for the time until the issuer has signed, for who asks for it with
//! `cert-manager.io/issue-temporary-certificate: "true"` (cert-manager's `ensureTemporaryCertificate`): what reads the Secret
//! finds the names and a key, and nobody can verify it.
//!
//! Its key is its own. cert-manager lets the key that waits for the signature serve before; here an order that is under way
//! stays what it is when the temporary one comes or goes.

use portolan_model::{
    IssuerKey,
    certificate::CertificateRequestParams,
    input::{Certificate, IssuerRef, Maker, Points, Secret},
};

use super::{
    asked,
    rows::{CertificateState, IssueWanted, Signer, Store, TemporaryWanted},
    signers::Found,
};
use crate::Cx;

/// Whether a temporary certificate may stand where this Secret does: nothing is there that could be served, or a temporary
/// one of another wish (cert-manager's `NewTemporaryCertificatePolicyChain`). Whoever wrote a pair that fits keeps it, also
/// one that has expired.
pub fn may_stand(present: Option<&Secret>, asked: &str) -> bool {
    let Some(secret) = present else { return true };
    match &secret.tls {
        Some(Ok(pair)) if pair.key_matches => {
            pair.temporary
                && secret.maker == Maker::Issued
                && secret.annotations.get(super::ASKED).is_none_or(|noted| noted != asked)
        }
        _ => true,
    }
}

/// The temporary certificate that is to be made while another is wanted and not there.
pub(super) fn wanted(
    cx: &mut Cx<'_>,
    certificate: &Certificate,
    state: &CertificateState,
    request: &CertificateRequestParams,
    keystores: &[Store],
    found: Option<&Found>,
) -> Option<TemporaryWanted> {
    let issuer = asks(certificate)?;
    // It signs at once.
    if let Some(Found::Signer(_, Signer::SelfSigned | Signer::Ca(_), _)) = found {
        return None;
    }
    let asked = asked::note(&certificate.request);
    // Whoever wrote it: what a mirror left is served until the issuer has signed.
    let present = cx.get::<Secret>(&state.secret);
    if !may_stand(present.as_deref(), &asked) {
        return None;
    }
    let wanted = IssueWanted {
        key: certificate.key.clone(),
        // What the Secret tells of the last one stays told.
        revision: state.revision.unwrap_or(0),
        signer: Signer::Temporary,
        issuer: issuer.clone(),
        request: request.clone(),
        asked,
        secret: state.secret.clone(),
        replaces: String::new(),
        keep_key: false,
        points: Points::default(),
        formats: certificate.formats,
        keystores: keystores.to_vec(),
        annotations: certificate.secret_annotations.clone(),
        labels: certificate.secret_labels.clone(),
    };
    Some(TemporaryWanted { key: certificate.key.clone(), wanted })
}

/// The issuer of a Certificate that asks for a temporary one. Of a CA there is none, since an issuer would sign with it; and
/// an issuer of another group says for itself whether it is still at it, which nobody here does.
fn asks(certificate: &Certificate) -> Option<&IssuerKey> {
    match &certificate.issuer {
        IssuerRef::Known(issuer) if certificate.temporary && !certificate.request.is_ca => Some(issuer),
        _ => None,
    }
}
