//! TLS to backends.
//! Source: Gateway API v1.7 `apis/v1/backendtlspolicy_types.go`.

use crate::{Instant, Kind, Name, NamespacedName, input::ParentRef, row};

/// A `BackendTLSPolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendTlsPolicy {
    /// Namespace and name.
    pub key: NamespacedName,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`: the older policy of a target is applied.
    pub created: Instant,
    /// `spec.targetRefs`, in its own namespace; `sectionName` is the name of a port.
    pub targets: Vec<ParentRef>,
    /// `validation.caCertificateRefs`.
    pub authorities: Vec<CaReference>,
    /// `validation.wellKnownCACertificates`.
    pub well_known: Option<Name>,
    /// `validation.hostname`, asked for by SNI.
    pub hostname: Name,
    /// `validation.subjectAltNames`: the backend's certificate has one of them; none stands for the hostname.
    pub names: Vec<SubjectName>,
    /// Keys of `options`.
    pub options: Vec<Name>,
}
row!(BackendTlsPolicy, NamespacedName, "backend_tls_policies");

/// A reference to certificates of authorities.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaReference {
    /// Group and kind.
    pub kind: Kind,
    /// Namespace (filled in) and name.
    pub name: NamespacedName,
}

/// `subjectAltNames[]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectName {
    /// A DNS name.
    Dns(Name),
    /// A URI.
    Uri(Name),
}
