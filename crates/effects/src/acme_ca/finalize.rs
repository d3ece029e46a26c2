//! Signing requests against their order (RFC 8555 §7.4).

use std::collections::BTreeSet;

use rcgen::{CertificateSigningRequestParams, DnType, DnValue, PublicKeyData as _, SanType};

use super::problem::Problem;
use crate::acme::{Algorithm, Jwk};

/// The public key of a request that is sound and asks for exactly the names of the order.
pub(super) fn checked(csr: &[u8], names: &[String], account: &Jwk) -> Result<rcgen::PublicKey, Problem> {
    // Verifies the request's own signature too.
    let request = CertificateSigningRequestParams::from_der(&csr.to_vec().into())
        .map_err(|error| Problem::bad_csr(format!("the CSR cannot be used: {error}")))?;
    let key = request.public_key;
    let algorithm = [
        (&rcgen::PKCS_RSA_SHA256, Algorithm::Rs256),
        (&rcgen::PKCS_ECDSA_P256_SHA256, Algorithm::Es256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, Algorithm::Es384),
    ]
    .into_iter()
    .find(|(kind, _)| *kind == key.algorithm())
    .map(|(_, algorithm)| algorithm);
    let unusable = "the certificate's key must be RSA of 2048 to 8192 bits, or ECDSA on P-256 or P-384";
    let public = algorithm.and_then(|algorithm| Jwk::from_raw(algorithm, key.der_bytes()));
    let public = public.ok_or_else(|| Problem::bad_public_key(unusable))?;
    if public == *account {
        return Err(Problem::bad_public_key(
            "the account's key must not be the certificate's (RFC 8555 §11.1)",
        ));
    }
    let mut asked = BTreeSet::new();
    for name in &request.params.subject_alt_names {
        match name {
            SanType::DnsName(name) => asked.insert(name.as_str().to_ascii_lowercase()),
            _ => return Err(Problem::bad_csr("the CSR asks for a name that is no DNS name")),
        };
    }
    for (kind, value) in request.params.distinguished_name.iter() {
        if *kind == DnType::CommonName {
            asked
                .insert(text(value).ok_or_else(|| Problem::bad_csr("the CSR's commonName is not readable"))?);
        }
    }
    let ordered: BTreeSet<String> = names.iter().cloned().collect();
    if asked != ordered {
        let list = |names: &BTreeSet<String>| names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
        let detail = format!("the CSR asks for [{}], the order is for [{}]", list(&asked), list(&ordered));
        return Err(Problem::bad_csr(detail));
    }
    Ok(key)
}

fn text(value: &DnValue) -> Option<String> {
    match value {
        DnValue::Utf8String(text) => Some(text.to_ascii_lowercase()),
        DnValue::PrintableString(text) => Some(text.as_str().to_ascii_lowercase()),
        DnValue::Ia5String(text) => Some(text.as_str().to_ascii_lowercase()),
        _ => None,
    }
}
