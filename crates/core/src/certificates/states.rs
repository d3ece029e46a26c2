//! From a Certificate and its Secret to "is it good, and what next".

use std::sync::Arc;

use portolan_model::{
    Instant, NamespacedName, Severity,
    certificate::CertificateRequestParams,
    input::{Certificate, Issuer, IssuerRef, IssuerSpec, Maker, Secret, TlsPair},
};

use super::{
    acme::OrderState,
    asked, keystores,
    lifetime::{self, Authority},
    needed, own, permitted,
    renewal::Life,
    rows::{AcmeServer, CertificateState, IssueFailure, IssueWanted, OrderProgress, Signer, Store},
    signers::{Found, signer},
    temporary,
    trigger::{Trigger, asked_for, expired, renewing, trigger},
};
use crate::{Cx, problem, secrets::owner::Owner, world::at};

/// Message that scripts look for (cert-manager, readiness controller).
const UP_TO_DATE: &str = "Certificate is up to date and has not expired";

pub(super) fn certificate_states(cx: &mut Cx<'_>, certificate: &Arc<Certificate>) {
    let secret_key = NamespacedName::new(certificate.key.namespace.clone(), certificate.secret.clone());
    if needed::unread(cx, &secret_key) {
        // Neither good nor bad: nothing is said, and nothing is made in place of what may be there.
        return;
    }
    let owner = Owner::of(cx, &secret_key);
    // What a mirror or an account left there is not ours, and gives way.
    let secret = cx.get::<Secret>(&secret_key).filter(|secret| secret.maker <= Maker::Issued);
    let pair = secret.as_ref().and_then(|s| s.tls.as_ref()).and_then(|t| t.as_ref().ok());
    // A temporary certificate is replaced, never renewed.
    let lasting = pair.filter(|pair| !pair.temporary);
    let wrong = trigger(secret.as_deref(), certificate).or_else(|| own::stood_in(cx, pair, certificate));
    let life = lasting.map(|pair| Life::of(secret.as_deref(), pair));
    let authority = Authority::of(cx, certificate);
    lifetime::check(cx, certificate, authority.as_ref(), life.zip(pair).filter(|_| wrong.is_none()));
    let (ready, (reason, message)) = readiness(cx, wrong.as_ref(), pair);
    let mut state = CertificateState {
        key: certificate.key.clone(),
        ready,
        reason,
        message,
        trigger: None,
        issuing: false,
        detail: String::new(),
        secret: secret_key.clone(),
        not_before: pair.map(|pair| pair.not_before),
        not_after: pair.map(|pair| pair.not_after),
        renewal: life.filter(|_| !certificate.renewal_disabled).map(|life| life.renewal(certificate)),
        revision: secret.as_deref().and_then(|secret| revision(secret, certificate)),
        failures: None,
    };
    if let Some(life) = life.filter(|life| life.misses_windows(certificate)) {
        let message = format!(
            "no window of renewal begins before the certificate ends: it is renewed when it is due, at {}",
            life.renewal(certificate)
        );
        let hint = "let windows come more often, or leave them out";
        let field = "spec.renewal.windows";
        problem(cx, certificate.object(), 323, Severity::Warning, field, message, hint);
    }
    if let Owner::Certificate(owner) = &owner
        && *owner != certificate.key
    {
        let message = format!("Secret {secret_key} is already written by Certificate {owner}");
        let hint = "give each Certificate its own secretName";
        complain(cx, certificate, (310, "spec.secretName"), message.clone(), hint);
        state.detail = message;
        cx.emit(state);
        return;
    }
    // Made before anything else is looked at: what cannot be made leaves the Certificate not ready, also while a
    // certificate of an earlier wish is there.
    let request = match (&certificate.refused, CertificateRequestParams::try_from(&certificate.request)) {
        (Some(why), _) => Err(why.clone()),
        (None, Ok(request)) => Ok(request),
        (None, Err(wrong)) => {
            complain(cx, certificate, (wrong.code.0, wrong.field), wrong.message.clone(), wrong.hint);
            Err(format!("{}: {}", wrong.field, wrong.message))
        }
    };
    let request = match request {
        Ok(request) => request,
        Err(why) => {
            if state.ready {
                (state.ready, state.reason, state.message) = (false, "Refused".into(), why.clone());
            } else {
                state.detail = why;
            }
            cx.emit(state);
            return;
        }
    };
    nameless(cx, certificate, &request);
    let stores = keystores::told(cx, certificate);
    state.trigger = wrong.or_else(|| time(cx, life, &state, certificate));
    let by_time = state.trigger.as_ref().is_some_and(|(reason, _)| reason == "Renewing");
    if by_time && authority.zip(pair).is_some_and(|(authority, pair)| authority.gives_no_more(cx, pair)) {
        state.trigger = None;
    }
    if state.trigger.is_some() {
        match stores {
            Ok(stores) => replace(cx, certificate, &mut state, (request, stores), secret.as_deref(), &owner),
            // As cert-manager, which writes no Secret without what its Certificate asks for.
            Err(why) => (state.issuing, state.detail) = (true, why),
        }
    }
    cx.emit(state);
}

