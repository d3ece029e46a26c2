//! The delta-xDS conversation of one stream, without I/O.
//!
//! Rules it keeps: clusters and endpoints are acked before the routes that use them; clusters and secrets go only
//! after listeners and routes have settled; a bare ACK is never answered (that would be an endless loop); a NACK
//! rejects a whole response, so what was in it is sent again one by one, and what is refused alone is quarantined at
//! that version while the last good one stays in force.
//!
//! It looks only at names that may be unsettled: what changed, what Envoy asked for or judged, and what was left over.
//! Source: Envoy's xDS protocol document, "Incremental xDS".

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource as Wire,
};
use portolan_core::gateway::rows::{WireKey, WireType};
use portolan_model::Name;

use crate::resources::{Resource, Resources, TYPES, type_url};

/// What Envoy said about a resource at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The resource.
    pub key: WireKey,
    /// The version it is about.
    pub version: String,
    /// Accepted, or the text of the refusal.
    pub result: Result<(), String>,
}

/// State of one stream.
#[derive(Clone, Debug, Default)]
pub struct Session {
    types: BTreeMap<WireType, PerType>,
    /// Names that may have to be sent or removed, or that others wait for.
    open: BTreeMap<WireType, BTreeSet<Name>>,
    /// Changes of the wanted resources that were taken up.
    taken: u64,
    nonce: u64,
    isolate: BTreeSet<WireKey>,
    refused: BTreeMap<WireKey, (String, String)>,
}

#[derive(Clone, Debug, Default)]
struct PerType {
    seen: bool,
    /// All names may be unsettled.
    all: bool,
    wildcard: bool,
    names: BTreeSet<Name>,
    /// What Envoy has: name to version.
    has: BTreeMap<Name, String>,
    /// The response that waits for its ACK: nonce, sent versions, removed names.
    waiting: Option<(String, BTreeMap<Name, String>, Vec<Name>)>,
    /// Names asked for that do not exist and were not answered yet.
    unanswered: BTreeSet<Name>,
}

impl PerType {
    fn wants(&self, name: &Name) -> bool {
        self.wildcard || self.names.contains(name)
    }
}

