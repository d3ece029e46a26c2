//! A private CA for one purpose: the TLS under xDS in a cluster. Kept in a Secret that all replicas share; each signs a certificate of its
//! own with it.
//!
//! ```text
//!  current ───────────signs──────────────►│ goes on being trusted until it ends
//!         next: made, trusted ──OVERLAP──►│ signs
//! ```
//!
//! A successor is trusted for [`OVERLAP`] before it signs anything: by then every Envoy has read it. [`Kept::due`] says what the Secret
//! should hold at an instant; nothing in here waits or reads a clock.

mod accept;

use std::{collections::BTreeMap, time::Duration};

use portolan_model::{
    Instant, Name, Redacted,
    certificate::{KeyEncoding, KeyKind},
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose,
    SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::parse_x509_certificate;

use crate::issue::{IssueError, PrivateKey, pem, serial, set_validity};

pub use accept::{Shown, accept};

/// How long a CA lasts.
pub const LIFETIME: Duration = Duration::from_hours(365 * 24);
/// When its successor is made: this long before its end.
pub const AHEAD: Duration = Duration::from_hours(120 * 24);
/// How long a successor is trusted before it signs: the kubelet brings a changed ConfigMap within minutes.
pub const OVERLAP: Duration = Duration::from_hours(24);
/// How long a server's certificate lasts; half of it before its end there is another.
pub const LEAF: Duration = Duration::from_hours(7 * 24);
/// Certificates begin this much before they are made, for clocks that are behind.
const BACKDATE: Duration = Duration::from_hours(1);

const CURRENT: [&str; 2] = ["tls.crt", "tls.key"];
const NEXT: [&str; 2] = ["next.crt", "next.key"];
const TRUSTED: &str = "ca.crt";

/// Why what is kept is no CA. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// A key is missing or is not what it should be.
    #[error("{0} is missing, damaged or no CA's")]
    Field(&'static str),
    /// Key and certificate are of two.
    #[error("{0} does not belong to its key")]
    Mismatch(&'static str),
}

/// A certificate that signs, and its key.
struct Signer {
    certificate: CertificateDer<'static>,
    key: PrivateKey,
}

/// What the Secret holds.
pub struct Kept {
    current: Signer,
    next: Option<Signer>,
    /// What is trusted: these two, and those before them that have not ended.
    trusted: Vec<CertificateDer<'static>>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ends = self.trusted.iter().map(ends).collect::<Vec<_>>();
        f.debug_struct("Kept")
            .field("next", &self.next.is_some())
            .field("ends", &ends)
            .finish_non_exhaustive()
    }
}

/// A certificate for the server, with its key.
pub struct Leaf {
    /// The chain to show: the certificate alone, as its issuer is what is trusted.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKey,
    /// When another is due.
    pub renewal: Instant,
}

impl Kept {
    /// A new CA.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate(now: Instant) -> Result<Self, IssueError> {
        let current = Signer::generate(now)?;
        let trusted = vec![current.certificate.clone()];
        Ok(Self { current, next: None, trusted })
    }

    /// Reads the data of the Secret.
    ///
    /// # Errors
    /// [`KeptError`] says which part is wrong.
    pub fn read(data: &BTreeMap<Name, Redacted>) -> Result<Self, KeptError> {
        let current = Signer::read(data, CURRENT)?.ok_or(KeptError::Field(CURRENT[0]))?;
        let next = Signer::read(data, NEXT)?;
        let trusted = data.get(TRUSTED).ok_or(KeptError::Field(TRUSTED))?;
        let trusted = CertificateDer::pem_slice_iter(trusted.expose()).collect::<Result<Vec<_>, _>>();
        let trusted = trusted.map_err(|_| KeptError::Field(TRUSTED))?;
        if !trusted.contains(&current.certificate) {
            return Err(KeptError::Field(TRUSTED));
        }
        Ok(Self { current, next, trusted })
    }

    /// The data of the Secret.
    ///
    /// # Errors
    /// When a key cannot be written.
    pub fn write(&self) -> Result<BTreeMap<Name, Redacted>, IssueError> {
        let mut data = self.current.write(CURRENT)?;
        if let Some(next) = &self.next {
            data.extend(next.write(NEXT)?);
        }
        data.insert(TRUSTED.into(), Redacted::new(self.bundle().into_bytes()));
        Ok(data)
    }

    /// What Envoys trust, PEM. Public.
    pub fn bundle(&self) -> String {
        self.trusted.iter().map(|certificate| pem(certificate)).collect()
    }

    /// What is to be kept instead; `None` while this is right.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn due(&self, now: Instant) -> Result<Option<Self>, IssueError> {
        let live = |all: &[CertificateDer<'static>]| -> Vec<CertificateDer<'static>> {
            all.iter().filter(|one| ends(one) > now).cloned().collect()
        };
        if ends(&self.current.certificate) <= now && self.next.is_none() {
            // Nobody was there for so long that nothing of it is trusted by anybody.
            return Self::generate(now).map(Some);
        }
        match &self.next {
            Some(next) if made(&next.certificate).plus_millis(millis(OVERLAP)) <= now => {
                let current = next.copy()?;
                Ok(Some(Self { current, next: None, trusted: live(&self.trusted) }))
            }
            None if ends(&self.current.certificate).plus_millis(-millis(AHEAD)) <= now => {
                let next = Signer::generate(now)?;
                let mut trusted = live(&self.trusted);
                trusted.push(next.certificate.clone());
                Ok(Some(Self { current: self.current.copy()?, next: Some(next), trusted }))
            }
            _ => Ok(None),
        }
    }

    /// Signs a server's certificate for these names.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate, or the system has no randomness.
    pub fn leaf(&self, names: &[String], now: Instant) -> Result<Leaf, IssueError> {
        let end = now.plus_millis(millis(LEAF)).min(ends(&self.current.certificate));
        let mut params = params(now, end)?;
        for name in names {
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into()?),
            });
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = PrivateKey::generate(KeyKind::P256)?;
        let issuer = Issuer::from_ca_cert_der(&self.current.certificate, self.current.key.pair())?;
        let certificate = params.signed_by(key.pair(), &issuer)?.der().clone();
        let renewal = now.plus_millis((end.0 - now.0) / 2);
        Ok(Leaf { chain: vec![certificate], key, renewal })
    }

    /// Tells whether a certificate was signed by what signs now.
    pub fn signs_as(&self, other: &Self) -> bool {
        self.current.certificate == other.current.certificate
    }
}

