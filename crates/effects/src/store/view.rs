//! What a store sees, and what it does not.

use std::sync::Arc;

/// How a store sees a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// All of its objects are known, and their changes are followed.
    Whole,
    /// Its objects are being listed for the first time, or again after it was not seen.
    Coming,
    /// Its definition is not there, or is being removed.
    Absent,
    /// Reading it is not allowed; the sentence of who refuses.
    Refused(Arc<str>),
    /// It cannot be read at present, and why; what was seen last is kept, and it is tried again.
    Failing(Arc<str>),
}

/// How much of an object is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// All of it.
    #[default]
    Whole,
    /// Its metadata alone: nobody said that its content is looked into. What is missing in it may stand there.
    Metadata,
    /// Its kind is not seen any more: this is how it was, and whether it is there is not known.
    Unseen,
}
