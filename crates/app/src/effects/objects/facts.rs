//! What an answer becomes.

use portolan_effects::{
    converge::Ticket,
    store::{Write, Written},
};
use portolan_model::{ObjectKey, Problem, input::SourceProblems};
use tokio::time::Instant;

use super::{Objects, mark_of};
use crate::{
    driver::InKubernetes,
    effects::{
        Context,
        context::{taken, unwritten},
    },
};

/// What comes back.
pub struct Answer {
    pub ticket: Ticket<ObjectKey>,
    pub outcome: Written,
}

impl Objects {
    pub(super) fn take_answers(&mut self, cx: &mut Context<InKubernetes>) {
        while let Some(Answer { ticket, outcome }) = self.inbox.next() {
            let key = ticket.key().clone();
            let now = Instant::now();
            let (row, problem) = match outcome {
                Written::Failed(_, why) => (self.works.fail(ticket, now), Some(unwritten(key.clone(), &why))),
                // It is tried again: the other may go.
                Written::OwnedBy(_, owner) => {
                    (self.works.fail(ticket, now), Some(taken(key.clone(), &owner)))
                }
                _ => (self.works.settle(ticket), None),
            };
            let Some(row) = row else { continue };
            if problem.is_none() {
                if matches!(&*row.0, Write::Apply(..) | Write::Hold(..)) {
                    // What was taken up may be what stood before: then it is applied once more, which costs no request.
                    self.written.insert(key.clone(), mark_of(&key, cx));
                } else {
                    self.works.forget(&key);
                }
            }
            self.say(&key, problem, cx);
        }
    }

    /// What is said of an object, or nothing any more.
    pub(super) fn say(&mut self, key: &ObjectKey, problem: Option<Problem>, cx: &mut Context<InKubernetes>) {
        match problem {
            Some(problem) => {
                self.said.insert(key.clone());
                cx.engine.put(SourceProblems { key: key.clone(), problems: vec![problem] });
            }
            None if self.said.remove(key) => cx.engine.remove::<SourceProblems>(key),
            None => return,
        }
        cx.facts = true;
    }
}
