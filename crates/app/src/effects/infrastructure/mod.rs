//! What serves Gateways in a cluster: Deployments, Services and what goes with them, by the replica that leads.

mod facts;
mod run;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use portolan_core::{
    capability::Capability,
    infrastructure::rows::{FleetFailure, FleetWanted},
};
use portolan_effects::{
    converge::{Backoff, Converge, Limits},
    store::Cache as _,
};
use portolan_engine::Changes;
use portolan_kubernetes::Mirror;
use portolan_model::{GatewayKey, Kind, NamespacedName, ObjectKey};
use tokio::time::Instant;

use super::{Context, Effect, Platform, Wake, inbox::Inbox, seed};
use crate::rights::Right;
use facts::Answer;

const LIMITS: Limits =
    Limits { budget: 8, backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(2) } };
/// After which all of a Gateway is applied once more: its Deployment is not watched, and somebody may have changed it.
const AGAIN: Duration = Duration::from_mins(10);

/// What is wanted of a Gateway, and which Gateway owns it: one that was made anew under the name has another uid.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    row: Arc<FleetWanted>,
    uid: Arc<str>,
}

/// Applies it.
pub struct Infrastructure {
    rows: BTreeMap<GatewayKey, Arc<FleetWanted>>,
    works: Converge<GatewayKey, Wanted>,
    /// When each Gateway is applied once more.
    again: BTreeMap<GatewayKey, Instant>,
    inbox: Inbox<Answer>,
    leads: bool,
}

impl Infrastructure {
    /// Nothing is wanted yet.
    pub fn new(wake: &Wake) -> Self {
        Self {
            rows: BTreeMap::new(),
            works: Converge::new(LIMITS, seed()),
            again: BTreeMap::new(),
            inbox: Inbox::new(wake),
            leads: false,
        }
    }

    /// Wants what a Gateway that is there is to have.
    fn want(&mut self, key: &GatewayKey, cx: &Context<impl Platform<Store = Mirror>>) {
        let Some(row) = self.rows.get(key) else { return };
        let stored = cx.store.get(&object(key));
        let Some(stamp) = stored.and_then(|stored| stored.object.stamp.as_ref()) else { return };
        let wanted = Wanted { row: Arc::clone(row), uid: Arc::clone(&stamp.uid) };
        self.works.want(key.clone(), wanted, Instant::now());
    }
}

/// The Gateway as an object.
fn object(gateway: &NamespacedName) -> ObjectKey {
    ObjectKey { kind: Kind::new("gateway.networking.k8s.io", "Gateway"), name: gateway.clone() }
}

impl<P: Platform<Store = Mirror>> Effect<P> for Infrastructure {
    fn rights(&self) -> Vec<Right> {
        // Server-side apply of what is not there is a patch that also needs create.
        const WRITTEN: &[&str] = &["get", "create", "patch"];
        const REMOVED: &[&str] = &["get", "create", "patch", "delete"];
        vec![
            Right::anywhere("", "configmaps", WRITTEN),
            Right::anywhere("", "serviceaccounts", WRITTEN),
            Right::anywhere("", "services", REMOVED),
            Right::anywhere("apps", "deployments", WRITTEN),
            Right::anywhere("policy", "poddisruptionbudgets", WRITTEN),
            Right::anywhere("autoscaling", "horizontalpodautoscalers", REMOVED),
        ]
    }

    fn follow(&mut self, step: &Changes, cx: &mut Context<P>) {
        for change in step.of::<FleetWanted>() {
            if let Some(row) = &change.after {
                self.rows.insert(change.key.clone(), Arc::clone(row));
                continue;
            }
            // What it owns goes with it, by its owner references.
            self.rows.remove(&change.key);
            self.works.forget(&change.key);
            self.again.remove(&change.key);
            if cx.engine.get::<FleetFailure>(&change.key).is_some() {
                cx.engine.remove::<FleetFailure>(&change.key);
                cx.facts = true;
            }
        }
        let keys: Vec<GatewayKey> = self.rows.keys().cloned().collect();
        for key in &keys {
            self.want(key, cx);
        }
    }

    fn take(&mut self, cx: &mut Context<P>) {
        self.take_answers(cx);
    }

    fn begin(&mut self, cx: &mut Context<P>) {
        self.leads = cx.acts(Capability::Gateway);
        if !self.leads {
            return;
        }
        let now = Instant::now();
        let due: Vec<GatewayKey> =
            self.again.extract_if(.., |_, at| *at <= now).map(|(key, _)| key).collect();
        for key in due {
            if let Some(wanted) = self.works.wanted(&key).cloned() {
                self.works.renew(key, wanted, now);
            }
        }
        for work in self.works.begin(now) {
            run::begin(work, cx.store.store().clone(), self.inbox.answers());
        }
    }

    fn due(&self) -> Option<Instant> {
        let again = self.again.values().min().copied();
        [self.works.due(), again].into_iter().flatten().min().filter(|_| self.leads)
    }

    fn is_busy(&self) -> bool {
        !self.works.is_idle()
    }
}
