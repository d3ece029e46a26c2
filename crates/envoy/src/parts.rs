//! What is wanted, by Gateway: an Envoy gets what its own Gateway needs and nothing else, above all no other's keys.
//!
//! A part is what follows from the listeners of its Gateway: the tables and secrets that they name, the virtual hosts of those tables,
//! the clusters that these name, with their endpoints, and the secrets of those clusters. It is brought up to date by what changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan_core::gateway::rows::{WireKey, WireType};
use portolan_model::{GatewayKey, Name};

use crate::{
    board::{Change, Wanted},
    resources::Resource,
    tables::{Host, Table},
};

/// What is there for somebody's sake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Used {
    Table(Name),
    Cluster(Name),
    Secret(Name),
}

/// The parts of all Gateways.
#[derive(Debug, Default)]
pub struct Parts {
    by_gateway: BTreeMap<GatewayKey, Wanted>,
    /// Whose each listener is.
    listeners: BTreeMap<Name, GatewayKey>,
    /// Which Gateways use something, and how often.
    users: BTreeMap<Used, BTreeMap<GatewayKey, usize>>,
    /// Changes of the whole that were taken up.
    seen: u64,
    /// No part that is made from now on has had fewer changes: a stream that followed one which went sees that this is another.
    begun: u64,
}

/// What is to be looked at again.
#[derive(Default)]
struct Again {
    listeners: BTreeSet<Name>,
    hosts: BTreeSet<(Name, Name)>,
    /// Whole tables, clusters and secrets.
    used: BTreeSet<Used>,
}

impl Again {
    fn note(&mut self, change: Change) {
        match change {
            Change::Host(table, host) => drop(self.hosts.insert((table, host))),
            // Of a part it follows from its own listeners.
            Change::Table(_) => {}
            Change::Flat(WireKey { r#type, name }) => match r#type {
                WireType::Listener => drop(self.listeners.insert(name)),
                WireType::Cluster | WireType::Endpoints => drop(self.used.insert(Used::Cluster(name))),
                WireType::Secret => drop(self.used.insert(Used::Secret(name))),
                WireType::VirtualHost => {}
            },
        }
    }

    /// Everything.
    fn all(&mut self, whole: &Wanted, parts: &Parts) {
        let of = |r#type| whole.of(r#type).map(|(name, _)| name.clone()).collect::<Vec<_>>();
        self.listeners.extend(of(WireType::Listener));
        self.listeners.extend(parts.listeners.keys().cloned());
        self.used.extend(of(WireType::Cluster).into_iter().map(Used::Cluster));
        self.used.extend(of(WireType::Secret).into_iter().map(Used::Secret));
        self.used.extend(whole.tables().cloned().map(Used::Table));
        self.used.extend(parts.users.keys().cloned());
    }
}

impl Parts {
    /// What the Envoys of a Gateway should have; `None` where it has no listener.
    pub fn of(&self, gateway: &GatewayKey) -> Option<&Wanted> {
        self.by_gateway.get(gateway)
    }

    /// Takes over what changed in the whole since the last call.
    pub fn follow(&mut self, whole: &Wanted) {
        let mut again = Again::default();
        match whole.since(self.seen) {
            Some(changes) => changes.cloned().for_each(|change| again.note(change)),
            None => again.all(whole, self),
        }
        self.seen = whole.sequence();
        for name in std::mem::take(&mut again.listeners) {
            self.listener(&name, whole, &mut again);
        }
        // Tables first: what their hosts use is looked at after them.
        let tables: Vec<Name> = again
            .used
            .iter()
            .filter_map(|used| match used {
                Used::Table(table) => Some(table.clone()),
                _ => None,
            })
            .collect();
        for table in tables {
            self.table(&table, whole, &mut again);
        }
        for (table, host) in std::mem::take(&mut again.hosts) {
            for gateway in self.users_of(&Used::Table(table.clone())) {
                self.host(&gateway, &table, &host, whole.host(&table, &host), &mut again);
            }
        }
        // Clusters use secrets, and are before them in the order of what is used.
        while let Some(used) = again.used.pop_first() {
            match used {
                Used::Cluster(name) => self.cluster(&name, whole, &mut again),
                Used::Secret(name) => self.flat(WireType::Secret, &name, &Used::Secret(name.clone()), whole),
                Used::Table(_) => {}
            }
        }
        let gone = self.by_gateway.extract_if(.., |_, part| part.is_empty());
        self.begun = gone.map(|(_, part)| part.sequence() + 1).fold(self.begun, u64::max);
    }

