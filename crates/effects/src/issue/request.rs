//! Certificate signing requests.

use portolan_model::certificate::{CertificateRequestParams, Usage};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose as Extended,
    IsCa, KeyUsagePurpose, SanType,
};

use super::{IssueError, PrivateKey};

/// A PKCS#10 request as DER, signed with `key`: what an ACME server's finalize takes.
///
/// # Errors
/// When a name does not fit into a certificate.
pub fn certificate_request(
    params: &CertificateRequestParams,
    key: &PrivateKey,
) -> Result<Vec<u8>, IssueError> {
    Ok(built(params)?.serialize_request(key.pair())?.der().to_vec())
}

/// A request as PEM, as a CertificateRequest's `spec.request` holds it (there in base64 once more).
pub fn request_pem(der: &[u8]) -> String {
    let text = super::key::pem("CERTIFICATE REQUEST", der);
    String::from_utf8_lossy(text.expose()).into_owned()
}

/// Subject, names and usages in rcgen's form; validity is the signer's.
pub(super) fn built(params: &CertificateRequestParams) -> Result<CertificateParams, rcgen::Error> {
    let mut made = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    if !params.common_name.is_empty() {
        subject.push(DnType::CommonName, params.common_name.as_str());
    }
    // The builder holds one value of each type; more than one organization is refused when the params are made.
    if let Some(organization) = &params.organization {
        subject.push(DnType::OrganizationName, organization.as_str());
    }
    made.distinguished_name = subject;
    for name in &params.dns_names {
        made.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    made.subject_alt_names.extend(params.ip_addresses.iter().copied().map(SanType::IpAddress));
    // A CA that does not say so is none; a leaf that says nothing is a leaf (RFC 5280 §4.2.1.9).
    made.is_ca = if params.is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
    for usage in &params.usages {
        match purpose(*usage) {
            Purpose::Key(purpose) => made.key_usages.push(purpose),
            Purpose::Extended(purpose) => made.extended_key_usages.push(purpose),
        }
    }
    Ok(made)
}

enum Purpose {
    Key(KeyUsagePurpose),
    Extended(Extended),
}

fn purpose(usage: Usage) -> Purpose {
    let ipsec = |last| Purpose::Extended(Extended::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, last]));
    match usage {
        Usage::DigitalSignature => Purpose::Key(KeyUsagePurpose::DigitalSignature),
        Usage::ContentCommitment => Purpose::Key(KeyUsagePurpose::ContentCommitment),
        Usage::KeyEncipherment => Purpose::Key(KeyUsagePurpose::KeyEncipherment),
        Usage::KeyAgreement => Purpose::Key(KeyUsagePurpose::KeyAgreement),
        Usage::DataEncipherment => Purpose::Key(KeyUsagePurpose::DataEncipherment),
        Usage::CertSign => Purpose::Key(KeyUsagePurpose::KeyCertSign),
        Usage::CrlSign => Purpose::Key(KeyUsagePurpose::CrlSign),
        Usage::EncipherOnly => Purpose::Key(KeyUsagePurpose::EncipherOnly),
        Usage::DecipherOnly => Purpose::Key(KeyUsagePurpose::DecipherOnly),
        Usage::Any => Purpose::Extended(Extended::Any),
        Usage::ServerAuth => Purpose::Extended(Extended::ServerAuth),
        Usage::ClientAuth => Purpose::Extended(Extended::ClientAuth),
        Usage::CodeSigning => Purpose::Extended(Extended::CodeSigning),
        Usage::EmailProtection => Purpose::Extended(Extended::EmailProtection),
        Usage::IpsecEndSystem => ipsec(5),
        Usage::IpsecTunnel => ipsec(6),
        Usage::IpsecUser => ipsec(7),
        Usage::Timestamping => Purpose::Extended(Extended::TimeStamping),
        Usage::OcspSigning => Purpose::Extended(Extended::OcspSigning),
        Usage::MicrosoftSgc => Purpose::Extended(Extended::Other(vec![1, 3, 6, 1, 4, 1, 311, 10, 3, 3])),
        Usage::NetscapeSgc => Purpose::Extended(Extended::Other(vec![2, 16, 840, 1, 113_730, 4, 1])),
    }
}
