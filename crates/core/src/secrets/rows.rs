//! Rows of the secrets room.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_model::{
    Name, NamespacedName, ObjectKey, Redacted,
    input::{SealedSecret, SealingScope},
    row,
};

/// Wanted: open the values and write the Secret of the same name, in memory only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsealWanted {
    /// Of the SealedSecret and of the Secret.
    pub key: NamespacedName,
    /// What is sealed, and what else the Secret says. `template` holds plain values only.
    pub sealed: SealedSecret,
    /// What becomes of a Secret that is there.
    pub over: Over,
}
row!(UnsealWanted, NamespacedName, "unseal_wanted");

/// How the Secret of a SealedSecret comes to be (bitnami/sealed-secrets `controller.go`, annotations of the Secret).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// It is made, and goes with the SealedSecret.
    #[default]
    Nothing,
    /// One that the repository wrote is annotated `managed`: its content is replaced, until the SealedSecret goes or, with
    /// `skip-set-owner-references`, for good.
    Managed {
        /// It does not go with the SealedSecret.
        independent: bool,
    },
    /// One that the repository wrote is annotated `patch`: keys, labels and annotations are put in, and stay.
    Patched {
        /// It is annotated `managed` as well: the SealedSecret owns it, and what was put in goes with that.
        owned: bool,
    },
}

impl Over {
    /// Whether what was written goes when the SealedSecret does (owner references).
    pub const fn goes(self) -> bool {
        matches!(self, Self::Managed { independent: false } | Self::Patched { owned: true })
    }

    /// The annotation that asks for it.
    pub const fn annotation(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Managed { .. } => Some("sealedsecrets.bitnami.com/managed"),
            Self::Patched { .. } => Some("sealedsecrets.bitnami.com/patch"),
        }
    }
}

/// Fact: a SealedSecret could not be opened, or not written. Held against what was tried; a changed one is tried at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsealFailure {
    /// The SealedSecret.
    pub key: NamespacedName,
    /// What was tried.
    pub sealed: SealedSecret,
    /// Why, for each value that could not be opened.
    pub failures: BTreeMap<Name, Unopened>,
    /// Everything opened; why, for each Go template that could not be executed. Never holds a part of a value.
    pub templates: BTreeMap<Name, String>,
    /// Everything opened, and an API server would not take the Secret: why, in its words. Never holds a part of a value.
    pub refused: Option<String>,
}
row!(UnsealFailure, NamespacedName, "unseal_failures");

/// Why a sealed value could not be opened. Never holds key material or a part of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Unopened {
    /// There is no key to try.
    #[error("there is no sealing key")]
    NoKeys,
    /// Not base64.
    #[error("the value is not base64")]
    NotBase64,
    /// Shorter than its own header says.
    #[error("the value is cut short")]
    TooShort,
    /// A key opens it under another scope than the object's annotations say.
    #[error("it was sealed {0}, which the object's annotations do not say")]
    Scope(SealingScope),
    /// No key opens it: sealed for another key, or for another name or namespace.
    #[error("no key opens it ({0} tried)")]
    NoKeyOpens(usize),
    /// A key opened the session key, but the value does not belong to it.
    #[error("the value is damaged")]
    Damaged,
}

/// Fact: how far the components reach that are stood in for. One row; without it they reach everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Always the empty name.
    pub key: Name,
    /// Namespaces whose SealedSecrets are opened; `None` for all.
    pub unsealed: Option<BTreeSet<Name>>,
    /// Patterns (`*`, `?`) of namespaces that are no source and no target of mirrors.
    pub not_mirrored: Vec<Name>,
}
row!(Reach, Name, "reach");

impl Reach {
    /// Whether SealedSecrets of a namespace are opened.
    pub fn unseals(&self, namespace: &Name) -> bool {
        self.unsealed.as_ref().is_none_or(|namespaces| namespaces.contains(namespace))
    }

    /// Whether mirrors come from and go to a namespace.
    pub fn mirrors(&self, namespace: &str) -> bool {
        !self.not_mirrored.iter().any(|pattern| wildmatch::WildMatch::new(pattern).matches(namespace))
    }
}

/// Fact: a Secret that is there only for a component that Portolan stands in for, which needs no credential here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentCredential {
    /// The Secret.
    pub key: NamespacedName,
    /// The component, such as `external-dns`.
    pub component: Name,
}
row!(ComponentCredential, NamespacedName, "component_credentials");

/// Kinds that are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MirrorKind {
    /// Secret.
    Secret,
    /// ConfigMap.
    ConfigMap,
}

/// A Secret or ConfigMap that is a mirror, or is to be one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MirrorKey {
    /// Kind of source and mirror.
    pub kind: MirrorKind,
    /// The mirror.
    pub name: NamespacedName,
}

impl MirrorKey {
    /// The same as an object key.
    pub fn object(&self) -> ObjectKey {
        let kind = match self.kind {
            MirrorKind::Secret => "Secret",
            MirrorKind::ConfigMap => "ConfigMap",
        };
        ObjectKey::new("", kind, self.name.namespace.clone(), self.name.name.clone())
    }
}

/// What a mirror holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorContent {
    /// Of a Secret.
    Secret {
        /// `type`.
        r#type: Name,
        /// `data`, decoded.
        data: BTreeMap<Name, Redacted>,
    },
    /// Of a ConfigMap.
    ConfigMap {
        /// `data`.
        data: BTreeMap<Name, String>,
        /// `binaryData`, base64.
        binary: BTreeMap<Name, Name>,
    },
}

/// A source asks for a mirror, or a mirror that a user wrote asks for its source's content, and the source allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorClaim {
    /// Mirror, whether written by hand, source.
    pub key: MirrorClaimKey,
    /// What to copy.
    pub content: Arc<MirrorContent>,
    /// Whether the values may be kept in memory only, as those of the source.
    pub volatile: bool,
}
row!(MirrorClaim, MirrorClaimKey, "mirror_claims");

/// Key of a claim. Mirrors that a user wrote stand before others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MirrorClaimKey {
    /// The mirror.
    pub mirror: MirrorKey,
    /// Whether Portolan makes the mirror; else a user wrote it, and Portolan fills it.
    pub auto: bool,
    /// The source.
    pub source: NamespacedName,
}

/// A mirror that there shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The mirror.
    pub key: MirrorKey,
    /// Whether Portolan makes it; else a user wrote it, and Portolan fills it.
    pub auto: bool,
    /// The source.
    pub source: NamespacedName,
    /// What it holds.
    pub content: Arc<MirrorContent>,
    /// Whether the values may be kept in memory only.
    pub volatile: bool,
}
row!(Mirror, MirrorKey, "mirrors");

/// Wanted: write a mirror that is not there, or not as it shall be. Gone as soon as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorWanted {
    /// The mirror.
    pub key: MirrorKey,
    /// What it shall be.
    pub mirror: Arc<Mirror>,
}
row!(MirrorWanted, MirrorKey, "mirror_wanted");

/// Wanted: remove a mirror that Portolan made and no source asks for any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorUnwanted {
    /// The mirror.
    pub key: MirrorKey,
}
row!(MirrorUnwanted, MirrorKey, "mirror_unwanted");
