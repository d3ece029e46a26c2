//! Rows of the secrets room.

use std::collections::BTreeMap;

use portolan_model::{
    Name, NamespacedName,
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
}
row!(UnsealWanted, NamespacedName, "unseal_wanted");

/// Fact: a SealedSecret could not be opened. Held against what was tried; a changed one is tried at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsealFailure {
    /// The SealedSecret.
    pub key: NamespacedName,
    /// What was tried.
    pub sealed: SealedSecret,
    /// Why, for each value that could not be opened.
    pub failures: BTreeMap<Name, Unopened>,
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

/// Fact: a Secret that is there only for a component that Portolan stands in for, which needs no credential here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentCredential {
    /// The Secret.
    pub key: NamespacedName,
    /// The component, such as `external-dns`.
    pub component: Name,
}
row!(ComponentCredential, NamespacedName, "component_credentials");
