//! Changed wire rows become resources, and verdicts of Envoy become facts. Work is O(what changed).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_core::gateway::rows::{
    Cluster, Endpoints, TlsSecret, VirtualHost, WireAck, WireKey, WireListener, WireType,
};
use portolan_effects::echo::Echo;
use portolan_engine::Changes;
use portolan_envoy::{
    encode::{self, Design, RouteTable},
    resources::{Board, Resources, TYPES},
    session::Verdict,
};
use portolan_model::Name;

/// What Envoy should have, and what it said.
#[derive(Default)]
pub struct Wire {
    /// The wanted resources.
    resources: Resources,
    /// Changed since they were published.
    changed: BTreeSet<WireKey>,
    tables: BTreeMap<Name, RouteTable>,
    /// Route configurations that a listener names, with how many chains do.
    named: BTreeMap<Name, BTreeSet<Name>>,
    /// Wanted but not judged yet.
    pending: BTreeSet<WireKey>,
    echo: Echo,
}

fn key(r#type: WireType, name: &Name) -> WireKey {
    WireKey { r#type, name: name.clone() }
}

impl Wire {
    /// Takes over the changes of the last step; `true` if Envoy must hear of it.
    pub fn take(&mut self, step: &Changes) -> bool {
        let mut touched: BTreeSet<WireKey> = BTreeSet::new();
        let mut routes: BTreeSet<Name> = BTreeSet::new();
        for change in step.of::<Cluster>() {
            let key = key(WireType::Cluster, &change.key);
            let changed = match &change.after {
                Some(row) => self.resources.put(key.clone(), &encode::cluster(row)),
                None => self.resources.remove(&key),
            };
            touched.extend(changed.then_some(key));
        }
        for change in step.of::<Endpoints>() {
            let key = key(WireType::Endpoints, &change.key);
            let changed = match &change.after {
                Some(row) => {
                    let echo = match row.stand_in {
                        None => Ok(None),
                        Some(_) => self.echo.address(&row.service.to_string()).map(Some),
                    };
                    match echo {
                        Ok(echo) => self.resources.put(key.clone(), &encode::endpoints(row, echo)),
                        Err(error) => {
                            tracing::error!(%error, service = %row.service, "no stand-in could be started");
                            false
                        }
                    }
                }
                None => self.resources.remove(&key),
            };
            touched.extend(changed.then_some(key));
        }
        for change in step.of::<TlsSecret>() {
            let key = key(WireType::Secret, &change.key);
            let changed = match &change.after {
                Some(row) => self.resources.put(key.clone(), &encode::tls_secret(row)),
                None => self.resources.remove(&key),
            };
            touched.extend(changed.then_some(key));
        }
        for change in step.of::<WireListener>() {
            let names = |row: Option<&Arc<WireListener>>| -> Vec<(Name, Name)> {
                let chains =
                    row.iter().flat_map(|l| l.chains.iter().filter(|c| !c.refuses()).map(|c| (c, &l.name)));
                chains.map(|(chain, listener)| (chain.routes.clone(), listener.clone())).collect()
            };
            for (table, listener) in names(change.before.as_ref()) {
                self.named.entry(table.clone()).or_default().remove(&listener);
                routes.insert(table);
            }
            for (table, listener) in names(change.after.as_ref()) {
                self.named.entry(table.clone()).or_default().insert(listener);
                routes.insert(table);
            }
            let name: Name = format!("gw/{}/{}", change.key.0, change.key.1).into();
            let key = key(WireType::Listener, &name);
            let changed = match &change.after {
                Some(row) => self.resources.put(key.clone(), &encode::listener(row, Design::Whole)),
                None => self.resources.remove(&key),
            };
            touched.extend(changed.then_some(key));
        }
        for change in step.of::<VirtualHost>() {
            let (name, host) = &change.key;
            let table = self.tables.entry(name.clone()).or_default();
            match &change.after {
                Some(row) => table.put(row),
                None => table.remove(host),
            }
            if table.is_empty() {
                self.tables.remove(name);
            }
            routes.insert(name.clone());
        }
        for name in routes {
            let key = key(WireType::Routes, &name);
            let resource = if self.named.get(&name).is_some_and(|listeners| !listeners.is_empty()) {
                let none = RouteTable::default();
                Some(Arc::new(self.tables.get(&name).unwrap_or(&none).resource(&name)))
            } else {
                self.named.remove(&name);
                None
            };
            let changed = self.resources.set(key.clone(), resource);
            touched.extend(changed.then_some(key));
        }
        for key in &touched {
            if self.resources.get(key).is_some() {
                self.pending.insert(key.clone());
            } else {
                self.pending.remove(key);
            }
        }
        let changed = !touched.is_empty();
        self.changed.append(&mut touched);
        changed
    }

    /// Puts on the board what changed since the last time; gives the number of resources and their size.
    pub fn publish(&mut self, board: &Board) -> (usize, usize) {
        let changes: Vec<_> = std::mem::take(&mut self.changed)
            .into_iter()
            .map(|key| {
                let resource = self.resources.get(&key).cloned();
                (key, resource)
            })
            .collect();
        let size = changes.iter().filter_map(|(_, r)| r.as_ref()).map(|r| r.body.value.len()).sum();
        let count = changes.len();
        board.publish(changes);
        (count, size)
    }

    fn keys(&self, r#type: WireType) -> impl Iterator<Item = WireKey> {
        self.resources.of(r#type).map(move |(name, _)| key(r#type, name))
    }

    /// A new Envoy has nothing: everything waits for its verdict again.
    pub fn forget(&mut self) {
        self.pending = TYPES.into_iter().flat_map(|t| self.keys(t)).collect();
    }

    /// Notes a verdict; gives the fact to put, `None` if it is about an old version.
    pub fn verdict(&mut self, verdict: Verdict) -> Option<WireAck> {
        let wanted = &self.resources.get(&verdict.key)?.version;
        if *wanted != verdict.version {
            return None;
        }
        self.pending.remove(&verdict.key);
        Some(WireAck { key: verdict.key, state: verdict.result })
    }

    /// Listeners whose wanted version Envoy has not judged yet.
    pub fn pending_listeners(&self) -> impl Iterator<Item = &WireKey> {
        self.pending.iter().filter(|key| key.r#type == WireType::Listener)
    }

    /// Envoy has judged all that is wanted: a probe now sees the wanted configuration.
    pub fn settled(&self) -> bool {
        self.pending.is_empty()
    }
}
