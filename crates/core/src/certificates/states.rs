//! From a Certificate and its Secret to "is it good, and what next". The checks stand in the order of cert-manager's
//! trigger policy chain (internal/controller/certificates/policies).

use std::sync::Arc;

use portolan_model::{
    Instant, Name, NamespacedName, Severity,
    certificate::CertificateRequestParams,
    input::{Certificate, IssuerRef, Maker, Secret, TlsPair},
};

use super::{
    acme::OrderState,
    rows::{CertificateState, IssueFailure, IssueWanted, OrderProgress, Signer},
    signers::signer,
};
use crate::{
    Cx, problem,
    world::{CertificatesByTarget, at},
};

/// Message that scripts look for (cert-manager, readiness controller).
const UP_TO_DATE: &str = "Certificate is up to date and has not expired";

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
        let asked = certificate.renew_at.filter(|asked| made_at(secret.as_deref(), pair) < *asked);
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

    // A Secret that something else made is not ours to overwrite.
    if let Some(secret) = secret.as_ref().filter(|s| s.maker != Maker::Issued) {
        let maker = match secret.maker {
            Maker::Unsealed => "is made from a SealedSecret",
            Maker::Mirrored => "is a mirror",
            _ => "comes from the repository",
        };
        let message = format!("Secret {} {maker} and is not overwritten: {}", secret.key, state.message);
        let hint = "remove the other source of the Secret, or choose another secretName";
        problem(cx, object, 311, Severity::Error, "spec.secretName", message.clone(), hint);
        (state.reason, state.message) = ("SecretNotOwned".into(), message);
        cx.emit(state);
        return;
    }

    let request = match CertificateRequestParams::try_from(&certificate.request) {
        Ok(request) => request,
        Err(wrong) => {
            problem(
                cx,
                object,
                wrong.code.0,
                Severity::Error,
                wrong.field,
                wrong.message.clone(),
                wrong.hint,
            );
            if !state.ready {
                (state.reason, state.message) = ("InvalidRequest".into(), wrong.message);
            }
            cx.emit(state);
            return;
        }
    };
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
                request,
                secret: secret_key,
                replaces: pair.map(|p| p.fingerprint.clone()).unwrap_or_default(),
                keep_key: !certificate.rotate_key && pair.is_some(),
                annotations: certificate.secret_annotations.clone(),
                labels: certificate.secret_labels.clone(),
            };
            let retry = |failure: &IssueFailure| {
                let pause = pause(&failure.wanted.signer, failure.attempts);
                let at = failure.failed_at.plus_millis(pause);
                failure.not_before.map_or(at, |other| at.max(other))
            };
            let failure = cx.get::<IssueFailure>(&certificate.key).filter(|f| f.wanted == wanted);
            state.issuing = true;
            if let Some(failure) = failure
                && !cx.due(at(retry(&failure)))
            {
                let message = format!("{}; next attempt at {}", failure.message, retry(&failure));
                let hint = "correct what the message names; a changed Certificate is tried at once";
                problem(cx, object, failure.code.0, Severity::Error, "", message.clone(), hint);
                state.message = message;
            } else {
                if !state.ready
                    && let Some(progress) = cx.get::<OrderProgress>(&certificate.key)
                {
                    state.message = under_way(&progress.state);
                }
                cx.emit(wanted);
            }
        }
    }
    cx.emit(state);
}

/// What an order is waiting for, one sentence.
fn under_way(order: &OrderState) -> String {
    let status = if order.status().is_empty() { "not created yet" } else { order.status() };
    let open: Vec<String> = order
        .authorizations
        .iter()
        .filter(|a| !a.waiting.is_empty())
        .map(|a| format!("{}: {}", a.name, a.waiting))
        .collect();
    if open.is_empty() {
        format!("the order is {status}")
    } else {
        format!("the order is {status}; {}", open.join("; "))
    }
}

/// When a certificate was made, so that one made after a wish for renewal satisfies it.
fn made_at(secret: Option<&Secret>, pair: &TlsPair) -> Instant {
    let noted = secret.and_then(|s| s.annotations.get(super::ISSUED_AT));
    noted.and_then(|text| Instant::parse(text)).unwrap_or(pair.not_before)
}

/// How long to wait after the n-th failure in a row. What signs here has no limits to protect, so this is not
/// cert-manager's 1 h to 32 h: a minute for our own signing, 10 s doubling to an hour for the embedded ACME server.
fn pause(signer: &Signer, attempts: u32) -> i64 {
    match signer {
        Signer::SelfSigned | Signer::Ca(_) => 60_000,
        Signer::Acme(_) => (10_000_i64 << attempts.saturating_sub(1).min(9)).min(3_600_000),
    }
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
        && secret.maker == Maker::Issued
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
    // A public CA may leave the common name out once it is among the names.
    let common = &certificate.request.common_name;
    let common_name = pair.common_name == *common || pair.dns_names.iter().any(|name| **name == **common);
    let mut with_common = names.clone();
    with_common.push(Name::from(common.to_ascii_lowercase()));
    with_common.sort();
    with_common.dedup();
    if (pair.dns_names != names && pair.dns_names != with_common)
        || pair.is_ca != certificate.request.is_ca
        || !common_name
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
