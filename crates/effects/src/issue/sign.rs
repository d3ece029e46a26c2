//! Certificates signed by a key that we hold: `ca` and `selfSigned` issuers.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use portolan_model::{
    Instant, Redacted,
    certificate::{CertificateRequestParams, KeyKind, Signature, TEMPORARY},
    input::Points,
};
use rcgen::{CertificateParams, PublicKeyData as _};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{ParsedExtension, X509Certificate, parse_x509_certificate};

use super::{IssueError, PrivateKey, chain, encode};

/// A certificate with what belongs into the Secret beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// `tls.crt`: the leaf, then the issuer's chain without a self-signed root (RFC 8446 §4.4.2 lets it out, and so
    /// does cert-manager).
    pub chain: String,
    /// `ca.crt`: the topmost certificate known, the root where there is one.
    pub ca: String,
}

/// The key pair of a `ca` issuer, as its Secret holds it.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    /// `tls.crt`.
    pub chain: &'a Redacted,
    /// `tls.key`.
    pub key: &'a Redacted,
    /// `ca.crt`: a root above the chain.
    pub root: Option<&'a Redacted>,
    /// What its issuer writes into what it signs.
    pub points: &'a Points,
}

/// Signs with the key pair of a `ca` issuer. Validity begins at `now`, as cert-manager's, and ends with the CA's own at the
/// latest, since a certificate that outlives its issuer cannot be validated. Nothing is signed that would not be valid.
///
/// # Errors
/// [`IssueError::Issuer`] when the pair is unusable: not PEM, key and certificate do not fit, not a CA, expired, or with
/// certificates that are no part of its chain.
pub fn sign_with_ca(
    authority: Authority<'_>,
    params: &CertificateRequestParams,
    key: &PrivateKey,
    now: Instant,
) -> Result<Issued, IssueError> {
    let unusable = |why: &str| IssueError::Issuer(why.to_owned());
    let read = |pem: &Redacted, what: &str| -> Result<Vec<CertificateDer<'static>>, IssueError> {
        CertificateDer::pem_slice_iter(pem.expose())
            .collect::<Result<_, _>>()
            .map_err(|_| IssueError::Issuer(format!("{what} is not PEM")))
    };
    let mut known = read(authority.chain, "tls.crt")?;
    let first = known.first().ok_or_else(|| unusable("tls.crt holds no certificate"))?.clone();
    if let Some(root) = authority.root {
        known.extend(read(root, "ca.crt")?);
    }
    let above = chain::above(&first, &known).map_err(IssueError::Issuer)?;
    let ca_key =
        PrivateKey::from_pem(authority.key).map_err(|error| IssueError::Issuer(error.to_string()))?;
    let (_, ca) = parse_x509_certificate(&first).map_err(|_| unusable("tls.crt is not a certificate"))?;
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
    let id = authority_key(&ca);
    let leaf = make(
        params,
        key,
        &ca_key,
        &encode::Signing {
            serial: &serial()?,
            issuer: ca.subject().as_raw(),
            authority_key: Some(&id),
            subject_key: &key_id(&key.pair().subject_public_key_info()),
            validity: (now, now.plus_millis(params.duration).min(end)),
            points: authority.points,
        },
    )?;
    let last = above.len() - 1;
    let mut text = pem(&leaf);
    for (at, der) in above.iter().enumerate() {
        if at < last || !is_self_signed(der) {
            text.push_str(&pem(der));
        }
    }
    Ok(Issued { chain: text, ca: pem(above[last]) })
}

/// Signs with the certificate's own key: a `selfSigned` issuer. Its `ca.crt` is the certificate itself.
///
/// # Errors
/// When there is no randomness.
pub fn self_signed(
    params: &CertificateRequestParams,
    key: &PrivateKey,
    points: &Points,
    now: Instant,
) -> Result<Issued, IssueError> {
    let der = make(
        params,
        key,
        key,
        &encode::Signing {
            serial: &serial()?,
            issuer: &encode::name(&params.subject),
            authority_key: None,
            subject_key: &key_id(&key.pair().subject_public_key_info()),
            validity: (now, now.plus_millis(params.duration)),
            points,
        },
    )?;
    let chain = pem(&der);
    Ok(Issued { ca: chain.clone(), chain })
}

/// Signs with a CA that is forgotten at once, as cert-manager does for the time until the issuer has signed
/// (`GenerateLocallySignedTemporaryCertificate`): a chain that nobody can verify. There is no `ca.crt`.
///
/// # Errors
/// When there is no randomness.
pub fn temporary(
    params: &CertificateRequestParams,
    key: &PrivateKey,
    now: Instant,
) -> Result<Issued, IssueError> {
    let ca = PrivateKey::generate(KeyKind::P521)?;
    let issuer = CertificateRequestParams::default().named(TEMPORARY.0);
    let der = make(
        &params.clone().temporary(),
        key,
        &ca,
        &encode::Signing {
            serial: &serial()?,
            issuer: &encode::name(&issuer.subject),
            authority_key: Some(&key_id(&ca.pair().subject_public_key_info())),
            subject_key: &key_id(&key.pair().subject_public_key_info()),
            validity: (now, now.plus_millis(params.duration)),
            points: &Points::default(),
        },
    )?;
    Ok(Issued { chain: pem(&der), ca: String::new() })
}

fn make(
    params: &CertificateRequestParams,
    key: &PrivateKey,
    signer: &PrivateKey,
    signing: &encode::Signing<'_>,
) -> Result<Vec<u8>, IssueError> {
    // As cert-manager: `signatureAlgorithm` is of the request, the certificate is signed as the signer's key is used.
    let algorithm = signer.algorithm(Signature::Usual)?;
    let public = key.pair().subject_public_key_info();
    let content = encode::to_be_signed(params, signing, (&algorithm, &public));
    let (algorithm, signature) = signer.sign(Signature::Usual, &content)?;
    Ok(encode::signed(&content, &algorithm, &signature))
}

/// How the CA's own certificate identifies its key; else by the key itself.
fn authority_key(ca: &X509Certificate<'_>) -> Vec<u8> {
    let known = ca.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    });
    known.unwrap_or_else(|| key_id(ca.public_key().raw))
}

/// A key's identifier: 160 bits of its SHA-256 (RFC 7093 §2, method 1 over the whole structure).
fn key_id(public: &[u8]) -> Vec<u8> {
    digest(&SHA256, public).as_ref()[..20].to_vec()
}

/// A serial number of its own (RFC 5280 §4.1.2.2: unique for each certificate of a CA, positive, at most 20 octets).
/// A serial number of 127 random bits (RFC 5280 §4.1.2.2 wants it positive).
pub(crate) fn serial() -> Result<[u8; 16], IssueError> {
    let mut serial = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| IssueError::NoRandomness)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
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