impl Signer {
    fn generate(now: Instant) -> Result<Self, IssueError> {
        let key = PrivateKey::generate(KeyKind::P256)?;
        let mut params = params(now, now.plus_millis(millis(LIFETIME)))?;
        // Two stand in one bundle: their names must differ.
        let mark = Redacted::new(key.pair().public_key_raw().to_vec()).fingerprint();
        params.distinguished_name.push(DnType::CommonName, format!("Portolan xDS {mark}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(key.pair())?.der().clone();
        Ok(Self { certificate, key })
    }

    fn read(
        data: &BTreeMap<Name, Redacted>,
        [certificate, key]: [&'static str; 2],
    ) -> Result<Option<Self>, KeptError> {
        let Some(text) = data.get(certificate) else { return Ok(None) };
        let wrong = KeptError::Field(certificate);
        let Ok(der) = CertificateDer::from_pem_slice(text.expose()) else { return Err(wrong) };
        let Some(pair) = data.get(key).and_then(|text| PrivateKey::from_pem(text).ok()) else {
            return Err(KeptError::Field(key));
        };
        let Ok((_, parsed)) = parse_x509_certificate(&der) else { return Err(wrong) };
        if !parsed.is_ca() {
            return Err(wrong);
        }
        if parsed.public_key().subject_public_key.data.as_ref() != pair.pair().public_key_raw() {
            return Err(KeptError::Mismatch(certificate));
        }
        Ok(Some(Self { certificate: der, key: pair }))
    }

    fn write(&self, [certificate, key]: [&str; 2]) -> Result<BTreeMap<Name, Redacted>, IssueError> {
        let text = Redacted::new(pem(&self.certificate).into_bytes());
        Ok([(certificate.into(), text), (key.into(), self.key.to_pem(KeyEncoding::Pkcs8)?)].into())
    }

    fn copy(&self) -> Result<Self, IssueError> {
        let key = PrivateKey::from_pem(&self.key.to_pem(KeyEncoding::Pkcs8)?)?;
        Ok(Self { certificate: self.certificate.clone(), key })
    }
}

fn params(now: Instant, until: Instant) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(&serial()?));
    set_validity(&mut params, now.plus_millis(-millis(BACKDATE)), until);
    Ok(params)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// When a certificate ends; what cannot be read has ended.
fn ends(certificate: &CertificateDer<'_>) -> Instant {
    let parsed = parse_x509_certificate(certificate);
    parsed.map_or(Instant(0), |(_, parsed)| {
        Instant(parsed.validity().not_after.timestamp().saturating_mul(1000))
    })
}

/// When it was made.
fn made(certificate: &CertificateDer<'_>) -> Instant {
    let parsed = parse_x509_certificate(certificate);
    let begin = parsed.map_or(i64::MAX / 2, |(_, parsed)| parsed.validity().not_before.timestamp() * 1000);
    Instant(begin).plus_millis(millis(BACKDATE))
}

#[cfg(test)]
mod tests;