impl Session {
    /// Takes a request in; returns verdicts of Envoy.
    pub fn request(&mut self, request: &DeltaDiscoveryRequest) -> Vec<Verdict> {
        let Some(r#type) = TYPES.into_iter().find(|t| type_url(*t) == request.type_url) else {
            return Vec::new();
        };
        let state = self.types.entry(r#type).or_default();
        let mut open: BTreeSet<Name> = BTreeSet::new();
        if !state.seen {
            state.seen = true;
            state.all = true;
            // An empty first subscription to clusters or listeners means all of them.
            state.wildcard = matches!(r#type, WireType::Cluster | WireType::Listener)
                && request.resource_names_subscribe.is_empty();
            for (name, version) in &request.initial_resource_versions {
                state.has.insert(name.as_str().into(), version.clone());
            }
        }
        for name in &request.resource_names_subscribe {
            if name == "*" {
                state.wildcard = true;
                state.all = true;
                continue;
            }
            let name = Name::new(name);
            open.insert(name.clone());
            // Subscribing again asks for the resource again.
            if !state.names.insert(name.clone()) {
                state.has.remove(&name);
            }
            state.unanswered.insert(name);
        }
        for name in &request.resource_names_unsubscribe {
            if name == "*" {
                state.wildcard = false;
                continue;
            }
            state.names.remove(name.as_str());
            state.has.remove(name.as_str());
            state.unanswered.remove(name.as_str());
            open.insert(name.as_str().into());
        }
        let mut verdicts = Vec::new();
        if state.waiting.as_ref().is_some_and(|(nonce, ..)| *nonce == request.response_nonce)
            && let Some((_, sent, removed)) = state.waiting.take()
        {
            open.extend(sent.keys().chain(&removed).cloned());
            match &request.error_detail {
                None => {
                    for name in removed {
                        state.has.remove(&name);
                    }
                    for (name, version) in sent {
                        state.has.insert(name.clone(), version.clone());
                        let key = WireKey { r#type, name };
                        self.isolate.remove(&key);
                        self.refused.remove(&key);
                        verdicts.push(Verdict { key, version, result: Ok(()) });
                    }
                }
                Some(error) if sent.len() == 1 => {
                    for (name, version) in sent {
                        let key = WireKey { r#type, name };
                        self.isolate.remove(&key);
                        self.refused.insert(key.clone(), (version.clone(), error.message.clone()));
                        verdicts.push(Verdict { key, version, result: Err(error.message.clone()) });
                    }
                }
                Some(_) => self.isolate.extend(sent.into_keys().map(|name| WireKey { r#type, name })),
            }
        }
        if r#type == WireType::Endpoints {
            // Whether a cluster can be used depends on them.
            self.open.entry(WireType::Cluster).or_default().extend(open.iter().cloned());
        }
        self.open.entry(r#type).or_default().append(&mut open);
        verdicts
    }

    /// What to send now for the wanted resources. Call after every request and every change, until it is empty.
    pub fn responses(&mut self, wanted: &Resources) -> Vec<DeltaDiscoveryResponse> {
        self.take_up(wanted);
        let mut out = Vec::new();
        for r#type in TYPES {
            if let Some(response) = self.response(r#type, wanted) {
                out.push(response);
            }
        }
        self.close(wanted);
        out
    }

    /// Opens what changed.
    fn take_up(&mut self, wanted: &Resources) {
        let behind = match wanted.since(self.taken) {
            Some(changes) => {
                for key in changes {
                    self.open.entry(key.r#type).or_default().insert(key.name.clone());
                }
                false
            }
            None => true,
        };
        self.taken = wanted.sequence();
        for r#type in TYPES {
            let state = self.types.get_mut(&r#type);
            let all = state.is_some_and(|state| std::mem::take(&mut state.all));
            if behind || all {
                let open = self.open.entry(r#type).or_default();
                open.extend(wanted.of(r#type).map(|(name, _)| name.clone()));
                let has = self.types.get(&r#type).map(|state| state.has.keys().cloned());
                open.extend(has.into_iter().flatten());
            }
        }
    }

    /// Closes what needs no more attention until something about it changes.
    fn close(&mut self, wanted: &Resources) {
        for (r#type, mut open) in std::mem::take(&mut self.open) {
            open.retain(|name| {
                self.is_unsent(r#type, name, wanted)
                    || self.is_left(r#type, name, wanted)
                    || (r#type == WireType::Cluster && self.is_unmade(name, wanted))
            });
            self.open.insert(r#type, open);
        }
    }

    fn open(&self, r#type: WireType) -> impl Iterator<Item = &Name> {
        self.open.get(&r#type).into_iter().flatten()
    }

    /// Envoy wants it, and has neither accepted nor refused just this version.
    fn is_unsent(&self, r#type: WireType, name: &Name, wanted: &Resources) -> bool {
        let key = WireKey { r#type, name: name.clone() };
        let (Some(resource), Some(state)) = (wanted.get(&key), self.types.get(&r#type)) else {
            // Of a type that Envoy has not asked for yet, everything is open.
            return !self.types.contains_key(&r#type);
        };
        state.wants(name)
            && state.has.get(name) != Some(&resource.version)
            && self.refused.get(&key).is_none_or(|(version, _)| *version != resource.version)
    }

    /// Envoy has it, and it is not wanted any more.
    fn is_left(&self, r#type: WireType, name: &Name, wanted: &Resources) -> bool {
        self.types.get(&r#type).is_some_and(|state| state.has.contains_key(name))
            && wanted.get(&WireKey { r#type, name: name.clone() }).is_none()
    }

    /// The cluster cannot be used yet: it or its endpoints are not there.
    fn is_unmade(&self, name: &Name, wanted: &Resources) -> bool {
        let key = WireKey { r#type: WireType::Cluster, name: name.clone() };
        let Some(resource) = wanted.get(&key) else { return false };
        let has = |t: WireType| self.types.get(&t).and_then(|state| state.has.get(name));
        let there = has(WireType::Cluster) == Some(&resource.version) && has(WireType::Endpoints).is_some();
        !there && !self.refused.contains_key(&key)
    }

    fn waits(&self, r#type: WireType) -> bool {
        self.types.get(&r#type).is_some_and(|state| state.waiting.is_some())
    }

    /// Clusters and endpoints are there: routes may use them.
    fn made(&self, wanted: &Resources) -> bool {
        self.types.contains_key(&WireType::Cluster)
            && !self.waits(WireType::Cluster)
            && !self.waits(WireType::Endpoints)
            && !self.open(WireType::Cluster).any(|name| self.is_unmade(name, wanted))
    }

    /// Listeners and routes have settled: what they no longer name may go.
    fn settled(&self, wanted: &Resources) -> bool {
        [WireType::Listener, WireType::Routes].into_iter().all(|t| {
            !self.types.contains_key(&t)
                || (!self.waits(t) && !self.open(t).any(|name| self.is_unsent(t, name, wanted)))
        })
    }

    fn response(&mut self, r#type: WireType, wanted: &Resources) -> Option<DeltaDiscoveryResponse> {
        if !self.types.contains_key(&r#type) || self.waits(r#type) {
            return None;
        }
        if r#type == WireType::Routes && !self.made(wanted) {
            return None;
        }
        let may_remove = match r#type {
            WireType::Cluster | WireType::Secret | WireType::Endpoints => self.settled(wanted),
            WireType::Listener | WireType::Routes => true,
        };
        let of = |name: &Name| WireKey { r#type, name: name.clone() };
        let mut send: Vec<(Name, &Resource)> = self
            .open(r#type)
            .filter(|name| self.is_unsent(r#type, name, wanted))
            .filter_map(|name| Some((name.clone(), &**wanted.get(&of(name))?)))
            .collect();
        if send.iter().any(|(name, _)| self.isolate.contains(&of(name))) {
            send.truncate(1);
        }
        let mut removed: Vec<Name> = if may_remove {
            self.open(r#type).filter(|name| self.is_left(r#type, name, wanted)).cloned().collect()
        } else {
            Vec::new()
        };
        let missing = |name: &Name| wanted.get(&of(name)).is_none();
        let state = self.types.get_mut(&r#type)?;
        // A name that does not exist is answered at once; silence would keep its user warming.
        if r#type == WireType::Secret {
            removed.extend(state.unanswered.iter().filter(|name| missing(name)).cloned());
            removed.sort();
            removed.dedup();
        }
        state.unanswered.clear();
        if send.is_empty() && removed.is_empty() {
            return None;
        }
        self.nonce += 1;
        let nonce = self.nonce.to_string();
        let sent = send.iter().map(|(name, resource)| (name.clone(), resource.version.clone())).collect();
        state.waiting = Some((nonce.clone(), sent, removed.clone()));
        Some(DeltaDiscoveryResponse {
            system_version_info: String::new(),
            type_url: type_url(r#type),
            nonce,
            resources: send
                .into_iter()
                .map(|(name, resource)| Wire {
                    name: name.to_string(),
                    version: resource.version.clone(),
                    resource: Some(resource.body.clone()),
                    ..Default::default()
                })
                .collect(),
            removed_resources: removed.iter().map(ToString::to_string).collect(),
            ..Default::default()
        })
    }
}

#[cfg(test)]
mod tests;
