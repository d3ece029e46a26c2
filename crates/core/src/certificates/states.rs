//! From a Certificate and its Secret to "is it good, and what next". The checks stand in the order of cert-manager's
//! trigger policy chain (internal/controller/certificates/policies).

use std::sync::Arc;

use portolan_model::{
    Instant, IssuerKey, Name, NamespacedName, Severity,
    input::{Certificate, Issuer, IssuerRef, IssuerSpec, Secret, TlsPair},
};

use super::rows::{CertificateState, IssueFailure, IssueWanted, Settings, Signer};
use crate::{
    Cx, problem,
    world::{CertificatesByTarget, at},
};

/// Message that scripts look for (cert-manager, readiness controller).
const UP_TO_DATE: &str = "Certificate is up to date and has not expired";

/// Certificates begin this many milliseconds before they are made; one made after the wish satisfies it.
const BACKDATED: i64 = 60_000;

pub(super) fn certificate_states(cx: &mut Cx<'_>, certificate: &Arc<Certificate>) {
    let secret_key = NamespacedName::new(certificate.key.namespace.clone(), certificate.secret.clone());
    let secret = cx.get::<Secret>(&secret_key);
    let object = portolan_model::ObjectKey {
        kind: portolan_model::Kind::new("cert-manager.io", "Certificate"),
        name: certificate.key.clone(),
    };
    let mut state = CertificateState {
        key: certificate.key.clone(),
        ready: false,
        reason: Name::default(),
        message: String::new(),
        issuing: false,
        secret: secret_key.clone(),
        not_after: None,
        renewal: None,
    };

    // Two Certificates, one Secret: the first by name keeps it.
    let rivals = cx.keys::<CertificatesByTarget>(&secret_key);
    if let Some(owner) = rivals.iter().find(|key| **key < certificate.key) {
        let message = format!("Secret {secret_key} is already written by Certificate {owner}");
        problem(
            cx,
            object,
            310,
            Severity::Error,
            "spec.secretName",
            message.clone(),
            "give each Certificate its own secretName",
        );
        (state.reason, state.message) = ("SecretOwnedByOther".into(), message);
        cx.emit(state);
        return;
    }

    let wrong = judge(secret.as_deref(), certificate);
    let pair = secret.as_ref().and_then(|s| s.tls.as_ref()).and_then(|t| t.as_ref().ok());
    if let Some(pair) = pair {
        state.not_after = Some(pair.not_after);
        state.renewal = Some(renewal(pair, certificate));
    }
    let mut why = wrong;
    if why.is_none()
        && let Some(pair) = pair
    {
        state.ready = !cx.due(at(pair.not_after));
        let asked = certificate.renew_at.filter(|asked| pair.not_before.plus_millis(BACKDATED) < *asked);
        let forced = asked.is_some_and(|asked| cx.due(at(asked)));
        let due = state.renewal.is_some_and(|renewal| cx.due(at(renewal)));
        if !state.ready {
            why = Some(("Expired".into(), "the certificate has expired".into()));
        } else if forced || due {
            why = Some(("Renewing".into(), "renewal is due".into()));
        }
    }
    if state.ready {
        (state.reason, state.message) = ("Ready".into(), UP_TO_DATE.into());
    }
    let Some((reason, message)) = why else {
        cx.emit(state);
        return;
    };
    if !state.ready {
        (state.reason, state.message) = (reason, message);
    }

    // A Secret from the repository is not ours to overwrite.
    if let Some(secret) = secret.as_ref().filter(|s| !s.generated) {
        let message = format!(
            "Secret {} comes from the repository and is not overwritten: {}",
            secret.key, state.message
        );
        let hint = "remove the Secret from the repository, or choose another secretName";
        problem(cx, object, 311, Severity::Error, "spec.secretName", message.clone(), hint);
        (state.reason, state.message) = ("SecretNotOwned".into(), message);
        cx.emit(state);
        return;
    }

    match signer(cx, certificate) {
        Err((code, reason, message, hint)) => {
            problem(cx, object, code, Severity::Error, "spec.issuerRef", message.clone(), hint);
            if !state.ready {
                (state.reason, state.message) = (reason.into(), message);
            }
        }
        Ok(None) => {
            if !state.ready {
                state.message = format!("waiting for the CA of {}", describe(&certificate.issuer));
                state.issuing = true;
            }
        }
        Ok(Some((issuer, signer))) => {
            let wanted = IssueWanted {
                key: certificate.key.clone(),
                signer,
                issuer,
                request: certificate.request.clone(),
                secret: secret_key,
                replaces: pair.map(|p| p.fingerprint.clone()).unwrap_or_default(),
                keep_key: !certificate.rotate_key && pair.is_some(),
                annotations: certificate.secret_annotations.clone(),
                labels: certificate.secret_labels.clone(),
            };
            let failure = cx.get::<IssueFailure>(&certificate.key).filter(|f| f.wanted == wanted);
            state.issuing = true;
            if let Some(failure) = failure
                && !cx.due(at(failure.retry_at))
            {
                let message = format!("{}; next attempt at {}", failure.message, failure.retry_at);
                let hint = "correct what the message names; a changed Certificate is tried at once";
                problem(cx, object, 312, Severity::Error, "", message.clone(), hint);
                state.message = message;
            } else {
                cx.emit(wanted);
            }
        }
    }
    cx.emit(state);
}

