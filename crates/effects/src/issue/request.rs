//! Certificate signing requests.

use portolan_model::certificate::CertificateRequestParams;
use rcgen::PublicKeyData as _;

use super::{IssueError, PrivateKey, encode};

/// A PKCS#10 request as DER, signed with `key`: what an ACME server's finalize takes.
///
/// # Errors
/// When the key signs not as it is asked to.
pub fn certificate_request(
    params: &CertificateRequestParams,
    key: &PrivateKey,
) -> Result<Vec<u8>, IssueError> {
    let info = encode::request_info(params, &key.pair().subject_public_key_info());
    let (algorithm, signature) = key.sign(params.signature, &info)?;
    Ok(encode::signed(&info, &algorithm, &signature))
}

/// A request as PEM, as a CertificateRequest's `spec.request` holds it (there in base64 once more).
pub fn request_pem(der: &[u8]) -> String {
    let text = super::key::pem("CERTIFICATE REQUEST", der);
    String::from_utf8_lossy(text.expose()).into_owned()
}
