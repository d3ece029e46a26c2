//! Whether an issuer can be used, in the words of cert-manager (`pkg/issuer/{acme,ca,selfsigned}/setup.go`), and which
//! account is to be registered for it.

use std::sync::Arc;

use portolan_model::{
    Condition, IssuerKey, Kind, Name, NamespacedName, ObjectKey, Severity,
    input::{Issuer, IssuerSpec, Maker, Secret},
};

use super::{
    needed, own,
    rows::{Account, AccountFailure, AccountState, AccountWanted, AcmeServer, IssuerState},
    signers::{not_now, secrets_of},
};
use crate::{Cx, policy::denial, problem, secrets::owner, world};

/// Pause after the first failed registration, in milliseconds; doubled up to an hour. The embedded server has no limits
/// that a longer one would spare.
const FIRST_PAUSE: i64 = 10_000;

pub(super) fn issuer_states(cx: &mut Cx<'_>, issuer: &Arc<Issuer>) {
    let mut state = IssuerState { key: issuer.key.clone(), ready: None, account: None };
    let not = |reason: &str, message: String| Some(Condition::new("Ready", false, reason, message));
    match &issuer.spec {
        IssuerSpec::SelfSigned { .. } => state.ready = Some(Condition::new("Ready", true, "IsReady", "")),
        IssuerSpec::Ca { secret, .. } => {
            let key = NamespacedName::new(secrets_of(cx, &issuer.key), secret.clone());
            state.ready = (!needed::unread(cx, &key)).then(|| key_pair(cx, &issuer.key, secret));
        }
        IssuerSpec::Unsupported(kind) => {
            state.ready = not(
                "InvalidConfig",
                format!("issuers of type {kind} are not served; use acme, ca or selfSigned"),
            );
        }
        IssuerSpec::Acme { server, email, account_key, entry, make_key, own, .. } => {
            own::listed(cx, issuer);
            if let Some((message, field, hint)) = own::refused(cx, server, own) {
                let field = format!("spec.acme.{field}");
                problem(cx, issuer.key.object(), 357, Severity::Error, &field, message.clone(), hint);
                state.ready = not("InvalidConfig", message);
            } else if let Some((reason, message)) = unusable(server, account_key) {
                let hint = "set acme.server to the URL of a directory, and acme.privateKeySecretRef.name";
                problem(cx, issuer.key.object(), 350, Severity::Error, "spec.acme", message.clone(), hint);
                state.ready = not(reason, message);
            } else {
                let account_key = NamespacedName::new(secrets_of(cx, &issuer.key), account_key.clone());
                if let Some(certificate) = owner::certificate(cx, &account_key) {
                    let message = format!(
                        "privateKeySecretRef names Secret {account_key}, which Certificate {certificate} writes: an account's key and a certificate's never share one"
                    );
                    let hint = "name another Secret in acme.privateKeySecretRef";
                    let field = "spec.acme.privateKeySecretRef.name";
                    problem(cx, issuer.key.object(), 355, Severity::Error, field, message.clone(), hint);
                    state.ready = not("ErrVerifyACMEAccount", message);
                    cx.emit(state);
                    return;
                }
                let key = AccountKey { secret: account_key, entry: entry.clone(), make: *make_key };
                let at = own::server(cx, own);
                acme(cx, &mut state, server, email.clone().unwrap_or_default(), key, at);
            }
        }
    }
    cx.emit(state);
}

