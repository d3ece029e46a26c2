//! Names of CertificateRequests, Orders and Challenges, made as cert-manager makes them (`pkg/api/util/names.go`), so that
//! what people look for is called as they expect.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use portolan_model::NamespacedName;
use serde::Serialize;

use super::rows::IssueWanted;

/// Longest Certificate name that a CertificateRequest's name takes over whole.
const LONGEST: usize = 233;
/// Longest part of an Order's or Challenge's name before its hash.
const PREFIX: usize = 52;

/// `<certificate>-<revision>`; a name that is too long is cut and made unique by its SHA-256.
pub fn request(certificate: &str, revision: u32) -> String {
    if certificate.len() <= LONGEST {
        return format!("{certificate}-{revision}");
    }
    let hash = hex(certificate);
    format!("{}-{hash}-{revision}", shortened(certificate, LONGEST - hash.len() - 1))
}

/// Name of the Secret in which an installation keeps the order of a Certificate: both may be too long to be part of it.
pub fn kept_order(installation: &str, certificate: &NamespacedName) -> String {
    format!("{}-order-{}", shortened(installation, LONGEST - 64), &hex(&certificate.to_string())[..40])
}

/// SHA-256 of a text.
fn hex(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `<request>-<hash of the order's spec>`.
pub(super) fn order(request: &str, wanted: &IssueWanted) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Spec<'a> {
        request: (),
        issuer_ref: IssuerRef<'a>,
        #[serde(skip_serializing_if = "str::is_empty")]
        common_name: &'a str,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        dns_names: &'a [String],
    }
    #[derive(Serialize)]
    struct Long<'a> {
        #[serde(rename = "certificateRequestName")]
        name: &'a str,
        spec: Spec<'a>,
    }
    let spec = Spec {
        request: (),
        issuer_ref: IssuerRef::of(wanted),
        common_name: &wanted.request.common_name,
        dns_names: &wanted.request.dns_names,
    };
    if request.len() >= PREFIX {
        hashed(request, &Long { name: request, spec })
    } else {
        hashed(request, &spec)
    }
}

/// `<order>-<hash>`, of what the server calls the challenge.
pub(super) fn challenge(order: &str, spec: &impl Serialize) -> String {
    hashed(order, spec)
}

/// `issuerRef` as cert-manager writes it into JSON.
#[derive(Serialize)]
pub(super) struct IssuerRef<'a> {
    name: &'a str,
    kind: &'a str,
    group: &'a str,
}

impl<'a> IssuerRef<'a> {
    pub(super) fn of(wanted: &'a IssueWanted) -> Self {
        Self { name: &wanted.issuer.0.name, kind: wanted.issuer.kind(), group: "cert-manager.io" }
    }
}

/// FNV-1 with 32 bits over the JSON of `spec`, in decimal.
fn hashed(prefix: &str, spec: &impl Serialize) -> String {
    let json = serde_json::to_vec(spec).unwrap_or_default();
    format!("{}-{}", shortened(prefix, PREFIX), fnv1(&json))
}

/// Go's `hash/fnv.New32`.
fn fnv1(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash: u32, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(*byte))
}

/// At most `longest` bytes that end in a letter or digit, so that what is joined with a hyphen is a name.
fn shortened(name: &str, longest: usize) -> &str {
    if name.len() < longest {
        return name;
    }
    let head = &name.as_bytes()[..longest];
    let end = head.iter().rposition(u8::is_ascii_alphanumeric).map_or(0, |at| at + 1);
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_cert_manager() {
        assert_eq!(request("wildcard-dev", 3), "wildcard-dev-3");
        let long = request(&"a".repeat(250), 1);
        assert_eq!((long.len(), long.matches('-').count()), (168 + 1 + 64 + 2, 2), "{long}");
        // Published values of FNV-1 with 32 bits (Noll's test vectors).
        assert_eq!((fnv1(b"a"), fnv1(b"foobar")), (0x050c_5d7e, 0x31f0_b262));
        assert_eq!(hashed("x", &()), format!("x-{}", fnv1(b"null")));
        assert_eq!(shortened("short", 52), "short");
        assert_eq!(shortened("abc.-def", 5), "abc");
        assert_eq!(shortened(&"a".repeat(60), 52).len(), 52);
    }
}
