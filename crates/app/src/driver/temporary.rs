//! Certificates for the time until an issuer has signed.

use std::sync::Arc;

use portolan_core::certificates::{rows::TemporaryWanted, temporary};
use portolan_effects::{sign, store::Write};
use portolan_engine::Changes;
use portolan_model::{
    Object, ObjectKey,
    intake::{Fact, intake},
};

use super::{Driver, Event, OURS, now};

impl Driver {
    /// Makes what is newly wanted.
    pub(super) fn follow_temporaries(&mut self, step: &Changes) {
        let wanted: Vec<_> = step.of::<TemporaryWanted>().iter().filter_map(|c| c.after.clone()).collect();
        for row in wanted {
            self.make_temporary(row);
        }
    }

    /// What was made and could not be kept is made again, now that the store can be written.
    pub(super) fn make_temporaries_again(&mut self) {
        let wanted: Vec<_> = self.engine.rows::<TemporaryWanted>().cloned().collect();
        for row in wanted {
            self.make_temporary(row);
        }
    }

    fn make_temporary(&mut self, row: Arc<TemporaryWanted>) {
        if self.temporaries.get(&row.key).is_some_and(|making| *making == row) {
            return;
        }
        self.temporaries.insert(row.key.clone(), Arc::clone(&row));
        let events = self.events.clone();
        tokio::task::spawn_blocking(move || {
            let wanted = &row.wanted;
            let result = sign::prepare(wanted, None).and_then(|prepared| {
                let issued = sign::sign(wanted, None, &prepared.key, now())?;
                sign::secret(wanted, &issued, &prepared.key, now())
            });
            let _ = events.send(Event::Temporary(row, result.map(Box::new)));
        });
    }

    /// Writes it, unless something better came meanwhile: what the issuer signed may be in the store before a step has seen it.
    pub(super) fn temporary_made(&mut self, row: &Arc<TemporaryWanted>, result: Result<Box<Object>, String>) {
        if self.temporaries.get(&row.key).is_none_or(|making| making != row) {
            return;
        }
        self.temporaries.remove(&row.key);
        if self.engine.get::<TemporaryWanted>(&row.key).is_none_or(|wanted| wanted != *row) {
            return;
        }
        let object = match result {
            Ok(object) => object,
            Err(error) => {
                tracing::error!(certificate = %row.key, %error, "no temporary certificate was made");
                return;
            }
        };
        let key = ObjectKey { kind: object.key.kind.clone(), name: row.wanted.secret.clone() };
        let present = self.store.get(&key).and_then(|stored| {
            match intake(&stored.object).written_by(&stored.manager).fact {
                Some(Fact::Secret(secret)) => Some(secret),
                _ => None,
            }
        });
        if temporary::may_stand(present.as_ref(), &row.wanted.asked) {
            self.write_own(vec![Write::Apply(object, OURS)]);
        }
    }
}
