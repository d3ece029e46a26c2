//! Verdicts that are not reported yet. Each report is a step of the engine, so what one edit leads to is one report.

use std::collections::BTreeMap;

use portolan_core::gateway::rows::WireKey;

use crate::session::Verdict;

/// How long a verdict waits for others at most, in milliseconds.
const LONGEST: u64 = 100;

/// The latest verdict on each resource, and when the first of them came.
#[derive(Debug, Default)]
pub struct Unreported {
    verdicts: BTreeMap<WireKey, Verdict>,
    since: u64,
}

impl Unreported {
    /// Adds verdicts at `now`, in milliseconds.
    pub fn note(&mut self, verdicts: Vec<Verdict>, now: u64) {
        if self.verdicts.is_empty() {
            self.since = now;
        }
        self.verdicts.extend(verdicts.into_iter().map(|verdict| (verdict.key.clone(), verdict)));
    }

    /// What is to be reported now: all, unless more is to come soon.
    pub fn take(&mut self, more: bool, now: u64) -> Option<Vec<Verdict>> {
        let ready = !self.verdicts.is_empty() && (!more || now >= self.since + LONGEST);
        ready.then(|| std::mem::take(&mut self.verdicts).into_values().collect())
    }

    /// When [`Self::take`] is to be called although nothing has happened.
    pub fn due(&self) -> Option<u64> {
        (!self.verdicts.is_empty()).then_some(self.since + LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use portolan_core::gateway::rows::{Hold, WireType};

    use super::*;
    use crate::session::Standing;

    fn verdict(name: &str, taken: u64, standing: Standing) -> Verdict {
        Verdict { key: WireKey { r#type: WireType::VirtualHost, name: name.into() }, taken, standing }
    }

    #[test]
    fn what_is_still_to_come_is_waited_for_but_not_long() {
        let mut unreported = Unreported::default();
        unreported.note(vec![], 5);
        assert_eq!((unreported.due(), unreported.take(false, 5)), (None, None));
        unreported.note(vec![verdict("a", 1, Standing::Held(Hold::Sent))], 10);
        assert_eq!((unreported.take(true, 109), unreported.due()), (None, Some(110)));
        unreported.note(vec![verdict("a", 1, Standing::InForce), verdict("b", 1, Standing::InForce)], 20);
        let both = vec![verdict("a", 1, Standing::InForce), verdict("b", 1, Standing::InForce)];
        assert_eq!(unreported.take(false, 20), Some(both), "the latest of each");
        unreported.note(vec![verdict("a", 2, Standing::Held(Hold::Sent))], 30);
        assert!(unreported.take(true, 129).is_none());
        assert!(unreported.take(true, 130).is_some(), "a response that is never judged keeps nothing back");
        assert_eq!(unreported.due(), None);
    }
}