    fn users_of(&self, used: &Used) -> Vec<GatewayKey> {
        self.users.get(used).into_iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    fn part(&mut self, gateway: &GatewayKey) -> &mut Wanted {
        let begun = self.begun;
        self.by_gateway.entry(gateway.clone()).or_insert_with(|| Wanted::after(begun))
    }

    /// A Gateway uses something once more, or once less.
    fn count(&mut self, gateway: &GatewayKey, used: Used, more: bool, again: &mut Again) {
        let users = self.users.entry(used.clone()).or_default();
        let count = users.entry(gateway.clone()).or_default();
        let before = *count;
        *count = if more { before + 1 } else { before.saturating_sub(1) };
        let (began, ended) = (before == 0 && more, *count == 0);
        if ended {
            users.remove(gateway);
            if users.is_empty() {
                self.users.remove(&used);
            }
        }
        if began || ended {
            again.used.insert(used);
        }
    }

    fn listener(&mut self, name: &Name, whole: &Wanted, again: &mut Again) {
        let now = whole.get(WireType::Listener, name).cloned();
        let owner = now.as_ref().and_then(|listener| listener.gateway().cloned());
        let before = self.listeners.get(name).cloned();
        if let Some(before) = before.filter(|before| Some(before) != owner.as_ref()) {
            self.set(&before, &listener_key(name), None, again);
            self.listeners.remove(name);
        }
        if let Some(owner) = owner {
            self.listeners.insert(name.clone(), owner.clone());
            self.set(&owner, &listener_key(name), now.as_ref(), again);
        }
    }

    /// Puts a listener or cluster, and counts what it uses.
    fn set(
        &mut self,
        gateway: &GatewayKey,
        key: &WireKey,
        resource: Option<&Arc<Resource>>,
        again: &mut Again,
    ) {
        let part = self.part(gateway);
        let before = part.get(key.r#type, &key.name).cloned();
        let known = resource.is_some();
        if !part.set(key, resource.cloned()) {
            if known {
                part.judge_again(Change::Flat(key.clone()));
            }
            return;
        }
        for used in resource.iter().flat_map(|resource| uses(resource)) {
            self.count(gateway, used, true, again);
        }
        for used in before.iter().flat_map(|resource| uses(resource)) {
            self.count(gateway, used, false, again);
        }
    }

    /// All hosts of a table, for each Gateway that has it or had it.
    fn table(&mut self, table: &Name, whole: &Wanted, again: &mut Again) {
        let users = self.users_of(&Used::Table(table.clone()));
        let had = self.by_gateway.iter().filter(|(_, part)| part.table(table).is_some());
        let had: Vec<GatewayKey> = had.map(|(gateway, _)| gateway.clone()).collect();
        for gateway in users.iter().chain(&had).collect::<BTreeSet<_>>() {
            let wanted = whole.table(table).filter(|_| users.contains(gateway));
            let hosts = |table: Option<&Table>| -> BTreeSet<Name> {
                table.into_iter().flat_map(Table::all).map(|host| host.host().clone()).collect()
            };
            let is = self.by_gateway.get(gateway).and_then(|part| part.table(table));
            for host in hosts(wanted).union(&hosts(is)) {
                let now = wanted.and_then(|wanted| wanted.get(host));
                self.host(gateway, table, host, now, again);
            }
        }
    }

    fn host(
        &mut self,
        gateway: &GatewayKey,
        table: &Name,
        name: &Name,
        host: Option<&Arc<Host>>,
        again: &mut Again,
    ) {
        let part = self.part(gateway);
        let before = part.host(table, name).cloned();
        if !part.set_host(table, name, host.cloned()) && host.is_some() {
            part.judge_again(Change::Host(table.clone(), name.clone()));
        }
        let clusters = |host: Option<&Arc<Host>>| -> Vec<Name> {
            host.into_iter().flat_map(|host| host.clusters.iter().cloned()).collect()
        };
        for cluster in clusters(host) {
            self.count(gateway, Used::Cluster(cluster), true, again);
        }
        for cluster in clusters(before.as_ref()) {
            self.count(gateway, Used::Cluster(cluster), false, again);
        }
    }

    fn cluster(&mut self, name: &Name, whole: &Wanted, again: &mut Again) {
        let used = Used::Cluster(name.clone());
        let key = WireKey { r#type: WireType::Cluster, name: name.clone() };
        for (gateway, uses) in self.having(&key, &used) {
            let now = whole.get(WireType::Cluster, name).filter(|_| uses).cloned();
            self.set(&gateway, &key, now.as_ref(), again);
        }
        self.flat(WireType::Endpoints, name, &used, whole);
    }

    /// Endpoints or a secret.
    fn flat(&mut self, r#type: WireType, name: &Name, used: &Used, whole: &Wanted) {
        let key = WireKey { r#type, name: name.clone() };
        for (gateway, uses) in self.having(&key, used) {
            let now = whole.get(r#type, name).filter(|_| uses).cloned();
            let (part, there) = (self.part(&gateway), now.is_some());
            if !part.set(&key, now) && there {
                part.judge_again(Change::Flat(key.clone()));
            }
        }
    }

    /// Gateways that have it or are to have it, and whether they are.
    fn having(&self, key: &WireKey, used: &Used) -> Vec<(GatewayKey, bool)> {
        let uses: BTreeSet<GatewayKey> = self.users_of(used).into_iter().collect();
        let has = self.by_gateway.iter().filter(|(_, part)| part.get(key.r#type, &key.name).is_some());
        let has = has.map(|(gateway, _)| gateway.clone());
        let all: BTreeSet<GatewayKey> = has.chain(uses.iter().cloned()).collect();
        all.into_iter().map(|gateway| (gateway.clone(), uses.contains(&gateway))).collect()
    }
}

fn listener_key(name: &Name) -> WireKey {
    WireKey { r#type: WireType::Listener, name: name.clone() }
}

fn uses(resource: &Resource) -> impl Iterator<Item = Used> {
    let tables = resource.tables().iter().cloned().map(Used::Table);
    let clusters = resource.clusters().iter().cloned().map(Used::Cluster);
    tables.chain(resource.secrets().iter().cloned().map(Used::Secret)).chain(clusters)
}

#[cfg(test)]
mod tests;
