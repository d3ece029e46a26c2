//! Rows of the GitOps room.

use portolan_model::{Name, ObjectKey, row};

use super::{health::Health, sync::Reason};

/// Health of an object whose status Portolan writes; kinds without a rule of Argo CD have no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHealth {
    /// The object.
    pub key: ObjectKey,
    /// Its health.
    pub health: Health,
}
row!(ObjectHealth, ObjectKey, "object_healths");

/// A live object that the repository does not bring any more, and that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The object.
    pub key: ObjectKey,
    /// Why it stays.
    pub reason: Reason,
}
row!(Kept, ObjectKey, "kept");

/// Fact: a source that was not read, and that may bring objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// The Application, or the file.
    pub key: ObjectKey,
    /// The namespace that it brings them into; empty if that is not known.
    pub namespace: Name,
}
row!(Unseen, ObjectKey, "unseen");
