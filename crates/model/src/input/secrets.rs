//! Secrets, sealed secrets and what reflector copies.

use std::collections::BTreeMap;

use crate::{Instant, Name, NamespacedName, ObjectKey, Problem, Redacted, row};

/// A core Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Namespace and name.
    pub key: NamespacedName,
    /// `type`.
    pub r#type: Name,
    /// `data`, decoded.
    pub data: BTreeMap<Name, Redacted>,
    /// Annotations.
    pub annotations: BTreeMap<Name, String>,
    /// Labels.
    pub labels: BTreeMap<Name, Name>,
    /// Whether Portolan made it (issued, unsealed or mirrored), else it came from the repository.
    pub generated: bool,
    /// For `kubernetes.io/tls` or any Secret with `tls.crt`: what the certificate says.
    pub tls: Option<Result<TlsPair, String>>,
}
row!(Secret, NamespacedName, "secrets");

/// What is decided on of a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPair {
    /// DNS names of the leaf (SAN only), lower-case, sorted.
    pub dns_names: Vec<Name>,
    /// Common name, empty if none.
    pub common_name: String,
    /// Start of validity.
    pub not_before: Instant,
    /// End of validity.
    pub not_after: Instant,
    /// Serial number, lower-case hex.
    pub serial: String,
    /// Common name (else whole DN) of the leaf's issuer.
    pub issuer: String,
    /// SHA-256 of the leaf's SubjectPublicKeyInfo, hex.
    pub public_key: String,
    /// SHA-256 over chain and key: changes with every rotation.
    pub fingerprint: String,
    /// Whether `tls.key` belongs to the leaf.
    pub key_matches: bool,
    /// Whether the leaf may sign certificates.
    pub is_ca: bool,
}

/// A core ConfigMap (reflector and policy parameters).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMap {
    /// Namespace and name.
    pub key: NamespacedName,
    /// `data`.
    pub data: BTreeMap<Name, String>,
    /// Annotations.
    pub annotations: BTreeMap<Name, String>,
    /// Whether Portolan made it.
    pub generated: bool,
}
row!(ConfigMap, NamespacedName, "config_maps");

/// A Bitnami SealedSecret (`bitnami.com/v1alpha1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// Namespace and name.
    pub key: NamespacedName,
    /// `metadata.generation`.
    pub generation: i64,
    /// Scope, from the annotations.
    pub scope: SealingScope,
    /// `spec.encryptedData`, base64 as written.
    pub encrypted: BTreeMap<Name, Name>,
    /// `spec.template.type`, `Opaque` by default.
    pub r#type: Name,
    /// `spec.template.metadata.labels`.
    pub labels: BTreeMap<Name, Name>,
    /// `spec.template.metadata.annotations`.
    pub annotations: BTreeMap<Name, String>,
    /// `spec.template.data` (plain additional keys; Go templates are reported, not run).
    pub template: BTreeMap<Name, String>,
}
row!(SealedSecret, NamespacedName, "sealed_secrets");

/// What a sealed value is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SealingScope {
    /// Namespace and name.
    Strict,
    /// Namespace.
    Namespace,
    /// Nothing.
    Cluster,
}

/// Problems that intake found in one object (or in a file, with the kind `File`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputProblems {
    /// The object.
    pub key: ObjectKey,
    /// What was found.
    pub problems: Vec<Problem>,
}
row!(InputProblems, ObjectKey, "input_problems");

/// Problems of reading the repository and of writing to the store, by the object (or file) that they are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceProblems {
    /// The object.
    pub key: ObjectKey,
    /// What was found.
    pub problems: Vec<Problem>,
}
row!(SourceProblems, ObjectKey, "source_problems");
