//! When a certificate is renewed.

use portolan_model::{
    Instant,
    input::{Certificate, Secret, TlsPair},
};

/// cert-manager `pkg/util/pki/renewaltime.go`: `notAfter - renewBefore`, or the percentage of the actual lifetime, else
/// two thirds through it; in whole seconds, as the status shows it.
pub(super) fn renewal(pair: &TlsPair, certificate: &Certificate) -> Instant {
    let lifetime = pair.not_after.0.saturating_sub(pair.not_before.0);
    let before = match (certificate.renew_before, certificate.renew_before_percentage) {
        (Some(before), _) if before > 0 && before < lifetime => before,
        (_, Some(percent)) if percent > 0 && percent < 100 => lifetime / 100 * i64::from(percent),
        _ => lifetime / 3,
    };
    Instant(pair.not_after.plus_millis(-before).seconds().saturating_mul(1000))
}

/// When a certificate was made, so that one made after a request for renewal satisfies it.
pub(super) fn made_at(secret: Option<&Secret>, pair: &TlsPair) -> Instant {
    let noted = secret.and_then(|s| s.annotations.get(super::ISSUED_AT));
    noted.and_then(|text| Instant::parse(text)).unwrap_or(pair.not_before)
}
