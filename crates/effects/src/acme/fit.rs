//! Whether what came back is what was asked for, and how to begin again when it is not.

use portolan_core::certificates::acme::OrderState;
use portolan_model::Instant;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{
    FromDer as _, GeneralName, ParsedExtension, X509CertificationRequest, parse_x509_certificate,
};

/// Checks a downloaded chain against the request: the same key, every name, and not expired. A server's order that was finalized
/// before a restart holds a certificate for the key of then, which may be gone.
///
/// # Errors
/// One sentence that begins with what is wrong.
pub(super) fn check(chain: &str, csr: &[u8], now: Instant) -> Result<(), String> {
    let leaf = CertificateDer::from_pem_slice(chain.as_bytes()).map_err(|_| "holds no certificate")?;
    let (_, leaf) =
        parse_x509_certificate(&leaf).map_err(|_| "begins with something that is no certificate")?;
    let (_, request) =
        X509CertificationRequest::from_der(csr).map_err(|_| "cannot be compared: the request is damaged")?;
    if leaf.public_key().raw != request.certification_request_info.subject_pki.raw {
        return Err("is for another key than the request's".to_owned());
    }
    let end = Instant(leaf.validity().not_after.timestamp().saturating_mul(1000));
    if end.seconds() <= now.seconds() {
        return Err(format!("has expired on {end} already"));
    }
    let has = leaf.subject_alternative_name().ok().flatten();
    let has = has.map(|extension| dns_names(&extension.value.general_names)).unwrap_or_default();
    for extension in request.requested_extensions().into_iter().flatten() {
        if let ParsedExtension::SubjectAlternativeName(wanted) = extension
            && let Some(name) = dns_names(&wanted.general_names).into_iter().find(|name| !has.contains(name))
        {
            return Err(format!("does not hold {name}"));
        }
    }
    Ok(())
}

fn dns_names(names: &[GeneralName<'_>]) -> Vec<String> {
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    names.iter().filter_map(name).collect()
}

/// The same request from the start, with a new order. What was presented stays noted, so that it is cleaned up.
pub(super) fn afresh(old: OrderState, thumbprint: String) -> OrderState {
    let same_key = old.wanted.thumbprint == thumbprint;
    let mut wanted = old.wanted;
    wanted.thumbprint = thumbprint;
    let mut new = OrderState::new(wanted, old.limits);
    new.directory = old.directory;
    new.account = old.account.filter(|_| same_key);
    new.presented = old.presented;
    // Late answers to the old authorizations must not meet the new ones.
    new.first = old.first + old.authorizations.len();
    new
}