fn complain(cx: &mut Cx<'_>, certificate: &Certificate, at: (u16, &str), message: String, hint: &str) {
    let (code, field) = at;
    problem(cx, certificate.object(), code, Severity::Error, field, message, hint);
}

/// The Ready condition: the same chain as the trigger's, ending in "has it expired" instead of "is renewal due".
fn readiness(cx: &mut Cx<'_>, wrong: Option<&Trigger>, pair: Option<&TlsPair>) -> (bool, Trigger) {
    if let Some(wrong) = wrong {
        return (false, wrong.clone());
    }
    match pair {
        Some(pair) if cx.due(at(pair.not_after)) => (false, expired(pair.not_after)),
        _ => (true, ("Ready".into(), UP_TO_DATE.into())),
    }
}

/// The revision of the present certificate, if Portolan made it for this Certificate.
fn revision(secret: &Secret, certificate: &Certificate) -> Option<u32> {
    let made_for = secret.annotations.get("cert-manager.io/certificate-name")?;
    if secret.maker != Maker::Issued || certificate.key.name != **made_for {
        return None;
    }
    secret.annotations.get(super::REVISION)?.parse().ok()
}

/// Renewal by time, or because somebody asked for it.
fn time(
    cx: &mut Cx<'_>,
    life: Option<Life>,
    state: &CertificateState,
    certificate: &Certificate,
) -> Option<Trigger> {
    let life = life?;
    let asked = certificate.renew_at.filter(|asked| life.made < *asked);
    if asked.is_some_and(|asked| cx.due(at(asked))) {
        return Some(asked_for());
    }
    state.renewal.filter(|renewal| cx.due(at(*renewal))).map(renewing)
}

/// Another certificate is wanted: from whom, and whether now.
fn replace(
    cx: &mut Cx<'_>,
    certificate: &Certificate,
    state: &mut CertificateState,
    (request, keystores): (CertificateRequestParams, Vec<Store>),
    secret: Option<&Secret>,
    owner: &Owner,
) {
    // A Secret that something else makes is not ours to overwrite, even where it is not there yet.
    if !matches!(owner, Owner::Certificate(_)) {
        let why = state.trigger.as_ref().map(|(_, message)| message.clone()).unwrap_or_default();
        state.detail = format!("Secret {} {} and is not overwritten", state.secret, owner.words());
        let hint = "remove the other source of the Secret, or choose another secretName";
        complain(cx, certificate, (311, "spec.secretName"), format!("{}: {why}", state.detail), hint);
        return;
    }
    state.issuing = true;
    if !certificate.rotate_key
        && new_key(state)
        && state.trigger.as_ref().is_some_and(|t| t.0 == "SecretMismatch")
    {
        let violations = state.trigger.as_ref().map(|(_, message)| message.clone()).unwrap_or_default();
        let fields = violations.rsplit_once(": ").map_or("", |(_, fields)| fields).to_owned();
        state.detail = format!(
            "User intervention required: existing private key in Secret \"{}\" does not match requirements on Certificate resource, mismatching fields: {fields}, but no new private key can be created as the Certificate's .spec.privateKey.rotationPolicy is Never",
            state.secret.name
        );
        let hint = "set rotationPolicy to Always, or take back what the key does not fit";
        let field = "spec.privateKey.rotationPolicy";
        complain(cx, certificate, (322, field), state.detail.clone(), hint);
        return;
    }
    let found = signer(cx, certificate, &request);
    let temporary = temporary::wanted(cx, certificate, state, &request, &keystores, found.as_ref().ok());
    if let Some(wanted) = temporary {
        cx.emit(wanted);
    }
    match found {
        Err((code, field, message, hint)) => {
            state.detail.clone_from(&message);
            complain(cx, certificate, (code, field), message, hint);
        }
        Ok(Found::Waiting(why)) => state.detail = why,
        Ok(Found::Signer(issuer, signer, points)) => {
            // The same with a temporary one and without, so that an order goes on when it comes.
            let pair = secret.and_then(|s| s.tls.as_ref()).and_then(|t| t.as_ref().ok());
            let pair = pair.filter(|pair| !pair.temporary);
            let wanted = IssueWanted {
                key: certificate.key.clone(),
                revision: state.revision.unwrap_or(0).saturating_add(1),
                signer,
                issuer,
                request,
                asked: asked::note(&certificate.request),
                secret: state.secret.clone(),
                replaces: pair.map(|p| p.fingerprint.clone()).unwrap_or_default(),
                // A key that does not fit any more cannot be kept.
                keep_key: !certificate.rotate_key && pair.is_some() && !new_key(state),
                points,
                formats: certificate.formats,
                keystores,
                annotations: certificate.secret_annotations.clone(),
                labels: certificate.secret_labels.clone(),
            };
            attempt(cx, certificate, state, wanted);
        }
    }
}

