//! Whether an issuer can be used, in the words of cert-manager (`pkg/issuer/{acme,ca,selfsigned}/setup.go`), and which
//! account is to be registered for it.

use std::sync::Arc;

use portolan_model::{
    Condition, IssuerKey, Name, NamespacedName, Severity,
    input::{Issuer, IssuerSpec, Secret},
};

use super::{
    rows::{Account, AccountFailure, AccountState, AccountWanted, IssuerState},
    signers::{not_now, secrets_of},
};
use crate::{Cx, problem, world::at};

/// Pause after the first failed registration, in milliseconds; doubled up to an hour. The embedded server has no limits
/// that a longer one would spare.
const FIRST_PAUSE: i64 = 10_000;

pub(super) fn issuer_states(cx: &mut Cx<'_>, issuer: &Arc<Issuer>) {
    let mut state = IssuerState { key: issuer.key.clone(), ready: None, account: None };
    let not = |reason: &str, message: String| Some(Condition::new("Ready", false, reason, message));
    match &issuer.spec {
        IssuerSpec::SelfSigned => state.ready = Some(Condition::new("Ready", true, "IsReady", "")),
        IssuerSpec::Ca { secret } => state.ready = Some(key_pair(cx, &issuer.key, secret)),
        IssuerSpec::Unsupported(kind) => {
            state.ready = not(
                "InvalidConfig",
                format!("issuers of type {kind} are not served; use acme, ca or selfSigned"),
            );
        }
        IssuerSpec::Acme { server, email, account_key, .. } => {
            if let Some((reason, message)) = unusable(server, account_key) {
                let hint = "set acme.server to the URL of a directory, and acme.privateKeySecretRef.name";
                problem(cx, issuer.key.object(), 350, Severity::Error, "spec.acme", message.clone(), hint);
                state.ready = not(reason, message);
            } else {
                let account_key = NamespacedName::new(secrets_of(cx, &issuer.key), account_key.clone());
                acme(cx, &mut state, server, email.clone().unwrap_or_default(), account_key);
            }
        }
    }
    cx.emit(state);
}

fn key_pair(cx: &mut Cx<'_>, issuer: &IssuerKey, secret: &Name) -> Condition {
    let key = NamespacedName::new(secrets_of(cx, issuer), secret.clone());
    let (reason, why) = match cx.get::<Secret>(&key).map(|secret| secret.tls.clone()) {
        None => ("ErrGetKeyPair", format!("secret \"{secret}\" not found")),
        Some(None) => ("ErrGetKeyPair", format!("no data for \"tls.crt\" in secret '{key}'")),
        Some(Some(Err(why))) => ("ErrGetKeyPair", why),
        Some(Some(Ok(pair))) if !pair.is_ca => ("ErrInvalidKeyPair", "certificate is not a CA".to_owned()),
        Some(Some(Ok(pair))) if !pair.key_matches => {
            ("ErrInvalidKeyPair", "tls.key does not belong to tls.crt".to_owned())
        }
        Some(Some(Ok(pair))) => match not_now(cx, &pair) {
            Some(why) => {
                let message = format!("the CA in Secret {key} {why}");
                let hint =
                    "put a CA certificate that is valid into the Secret; what it signed has to be made anew";
                problem(cx, issuer.object(), 318, Severity::Error, "spec.ca.secretName", message, hint);
                ("ErrInvalidKeyPair", format!("certificate {why}"))
            }
            None => return Condition::new("Ready", true, "KeyPairVerified", "Signing CA verified"),
        },
    };
    Condition::new("Ready", false, reason, format!("Error getting keypair for CA issuer: {why}"))
}

/// What no registration can mend.
fn unusable(server: &Name, account_key: &Name) -> Option<(&'static str, String)> {
    if server.is_empty() {
        return Some(("InvalidConfig", "acme.server is missing".to_owned()));
    }
    if account_key.is_empty() {
        return Some(("InvalidConfig", "acme.privateKeySecretRef.name is missing".to_owned()));
    }
    let host =
        server.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if host.is_none_or(str::is_empty) || server.contains(char::is_whitespace) {
        let message = format!("Failed to parse existing ACME server URI \"{server}\": it is not a URL");
        return Some(("InvalidURL", message));
    }
    // Let's Encrypt's first protocol version, switched off in 2021; people still copy its URL.
    let second = match server.trim_end_matches('/') {
        "https://acme-v01.api.letsencrypt.org/directory" => "https://acme-v02.api.letsencrypt.org/directory",
        "https://acme-staging.api.letsencrypt.org/directory" => {
            "https://acme-staging-v02.api.letsencrypt.org/directory"
        }
        _ => return None,
    };
    let message = format!(
        "Your ACME server URL is set to a v1 endpoint ({server}). You should update the spec.acme.server field to \"{second}\""
    );
    Some(("InvalidConfig", message))
}

fn acme(cx: &mut Cx<'_>, state: &mut IssuerState, server: &Name, email: Name, account_key: NamespacedName) {
    let secret = cx.get::<Secret>(&account_key);
    let key = secret.as_ref().map(|secret| secret.data.get("tls.key"));
    if let Some(None) = key {
        let message =
            format!("Account private key is invalid: no data for \"tls.key\" in secret '{account_key}'");
        let hint = "put the account's private key under tls.key, or remove the Secret and one is made";
        problem(cx, state.key.object(), 354, Severity::Error, "spec.acme", message.clone(), hint);
        state.ready = Some(Condition::new("Ready", false, "ErrVerifyACMEAccount", message));
        return;
    }
    let wanted = AccountWanted {
        key: state.key.clone(),
        server: server.clone(),
        contact: Some(&email)
            .filter(|e| !e.is_empty())
            .map(|e| Name::from(format!("mailto:{e}")))
            .into_iter()
            .collect(),
        account_key,
        fingerprint: key.flatten().map(|pem| Name::from(pem.fingerprint())).unwrap_or_default(),
    };
    match cx.get::<AccountState>(&state.key).filter(|known| known.wanted == wanted).map(|s| s.result.clone())
    {
        None => cx.emit(wanted),
        Some(Ok(account)) => registered(state, account, email),
        Some(Err(failure)) => {
            let retry = retry(&failure);
            if cx.due(at(retry)) {
                cx.emit(wanted);
            }
            state.ready = Some(refused(&failure));
            let message =
                format!("the ACME account cannot be used: {}; next attempt at {retry}", failure.message);
            let hint =
                "correct what the message names (email, privateKeySecretRef); its certificates wait for it";
            problem(cx, state.key.object(), 354, Severity::Error, "spec.acme", message, hint);
        }
    }
}

fn registered(state: &mut IssuerState, account: Account, email: Name) {
    let message = "The ACME account was registered with the ACME server";
    state.ready = Some(Condition::new("Ready", true, "ACMEAccountRegistered", message));
    state.account = Some((account, email));
}

fn refused(failure: &AccountFailure) -> Condition {
    let (reason, message) = if failure.key_usable {
        ("ErrRegisterACMEAccount", format!("Failed to register ACME account: {}", failure.message))
    } else {
        ("ErrVerifyACMEAccount", format!("Account private key is invalid: {}", failure.message))
    };
    Condition::new("Ready", false, reason, message)
}

fn retry(failure: &AccountFailure) -> portolan_model::Instant {
    let pause = (FIRST_PAUSE << failure.attempts.saturating_sub(1).min(9)).min(3_600_000);
    let own = failure.failed_at.plus_millis(pause);
    failure.not_before.map_or(own, |at| own.max(at))
}
