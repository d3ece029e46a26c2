//! Rows of the GitOps room.

use portolan_model::{ObjectKey, row};

use super::health::Health;

/// Health of an object whose status Portolan writes; kinds without a rule of Argo CD have no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHealth {
    /// The object.
    pub key: ObjectKey,
    /// Its health.
    pub health: Health,
}
row!(ObjectHealth, ObjectKey, "object_healths");