fn describe(issuer: &IssuerRef) -> String {
    match issuer {
        IssuerRef::Known(key) => key.to_string(),
        IssuerRef::External(text) => text.to_string(),
    }
}

/// Why the present Secret will not do; `None` if it will (lifetime aside).
fn judge(secret: Option<&Secret>, certificate: &Certificate) -> Option<(Name, String)> {
    let Some(secret) = secret else {
        return Some(("DoesNotExist".into(), "Issuing certificate as Secret does not exist".into()));
    };
    let pair = match &secret.tls {
        None => {
            return Some((
                "MissingData".into(),
                "Issuing certificate as Secret does not contain any data".into(),
            ));
        }
        Some(Err(why)) => return Some(("InvalidCertificate".into(), why.clone())),
        Some(Ok(pair)) => pair,
    };
    if !pair.key_matches {
        return Some(("InvalidKeyPair".into(), "the Secret's key does not belong to its certificate".into()));
    }
    if let IssuerRef::Known(issuer) = &certificate.issuer
        && secret.generated
    {
        let noted = |key: &str| secret.annotations.get(key).map(String::as_str);
        let same = noted("cert-manager.io/issuer-name") == Some(issuer.0.name.as_str())
            && noted("cert-manager.io/issuer-kind") == Some(issuer.kind());
        if !same {
            return Some(("IncorrectIssuer".into(), "the certificate was made by another issuer".into()));
        }
    }
    let mut names = certificate.request.dns_names.clone();
    names.sort();
    names.dedup();
    if pair.dns_names != names
        || pair.is_ca != certificate.request.is_ca
        || pair.common_name != certificate.request.common_name
    {
        return Some((
            "RequestChanged".into(),
            "the Certificate asks for something else than the Secret holds".into(),
        ));
    }
    None
}

/// cert-manager `pkg/util/pki/renewaltime.go`: `notAfter - renewBefore`, or the percentage of the actual lifetime, else
/// two thirds through it.
fn renewal(pair: &TlsPair, certificate: &Certificate) -> Instant {
    let lifetime = pair.not_after.0.saturating_sub(pair.not_before.0);
    let before = match (certificate.renew_before, certificate.renew_before_percentage) {
        (Some(before), _) if before < lifetime => before,
        (_, Some(percent)) if percent < 100 => lifetime / 100 * i64::from(percent),
        _ => lifetime / 3,
    };
    pair.not_after.plus_millis(-before)
}

type Refused = (u16, &'static str, String, &'static str);

/// Who signs; `None` while the CA's Secret is not there yet.
fn signer(cx: &mut Cx<'_>, certificate: &Certificate) -> Result<Option<(IssuerKey, Signer)>, Refused> {
    let key = match &certificate.issuer {
        IssuerRef::Known(key) => key.clone(),
        IssuerRef::External(kind) => {
            let hint = "refer to an Issuer or ClusterIssuer of cert-manager.io";
            return Err((
                313,
                "IssuerNotSupported",
                format!("issuerRef names a {kind}, which is not served"),
                hint,
            ));
        }
    };
    let Some(issuer) = cx.get::<Issuer>(&key) else {
        let hint = "create the issuer, or correct kind and name in issuerRef (kind is Issuer unless written)";
        return Err((314, "IssuerNotFound", format!("{key} does not exist"), hint));
    };
    match &issuer.spec {
        IssuerSpec::SelfSigned => Ok(Some((key, Signer::SelfSigned))),
        IssuerSpec::Ca { secret } => {
            let namespace = if key.0.namespace.is_empty() {
                cx.get::<Settings>(&Name::default())
                    .map_or_else(|| "cert-manager".into(), |s| s.cluster_resource_namespace.clone())
            } else {
                key.0.namespace.clone()
            };
            let secret = NamespacedName::new(namespace, secret.clone());
            let usable = cx.get::<Secret>(&secret).and_then(|s| s.tls.clone());
            match usable {
                None => Ok(None),
                Some(Ok(pair)) if pair.is_ca && pair.key_matches => Ok(Some((key, Signer::Ca(secret)))),
                Some(_) => {
                    let hint = "put a CA certificate with its key into tls.crt and tls.key";
                    Err((
                        315,
                        "CaNotUsable",
                        format!("Secret {secret} of {key} holds no usable CA key pair"),
                        hint,
                    ))
                }
            }
        }
        IssuerSpec::Acme { .. } => {
            let hint = "use a ca or selfSigned issuer until ACME has landed";
            Err((
                316,
                "IssuerNotSupported",
                format!("{key} is an ACME issuer, which this build does not serve yet"),
                hint,
            ))
        }
        IssuerSpec::Unsupported(kind) => {
            let hint = "use one of acme, ca, selfSigned";
            Err((301, "IssuerNotSupported", format!("{key} configures {kind}, which is not served"), hint))
        }
    }
}
