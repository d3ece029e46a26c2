//! Who signs a certificate: the issuer that it refers to, as far as it is usable.

use portolan_model::{
    IssuerKey, Kind, Name, NamespacedName, ObjectKey,
    certificate::CertificateRequestParams,
    input::{Certificate, Issuer, IssuerRef, IssuerSpec, Points, Secret, TlsPair},
};

use super::{
    constraints::forbidden,
    own,
    rows::{AcmeOrder, IssuerState, Signer},
    solvers as acme,
};
use crate::{
    Cx,
    gitops::unseen::may_bring,
    policy::{absence, denial},
    secrets::owner::cluster_namespace,
    world::at,
};

/// Code, field, message and hint of a problem with the issuer.
pub(super) type Refused = (u16, &'static str, String, &'static str);

/// Who signs, or what is waited for.
pub(super) enum Found {
    /// Ready.
    Signer(IssuerKey, Signer, Points),
    /// Not ready yet, one sentence. Nobody has to edit the Certificate.
    Waiting(String),
}

/// Who signs.
pub(super) fn signer(
    cx: &mut Cx<'_>,
    certificate: &Certificate,
    request: &CertificateRequestParams,
) -> Result<Found, Refused> {
    const FIELD: &str = "spec.issuerRef";
    let key = match &certificate.issuer {
        IssuerRef::Known(key) => key.clone(),
        IssuerRef::External(kind) => {
            let hint = "refer to an Issuer or ClusterIssuer of cert-manager.io";
            return Err((313, FIELD, format!("issuerRef names a {kind}, which is not served"), hint));
        }
    };
    let Some(issuer) = cx.get::<Issuer>(&key) else {
        if let Some(source) = may_bring(cx, &key.0.namespace) {
            return Ok(Found::Waiting(format!(
                "{key} is not in what was read: {source}, which was not read whole, may bring it"
            )));
        }
        let why = absence(cx, &key.object());
        let hint = "create the issuer, or correct kind and name in issuerRef (kind is Issuer unless written)";
        return Err((314, FIELD, format!("{key} {why}"), hint));
    };
    match &issuer.spec {
        IssuerSpec::SelfSigned { points } => Ok(Found::Signer(key, Signer::SelfSigned, points.clone())),
        IssuerSpec::Ca { secret, points } => {
            let secret = NamespacedName::new(secrets_of(cx, &key), secret.clone());
            let object = ObjectKey { kind: Kind::new("", "Secret"), name: secret.clone() };
            if let Some(denied) = denial(cx, &object) {
                let why = denied.words(&object);
                return Ok(Found::Waiting(format!("waiting for the CA of {key}: Secret {secret} {why}")));
            }
            match cx.get::<Secret>(&secret).and_then(|s| s.tls.clone()) {
                None => Ok(Found::Waiting(format!("waiting for the CA of {key}: Secret {secret}"))),
                Some(Ok(pair)) if pair.is_ca && pair.key_matches => {
                    if let Some(why) = not_now(cx, &pair) {
                        let hint = "put a CA certificate that is valid into the Secret, or renew it";
                        return Err((318, FIELD, format!("the CA in Secret {secret} of {key} {why}"), hint));
                    }
                    if let Some(why) = pair.authority.as_ref().and_then(|ca| forbidden(ca, request)) {
                        let hint =
                            "put a CA that may sign it into the Secret, or ask for what this one may sign";
                        return Err((320, FIELD, format!("the CA in Secret {secret} of {key} {why}"), hint));
                    }
                    Ok(Found::Signer(key, Signer::Ca(secret), points.clone()))
                }
                Some(_) => {
                    let hint = "put a CA certificate with its key into tls.crt and tls.key";
                    Err((315, FIELD, format!("Secret {secret} of {key} holds no usable CA key pair"), hint))
                }
            }
        }
        IssuerSpec::Acme { server, email, account_key, entry, solvers, own, .. } => {
            let account_key = NamespacedName::new(secrets_of(cx, &key), account_key.clone());
            let at = own::server(cx, own);
            let proofs = acme::proofs(&key, certificate, &request.common_name, solvers)?;
            let proofs = match own::proofs(cx, &key, &at, proofs)? {
                Ok(proofs) => proofs,
                Err(why) => return Ok(Found::Waiting(why)),
            };
            let acme = AcmeOrder {
                server: server.clone(),
                contact: email.iter().map(|email| Name::from(format!("mailto:{email}"))).collect(),
                account_key,
                entry: entry.clone(),
                proofs: proofs.into_iter().map(|(proof, _)| proof).collect(),
                at,
            };
            let state = cx.get::<IssuerState>(&key);
            if state.as_ref().is_some_and(|state| state.is_ready()) {
                return Ok(Found::Signer(key, Signer::Acme(Box::new(acme)), Points::default()));
            }
            let why = state.as_ref().and_then(|s| s.ready.as_ref()).map(|c| c.message.clone());
            let why = why.unwrap_or_else(|| "its account is being registered".into());
            Ok(Found::Waiting(format!("waiting for {key}: {why}")))
        }
        IssuerSpec::Unsupported(kind) => {
            let hint = "use one of acme, ca, selfSigned";
            Err((301, FIELD, format!("{key} configures {kind}, which is not served"), hint))
        }
    }
}

/// Why a CA signs nothing now: what it signed would be valid for nobody.
pub(super) fn not_now(cx: &mut Cx<'_>, pair: &TlsPair) -> Option<String> {
    if cx.due(at(pair.not_after)) {
        return Some(format!("has expired on {}, so it signs nothing", pair.not_after));
    }
    (!cx.due(at(pair.not_before)))
        .then(|| format!("is not valid before {}, so it signs nothing yet", pair.not_before))
}

/// Namespace in which the Secrets of an issuer stand: its own, or the cluster resource namespace of a ClusterIssuer.
pub(super) fn secrets_of(cx: &mut Cx<'_>, issuer: &IssuerKey) -> Name {
    if !issuer.0.namespace.is_empty() {
        return issuer.0.namespace.clone();
    }
    cluster_namespace(cx)
}
