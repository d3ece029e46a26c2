//! When a certificate is renewed.

use portolan_model::{
    Instant,
    input::{Certificate, Maker, Secret, TlsPair},
};

/// No certificate is renewed sooner after it was made, in milliseconds.
const SOONEST: i64 = 60_000;

/// The life of a certificate from when it was made. `notBefore` does not tell: CAs date back, some by an hour.
#[derive(Clone, Copy)]
pub(super) struct Life {
    pub made: Instant,
    pub end: Instant,
}

impl Life {
    /// Of the certificate in the Secret.
    pub fn of(secret: Option<&Secret>, pair: &TlsPair) -> Self {
        let noted = secret.filter(|secret| secret.maker == Maker::Issued);
        let noted = noted.and_then(|secret| secret.annotations.get(super::ISSUED_AT));
        let noted = noted.and_then(|text| Instant::parse(text));
        // A note that says something else than the certificate is of another one.
        let made = noted.filter(|at| (pair.not_before..=pair.not_after).contains(at));
        Self { made: made.unwrap_or(pair.not_before), end: pair.not_after }
    }

    /// Milliseconds.
    pub fn length(self) -> i64 {
        self.end.0.saturating_sub(self.made.0).max(0)
    }

    /// cert-manager `pkg/util/pki/renewaltime.go`, with a floor that it lacks: `notAfter - renewBefore`, or the percentage of
    /// the actual lifetime, else two thirds through it; and at least a minute and 1 % of the lifetime after it was made, so
    /// that no value makes certificates without end. In whole
    /// seconds, as the status shows it.
    pub fn renewal(self, certificate: &Certificate) -> Instant {
        let due = self.due(certificate);
        self.in_window(certificate, due).unwrap_or(due)
    }

    /// Without windows.
    fn due(self, certificate: &Certificate) -> Instant {
        let wanted = self.end.plus_millis(-renew_before(self.length(), certificate));
        let renewal = wanted.max(self.made.plus_millis(pause(self.length())));
        Instant(renewal.seconds().saturating_mul(1000))
    }

    /// When it is due, if that is in a window, else when the next one begins. `None` if none does before the certificate ends: it
    /// is renewed all the same. (cert-manager waits for one that begins after the end, by as much as windows last.)
    fn in_window(self, certificate: &Certificate, due: Instant) -> Option<Instant> {
        if certificate.windows.iter().any(|window| window.hold(due)) {
            return Some(due);
        }
        let next = certificate.windows.iter().filter_map(|window| window.next(due)).min();
        next.filter(|next| *next < self.end)
    }

    /// Whether it has windows, and none of them comes in time.
    pub fn misses_windows(self, certificate: &Certificate) -> bool {
        let wanted = !certificate.windows.is_empty() && !certificate.renewal_disabled;
        wanted && self.in_window(certificate, self.due(certificate)).is_none()
    }
}

/// How long after it was made a certificate of this lifetime is not renewed, in milliseconds.
pub(super) fn pause(lifetime: i64) -> i64 {
    // Whole seconds, rounded up: the status has no smaller ones.
    (lifetime / 100).max(SOONEST).saturating_add(999) / 1000 * 1000
}

/// How long before its end a certificate of this lifetime is to be renewed, in milliseconds.
pub(super) fn renew_before(lifetime: i64, certificate: &Certificate) -> i64 {
    match (certificate.renew_before, certificate.renew_before_percentage) {
        (Some(before), _) if before > 0 && before < lifetime => before,
        (_, Some(percent)) if percent > 0 && percent < 100 => {
            // Wider: the years of a root times a hundred.
            i64::try_from(i128::from(lifetime) * i128::from(percent) / 100).unwrap_or(lifetime)
        }
        _ => lifetime / 3,
    }
}
