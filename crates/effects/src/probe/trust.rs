//! Which certificates of a server are believed.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};

/// As `webpki` verifies; and a certificate that is trusted itself although it calls itself a CA, as self-signed ones mostly do (`openssl req
/// -x509`): `webpki` takes no CA for a server, while OpenSSL and Go take one that stands among the roots.
#[derive(Debug)]
pub struct Trust {
    chains: Arc<WebPkiServerVerifier>,
    themselves: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Trusts the certificates in PEM.
    ///
    /// # Errors
    /// One sentence: what of them cannot be used.
    pub fn new(pem: &[u8], provider: &Arc<CryptoProvider>) -> Result<Arc<Self>, String> {
        let mut roots = RootCertStore::empty();
        let mut themselves = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| "the CA is not PEM".to_owned())?;
            themselves.push(certificate.clone());
            roots.add(certificate).map_err(|e| format!("the CA cannot be used: {e}"))?;
        }
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let chains = chains.build().map_err(|e| format!("the CA cannot be used: {e}"))?;
        Ok(Arc::new(Self { chains, themselves }))
    }
}

/// Whether it is valid now; what cannot be read is not.
fn is_current(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let read = x509_parser::parse_x509_certificate(certificate);
    let (_, read) = read.map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let (now, validity) = (i64::try_from(now.as_secs()).unwrap_or(i64::MAX), read.validity());
    if now < validity.not_before.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    if now > validity.not_after.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    Ok(())
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(Error::InvalidCertificate(CertificateError::Other(why)))
                if why.to_string().contains("CaUsedAsEndEntity") && self.themselves.contains(end_entity) =>
            {
                is_current(end_entity, now)?;
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    #[test]
    fn a_trusted_certificate_that_calls_itself_a_ca_is_one_of_a_server() {
        let made = |name: &str| {
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2030, 1, 1);
            params.self_signed(&KeyPair::generate().unwrap()).unwrap()
        };
        let (own, other) = (made("a.example.com"), made("a.example.com"));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trust = Trust::new(own.pem().as_bytes(), &provider).unwrap();
        let verified = |certificate: &CertificateDer<'_>, name: &'static str, year: u64| {
            let now = UnixTime::since_unix_epoch(Duration::from_hours((year - 1970) * 8766));
            trust.verify_server_cert(certificate, &[], &ServerName::try_from(name).unwrap(), &[], now).is_ok()
        };
        assert!(verified(own.der(), "a.example.com", 2026));
        assert!(!verified(own.der(), "b.example.com", 2026), "another name");
        assert!(!verified(own.der(), "a.example.com", 2031), "expired");
        assert!(!verified(own.der(), "a.example.com", 2019), "not valid yet");
        assert!(!verified(other.der(), "a.example.com", 2026), "it is not trusted");
    }
}
