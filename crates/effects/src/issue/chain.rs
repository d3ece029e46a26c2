//! The chain above a certificate, in order (cert-manager `pkg/util/pki/parse_certificate_chain.go`).

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{X509Certificate, parse_x509_certificate};

/// From `first` to the topmost of `known`, each once, in whatever order they stand.
///
/// # Errors
/// When one cannot be read or is no part of the chain: nobody could tell which root is meant.
pub(super) fn above<'c>(
    first: &'c CertificateDer<'static>,
    known: &'c [CertificateDer<'static>],
) -> Result<Vec<&'c CertificateDer<'static>>, String> {
    let read = |der: &'c CertificateDer<'static>| -> Result<X509Certificate<'c>, String> {
        parse_x509_certificate(der)
            .map(|(_, certificate)| certificate)
            .map_err(|_| "tls.crt is not a certificate".to_owned())
    };
    let mut chain = vec![first];
    let mut rest: Vec<&CertificateDer<'static>> = Vec::new();
    for der in known {
        if der != first && !rest.contains(&der) {
            rest.push(der);
        }
    }
    let mut top = read(first)?;
    while !rest.is_empty() {
        let mut found = None;
        for (at, der) in rest.iter().copied().enumerate() {
            let above = read(der)?;
            if above.subject() == top.issuer() && top.verify_signature(Some(above.public_key())).is_ok() {
                found = Some((at, above));
                break;
            }
        }
        let Some((at, above)) = found else {
            let names: Result<Vec<String>, String> =
                rest.iter().map(|der| read(der).map(|c| c.subject().to_string())).collect();
            return Err(format!(
                "certificate chain is malformed or broken: {} signed nothing in it",
                names?.join("; ")
            ));
        };
        chain.push(rest.remove(at));
        top = above;
    }
    Ok(chain)
}
