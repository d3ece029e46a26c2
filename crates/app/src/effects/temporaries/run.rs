//! Makes the key, and signs with it.

use std::sync::Arc;

use portolan_core::certificates::rows::TemporaryWanted;
use portolan_effects::{converge::Work, sign};
use portolan_model::NamespacedName;

use super::facts::Answer;
use crate::effects::{inbox::Answers, now};

/// Makes one on a thread of its own.
pub fn begin(work: Work<NamespacedName, Arc<TemporaryWanted>>, answers: Answers<Answer>) {
    let Work { ticket, wanted, .. } = work;
    tokio::task::spawn_blocking(move || {
        let wanted = &wanted.wanted;
        let result = sign::prepare(wanted, None).and_then(|prepared| {
            let issued = sign::sign(wanted, None, &prepared.key, now())?;
            sign::secret(wanted, &issued, &prepared.key, now())
        });
        answers.send(Answer { ticket, result: result.map(Box::new) });
    });
}
