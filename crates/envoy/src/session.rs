//! The delta-xDS conversation of one stream, without I/O.
//!
//! Rules it keeps:
//!
//! - Make before break, for each virtual host: the clusters and the endpoints that it names are acked before the scope
//!   that holds it is sent. One whose cluster is not there yet is held back alone: what is in force of it stays, and
//!   nobody else waits. Listeners wait for the scopes of their tables once Envoy asks for scopes, and for the clusters
//!   that they name themselves.
//! - What is named stays: a cluster goes when no virtual host or listener names it that is in force or under way, a secret
//!   or a scope when no listener does.
//! - A NACK rejects a whole response. Of several resources the halves are sent again; of one scope the new virtual
//!   hosts are asked about in a scope that nobody is routed by ([`hunt`]), down to the rule. What is refused is
//!   quarantined at that version: the last good one, or the host without the rule, is served.
//! - A bare ACK is never answered (that would be an endless loop), an empty first answer is.
//!
//! It looks only at names that may be unsettled: what changed, what Envoy asked for or judged, and what was left over.
//! Source: Envoy's xDS protocol document, "Incremental xDS".

mod bisect;
mod compose;
mod flat;
mod hunt;
mod retry;
mod scopes;

use std::collections::BTreeSet;

use envoy_types::pb::{
    envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource as Wire},
    google::protobuf::Any,
};
use portolan_core::gateway::rows::{Hold, Refusal, WireKey, WireType, virtual_host_name};
use portolan_model::Name;

use crate::{
    board::{Change, Wanted},
    resources::{FLAT, Resource, type_url},
    tables::Table,
};
use compose::Backends;
use flat::{Allows, Flat};
use scopes::Scopes;

/// How a wanted resource stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Just this version is in force.
    InForce,
    /// Envoy refused it, or a part of it.
    Refused(Refusal),
    /// It is not in force yet.
    Held(Hold),
}

/// How a resource stands at the version that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The resource.
    pub key: WireKey,
    /// Changes of what is wanted that were taken up: with fewer than there are now, it is about an earlier version.
    pub taken: u64,
    /// How it stands.
    pub standing: Standing,
}

/// State of one stream.
#[derive(Clone, Debug)]
pub struct Session {
    clusters: Flat,
    endpoints: Flat,
    secrets: Flat,
    listeners: Flat,
    scopes: Scopes,
    /// Changes of what is wanted that were taken up.
    taken: u64,
    nonce: u64,
    verdicts: Vec<Verdict>,
}

impl Default for Session {
    fn default() -> Self {
        let [clusters, endpoints, secrets, listeners] = FLAT.map(Flat::new);
        Self {
            clusters,
            endpoints,
            secrets,
            listeners,
            scopes: Scopes::default(),
            taken: 0,
            nonce: 0,
            verdicts: Vec::new(),
        }
    }
}

