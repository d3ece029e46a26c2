//! Why the present Secret will not do: cert-manager's policy chain (`internal/controller/certificates/policies`), in its
//! order and words.

use portolan_model::{
    Instant, Name,
    input::{Certificate, IssuerRef, Maker, Secret, TlsPair},
};

use super::asked;

/// Reason and message, as cert-manager has them.
pub(super) type Trigger = (Name, String);

#[expect(clippy::unnecessary_wraps, reason = "every check gives an Option")]
fn because(reason: &str, message: impl Into<String>) -> Option<Trigger> {
    Some((reason.into(), message.into()))
}

/// What is wrong with the present Secret, its lifetime aside; `None` if nothing is.
pub(super) fn trigger(secret: Option<&Secret>, certificate: &Certificate) -> Option<Trigger> {
    let Some(secret) = secret else {
        return because("DoesNotExist", "Issuing certificate as Secret does not exist");
    };
    if let Some(missing) = missing(secret) {
        return Some(missing);
    }
    let pair = match &secret.tls {
        None => {
            return because("MissingData", "Issuing certificate as Secret does not contain a certificate");
        }
        Some(Err(why)) => {
            let message = format!("Issuing certificate as Secret contains an invalid certificate: {why}");
            return because("InvalidCertificate", message);
        }
        Some(Ok(pair)) => pair,
    };
    if !pair.key_matches {
        let message =
            "Issuing certificate as Secret contains a private key that does not match the certificate";
        return because("InvalidKeyPair", message);
    }
    temporary(pair)
        .or_else(|| another_issuer(secret, certificate))
        .or_else(|| another_certificate(secret, certificate))
        .or_else(|| another_key(pair, certificate))
        .or_else(|| something_else(secret, pair, certificate))
}

fn missing(secret: &Secret) -> Option<Trigger> {
    let holds = |key: &str| secret.data.get(key).is_some_and(|value| !value.is_empty());
    if matches!(secret.tls, Some(Ok(_))) {
        return None; // it could not have been read otherwise
    }
    if secret.data.is_empty() {
        because("MissingData", "Issuing certificate as Secret does not contain any data")
    } else if !holds("tls.key") {
        because("MissingData", "Issuing certificate as Secret does not contain a private key")
    } else if !holds("tls.crt") {
        because("MissingData", "Issuing certificate as Secret does not contain a certificate")
    } else {
        None
    }
}

/// What nobody can verify will not do, whatever else fits. cert-manager tells it from the request that is under way, which
/// here nothing remembers over a restart; the reason is the one that it has for a certificate of somebody else.
fn temporary(pair: &TlsPair) -> Option<Trigger> {
    let message = "Issuing certificate as Secret contains a temporary certificate";
    if pair.temporary { because("IncorrectIssuer", message) } else { None }
}

/// The annotations of the Secret name another issuer. A Secret without them is taken as it is.
fn another_issuer(secret: &Secret, certificate: &Certificate) -> Option<Trigger> {
    let IssuerRef::Known(issuer) = &certificate.issuer else { return None };
    let noted = |key: &str| secret.annotations.get(key).map(String::as_str);
    let (name, kind, group) = (
        noted("cert-manager.io/issuer-name"),
        noted("cert-manager.io/issuer-kind"),
        noted("cert-manager.io/issuer-group"),
    );
    if name.is_none() && kind.is_none() && group.is_none() {
        return None;
    }
    let or = |value: Option<&str>, default: &'static str| {
        value.filter(|value| !value.is_empty()).unwrap_or(default).to_owned()
    };
    let (name, kind, group) = (name.unwrap_or_default(), or(kind, "Issuer"), or(group, "cert-manager.io"));
    if issuer.0.name == *name && issuer.kind() == kind && group == "cert-manager.io" {
        return None;
    }
    let message = format!("Issuing certificate as Secret was previously issued by \"{kind}.{group}/{name}\"");
    because("IncorrectIssuer", message)
}

fn another_certificate(secret: &Secret, certificate: &Certificate) -> Option<Trigger> {
    let name = secret.annotations.get("cert-manager.io/certificate-name")?;
    if certificate.key.name == **name {
        return None;
    }
    let message = format!(
        "Secret was issued for \"{name}\". If this message is not transient, you might have two conflicting Certificates pointing to the same secret."
    );
    because("IncorrectCertificate", message)
}

fn another_key(pair: &TlsPair, certificate: &Certificate) -> Option<Trigger> {
    let request = &certificate.request;
    let (algorithm, size) = pair.key.split_once(' ').unwrap_or((&pair.key, ""));
    if algorithm.is_empty() {
        return None; // of a kind that is not known here: not ours to judge
    }
    let field = if request.algorithm != *algorithm {
        "spec.privateKey.algorithm"
    } else if !size.is_empty() && size != request.size.to_string() {
        "spec.privateKey.size"
    } else {
        return None;
    };
    because("SecretMismatch", format!("Existing private key is not up to date for spec: [{field}]"))
}

/// Compared with what was asked for; without that note (a Secret of cert-manager's) with what can be read off the
/// certificate, which a CA may have changed.
fn something_else(secret: &Secret, pair: &TlsPair, certificate: &Certificate) -> Option<Trigger> {
    let noted = secret.annotations.get(super::ASKED).filter(|_| secret.maker == Maker::Issued);
    if let Some(fields) = noted.and_then(|noted| asked::changed(noted, &certificate.request)) {
        if fields.is_empty() {
            return None;
        }
        let fields = fields.join(" ");
        let message = format!("Fields on existing CertificateRequest resource not up to date: [{fields}]");
        return because("RequestChanged", message);
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
    let fields: Vec<&str> = [
        ("spec.dnsNames", pair.dns_names != names && pair.dns_names != with_common),
        ("spec.commonName", !common_name),
        ("spec.isCA", pair.is_ca != certificate.request.is_ca),
    ]
    .into_iter()
    .filter_map(|(field, wrong)| wrong.then_some(field))
    .collect();
    if fields.is_empty() {
        return None;
    }
    let fields = fields.join(" ");
    let message =
        format!("Issuing certificate as Existing issued Secret is not up to date for spec: [{fields}]");
    because("SecretMismatch", message)
}

/// Renewal by time.
pub(super) fn renewing(at: Instant) -> Trigger {
    // Go's way to print a time, which cert-manager shows.
    let at = at.timestamp().strftime("%Y-%m-%d %H:%M:%S +0000 UTC");
    ("Renewing".into(), format!("Renewing certificate as renewal was scheduled at {at}"))
}

/// Renewal by command or annotation, in the words of `cmctl renew`.
pub(super) fn asked_for() -> Trigger {
    ("ManuallyTriggered".into(), "Certificate re-issuance manually triggered".into())
}

/// The Ready condition of a certificate that has expired.
pub(super) fn expired(at: Instant) -> Trigger {
    let at = at.timestamp().strftime("%a, %d %b %Y %H:%M:%S UTC");
    ("Expired".into(), format!("Certificate expired on {at}"))
}
