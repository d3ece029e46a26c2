//! What a certificate was asked to be, kept beside it. A CertificateRequest does not outlive a restart, and not everything
//! that a user writes can be read off the certificate: a CA may shorten its life, drop usages or add names.

use portolan_model::{Name, input::CertificateSpec};
use serde::{Deserialize, Serialize};

/// The fields of a Certificate's `spec` that ask for another certificate when they change, as cert-manager compares them
/// with the CertificateRequest (`RequestMatchesSpec`). The key is compared with the key itself.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    common_name: String,
    dns_names: Vec<Name>,
    ip_addresses: Vec<Name>,
    organizations: Vec<String>,
    /// Milliseconds.
    duration: i64,
    #[serde(rename = "isCA")]
    is_ca: bool,
    usages: Vec<Name>,
}

impl Asked {
    fn of(spec: &CertificateSpec) -> Self {
        Self {
            common_name: spec.common_name.clone(),
            dns_names: sorted(&spec.dns_names),
            ip_addresses: sorted(&spec.ip_addresses),
            organizations: sorted(&spec.organizations),
            duration: spec.duration,
            is_ca: spec.is_ca,
            usages: sorted(&spec.usages),
        }
    }
}

fn sorted<T: Ord + Clone>(items: &[T]) -> Vec<T> {
    let mut items = items.to_vec();
    items.sort();
    items.dedup();
    items
}

/// For the Secret's annotation.
pub(super) fn note(spec: &CertificateSpec) -> String {
    serde_json::to_string(&Asked::of(spec)).unwrap_or_default()
}

/// Fields of the Certificate that ask for something else than was noted; `None` if the note cannot be read.
pub(super) fn changed(noted: &str, spec: &CertificateSpec) -> Option<Vec<&'static str>> {
    let (old, new): (Asked, Asked) = (serde_json::from_str(noted).ok()?, Asked::of(spec));
    let fields = [
        ("spec.ipAddresses", old.ip_addresses != new.ip_addresses),
        ("spec.dnsNames", old.dns_names != new.dns_names),
        ("spec.commonName", old.common_name != new.common_name),
        ("spec.subject.organizations", old.organizations != new.organizations),
        ("spec.isCA", old.is_ca != new.is_ca),
        ("spec.usages", old.usages != new.usages),
        ("spec.duration", old.duration != new.duration),
    ];
    Some(fields.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| field).collect())
}