fn key_pair(cx: &mut Cx<'_>, issuer: &IssuerKey, secret: &Name) -> Condition {
    let key = NamespacedName::new(secrets_of(cx, issuer), secret.clone());
    let object = ObjectKey { kind: Kind::new("", "Secret"), name: key.clone() };
    if let Some(denied) = denial(cx, &object) {
        let message = format!("Secret {key} {}", denied.words(&object));
        return Condition::new("Ready", false, "ErrGetKeyPair", message);
    }
    let (reason, why) = match cx.get::<Secret>(&key).map(|secret| secret.tls.clone()) {
        None => ("ErrGetKeyPair", format!("secret \"{secret}\" not found")),
        Some(None) => ("ErrGetKeyPair", format!("no data for \"tls.crt\" in secret '{key}'")),
        Some(Some(Err(why))) => ("ErrGetKeyPair", why),
        Some(Some(Ok(pair))) if !pair.is_ca => ("ErrInvalidKeyPair", "certificate is not a CA".to_owned()),
        Some(Some(Ok(pair))) if !pair.key_matches => {
            ("ErrInvalidKeyPair", "tls.key does not belong to tls.crt".to_owned())
        }
        Some(Some(Ok(pair))) if pair.authority.as_ref().is_some_and(|a| a.flaw().is_some()) => {
            let why = pair.authority.as_ref().and_then(|authority| authority.flaw()).unwrap_or_default();
            ("ErrInvalidKeyPair", why)
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
    let scheme = server.split_once("://").map_or("", |(scheme, _)| scheme);
    if !["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        let message = format!(
            "Failed to register ACME account: Get \"{server}\": unsupported protocol scheme \"{scheme}\""
        );
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

/// Where an issuer says that its account's key is.
struct AccountKey {
    secret: NamespacedName,
    entry: Name,
    make: bool,
}

/// Why the key of the account cannot be used as it is there, and what to do.
fn no_key(account: &AccountKey, present: Option<&Secret>) -> Option<(String, &'static str)> {
    let AccountKey { secret, entry, make } = account;
    match present {
        Some(present) if present.data.contains_key(entry) => None,
        Some(_) => Some((
            format!("Account private key is invalid: no data for \"{entry}\" in secret '{secret}'"),
            "put the account's private key under privateKeySecretRef.key (tls.key unless it is written), or remove the Secret and one is made",
        )),
        None if *make => None,
        None => Some((
            format!(
                "Failed to verify ACME account: the ACME issuer config has 'disableAccountKeyGeneration' set to true, but the secret was not found: secret \"{}\" not found",
                secret.name
            ),
            "create the Secret with the key of the account, or leave disableAccountKeyGeneration out",
        )),
    }
}

fn acme(
    cx: &mut Cx<'_>,
    state: &mut IssuerState,
    server: &Name,
    email: Name,
    account: AccountKey,
    at: AcmeServer,
) {
    let object = ObjectKey { kind: Kind::new("", "Secret"), name: account.secret.clone() };
    if let Some(denied) = denial(cx, &object) {
        let message =
            format!("Account private key is invalid: secret '{}' {}", account.secret, denied.words(&object));
        let hint = "correct the Secret until the policy lets it in, or name another";
        problem(cx, state.key.object(), 354, Severity::Error, "spec.acme", message.clone(), hint);
        state.ready = Some(Condition::new("Ready", false, "ErrVerifyACMEAccount", message));
        return;
    }
    if needed::unread(cx, &account.secret) {
        return;
    }
    let secret = cx.get::<Secret>(&account.secret);
    // What a mirror left is not the account's: its key is made anew, unless it is to be brought.
    let secret = secret.filter(|secret| secret.maker != Maker::Mirrored || !account.make);
    let key = secret.as_ref().and_then(|secret| secret.data.get(&account.entry));
    if let Some((message, hint)) = no_key(&account, secret.as_deref()) {
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
        account_key: account.secret,
        entry: account.entry,
        fingerprint: key.map(|pem| Name::from(pem.fingerprint())).unwrap_or_default(),
        at,
    };
    match cx.get::<AccountState>(&state.key).filter(|known| known.wanted == wanted).map(|s| s.result.clone())
    {
        None => cx.emit(wanted),
        Some(Ok(account)) => registered(state, account, email),
        Some(Err(failure)) => {
            let retry = retry(&failure);
            if cx.due(world::at(retry)) {
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
