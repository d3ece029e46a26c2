//! Secrets, sealed secrets and what reflector copies.

use std::collections::BTreeMap;

use super::NameConstraints;
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
    /// Who made it.
    pub maker: Maker,
    /// For `kubernetes.io/tls` or any Secret with `tls.crt`: what the certificate says.
    pub tls: Option<Result<TlsPair, String>>,
}
row!(Secret, NamespacedName, "secrets");

/// Who made a Secret or ConfigMap, by whom the store has it from, else by the marks that makers leave. In order: who stands
/// before another takes over what that one made, and nobody else overwrites anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Maker {
    /// The repository.
    #[default]
    Repository,
    /// Portolan, from a SealedSecret: its values are kept in memory only.
    Unsealed,
    /// Portolan, for a Certificate.
    Issued,
    /// Portolan, for an ACME issuer: the key of its account.
    Account,
    /// Portolan, as a mirror of another object.
    Mirrored,
    /// Portolan, for the TLS of a Gateway, ListenerSet or Ingress: a Certificate, as cert-manager's shim makes it.
    Shim,
}

/// Manager of Secrets that cert-manager issued, in a cluster: whoever issues for the same Certificate takes them over.
pub const CERT_MANAGER: &str = "cert-manager";

impl Maker {
    /// The name under which the store has what it makes.
    pub const fn manager(self) -> &'static str {
        match self {
            Self::Repository => "git",
            Self::Unsealed => "portolan-sealed-secrets",
            Self::Issued | Self::Account => "portolan",
            Self::Mirrored => "portolan-reflector",
            Self::Shim => "portolan-certificate-shim",
        }
    }

    /// The makers of that name, the first to stand for them.
    fn of(manager: &str) -> Option<Self> {
        if manager == CERT_MANAGER {
            return Some(Self::Issued);
        }
        [Self::Repository, Self::Unsealed, Self::Issued, Self::Mirrored, Self::Shim]
            .into_iter()
            .find(|maker| maker.manager() == manager)
    }

    /// Who made it, where the store has it from `manager` and its marks say `self`.
    #[must_use]
    pub fn by(self, manager: &str) -> Self {
        match Self::of(manager) {
            Some(Self::Issued) if self == Self::Account => self,
            Some(maker) => maker,
            None => self,
        }
    }

    /// Whether `manager` may write over what the store has from `other`.
    pub fn takes_over(manager: &str, other: &str) -> bool {
        let adopts = manager == Self::Issued.manager() && other == CERT_MANAGER;
        adopts || Self::of(manager).zip(Self::of(other)).is_some_and(|(maker, other)| maker < other)
    }
}

/// What is decided on of a certificate and its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Kind and size of the leaf's key: `RSA 2048`, `ECDSA 256`, `Ed25519`; empty for others.
    pub key: Name,
    /// Subject key identifier, hex; empty if the leaf has none.
    pub subject_key_id: Name,
    /// Key identifier of the key that signed the leaf, hex; empty if the leaf does not say.
    pub authority_key_id: Name,
    /// What it may sign, if it is a CA's.
    pub authority: Option<Box<Authority>>,
    /// It stands there until an issuer has signed, and nobody can verify it: see
    /// [`TEMPORARY`](crate::certificate::TEMPORARY).
    pub temporary: bool,
}

/// What a CA's certificate says of what it may sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    /// Its key usage, where it has one, holds keyCertSign.
    pub signs: bool,
    /// Most CAs beneath it, if there is a bound.
    pub path_length: Option<u32>,
    /// Names that it may sign.
    pub constraints: NameConstraints,
    /// Subjects of certificates beside it that are no part of its chain, `; ` between them.
    pub loose: Name,
}

impl Authority {
    /// Why it signs nothing at all, in cert-manager's words where it has any.
    pub fn flaw(&self) -> Option<String> {
        if !self.signs {
            return Some("the certificate's key usage lacks keyCertSign".to_owned());
        }
        (!self.loose.is_empty())
            .then(|| format!("certificate chain is malformed or broken: {} signed nothing in it", self.loose))
    }
}

/// A core ConfigMap (reflector and policy parameters).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMap {
    /// Namespace and name.
    pub key: NamespacedName,
    /// `data`.
    pub data: BTreeMap<Name, String>,
    /// `binaryData`, base64 as written.
    pub binary: BTreeMap<Name, Name>,
    /// Annotations.
    pub annotations: BTreeMap<Name, String>,
    /// Who made it.
    pub maker: Maker,
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
    /// `spec.template.data`: additional keys, plain or Go templates over the values.
    pub template: BTreeMap<Name, String>,
    /// `spec.template.immutable`.
    pub immutable: bool,
    /// Why nothing is made of it: a value that is no text. The finding is told at the door.
    pub refused: Option<String>,
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

impl SealingScope {
    /// As `kubeseal --scope` names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Namespace => "namespace-wide",
            Self::Cluster => "cluster-wide",
        }
    }

    /// The annotation that says so on a Secret or SealedSecret; strict needs none.
    pub const fn annotation(self) -> Option<&'static str> {
        match self {
            Self::Strict => None,
            Self::Namespace => Some("sealedsecrets.bitnami.com/namespace-wide"),
            Self::Cluster => Some("sealedsecrets.bitnami.com/cluster-wide"),
        }
    }

    /// The scope that an object's annotations say: only the value `true` counts, and cluster-wide wins
    /// (`SecretScope` in bitnami/sealed-secrets `sealedsecret_expansion.go`).
    pub fn read<'a>(annotation: impl Fn(&str) -> Option<&'a str>) -> Self {
        [Self::Cluster, Self::Namespace]
            .into_iter()
            .find(|scope| scope.annotation().and_then(&annotation) == Some("true"))
            .unwrap_or(Self::Strict)
    }
}

impl std::fmt::Display for SealingScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
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
