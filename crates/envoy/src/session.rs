//! The delta-xDS conversation of one stream, without I/O.
//!
//! Rules it keeps: clusters and endpoints are acked before the routes that use them; clusters and secrets go only
//! after listeners and routes have settled; a bare ACK is never answered (that would be an endless loop); a NACK
//! rejects a whole response, so what was in it is sent again one by one, and what is refused alone is quarantined at
//! that version while the last good one stays in force.
//! Source: Envoy's xDS protocol document, "Incremental xDS".

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource as Wire,
};
use portolan_core::gateway::rows::{WireKey, WireType};
use portolan_model::Name;

use crate::resources::{Resources, TYPES, type_url};

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
#[derive(Debug, Default)]
pub struct Session {
    types: BTreeMap<WireType, PerType>,
    nonce: u64,
    isolate: BTreeSet<WireKey>,
    refused: BTreeMap<WireKey, (String, String)>,
}

#[derive(Debug, Default)]
struct PerType {
    seen: bool,
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
        if !state.seen {
            state.seen = true;
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
                continue;
            }
            let name = Name::new(name);
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
        }
        let mut verdicts = Vec::new();
        if state.waiting.as_ref().is_some_and(|(nonce, ..)| *nonce == request.response_nonce)
            && let Some((_, sent, removed)) = state.waiting.take()
        {
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
        verdicts
    }

    /// What to send now for the wanted resources. Call after every request and every change, until it is empty.
    pub fn responses(&mut self, wanted: &Resources) -> Vec<DeltaDiscoveryResponse> {
        let mut out = Vec::new();
        for r#type in TYPES {
            if let Some(response) = self.response(r#type, wanted) {
                out.push(response);
            }
        }
        out
    }

    /// Clusters and endpoints are there: routes may use them.
    fn made(&self, wanted: &Resources) -> bool {
        let Some(clusters) = self.types.get(&WireType::Cluster) else { return false };
        let settled = |t: WireType| self.types.get(&t).is_none_or(|s| s.waiting.is_none());
        let have =
            |name: &Name| self.types.get(&WireType::Endpoints).is_some_and(|e| e.has.contains_key(name));
        settled(WireType::Cluster)
            && settled(WireType::Endpoints)
            && wanted.of(WireType::Cluster).all(|(key, resource)| {
                self.refused.contains_key(key)
                    || (clusters.has.get(&key.name) == Some(&resource.version) && have(&key.name))
            })
    }

    /// Listeners and routes have settled: what they no longer name may go.
    fn settled(&self, wanted: &Resources) -> bool {
        [WireType::Listener, WireType::Routes].into_iter().all(|t| {
            let Some(state) = self.types.get(&t) else { return true };
            state.waiting.is_none()
                && wanted.of(t).all(|(key, resource)| {
                    !state.wants(&key.name)
                        || state.has.get(&key.name) == Some(&resource.version)
                        || self.refused.get(key).is_some_and(|(version, _)| *version == resource.version)
                })
        })
    }

    fn response(&mut self, r#type: WireType, wanted: &Resources) -> Option<DeltaDiscoveryResponse> {
        if self.types.get(&r#type).is_none_or(|s| s.waiting.is_some()) {
            return None;
        }
        if r#type == WireType::Routes && !self.made(wanted) {
            return None;
        }
        let may_remove = match r#type {
            WireType::Cluster | WireType::Secret | WireType::Endpoints => self.settled(wanted),
            WireType::Listener | WireType::Routes => true,
        };
        let state = self.types.get_mut(&r#type)?;
        let mut send: Vec<(Name, &crate::resources::Resource)> = wanted
            .of(r#type)
            .filter(|(key, resource)| {
                state.wants(&key.name)
                    && state.has.get(&key.name) != Some(&resource.version)
                    && self.refused.get(key).is_none_or(|(version, _)| *version != resource.version)
            })
            .map(|(key, resource)| (key.name.clone(), &**resource))
            .collect();
        if send.iter().any(|(name, _)| self.isolate.contains(&WireKey { r#type, name: name.clone() })) {
            send.truncate(1);
        }
        let missing = |name: &Name| wanted.get(&WireKey { r#type, name: name.clone() }).is_none();
        let mut removed: Vec<Name> = if may_remove {
            state.has.keys().filter(|name| missing(name)).cloned().collect()
        } else {
            Vec::new()
        };
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