/// What a self-signed certificate without a subject has for its issuer: nothing, in the words of cert-manager's event.
fn nameless(cx: &mut Cx<'_>, certificate: &Certificate, request: &CertificateRequestParams) {
    let IssuerRef::Known(key) = &certificate.issuer else { return };
    let own =
        cx.get::<Issuer>(key).is_some_and(|issuer| matches!(issuer.spec, IssuerSpec::SelfSigned { .. }));
    if own && request.subject.is_empty() {
        let message = "Certificate will be issued with an empty Issuer DN, which contravenes RFC 5280 and could break some strict clients";
        let hint = "set commonName or subject";
        let field = "spec.commonName";
        problem(cx, certificate.object(), 321, Severity::Info, field, message.to_owned(), hint);
    }
}

/// Whether the present key is part of what is wrong.
fn new_key(state: &CertificateState) -> bool {
    state.trigger.as_ref().is_some_and(|(reason, message)| {
        reason == "InvalidKeyPair" || reason == "SecretMismatch" && message.contains("spec.privateKey")
    })
}

/// Asks for the certificate, unless the last failure is too fresh.
fn attempt(cx: &mut Cx<'_>, certificate: &Certificate, state: &mut CertificateState, wanted: IssueWanted) {
    let failure = cx.get::<IssueFailure>(&certificate.key).filter(|failure| failure.wanted == wanted);
    state.failures = failure.as_ref().map(|failure| (failure.attempts, failure.failed_at));
    if let Some(failure) = failure {
        let retry = retry(&failure);
        if !cx.due(at(retry)) {
            let message = format!("{}; next attempt at {retry}", failure.message);
            let hint = "correct what the message names; a changed Certificate is tried at once";
            complain(cx, certificate, (failure.code.0, ""), message.clone(), hint);
            (state.issuing, state.detail) = (false, message);
            return;
        }
    }
    if let Some((object, policy, message)) = permitted::denied(cx, certificate, &wanted) {
        let message = format!("{object} is denied by ValidatingAdmissionPolicy {policy}: {message}");
        let hint =
            "change the Certificate so that the policy admits its request, or the policy if it is wrong";
        complain(cx, certificate, (501, ""), message.clone(), hint);
        (state.issuing, state.detail) = (false, message);
        return;
    }
    if let Some(progress) = cx.get::<OrderProgress>(&(certificate.key.clone(), wanted.revision)) {
        state.detail = under_way(&progress.state);
    }
    cx.emit(wanted);
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

/// Not before this time. What signs here has no limits to protect, so this is not cert-manager's 1 h to 32 h: a minute
/// for our own signing, 10 s doubling to an hour for the embedded ACME server. An issuer's own server has limits: five minutes doubling to a
/// day, and what its failure says (an hour where another try would count against a limit).
fn retry(failure: &IssueFailure) -> Instant {
    let pause = match &failure.wanted.signer {
        Signer::SelfSigned | Signer::Ca(_) | Signer::Temporary => 60_000,
        Signer::Acme(order) if order.at != AcmeServer::StandIn => {
            (300_000_i64 << failure.attempts.saturating_sub(1).min(9)).min(86_400_000)
        }
        Signer::Acme(_) => (10_000_i64 << failure.attempts.saturating_sub(1).min(9)).min(3_600_000),
    };
    let own = failure.failed_at.plus_millis(pause);
    failure.not_before.map_or(own, |other| own.max(other))
}
