//! Go templates of SealedSecrets, executed beside the driver: one that takes long delays its own Secret only. What they came to is
//! kept in memory for as long as the SealedSecret says the same, so that what is written again is the same.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, mpsc},
    time::Duration,
};

use portolan_core::secrets::rows::{UnsealFailure, UnsealWanted};
use portolan_effects::sealed::{self, Executed, Templates};
use portolan_model::{Name, NamespacedName, Redacted};

use super::{Secrets, opened};
use crate::effects::{Context, Wake, inbox::Inbox};

/// What an Envoy that serves since an earlier run must not miss is waited for at most that long.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is being executed, and what came of it.
pub(super) struct Filling {
    templates: Templates,
    inbox: Inbox<(Arc<UnsealWanted>, Executed)>,
    under_way: BTreeMap<NamespacedName, Arc<UnsealWanted>>,
    done: BTreeMap<NamespacedName, (Arc<UnsealWanted>, Executed)>,
}

impl Filling {
    pub(super) fn new(templates: Templates, wake: &Wake) -> Self {
        Self { templates, inbox: Inbox::new(wake), under_way: BTreeMap::new(), done: BTreeMap::new() }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    pub(super) fn forget(&mut self, key: &NamespacedName) {
        self.under_way.remove(key);
        self.done.remove(key);
    }
}

impl Secrets {
    /// The opened values with what the templates come to; `None` while they are executed, and where they cannot be, which is noted.
    pub(super) fn filled(
        &mut self,
        row: &Arc<UnsealWanted>,
        values: BTreeMap<Name, Redacted>,
        cx: &mut Context,
    ) -> Option<BTreeMap<Name, Redacted>> {
        if !sealed::is_templated(&row.sealed) {
            self.filling.forget(&row.key);
            return Some(values);
        }
        let known = self.filling.done.get(&row.key).filter(|(of, _)| of.sealed == row.sealed);
        let executed = if let Some(executed) = known.map(|(_, executed)| executed.clone()) {
            executed
        } else {
            let executed = self.execute(row, values, cx)?;
            self.filling.done.insert(row.key.clone(), (Arc::clone(row), executed.clone()));
            executed
        };
        match executed {
            Ok(values) => Some(values),
            Err(templates) => {
                let (key, sealed) = (row.key.clone(), row.sealed.clone());
                let failures = BTreeMap::new();
                cx.engine.put(UnsealFailure { key, sealed, failures, templates, immutable: false });
                cx.facts = true;
                None
            }
        }
    }

    /// Begins, and waits for it only where a Secret is served that would be missed.
    fn execute(
        &mut self,
        row: &Arc<UnsealWanted>,
        values: BTreeMap<Name, Redacted>,
        cx: &Context,
    ) -> Option<Executed> {
        match self.filling.under_way.entry(row.key.clone()) {
            Entry::Occupied(same) if same.get().sealed == row.sealed => return None,
            Entry::Occupied(mut other) => drop(other.insert(Arc::clone(row))),
            Entry::Vacant(entry) => drop(entry.insert(Arc::clone(row))),
        }
        let (answers, templates, wanted) =
            (self.filling.inbox.answers(), self.filling.templates.clone(), Arc::clone(row));
        let (answer, made) = mpsc::channel();
        tokio::task::spawn_blocking(move || {
            let executed = templates.execute(&wanted.sealed, values);
            // Whether somebody waits, and until when, is not known here; what was taken already is not under way any more.
            let _ = answer.send(executed.clone());
            answers.send((wanted, executed));
        });
        cx.patience?;
        let executed = made.recv_timeout(PATIENCE).ok()?;
        self.filling.under_way.remove(&row.key);
        Some(executed)
    }

    /// Takes what templates came to.
    pub(super) fn take_executed(&mut self, cx: &mut Context) {
        while let Some((row, executed)) = self.filling.inbox.next() {
            self.templates_executed(&row, executed, cx);
        }
    }

    /// Writes the Secret, unless its SealedSecret says something else by now.
    fn templates_executed(&mut self, row: &Arc<UnsealWanted>, executed: Executed, cx: &mut Context) {
        if self.filling.under_way.get(&row.key).is_none_or(|making| making.sealed != row.sealed) {
            return;
        }
        self.filling.under_way.remove(&row.key);
        self.filling.done.insert(row.key.clone(), (Arc::clone(row), executed));
        let Some(wanted) = cx.engine.get::<UnsealWanted>(&row.key) else { return };
        let values = self.filled(&wanted, BTreeMap::new(), cx);
        let write = values.and_then(|values| opened(&wanted, &values, cx));
        if let Some(write) = write {
            cx.write_own(vec![write]);
        }
    }
}
