//! Objects that other effects have asked for in a cluster, each a work of its own: tried again until it is written, by the replica that leads.
//! What was written and is changed or removed by somebody is written again.

mod facts;
mod run;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use portolan_core::capability::Capability;
use portolan_effects::{
    converge::{Backoff, Converge, Limits},
    store::{Cache as _, Write},
};
use portolan_engine::Changes;
use portolan_model::{ObjectKey, input::Maker};
use tokio::time::Instant;

use super::{Context, Effect, Wake, inbox::Inbox, seed};
use crate::driver::{InKubernetes, Request};
use facts::Answer;

const LIMITS: Limits = Limits {
    budget: 16,
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(2) },
};

/// A write that is wanted.
#[derive(Clone)]
pub struct Wanted(Arc<Write>);

impl PartialEq for Wanted {
    /// Fills and removals are done each time that they are asked for.
    fn eq(&self, other: &Self) -> bool {
        match (&*self.0, &*other.0) {
            (Write::Apply(one, of), Write::Apply(other, by))
            | (Write::Hold(one, of), Write::Hold(other, by)) => {
                of == by && one.key == other.key && *one.json == *other.json
            }
            _ => false,
        }
    }
}

/// Writes them.
pub struct Objects {
    works: Converge<ObjectKey, Wanted>,
    /// What each looked like once it was written, as far as somebody could have changed it; `None` while it is not taken up.
    written: BTreeMap<ObjectKey, Option<Mark>>,
    /// Those that something is said of.
    said: BTreeSet<ObjectKey>,
    inbox: Inbox<Answer>,
    /// For which capabilities anything was begun last.
    acts: bool,
}

/// The very object, and its content: its generation, or its version where its kind counts none. A status changes neither.
type Mark = (Arc<str>, i64, u64);

impl Objects {
    /// Nothing is asked for yet.
    pub fn new(wake: &Wake) -> Self {
        Self {
            works: Converge::new(LIMITS, seed()),
            written: BTreeMap::new(),
            said: BTreeSet::new(),
            inbox: Inbox::new(wake),
            acts: false,
        }
    }

    fn take_asked(&mut self, cx: &mut Context<InKubernetes>) {
        for asked in std::mem::take(&mut cx.own.asked) {
            match asked {
                Request::Withdraw(key) => self.forget(&key, cx),
                // Whoever may not write forgets it: when it may, all that is wanted is asked for again.
                Request::Write(write) if !cx.acts(capability(&write)) => {
                    self.forget(&write.key().clone(), cx);
                }
                Request::Write(write) => {
                    self.works.want(write.key().clone(), Wanted(Arc::new(write)), Instant::now());
                }
            }
        }
    }

    fn forget(&mut self, key: &ObjectKey, cx: &mut Context<InKubernetes>) {
        self.works.forget(key);
        self.written.remove(key);
        self.say(key, None, cx);
    }

    /// Somebody has changed or removed what was written.
    fn look_again(&mut self, cx: &mut Context<InKubernetes>) {
        let now = Instant::now();
        for key in std::mem::take(&mut cx.own.touched) {
            let Some(before) = self.written.get_mut(&key) else { continue };
            let stands = mark_of(&key, cx);
            if before.is_none() || *before == stands {
                *before = stands;
                continue;
            }
            self.written.remove(&key);
            if let Some(wanted) = self.works.wanted(&key).cloned() {
                self.works.renew(key, wanted, now);
            }
        }
    }
}

/// How an object stands now.
fn mark_of(key: &ObjectKey, cx: &Context<InKubernetes>) -> Option<Mark> {
    let stored = cx.store.get(key)?;
    let stamp = stored.object.stamp.as_ref()?;
    let counted = stored.object.json["metadata"]["generation"].is_number();
    let version = if counted { 0 } else { stamp.version };
    Some((Arc::clone(&stamp.uid), stamp.generation, version))
}

/// For the sake of what something is written.
fn capability(write: &Write) -> Capability {
    let manager = match write {
        Write::Apply(_, manager)
        | Write::Hold(_, manager)
        | Write::Delete(_, manager)
        | Write::DeleteIf(_, manager, _) => *manager,
        Write::Fill(_) => Maker::Mirrored.manager(),
    };
    if manager == Maker::Mirrored.manager() {
        Capability::Replication
    } else if manager == Maker::Unsealed.manager() {
        Capability::Secrets
    } else {
        Capability::Certificates
    }
}

impl Effect<InKubernetes> for Objects {
    fn follow(&mut self, _step: &Changes, cx: &mut Context<InKubernetes>) {
        self.take_asked(cx);
        self.look_again(cx);
    }

    fn take(&mut self, cx: &mut Context<InKubernetes>) {
        self.take_answers(cx);
    }

    fn begin(&mut self, cx: &mut Context<InKubernetes>) {
        self.take_asked(cx);
        self.acts = cx.store.store().leads();
        if !self.acts {
            // Another writes; what is wanted is asked for again when this one may.
            self.works.clear();
            self.written.clear();
            return;
        }
        for work in self.works.begin(Instant::now()) {
            run::begin(work, cx.store.store().clone(), self.inbox.answers());
        }
    }

    fn due(&self) -> Option<Instant> {
        self.works.due().filter(|_| self.acts)
    }

    fn is_busy(&self) -> bool {
        !self.works.is_idle()
    }
}
