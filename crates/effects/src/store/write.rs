//! Writes and their outcome.

use std::sync::Arc;

use portolan_model::{Name, Object, ObjectKey};

use super::Fill;

/// One wanted write.
#[derive(Clone, Debug)]
pub enum Write {
    /// Create or replace an object as its manager.
    Apply(Box<Object>, &'static str),
    /// The same, in memory only where the store can.
    Hold(Box<Object>, &'static str),
    /// Write fields over an object, whoever applied it.
    Fill(Box<Fill>),
    /// Remove it, if `manager` applied it.
    Delete(ObjectKey, &'static str),
    /// Remove it, if `manager` applied it and it is still the one that was seen.
    DeleteIf(ObjectKey, &'static str, Precondition),
}

/// Which object is meant, of all that ever had a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// Its uid: not one that was made anew under the name.
    pub uid: Option<String>,
    /// Its resource version: nobody has changed it since.
    pub version: Option<u64>,
}

impl Precondition {
    /// Whether this object is the one.
    pub fn holds(&self, object: &Object) -> bool {
        object.stamp.as_ref().is_some_and(|stamp| {
            self.uid.as_ref().is_none_or(|uid| **uid == *stamp.uid)
                && self.version.is_none_or(|version| version == stamp.version)
        })
    }
}

impl Write {
    /// The object that is written.
    pub fn key(&self) -> &ObjectKey {
        match self {
            Self::Apply(object, _) | Self::Hold(object, _) => &object.key,
            Self::Fill(fill) => &fill.key,
            Self::Delete(key, _) | Self::DeleteIf(key, ..) => key,
        }
    }
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is new.
    Created(ObjectKey),
    /// It was there and differs now.
    Changed(ObjectKey),
    /// It was so already.
    Unchanged,
    /// Removed.
    Deleted(ObjectKey),
    /// Somebody else applied the object and keeps it.
    OwnedBy(ObjectKey, Name),
    /// The precondition does not hold: it is another object, or another state of it. Nothing was done.
    Stale(ObjectKey),
    /// It was refused or could not be told, for a reason that concerns this write alone; it may be tried again. Only where
    /// a batch is not [atomic](super::Capabilities::atomic).
    Failed(ObjectKey, Arc<str>),
}
