//! What a certificate was asked to be, kept beside it. A CertificateRequest does not outlive a restart, and not everything
//! that a user writes can be read off the certificate: a CA may shorten its life, drop usages or add names.

use portolan_model::{
    Name,
    input::{CertificateSpec, NameConstraints, Subject},
};
use serde::{Deserialize, Serialize};

/// The fields of a Certificate's `spec` that ask for another certificate when they change, as cert-manager compares them
/// with the CertificateRequest (`RequestMatchesSpec`). The key is compared with the key itself.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    common_name: String,
    dns_names: Vec<Name>,
    ip_addresses: Vec<Name>,
    // Fields that came later are left out where they are empty: a note without them says the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uris: Vec<Name>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    emails: Vec<Name>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_names: Vec<(Name, String)>,
    organizations: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    subject: Subject,
    #[serde(skip_serializing_if = "String::is_empty")]
    literal_subject: String,
    /// Milliseconds.
    duration: i64,
    #[serde(rename = "isCA")]
    is_ca: bool,
    #[serde(skip_serializing_if = "is_default")]
    name_constraints: Option<NameConstraints>,
    usages: Vec<Name>,
    #[serde(skip_serializing_if = "is_default")]
    signature_algorithm: Name,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Asked {
    fn of(spec: &CertificateSpec) -> Self {
        let written = spec.subject.clone();
        Self {
            common_name: spec.common_name.clone(),
            dns_names: sorted(&spec.dns_names),
            ip_addresses: sorted(&spec.ip_addresses),
            uris: sorted(&spec.uris),
            emails: sorted(&spec.emails),
            other_names: sorted(&spec.other_names),
            organizations: sorted(&written.organizations),
            subject: Subject {
                organizations: Vec::new(),
                countries: sorted(&written.countries),
                organizational_units: sorted(&written.organizational_units),
                localities: sorted(&written.localities),
                provinces: sorted(&written.provinces),
                street_addresses: sorted(&written.street_addresses),
                postal_codes: sorted(&written.postal_codes),
                serial_number: written.serial_number,
            },
            literal_subject: spec.literal_subject.clone(),
            duration: spec.duration,
            is_ca: spec.is_ca,
            name_constraints: spec.name_constraints.clone(),
            usages: sorted(&spec.usages),
            signature_algorithm: spec.signature_algorithm.clone(),
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
    let (was, is) = (&old.subject, &new.subject);
    let fields = [
        ("spec.ipAddresses", old.ip_addresses != new.ip_addresses),
        ("spec.uris", old.uris != new.uris),
        ("spec.emailAddresses", old.emails != new.emails),
        ("spec.dnsNames", old.dns_names != new.dns_names),
        ("spec.otherNames", old.other_names != new.other_names),
        ("spec.commonName", old.common_name != new.common_name),
        ("spec.subject.serialNumber", was.serial_number != is.serial_number),
        ("spec.subject.organizations", old.organizations != new.organizations),
        ("spec.subject.countries", was.countries != is.countries),
        ("spec.subject.localities", was.localities != is.localities),
        ("spec.subject.organizationalUnits", was.organizational_units != is.organizational_units),
        ("spec.subject.postCodes", was.postal_codes != is.postal_codes),
        ("spec.subject.provinces", was.provinces != is.provinces),
        ("spec.subject.streetAddresses", was.street_addresses != is.street_addresses),
        ("spec.literalSubject", old.literal_subject != new.literal_subject),
        ("spec.isCA", old.is_ca != new.is_ca),
        ("spec.nameConstraints", old.name_constraints != new.name_constraints),
        ("spec.usages", old.usages != new.usages),
        ("spec.duration", old.duration != new.duration),
        ("spec.signatureAlgorithm", old.signature_algorithm != new.signature_algorithm),
    ];
    Some(fields.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| field).collect())
}