impl Session {
    fn flat(&mut self, r#type: WireType) -> Option<&mut Flat> {
        match r#type {
            WireType::Cluster => Some(&mut self.clusters),
            WireType::Endpoints => Some(&mut self.endpoints),
            WireType::Secret => Some(&mut self.secrets),
            WireType::Listener => Some(&mut self.listeners),
            WireType::VirtualHost => None,
        }
    }

    /// Takes a request in. `now` is in milliseconds of any clock that never goes back.
    pub fn request(&mut self, request: &DeltaDiscoveryRequest, now: u64) {
        if request.type_url == type_url(WireType::VirtualHost) {
            self.scopes.request(request);
        }
        for r#type in FLAT.into_iter().filter(|t| type_url(*t) == request.type_url) {
            if let Some(flat) = self.flat(r#type) {
                flat.request(request, now);
            }
        }
    }

    /// What to send now. Call after every request, every change and at [`Self::due`].
    pub fn responses(&mut self, wanted: &Wanted, now: u64) -> Vec<DeltaDiscoveryResponse> {
        self.take_up(wanted, now);
        let mut out = Vec::new();
        for r#type in FLAT {
            out.extend(self.flat_response(r#type, wanted, now));
        }
        out.extend(self.scopes_response(wanted, now));
        // What a scope let go of.
        self.judge(wanted);
        let (clusters, endpoints) = (&self.clusters, &self.endpoints);
        let open = clusters.open.iter().filter(|name| is_unmade(clusters, endpoints, name, wanted));
        let unmade: BTreeSet<Name> = open.cloned().collect();
        self.clusters.close(wanted, now, |name| unmade.contains(name));
        for flat in [&mut self.endpoints, &mut self.secrets, &mut self.listeners] {
            flat.close(wanted, now, |_| false);
        }
        out
    }

    /// What has become of resources since the last call.
    pub fn verdicts(&mut self) -> Vec<Verdict> {
        std::mem::take(&mut self.verdicts)
    }

    /// Whether Envoy's verdict on something that was sent is still to come.
    pub fn is_waiting(&self) -> bool {
        let flat = [&self.clusters, &self.endpoints, &self.secrets, &self.listeners];
        flat.into_iter().any(Flat::waits) || self.scopes.is_waiting()
    }

    /// When [`Self::responses`] is to be called although nothing has happened.
    pub fn due(&self) -> Option<u64> {
        [self.listeners.due(), self.scopes.due()].into_iter().flatten().min()
    }

    /// Opens what changed.
    fn take_up(&mut self, wanted: &Wanted, now: u64) {
        let behind = match wanted.since(self.taken) {
            Some(changes) => {
                for change in changes.cloned().collect::<BTreeSet<Change>>() {
                    match change {
                        Change::Flat(key) => {
                            if let Some(flat) = self.flat(key.r#type) {
                                flat.open.insert(key.name.clone());
                                flat.judged.insert(key.name.clone());
                            }
                        }
                        Change::Host(table, host) => self.scopes.changed(&table, &host),
                        Change::Table(table) => self.scopes.table(&table, wanted),
                    }
                }
                false
            }
            None => true,
        };
        self.taken = wanted.sequence();
        for r#type in FLAT {
            let Some(flat) = self.flat(r#type) else { continue };
            flat.wake(wanted, now);
            if std::mem::take(&mut flat.all) || behind {
                let wanted = wanted.of(r#type).map(|(name, _)| name.clone());
                let names: Vec<Name> = wanted.chain(flat.has.keys().cloned()).collect();
                flat.judged.extend(names.iter().cloned());
                flat.open.extend(names);
            }
        }
        self.adopt_listeners(wanted);
        if self.scopes.seen && (std::mem::take(&mut self.scopes.all) || behind) {
            let known: BTreeSet<Name> = self.scopes.has.keys().map(|(table, _)| table.clone()).collect();
            for table in wanted.named().cloned().collect::<BTreeSet<_>>().union(&known) {
                self.scopes.table(table, wanted);
            }
            self.scopes.leave_strange();
        }
        if behind {
            self.scopes.judged.extend(wanted.hosts().map(|host| host.row.key.clone()));
        }
        // Hosts may wait for clusters that have come, or have been refused.
        for name in self.clusters.judged.iter().chain(&self.endpoints.judged) {
            if let Some(scopes) = self.scopes.waits.remove(name) {
                self.scopes.exact.extend(scopes);
            }
        }
        for name in std::mem::take(&mut self.clusters.renewed) {
            // A cluster that changed is warmed with endpoints that are sent anew (Envoy, "xDS protocol": resource warming).
            self.endpoints.has.remove(&name);
            self.endpoints.open.insert(name);
        }
        let endpoints: Vec<Name> = self.endpoints.judged.iter().cloned().collect();
        self.clusters.open.extend(endpoints);
        self.clusters.open.extend(std::mem::take(&mut self.scopes.freed));
    }

    /// What a listener or cluster that an earlier run sent names, if it is just what is wanted.
    fn adopt_listeners(&mut self, wanted: &Wanted) {
        for (r#type, flat) in
            [(WireType::Listener, &mut self.listeners), (WireType::Cluster, &mut self.clusters)]
        {
            for name in &flat.judged {
                if let Some(resource) = wanted.get(r#type, name)
                    && flat.has.get(name) == Some(&Some(resource.version))
                    && (r#type == WireType::Listener || !resource.secrets().is_empty())
                {
                    flat.uses.entry(name.clone()).or_insert_with(|| resource.clone());
                }
            }
        }
    }

    fn flat_response(
        &mut self,
        r#type: WireType,
        wanted: &Wanted,
        now: u64,
    ) -> Option<DeltaDiscoveryResponse> {
        let Self { clusters, endpoints, secrets, listeners, scopes, nonce, .. } = self;
        // Not known of a listener that an earlier run sent: then every secret stays.
        let named: Option<BTreeSet<Name>> = if r#type == WireType::Secret {
            let shown = clusters.uses.values().flat_map(|cluster| cluster.secrets().iter().cloned());
            let all = listeners.named().map(|all| all.flat_map(|l| l.secrets().iter().cloned()));
            all.map(|all| all.chain(shown).collect())
        } else {
            None
        };
        let dialled: Option<BTreeSet<Name>> = if r#type == WireType::Cluster {
            listeners.named().map(|all| all.flat_map(|l| l.clusters().iter().cloned()).collect())
        } else {
            None
        };
        // A listener waits for what it names itself, unless that is refused: then its connections are closed.
        let far = Backends { wanted, clusters, endpoints, in_motion: false };
        let dials = |resource: &Resource| resource.clusters().iter().all(|name| !far.is_coming(name));
        let ready: BTreeSet<Name> = if r#type == WireType::Listener {
            let open =
                listeners.open.iter().filter(|name| wanted.get(r#type, name).is_some_and(|l| dials(l)));
            open.cloned().collect()
        } else {
            BTreeSet::new()
        };
        let may_go = |name: &Name| match r#type {
            WireType::Cluster => {
                !scopes.names(name) && dialled.as_ref().is_some_and(|dialled| !dialled.contains(name))
            }
            WireType::Secret => named.as_ref().is_some_and(|named| !named.contains(name)),
            WireType::Endpoints | WireType::Listener | WireType::VirtualHost => true,
        };
        let ready = |name: &Name, resource: &Resource| {
            resource.tables().iter().all(|table| scopes.there(table))
                && (r#type != WireType::Listener || ready.contains(name))
        };
        let flat = match r#type {
            WireType::Cluster => clusters,
            WireType::Endpoints => endpoints,
            WireType::Secret => secrets,
            WireType::Listener => listeners,
            WireType::VirtualHost => return None,
        };
        let (send, removed) = flat.next(&Allows { wanted, now, ready: &ready, may_go: &may_go })?;
        *nonce += 1;
        let resources = send.iter().map(|(name, resource)| resource.wire(r#type, name)).collect();
        let response = response(r#type, *nonce, resources, &removed);
        let gone = if r#type == WireType::Cluster { removed.clone() } else { vec![] };
        flat.sent(nonce.to_string(), (send, removed));
        for name in &gone {
            self.endpoints.forget(name);
        }
        Some(response)
    }

    fn scopes_response(&mut self, wanted: &Wanted, now: u64) -> Option<DeltaDiscoveryResponse> {
        let Self { clusters, endpoints, listeners, scopes, nonce, .. } = self;
        let settled = listeners.settled(wanted, now);
        let in_motion = in_motion(clusters, endpoints, wanted);
        let far = Backends { wanted, clusters, endpoints, in_motion };
        let out = scopes.next(wanted, &far, settled, now)?;
        *nonce += 1;
        let resources =
            out.send.iter().map(|(name, version, body)| wire(name, version.clone(), body.clone()));
        let response = response(WireType::VirtualHost, *nonce, resources.collect(), &out.removed);
        scopes.sent(nonce.to_string(), out);
        Some(response)
    }

    /// Says how what was judged stands.
    fn judge(&mut self, wanted: &Wanted) {
        let Self { clusters, endpoints, secrets, listeners, scopes, verdicts, taken, .. } = self;
        let far = Backends { wanted, clusters, endpoints, in_motion: false };
        // What only refused listeners name Envoy may never ask for.
        for name in listeners.judged.iter().filter(|name| listeners.refusal(name, wanted).is_some()) {
            let Some(resource) = wanted.get(WireType::Listener, name) else { continue };
            secrets.judged.extend(resource.secrets().iter().cloned());
            let hosts = resource.tables().iter().filter_map(|table| wanted.table(table));
            if !scopes.seen {
                scopes.judged.extend(hosts.flat_map(Table::all).map(|host| host.row.key.clone()));
            }
        }
        let refused = |names: &dyn Fn(&Resource) -> bool| {
            if !listeners.refuses() {
                return false;
            }
            let mut all = wanted.of(WireType::Listener).filter(|(_, listener)| names(listener));
            all.all(|(name, _)| listeners.refusal(name, wanted).is_some())
        };
        for (table, host) in std::mem::take(&mut scopes.judged) {
            if let Some(want) = wanted.host(&table, &host) {
                let standing = match scopes.standing(want, &far) {
                    Standing::Held(_)
                        if !scopes.seen && refused(&|listener| listener.tables().contains(&table)) =>
                    {
                        Standing::Held(Hold::NotAsked)
                    }
                    standing => standing,
                };
                let name = virtual_host_name(&table, &host);
                let key = WireKey { r#type: WireType::VirtualHost, name };
                verdicts.push(Verdict { key, taken: *taken, standing });
            }
        }
        for (r#type, flat) in FLAT.into_iter().zip([&*clusters, endpoints, secrets, listeners]) {
            for name in &flat.judged {
                let Some(resource) = wanted.get(r#type, name) else { continue };
                let on_demand = r#type == WireType::Secret && !wanted.is_named_secret(name);
                let standing = match flat.standing(name, resource, on_demand) {
                    Standing::Held(Hold::Sent)
                        if r#type == WireType::Secret
                            && !flat.wants(name)
                            && refused(&|listener| listener.secrets().contains(name)) =>
                    {
                        Standing::Held(Hold::NotAsked)
                    }
                    standing => standing,
                };
                let key = WireKey { r#type, name: name.clone() };
                verdicts.push(Verdict { key, taken: *taken, standing });
            }
        }
        for flat in [clusters, endpoints, secrets, listeners] {
            flat.judged.clear();
        }
    }
}

/// A wanted cluster that neither is there with its endpoints nor is refused.
fn is_unmade(clusters: &Flat, endpoints: &Flat, name: &Name, wanted: &Wanted) -> bool {
    wanted.get(WireType::Cluster, name).is_some()
        && !(clusters.has.contains_key(name) && endpoints.has.contains_key(name))
        && clusters.refusal(name, wanted).is_none()
}

/// Whether a wanted cluster is on its way.
fn in_motion(clusters: &Flat, endpoints: &Flat, wanted: &Wanted) -> bool {
    clusters.open.iter().any(|name| {
        is_unmade(clusters, endpoints, name, wanted) && wanted.get(WireType::Endpoints, name).is_some()
    })
}

fn wire(name: &Name, version: String, body: Any) -> Wire {
    Wire { name: name.to_string(), version, resource: Some(body), ..Default::default() }
}

fn response(r#type: WireType, nonce: u64, resources: Vec<Wire>, removed: &[Name]) -> DeltaDiscoveryResponse {
    DeltaDiscoveryResponse {
        type_url: type_url(r#type),
        nonce: nonce.to_string(),
        resources,
        removed_resources: removed.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
