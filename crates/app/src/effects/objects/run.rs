//! Writes one object.

use std::sync::Arc;

use portolan_effects::{
    converge::Work,
    store::{ObjectStore as _, Write, Written},
};
use portolan_kubernetes::KubernetesStore;
use portolan_model::ObjectKey;

use super::{Wanted, facts::Answer};
use crate::effects::{inbox::Answers, now};

/// Begins, beside the driver.
pub fn begin(work: Work<ObjectKey, Wanted>, store: KubernetesStore, answers: Answers<Answer>) {
    let Work { ticket, wanted, .. } = work;
    tokio::spawn(async move {
        let key = wanted.0.key().clone();
        let written = store.write(vec![Write::clone(&wanted.0)], now()).await;
        let outcome = match written {
            Ok(written) => written.into_iter().next().unwrap_or(Written::Unchanged),
            Err(error) => Written::Failed(key, Arc::from(error.to_string())),
        };
        answers.send(Answer { ticket, outcome });
    });
}
