//! Root and intermediate, and what they sign.

use std::net::IpAddr;

use portolan_core::certificates::rows::DEVELOPMENT_CA;
use portolan_model::{
    Instant, Redacted,
    certificate::{KeyEncoding, KeyKind},
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose,
    PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::parse_x509_certificate;

use crate::issue::{IssueError, KeyError, PrivateKey, pem, set_validity};

/// How long the CA lasts, in milliseconds: ten years.
const LIFETIME: i64 = 3_652 * 86_400_000;
/// Certificates begin this much before they are made, in milliseconds, for clocks that are behind.
const BACKDATE: i64 = 60_000;

/// Why stored material is no development CA. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum DevCaError {
    /// Something is missing.
    #[error(
        "the development CA's file must hold its root, its intermediate and the intermediate's key as PEM"
    )]
    Incomplete,
    /// The intermediate's key cannot be used.
    #[error("the development CA: {0}")]
    Key(#[from] KeyError),
    /// The parts do not belong together.
    #[error("the development CA's parts do not fit together: {0}")]
    Mismatch(&'static str),
}

/// A development CA: a root that everyone may trust, and an intermediate that signs.
pub struct DevCa {
    root: CertificateDer<'static>,
    intermediate: CertificateDer<'static>,
    key: PrivateKey,
    not_after: Instant,
}

impl std::fmt::Debug for DevCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevCa").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl DevCa {
    /// Makes a new CA that lasts ten years. The root's key signs the intermediate and is thrown away, so the stored CA can
    /// be replaced but never extended.
    ///
    /// # Errors
    /// [`IssueError`] when the system has no randomness.
    pub fn generate(now: Instant) -> Result<Self, IssueError> {
        let (root_key, key) = (PrivateKey::generate(KeyKind::P256)?, PrivateKey::generate(KeyKind::P256)?);
        // Several CAs may stand in one trust store side by side: their names must differ.
        let mark = Redacted::new(root_key.pair().public_key_raw().to_vec()).fingerprint();
        let ca = |role: &str, constraint| -> Result<CertificateParams, IssueError> {
            let mut params = base(now, now.plus_millis(LIFETIME))?;
            params.distinguished_name.push(DnType::OrganizationName, "Portolan development CA");
            params.distinguished_name.push(DnType::CommonName, format!("{DEVELOPMENT_CA}{role} {mark}"));
            params.is_ca = IsCa::Ca(constraint);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            Ok(params)
        };
        let root = ca("root", BasicConstraints::Unconstrained)?;
        let root_cert = root.self_signed(root_key.pair())?;
        let mut intermediate = ca("intermediate", BasicConstraints::Constrained(0))?;
        intermediate.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_params(&root, root_key.pair());
        let intermediate = intermediate.signed_by(key.pair(), &issuer)?;
        let not_after = now.plus_millis(LIFETIME);
        Ok(Self { root: root_cert.der().clone(), intermediate: intermediate.der().clone(), key, not_after })
    }

    /// Reads what [`Self::to_pem`] wrote.
    ///
    /// # Errors
    /// [`DevCaError`].
    pub fn from_pem(text: &Redacted) -> Result<Self, DevCaError> {
        let found = CertificateDer::pem_slice_iter(text.expose()).collect::<Result<Vec<_>, _>>();
        let [root, intermediate] = <[_; 2]>::try_from(found.map_err(|_| DevCaError::Incomplete)?)
            .map_err(|_| DevCaError::Incomplete)?;
        let key = PrivateKey::from_pem(text)?;
        let not_after = {
            let parsed = |der| parse_x509_certificate(der).map(|(_, parsed)| parsed);
            let (top, middle) = (parsed(&root), parsed(&intermediate));
            let (Ok(top), Ok(middle)) = (top, middle) else { return Err(DevCaError::Incomplete) };
            let fits = |good: bool, why| if good { Ok(()) } else { Err(DevCaError::Mismatch(why)) };
            fits(top.is_ca() && middle.is_ca(), "one of the certificates is not a CA's")?;
            fits(
                middle.verify_signature(Some(top.public_key())).is_ok(),
                "the root has not signed the intermediate",
            )?;
            let public = middle.public_key().subject_public_key.data.as_ref();
            fits(public == key.pair().public_key_raw(), "the key is not the intermediate's")?;
            let end = |validity: &x509_parser::certificate::Validity| validity.not_after.timestamp();
            Instant(end(top.validity()).min(end(middle.validity())).saturating_mul(1000))
        };
        Ok(Self { root, intermediate, key, not_after })
    }

    /// Everything that lasts, as PEM: root, intermediate, the intermediate's key. Secret.
    ///
    /// # Errors
    /// [`KeyError`] when the key cannot be written.
    pub fn to_pem(&self) -> Result<Redacted, KeyError> {
        let key = self.key.to_pem(KeyEncoding::Pkcs8)?;
        let public = [pem(&self.root), pem(&self.intermediate)].concat();
        // Sized before: a buffer that grows would leave copies behind.
        let mut text = Vec::with_capacity(public.len() + key.len());
        text.extend_from_slice(public.as_bytes());
        text.extend_from_slice(key.expose());
        Ok(Redacted::new(text))
    }

    /// The root's certificate, to be trusted. Public.
    pub fn root_pem(&self) -> String {
        pem(&self.root)
    }

    /// When it expires. Nothing that it signs lasts longer.
    pub fn not_after(&self) -> Instant {
        self.not_after
    }

    /// Signs a server certificate for `names`. The chain as PEM: leaf, intermediate.
    pub(super) fn issue(
        &self,
        names: &[String],
        key: &impl PublicKeyData,
        now: Instant,
        lifetime: i64,
    ) -> Result<String, IssueError> {
        let mut params = base(now, now.plus_millis(lifetime).min(self.not_after))?;
        for name in names {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        Ok([pem(&self.leaf(params, key)?), pem(&self.intermediate)].concat())
    }

    /// A key and a chain for the ACME server's own TLS.
    pub(super) fn server(
        &self,
        addresses: &[IpAddr],
        now: Instant,
    ) -> Result<(PrivateKey, Vec<CertificateDer<'static>>), IssueError> {
        let key = PrivateKey::generate(KeyKind::P256)?;
        let mut params = base(now, self.not_after)?;
        params.subject_alt_names.push(SanType::DnsName("localhost".try_into()?));
        params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        let leaf = self.leaf(params, key.pair())?;
        Ok((key, vec![leaf, self.intermediate.clone()]))
    }

    fn leaf(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, IssueError> {
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if key.algorithm() == &rcgen::PKCS_RSA_SHA256 {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        let issuer = Issuer::from_ca_cert_der(&self.intermediate, self.key.pair())?;
        Ok(params.signed_by(key, &issuer)?.der().clone())
    }
}

/// Validity and a serial number of 127 random bits (RFC 5280 §4.1.2.2 wants it positive).
fn base(now: Instant, until: Instant) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let mut serial = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| KeyError::Generate)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    set_validity(&mut params, now.plus_millis(-BACKDATE), until);
    Ok(params)
}
