//! A cluster as effects know it: objects are written by the replica that leads, beside the driver, and only for capabilities that act.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use portolan_core::capability::Capability;
use portolan_effects::store::{ObjectStore as _, Write, Written};
use portolan_kubernetes::{KubernetesStore, Mirror};
use portolan_model::{ObjectKey, Problem};
use tokio::sync::oneshot;

use crate::effects::{
    Context, Platform, Wake,
    context::{Submitted, taken, unwritten},
    now,
};

/// A cluster: what is written goes to its API server, and issuers are served by the servers that they name.
pub enum InKubernetes {}

/// What only a cluster has.
pub struct Own {
    wake: Wake,
    /// Capabilities for which anything may be changed now.
    acting: BTreeSet<Capability>,
    /// What was asked for since the effect `objects` looked, in order.
    pub asked: Vec<Request>,
    /// Objects that were taken up since it looked.
    pub touched: BTreeSet<ObjectKey>,
}

/// A write that is asked for, or is not wanted any more.
pub enum Request {
    Write(Write),
    Withdraw(ObjectKey),
}

impl Own {
    /// Nothing may be changed yet.
    pub fn new(wake: &Wake) -> Self {
        Self { wake: Arc::clone(wake), acting: BTreeSet::new(), asked: Vec::new(), touched: BTreeSet::new() }
    }

    /// For which capabilities anything may be changed from here on; `true` if there are some that were not before.
    pub fn act(&mut self, acting: BTreeSet<Capability>) -> bool {
        let new = !acting.is_subset(&self.acting);
        self.acting = acting;
        new
    }
}

impl Platform for InKubernetes {
    type Store = Mirror;
    type Own = Own;

    const SHARED: bool = true;

    fn submit(cx: &mut Context<Self>, writes: Vec<Write>) -> Submitted {
        let (store, wake) = (cx.store.store().clone(), Arc::clone(&cx.own.wake));
        let (done, outcome) = oneshot::channel();
        tokio::spawn(async move {
            // Nobody waits for it once the driver has ended.
            let _ = done.send(patiently(&store, writes).await);
            wake();
        });
        Submitted::Out(outcome)
    }

    fn write_own(cx: &mut Context<Self>, writes: Vec<Write>) -> bool {
        cx.own.asked.extend(writes.into_iter().map(Request::Write));
        true
    }

    fn withdraw(cx: &mut Context<Self>, key: &ObjectKey) {
        cx.own.asked.push(Request::Withdraw(key.clone()));
    }

    fn acts(cx: &Context<Self>, capability: Capability) -> bool {
        cx.own.acting.contains(&capability)
    }
}

/// Waits between the tries of what is not easily made again: an order at a CA was spent on it.
const WAITS: [u64; 9] = [1, 2, 5, 10, 20, 30, 60, 120, 240];

/// Writes, and tries again what failed, as long as this replica leads.
async fn patiently(store: &KubernetesStore, mut writes: Vec<Write>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for wait in WAITS.into_iter().map(Some).chain([None]) {
        let written = match store.write(writes.clone(), now()).await {
            Ok(written) => written,
            Err(error) => {
                let why: Arc<str> = error.to_string().into();
                writes.iter().map(|write| Written::Failed(write.key().clone(), Arc::clone(&why))).collect()
            }
        };
        let mut failed = Vec::new();
        let mut again = Vec::new();
        for (write, written) in writes.into_iter().zip(written) {
            match written {
                Written::Failed(key, why) => {
                    failed.push(unwritten(key, &why));
                    again.push(write);
                }
                Written::OwnedBy(key, owner) => problems.push(taken(key, &owner)),
                _ => {}
            }
        }
        writes = again;
        let Some(wait) = wait.filter(|_| !writes.is_empty() && store.leads()) else {
            problems.extend(failed);
            break;
        };
        tokio::time::sleep(Duration::from_secs(wait)).await;
    }
    problems
}
