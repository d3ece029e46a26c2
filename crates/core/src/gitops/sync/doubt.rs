//! What has left for certain, and what may stand in something that could not be read.
//!
//! A file cut in half, a chart that does not render, a document that the door refuses: an object that is not among what was read may
//! stand there. It stays as it is until that is known.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Name, ObjectKey, Origin};

use super::{Reason, Verdict};

/// What a reading says of itself, and of what nothing brings now.
pub struct Doubt<'a> {
    /// What applies objects now, as the repository has it.
    pub followed: BTreeSet<&'a ObjectKey>,
    /// Live objects that the repository brought once, and that were not among what was read.
    pub unwanted: &'a BTreeSet<ObjectKey>,
    /// Where a live object came from; `None` if it is not live.
    pub live: &'a dyn Fn(&ObjectKey) -> Option<&'a Origin>,
    /// Objects that the repository has and an API server would not store.
    pub refused: &'a dyn Fn(&ObjectKey) -> bool,
    /// Names of Applications that could not be read whole; an empty one is the root.
    pub unsure: &'a BTreeSet<Name>,
    /// Plain files that could not be read whole.
    pub unsure_files: &'a BTreeSet<String>,
    /// Applications with a source that nobody here can read, and the paths of those that were read.
    pub elsewhere: &'a BTreeMap<ObjectKey, BTreeSet<String>>,
}

impl Doubt<'_> {
    /// Whether a live object has left for certain.
    pub fn is_gone(&self, key: &ObjectKey, origin: &Origin) -> bool {
        if (self.refused)(key) {
            return false;
        }
        if origin.source.as_ref().is_some_and(|source| self.unsure_files.contains(&*source.file)) {
            return false;
        }
        let by = origin.owner.as_deref().filter(|by| *by != key);
        if by.is_some_and(|by| self.goes_with(by)) {
            return true;
        }
        if by.is_some_and(|by| self.followed.contains(by) && self.may_be_elsewhere(by, origin)) {
            return false;
        }
        if origin.source.is_none() && !self.unsure_files.is_empty() {
            // Where it stood is not known since the last start.
            return false;
        }
        self.unsure.is_empty() || by.is_some_and(|by| self.is_read(by))
    }

    /// Whether what applies an object may bring it from where nobody here can look. What stood in one of its sources that are read is not
    /// there any more.
    fn may_be_elsewhere(&self, by: &ObjectKey, origin: &Origin) -> bool {
        let Some(read) = self.elsewhere.get(by) else { return false };
        let stood_in = |path: &String, file: &str| {
            path.is_empty()
                || file == path
                || file.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        let file = origin.source.as_ref().map(|source| &*source.file);
        !file.is_some_and(|file| read.iter().any(|path| stood_in(path, file)))
    }

    /// Whether what applied an object has itself left for certain, and reads nothing any more. What else cannot be read is none of
    /// its: what tracks an object says who applied it.
    fn goes_with(&self, by: &ObjectKey) -> bool {
        let gone = || (self.live)(by).is_some_and(|origin| self.is_gone(by, origin));
        !self.followed.contains(by) && self.unwanted.contains(by) && gone()
    }

    /// Whether what applies an object was read whole.
    fn is_read(&self, by: &ObjectKey) -> bool {
        if by.kind.group.is_empty() {
            // The root: a folder, a chart, a file. A chart and a folder are followed too, under a name that is no Application's.
            return !self.unsure.contains("");
        }
        if self.followed.contains(by) {
            return !self.unsure.contains(&by.name.name);
        }
        let live = (self.live)(by);
        let set = live.filter(|_| by.kind.is("argoproj.io", "ApplicationSet"));
        // One that the door refuses, or that may stand in what could not be read, is live as it was, with what it made.
        let doubted = (self.refused)(by) || self.unsure.contains(&by.name.name) || self.unwanted.contains(by);
        if set.is_some() && doubted {
            return false;
        }
        let above = set.and_then(|set| set.owner.as_deref()).filter(|above| *above != by);
        // Of what is not there any more nothing can be read; what is there and is not followed cannot be.
        live.is_none() && !self.unsure.contains("") || above.is_some_and(|above| self.is_read(above))
    }
}

/// What is to be done about objects that left for certain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Objects that are removed.
    pub go: Vec<ObjectKey>,
    /// Objects that stay although the repository does not bring them, and why.
    pub kept: BTreeMap<ObjectKey, Reason>,
}

/// What follows from the verdicts of [`plan`](super::plan). `followed`: what applies objects now. `doubted`: what applied objects that
/// are in doubt, each with one of those; afterwards nobody could tell how it treats them, so it is there until that is known.
pub fn outcome(
    verdicts: BTreeMap<ObjectKey, Verdict>,
    followed: &BTreeSet<&ObjectKey>,
    doubted: &BTreeMap<ObjectKey, ObjectKey>,
) -> Outcome {
    let mut outcome = Outcome::default();
    for (key, verdict) in verdicts {
        match verdict {
            // One that is followed on goes with what it brings, which is known once it is followed no more.
            Verdict::Goes if followed.contains(&key) => {}
            Verdict::Goes => match doubted.get(&key).filter(|first| **first != key) {
                Some(first) => {
                    outcome.kept.insert(key, Reason::Doubted(first.clone()));
                }
                None => outcome.go.push(key),
            },
            // It is one with what cannot be read, of which something is told already.
            Verdict::Stays(Reason::Unread(_)) => {}
            Verdict::Stays(reason) => {
                outcome.kept.insert(key, reason);
            }
        }
    }
    outcome
}
