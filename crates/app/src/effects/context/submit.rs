//! Writes whose outcome is waited for: on one machine it is there at once, where an API server is asked it comes.

use portolan_core::capability::Capability;
use portolan_effects::store::Write;
use portolan_model::{Code, ObjectKey, Problem, Severity};
use tokio::sync::oneshot;

use super::{Context, Platform};

/// What becomes of writes that were handed in: those that could not be done, as problems of their objects.
pub enum Submitted {
    /// Known.
    Done(Vec<Problem>),
    /// Under way.
    Out(oneshot::Receiver<Vec<Problem>>),
}

impl Submitted {
    /// The outcome, once it is there. A task that was lost has done nothing that is known of.
    pub fn outcome(&mut self, object: &ObjectKey) -> Option<Vec<Problem>> {
        match self {
            Self::Done(problems) => Some(std::mem::take(problems)),
            Self::Out(out) => match out.try_recv() {
                Ok(problems) => Some(problems),
                Err(oneshot::error::TryRecvError::Empty) => None,
                Err(oneshot::error::TryRecvError::Closed) => {
                    Some(vec![unwritten(object.clone(), "its task was lost")])
                }
            },
        }
    }
}

/// That somebody else writes an object.
pub fn taken(object: ObjectKey, owner: &str) -> Problem {
    Problem {
        message: format!("{object} is written by {owner} already, who keeps it"),
        object,
        code: Code(101),
        field: "".into(),
        severity: Severity::Error,
        hint: "remove one of the two writers".into(),
    }
}

/// That an object could not be written.
pub fn unwritten(object: ObjectKey, why: &str) -> Problem {
    Problem {
        message: format!("{object} cannot be written: {why}"),
        object,
        code: Code(102),
        field: "".into(),
        severity: Severity::Error,
        hint: "it is tried again; a right that is missing, or an admission webhook that refuses it, has to be mended".into(),
    }
}

impl<P: Platform> Context<P> {
    /// See [`Platform::submit`].
    pub fn submit(&mut self, writes: Vec<Write>) -> Submitted {
        P::submit(self, writes)
    }

    /// See [`Platform::write_own`].
    pub fn write_own(&mut self, writes: Vec<Write>) -> bool {
        writes.is_empty() || P::write_own(self, writes)
    }

    /// See [`Platform::withdraw`].
    pub fn withdraw(&mut self, key: &ObjectKey) {
        P::withdraw(self, key);
    }

    /// See [`Platform::acts`].
    pub fn acts(&self, capability: Capability) -> bool {
        P::acts(self, capability)
    }
}
