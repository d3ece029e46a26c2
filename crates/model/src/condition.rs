//! Conditions as Kubernetes shows them (`metav1.Condition`).

use crate::Name;

/// One condition, without its transition time: the effect that writes statuses keeps the old time while `status` does
/// not change (Kubernetes API conventions, "Typical status properties").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Condition {
    /// Type, such as `Accepted`.
    pub r#type: Name,
    /// `True`, `False` or `Unknown`.
    pub status: Status,
    /// CamelCase reason, one of those that the kind's specification lists.
    pub reason: Name,
    /// One sentence for people.
    pub message: Name,
}

/// Value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Not known yet.
    Unknown,
}

impl Condition {
    /// A condition from its parts.
    pub fn new(r#type: &str, status: bool, reason: &str, message: impl Into<Name>) -> Self {
        Self {
            r#type: r#type.into(),
            status: if status { Status::True } else { Status::False },
            reason: reason.into(),
            message: message.into(),
        }
    }
}
