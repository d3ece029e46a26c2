//! Writes to the store, and from there to facts.

use portolan_core::world;
use portolan_effects::store::{Write, Written};
use portolan_model::{Code, ObjectKey, Problem, Severity, input::SourceProblems, intake::intake};

use super::{Context, Platform, submit::taken};
use crate::effects::{GIT, now};

impl Context {
    /// Writes, and puts the facts that follow. Gives what could not be written, for the caller to show with what else
    /// it knows about the same objects.
    pub fn write(&mut self, writes: Vec<Write>) -> Vec<Problem> {
        let targets: Vec<ObjectKey> = writes.iter().map(|write| write.key().clone()).collect();
        let damaged = self.store.damaged().len();
        let written = match self.store.write(writes, now()) {
            Ok(written) => written,
            Err(error) => {
                // What is served stays as it is: nothing of the batch has happened.
                tracing::error!(%error, "the store cannot be written");
                self.unwritten = true;
                self.broken = true;
                return vec![Problem {
                    object: ObjectKey::new(
                        "",
                        "File",
                        "",
                        self.state.path().join("store.redb").display().to_string(),
                    ),
                    code: Code(102),
                    field: "".into(),
                    severity: Severity::Error,
                    message: format!("{error}; changes are not taken until it can"),
                    hint: "free space on the disk, or make it writable; it is tried again every five seconds"
                        .into(),
                }];
            }
        };
        if std::mem::take(&mut self.broken) {
            self.recovered = true;
            self.facts = true;
        }
        // What is told of damaged rows is found anew.
        self.reread |= self.store.damaged().len() < damaged;
        let mut problems = Vec::new();
        for (key, written) in targets.into_iter().zip(written) {
            match written {
                Written::Created(key) | Written::Changed(key) => self.put_stored(&key),
                Written::Deleted(key) => {
                    tracing::info!(object = %key, "removed");
                    world::remove(&mut self.engine, &key);
                    self.parts.remove(&key);
                }
                // Nothing here deletes with a precondition; a stale one would have changed nothing.
                Written::Unchanged | Written::Stale(_) | Written::Failed(..) => continue,
                Written::OwnedBy(_, owner) => problems.push(taken(key, &owner)),
            }
            self.written += 1;
            self.facts = true;
        }
        problems
    }

    /// Writes what Portolan makes itself; what could not be written is a finding on the object. `false` if the store
    /// refused it, and not only another manager.
    pub(super) fn write_own_now(&mut self, writes: Vec<Write>) -> bool {
        let problems = self.write(writes);
        let taken = problems.iter().all(|problem| problem.code != Code(102));
        self.tell_own(problems);
        taken
    }

    /// Puts the facts of an object as it stands in the store.
    pub fn put_stored(&mut self, key: &ObjectKey) {
        let Some(stored) = self.store.get(key) else { return };
        // A copy shares the text and takes the tree with it: of a whole repository they would all stand at once.
        let object = stored.object.clone();
        world::put(&mut self.engine, key, intake(&object).written_by(&stored.manager));
        if stored.manager == GIT {
            self.parts.put(&object);
        }
        self.facts = true;
    }
}

impl<P: Platform> Context<P> {
    /// An object is written that could not be before. On one machine the next reading tells.
    pub fn written_after_all(&mut self, key: &ObjectKey) {
        if P::SHARED && self.own_problems.remove(key) {
            self.engine.remove::<SourceProblems>(key);
            self.facts = true;
        }
    }

    /// What could not be written of what Portolan makes, as findings on the objects.
    pub fn tell_own(&mut self, problems: Vec<Problem>) {
        for problem in problems {
            self.own_problems.insert(problem.object.clone());
            self.engine.put(SourceProblems { key: problem.object.clone(), problems: vec![problem] });
            self.facts = true;
        }
    }
}
