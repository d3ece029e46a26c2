//! Writes to the store, and from there to facts.

use portolan_core::world;
use portolan_effects::store::{Write, Written};
use portolan_model::{Code, Object, ObjectKey, Problem, Severity, input::InputProblems, intake::intake};

use super::{Driver, now};

impl Driver {
    pub(super) fn write(&mut self, writes: Vec<Write>) -> anyhow::Result<()> {
        let targets: Vec<ObjectKey> = writes
            .iter()
            .map(|w| match w {
                Write::Apply(object, _) => object.key.clone(),
                Write::Delete(key, _) => key.clone(),
            })
            .collect();
        for (key, written) in targets.into_iter().zip(self.store.write(writes, now())?) {
            match written {
                Written::Applied(object) => self.put_object(&object),
                Written::Deleted(key) => {
                    tracing::info!(object = %key, "removed");
                    world::remove(&mut self.engine, &key);
                }
                Written::Unchanged => {}
                Written::OwnedBy(_, owner) => {
                    self.refused_writes.insert(key.clone(), owner.clone());
                    let problem = Problem {
                        object: key.clone(),
                        code: Code(101),
                        field: "".into(),
                        severity: Severity::Error,
                        message: format!("{key} is written by {owner} already, who keeps it"),
                        hint: "remove one of the two writers".into(),
                    };
                    self.engine.put(InputProblems { key, problems: vec![problem] });
                }
            }
            self.facts = true;
        }
        Ok(())
    }

    pub(super) fn put_object(&mut self, object: &Object) {
        let taken = intake(object);
        if let Some(fact) = taken.fact {
            world::put(&mut self.engine, fact);
        }
        if taken.problems.is_empty() {
            self.engine.remove::<InputProblems>(&object.key);
        } else {
            self.engine.put(InputProblems { key: object.key.clone(), problems: taken.problems });
        }
        self.facts = true;
    }
}
