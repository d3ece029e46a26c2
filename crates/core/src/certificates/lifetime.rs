//! What is wrong with lifetimes, told before anything is issued and as long as it is so: a lifetime that the CA cuts, a CA
//! that ends before what it signed, a `renewBefore` that the lifetime leaves no room for.

use std::fmt::Write as _;

use portolan_model::{
    Instant, NamespacedName, Severity,
    input::{Certificate, Issuer, IssuerRef, IssuerSpec, Secret, TlsPair},
};

use super::{
    renewal::{Life, pause, renew_before},
    signers::secrets_of,
};
use crate::{Cx, problem, world::at};

/// Less than this part of a lifetime, or this many milliseconds, between two certificates is worth a word.
const LITTLE: (i64, i64) = (20, 300_000);

/// The CA that signs a Certificate, if a `ca` issuer does and its Secret holds one.
pub(super) struct Authority {
    pub secret: NamespacedName,
    pub end: Instant,
}

impl Authority {
    pub fn of(cx: &mut Cx<'_>, certificate: &Certificate) -> Option<Self> {
        let IssuerRef::Known(key) = &certificate.issuer else { return None };
        let issuer = cx.get::<Issuer>(key)?;
        let IssuerSpec::Ca { secret, .. } = &issuer.spec else { return None };
        let secret = NamespacedName::new(secrets_of(cx, key), secret.clone());
        let pair = cx.get::<Secret>(&secret)?.tls.as_ref()?.as_ref().ok().filter(|pair| pair.is_ca)?.clone();
        Some(Self { secret, end: pair.not_after })
    }

    fn has_ended(&self, cx: &mut Cx<'_>) -> bool {
        cx.due(at(self.end))
    }

    /// Whether another certificate would last no longer than this one. It would be made again and again as the CA's end
    /// comes nearer, and win nothing.
    pub fn gives_no_more(&self, cx: &mut Cx<'_>, pair: &TlsPair) -> bool {
        self.end <= pair.not_after && !self.has_ended(cx)
    }
}

/// Names what is wrong. `pair` is the present certificate, if it is one of this Certificate's.
pub(super) fn check(
    cx: &mut Cx<'_>,
    certificate: &Certificate,
    authority: Option<&Authority>,
    present: Option<(Life, &TlsPair)>,
) {
    if certificate.refused.is_some() {
        return; // told at the door
    }
    if let Some(authority) = authority {
        if authority.has_ended(cx) {
            return; // said where it is to sign
        }
        let (secret, end) = (&authority.secret, authority.end);
        let asked = certificate.request.duration;
        let message = if present.is_some_and(|(_, pair)| pair.not_after > end) {
            Some("before the certificate that is there: clients refuse it from then on".to_owned())
        } else if cx.due(at(end.plus_millis(-asked))) {
            Some(format!("and certificates with it, not after the {} that are asked for", words(asked)))
        } else {
            None
        };
        if let Some(message) = message {
            let message = format!("the CA in Secret {secret} ends at {end}, {message}");
            let hint = "renew the CA first, or set a duration that ends before it";
            problem(cx, certificate.object(), 317, Severity::Warning, "spec.duration", message, hint);
        }
    }
    renewal(cx, certificate, authority, present);
}

/// `renewBefore` against the lifetime that is asked for, that the CA leaves, and that the present certificate has.
fn renewal(
    cx: &mut Cx<'_>,
    certificate: &Certificate,
    authority: Option<&Authority>,
    present: Option<(Life, &TlsPair)>,
) {
    let asked = certificate.request.duration;
    let written = certificate.renew_before.filter(|before| *before > 0);
    let field = if written.is_some() { "spec.renewBefore" } else { "spec.renewBeforePercentage" };
    let hint = "leave renewBefore out, or set it to about a third of the lifetime";
    if let Some(before) = written {
        let shorter = |lifetime: &str| {
            format!(
                "renewBefore {} is not shorter than {lifetime}; certificates are renewed two thirds through their life instead",
                words(before)
            )
        };
        let message = if let Some(life) = present.map(|(life, _)| life).filter(|life| before >= life.length())
        {
            Some(shorter(&format!("the {} that the present certificate lasts", words(life.length()))))
        } else {
            let authority = authority.filter(|authority| cx.due(at(authority.end.plus_millis(-before))));
            authority.map(|ca| shorter(&format!("what is left of the CA, which ends at {}", ca.end)))
        };
        if let Some(message) = message {
            problem(cx, certificate.object(), 319, Severity::Warning, field, message, hint);
            return;
        }
    }
    let every = (asked - renew_before(asked, certificate)).max(pause(asked));
    if every < (asked / LITTLE.0).max(LITTLE.1) && every < asked / 2 {
        let message = format!(
            "a certificate that lasts {} is made every {}: {field} leaves no more",
            words(asked),
            words(every)
        );
        problem(cx, certificate.object(), 319, Severity::Warning, field, message, hint);
    }
}

/// A length of time as Kubernetes users write it: `2160h`, `1h30m`, `45s`.
pub(super) fn words(millis: i64) -> String {
    let seconds = millis / 1000;
    let parts = [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let mut text = String::new();
    for (number, unit) in parts.into_iter().filter(|(number, _)| *number > 0) {
        let _ = write!(text, "{number}{unit}");
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests;
