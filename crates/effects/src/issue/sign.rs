//! Certificates signed by a key that we hold: `ca` and `selfSigned` issuers.

use std::time::Duration;

use portolan_model::{Instant, Redacted, certificate::CertificateRequestParams};
use rcgen::{CertificateParams, Issuer, SerialNumber};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::parse_x509_certificate;

use super::{IssueError, PrivateKey, request::built};

/// A certificate with what belongs into the Secret beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// `tls.crt`: the leaf, then the issuer's chain without a self-signed root (RFC 8446 §4.4.2 lets it out, and so
    /// does cert-manager).
    pub chain: String,
    /// `ca.crt`: the topmost certificate known, the root where there is one.
    pub ca: String,
}

/// Signs with the key pair of a `ca` issuer. Validity begins at `now`, as cert-manager's, and ends with the CA's own at the
/// latest, since a certificate that outlives its issuer cannot be validated. Nothing is signed that would not be valid.
///
/// # Errors
/// [`IssueError::Issuer`] when the pair is unusable: not PEM, key and certificate do not fit, not a CA, expired.
pub fn sign_with_ca(
    ca_chain: &str,
    ca_key: &Redacted,
    params: &CertificateRequestParams,
    key: &PrivateKey,
    now: Instant,
) -> Result<Issued, IssueError> {
    let unusable = |why: &str| IssueError::Issuer(why.to_owned());
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(ca_chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| unusable("tls.crt is not PEM"))?;
    let first = chain.first().ok_or_else(|| unusable("tls.crt holds no certificate"))?;
    let ca_key = PrivateKey::from_pem(ca_key).map_err(|error| IssueError::Issuer(error.to_string()))?;
    let (_, ca) = parse_x509_certificate(first).map_err(|_| unusable("tls.crt is not a certificate"))?;
    if !ca.is_ca() {
        return Err(unusable("tls.crt is not a CA certificate (basicConstraints CA is not set)"));
    }
    if ca.public_key().subject_public_key.data != ca_key.pair().public_key_raw() {
        return Err(unusable("tls.key does not belong to tls.crt"));
    }
    let [begin, end] = [ca.validity().not_before, ca.validity().not_after]
        .map(|time| Instant(time.timestamp().saturating_mul(1000)));
    if begin > now {
        return Err(IssueError::Issuer(format!("its certificate is not valid before {begin}")));
    }
    // In whole seconds, as certificates have them.
    if end.seconds() <= now.seconds() {
        return Err(IssueError::Issuer(format!("its certificate expired at {end}")));
    }
    let issuer = Issuer::from_ca_cert_der(first, ca_key.pair())?;
    let mut made = numbered(params)?;
    set_validity(&mut made, now, now.plus_millis(params.duration).min(end));
    made.use_authority_key_identifier_extension = true;
    let leaf = made.signed_by(key.pair(), &issuer)?;
    let mut text = leaf.pem();
    let last = chain.len() - 1;
    for (at, der) in chain.iter().enumerate() {
        if at < last || !is_self_signed(der) {
            text.push_str(&pem(der));
        }
    }
    Ok(Issued { chain: text, ca: pem(&chain[last]) })
}

/// Signs with the certificate's own key: a `selfSigned` issuer. Its `ca.crt` is the certificate itself.
///
/// # Errors
/// [`IssueError::Build`] when a name does not fit into a certificate.
pub fn self_signed(
    params: &CertificateRequestParams,
    key: &PrivateKey,
    now: Instant,
) -> Result<Issued, IssueError> {
    let mut made = numbered(params)?;
    set_validity(&mut made, now, now.plus_millis(params.duration));
    let chain = made.self_signed(key.pair())?.pem();
    Ok(Issued { ca: chain.clone(), chain })
}

/// With a serial number of its own: by default rcgen derives it from the key, which a renewal may keep
/// (RFC 5280 §4.1.2.2: unique for each certificate of a CA, positive, at most 20 octets).
fn numbered(params: &CertificateRequestParams) -> Result<CertificateParams, IssueError> {
    let mut made = built(params)?;
    let mut serial = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| IssueError::NoRandomness)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    made.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(made)
}

/// Sets the validity, in whole seconds.
pub fn set_validity(params: &mut CertificateParams, from: Instant, until: Instant) {
    let at = |instant: Instant| {
        // Up to the year 9998: what an X.509 time of four digits can hold, less a margin.
        let seconds = u64::try_from(instant.seconds()).unwrap_or(0).min(253_370_764_800);
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    params.not_before = at(from);
    params.not_after = at(until);
}

/// A certificate as PEM.
pub fn pem(der: &[u8]) -> String {
    let label = "CERTIFICATE";
    let text = super::key::pem(label, der);
    String::from_utf8_lossy(text.expose()).into_owned()
}

/// Whether a certificate is its own issuer: same name, and its signature fits its own key.
pub(crate) fn is_self_signed(der: &[u8]) -> bool {
    parse_x509_certificate(der).is_ok_and(|(_, certificate)| {
        certificate.subject() == certificate.issuer() && certificate.verify_signature(None).is_ok()
    })
}
