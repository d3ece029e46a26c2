//! Problems: what is wrong, where, and what to do. A problem is data; it never stops anything else.

use std::fmt;

use crate::{Name, ObjectKey};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; blocks nothing (a substitution, a value no adapter understands).
    Info,
    /// Works, but not as somebody may expect.
    Warning,
    /// Something the user asked for does not work until it is edited.
    Error,
}

/// Stable code of a kind of problem, `PTL-0123`. Each room owns a range; the list stands in `docs/reference/findings.md`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PTL-{:04}", self.0)
    }
}
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One problem on one object. File and line are not in here: they are looked up from the object's origin and `field`
/// when a finding is shown, so that moving a document in a file changes no row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Problem {
    /// The object it is about.
    pub object: ObjectKey,
    /// Stable code.
    pub code: Code,
    /// Path of the field, in the form `spec.rules[0].backendRefs[1].name`; empty for the whole object.
    pub field: Name,
    /// How bad.
    pub severity: Severity,
    /// What is wrong, one sentence with the values that matter.
    pub message: String,
    /// What to do about it, one sentence; may be empty.
    pub hint: String,
}
