//! One type whose resources are sent as they are: clusters, endpoints, secrets or listeners.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use envoy_types::pb::envoy::{
    config::endpoint::v3::ClusterLoadAssignment, service::discovery::v3::DeltaDiscoveryRequest,
};
use portolan_core::gateway::rows::{Hold, Refusal, WireType};
use portolan_model::Name;

use super::{Standing, retry};
use crate::{
    board::Wanted,
    resources::{Resource, Version},
};

/// What Envoy has of the type, and what is under way.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about the stream")]
pub(super) struct Flat {
    r#type: WireType,
    /// Envoy has asked for the type.
    pub seen: bool,
    /// An answer is owed, even an empty one: Envoy does not go on before.
    first: bool,
    /// All names may be unsettled.
    pub all: bool,
    wildcard: bool,
    names: BTreeSet<Name>,
    /// What is in force: name to version; `None` if that is not known, or none of ours.
    pub has: BTreeMap<Name, Option<Version>>,
    /// What the listeners or clusters in force name; clusters that name nothing are not in it.
    pub uses: BTreeMap<Name, Arc<Resource>>,
    waiting: Option<Waiting>,
    /// Names asked for that do not exist and were not answered yet.
    unanswered: BTreeSet<Name>,
    /// Names that may have to be sent or removed.
    pub open: BTreeSet<Name>,
    /// Names whose standing may have changed.
    pub judged: BTreeSet<Name>,
    /// Clusters that were in force in another version before.
    pub renewed: Vec<Name>,
    /// Halves of responses that were refused, next last.
    parts: Vec<BTreeSet<Name>>,
    refused: BTreeMap<Name, Refused>,
}

/// A response that waits for its verdict.
#[derive(Clone, Debug)]
struct Waiting {
    nonce: String,
    sent: BTreeMap<Name, Arc<Resource>>,
    removed: Vec<Name>,
}

/// A version that was refused alone.
#[derive(Clone, Debug)]
struct Refused {
    version: Version,
    words: String,
    tries: u32,
    /// When it is tried again.
    again: Option<u64>,
}

/// What the rest of the session allows.
pub(super) struct Allows<'a> {
    pub wanted: &'a Wanted,
    pub now: u64,
    /// Whether what it names is there.
    pub ready: &'a dyn Fn(&Name, &Resource) -> bool,
    /// Whether nothing that is in force names it.
    pub may_go: &'a dyn Fn(&Name) -> bool,
}

/// Resources to send, names to remove.
type Out = (Vec<(Name, Arc<Resource>)>, Vec<Name>);

impl Flat {
    pub fn new(r#type: WireType) -> Self {
        Self {
            r#type,
            seen: false,
            first: false,
            all: false,
            wildcard: false,
            names: BTreeSet::new(),
            has: BTreeMap::new(),
            uses: BTreeMap::new(),
            waiting: None,
            unanswered: BTreeSet::new(),
            open: BTreeSet::new(),
            judged: BTreeSet::new(),
            renewed: Vec::new(),
            parts: Vec::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Whether Envoy has subscribed to a name.
    pub fn wants(&self, name: &Name) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// A response of the type is under way.
    pub fn waits(&self) -> bool {
        self.waiting.is_some()
    }

    /// What Envoy says a name was refused for, if that is about the wanted version.
    pub fn refusal(&self, name: &Name, wanted: &Wanted) -> Option<&str> {
        let refused = self.refused.get(name)?;
        (wanted.get(self.r#type, name)?.version == refused.version).then_some(&*refused.words)
    }

    /// Whether anything is refused, in whatever version.
    pub fn refuses(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Takes a request in.
    pub fn request(&mut self, request: &DeltaDiscoveryRequest, now: u64) {
        if !self.seen {
            self.seen = true;
            self.all = true;
            // An empty first subscription to clusters or listeners means all of them.
            self.wildcard = matches!(self.r#type, WireType::Cluster | WireType::Listener)
                && request.resource_names_subscribe.is_empty();
            for (name, version) in &request.initial_resource_versions {
                self.has.insert(name.as_str().into(), Version::read(version));
                self.judged.insert(name.as_str().into());
            }
            self.first = self.has.is_empty() && matches!(self.r#type, WireType::Cluster | WireType::Listener);
        }
        for name in &request.resource_names_subscribe {
            if name == "*" {
                self.wildcard = true;
                self.all = true;
                continue;
            }
            let name = Name::new(name);
            // Subscribing again asks for the resource again; the first message of a stream names what it has.
            if !self.names.insert(name.clone()) {
                self.has.remove(&name);
            }
            self.open.insert(name.clone());
            self.judged.insert(name.clone());
            self.unanswered.insert(name);
        }
        for name in &request.resource_names_unsubscribe {
            if name == "*" {
                self.wildcard = false;
                continue;
            }
            let name = Name::new(name);
            self.names.remove(&name);
            self.has.remove(&name);
            self.unanswered.remove(&name);
            self.open.insert(name.clone());
            self.judged.insert(name);
        }
        if self.waiting.as_ref().is_some_and(|waiting| waiting.nonce == request.response_nonce)
            && let Some(waiting) = self.waiting.take()
        {
            let words = request.error_detail.as_ref().map(|error| error.message.clone());
            self.verdict(waiting, words, now);
        }
    }

    fn verdict(&mut self, waiting: Waiting, words: Option<String>, now: u64) {
        let Waiting { sent, removed, .. } = waiting;
        self.open.extend(sent.keys().chain(&removed).cloned());
        self.judged.extend(sent.keys().cloned());
        if words.is_some() && !sent.is_empty() {
            // What was to go beside what is refused may be there still, in whatever version.
            for name in &removed {
                self.has.entry(name.clone()).or_default();
            }
        }
        match words {
            None => {
                for name in removed {
                    self.uses.remove(&name);
                }
                for (name, resource) in sent {
                    // The assignment without endpoints stands in for one that was refused, which stays so.
                    if self.refused.get(&name).is_none_or(|r| r.version == resource.version) {
                        self.refused.remove(&name);
                    }
                    let before = self.has.insert(name.clone(), Some(resource.version));
                    match self.r#type {
                        WireType::Listener => _ = self.uses.insert(name, resource),
                        WireType::Cluster => {
                            if resource.secrets().is_empty() {
                                self.uses.remove(&name);
                            } else {
                                self.uses.insert(name.clone(), resource);
                            }
                            if before.is_some() {
                                self.renewed.push(name);
                            }
                        }
                        _ => {}
                    }
                }
            }
            // A removal that is refused is not asked for again and again.
            Some(_) if sent.is_empty() => {}
            Some(words) if sent.len() == 1 => {
                for (name, resource) in sent {
                    let version = resource.version;
                    if self.r#type == WireType::Endpoints && version == no_endpoints(&name).version {
                        self.has.insert(name, Some(version));
                        continue;
                    }
                    let before = self.refused.get(&name).filter(|r| r.version == version);
                    let tries = before.map_or(1, |r| r.tries.saturating_add(1));
                    let again = retry::after(self.r#type, tries).map(|pause| now + pause);
                    self.refused.insert(name, Refused { version, words: words.clone(), tries, again });
                }
            }
            Some(_) => {
                let mut first: BTreeSet<Name> = sent.into_keys().collect();
                let middle = first.iter().nth(first.len() / 2).cloned();
                let second = middle.map(|name| first.split_off(&name)).unwrap_or_default();
                self.parts.push(second);
                self.parts.push(first);
            }
        }
    }

    /// Envoy wants it, and has neither accepted nor refused just this version, or is to look at it again.
    fn is_unsent(&self, name: &Name, wanted: &Wanted, now: u64) -> bool {
        let Some(resource) = wanted.get(self.r#type, name) else { return false };
        self.wants(name)
            && self.has.get(name) != Some(&Some(resource.version))
            && self.refused.get(name).is_none_or(|refused| {
                refused.version != resource.version || refused.again.is_some_and(|again| again <= now)
            })
    }

    /// Envoy has it, and it is not wanted any more. Endpoints go with their cluster.
    fn is_left(&self, name: &Name, wanted: &Wanted) -> bool {
        self.r#type != WireType::Endpoints
            && self.has.contains_key(name)
            && wanted.get(self.r#type, name).is_none()
    }

    /// Endpoints were refused and none are in force: the cluster gets none, so that its requests are answered with an
    /// error and what else is served beside them is not held up.
    fn needs_empty(&self, name: &Name, wanted: &Wanted) -> bool {
        self.r#type == WireType::Endpoints
            && self.wants(name)
            && !self.has.contains_key(name)
            && self.refusal(name, wanted).is_some()
    }

    /// Whether everything wanted is in force or refused.
    pub fn settled(&self, wanted: &Wanted, now: u64) -> bool {
        !self.seen || (!self.waits() && !self.open.iter().any(|name| self.is_unsent(name, wanted, now)))
    }

    /// When something refused is tried again.
    pub fn due(&self) -> Option<u64> {
        self.refused.values().filter_map(|refused| refused.again).min()
    }

    /// Opens what is to be tried again now, and forgets refusals of what is not wanted any more.
    pub fn wake(&mut self, wanted: &Wanted, now: u64) {
        let r#type = self.r#type;
        self.refused.retain(|name, _| wanted.get(r#type, name).is_some());
        let due = self.refused.iter().filter(|(_, refused)| refused.again.is_some_and(|again| again <= now));
        self.open.extend(due.map(|(name, _)| name.clone()));
    }

    /// Closes what needs no more attention until something about it changes.
    pub fn close(&mut self, wanted: &Wanted, now: u64, keep: impl Fn(&Name) -> bool) {
        let mut open = std::mem::take(&mut self.open);
        open.retain(|name| {
            self.is_unsent(name, wanted, now)
                || self.is_left(name, wanted)
                || self.needs_empty(name, wanted)
                || keep(name)
        });
        self.open = open;
    }

    /// What is to be sent now.
    pub fn next(&mut self, allows: &Allows<'_>) -> Option<Out> {
        if !self.seen || self.waits() {
            return None;
        }
        let (wanted, now) = (allows.wanted, allows.now);
        let mut send: Vec<(Name, Arc<Resource>)> = self
            .open
            .iter()
            .filter(|name| self.is_unsent(name, wanted, now))
            .filter_map(|name| Some((name.clone(), Arc::clone(wanted.get(self.r#type, name)?))))
            .filter(|(name, resource)| (allows.ready)(name, resource))
            .collect();
        // What is tried again goes alone: it is likely to be refused once more.
        let is_retry = |name: &Name| self.refusal(name, wanted).is_some();
        if send.iter().all(|(name, _)| is_retry(name)) {
            send.truncate(1);
        } else {
            send.retain(|(name, _)| !is_retry(name));
        }
        let empty = self.open.iter().filter(|name| self.needs_empty(name, wanted));
        send.extend(empty.map(|name| (name.clone(), Arc::new(no_endpoints(name)))));
        while let Some(part) = self.parts.pop() {
            let of: Vec<_> = send.iter().filter(|(name, _)| part.contains(name)).cloned().collect();
            if !of.is_empty() {
                send = of;
                break;
            }
        }
        let mut removed: Vec<Name> = self
            .open
            .iter()
            .filter(|name| self.is_left(name, wanted) && (allows.may_go)(name))
            .cloned()
            .collect();
        // A name that does not exist is answered at once; silence would keep its user waiting.
        if self.r#type == WireType::Secret {
            let missing = self.unanswered.iter().filter(|name| wanted.get(self.r#type, name).is_none());
            removed.extend(missing.cloned());
            removed.sort();
            removed.dedup();
        }
        self.unanswered.clear();
        if send.is_empty() && removed.is_empty() && !self.first {
            return None;
        }
        self.first = false;
        Some((send, removed))
    }

    /// Notes what was sent. What goes counts as gone from here on: who comes to want it again waits until it is back.
    pub fn sent(&mut self, nonce: String, (send, removed): Out) {
        for name in &removed {
            self.has.remove(name);
        }
        self.waiting = Some(Waiting { nonce, sent: send.into_iter().collect(), removed });
    }

    /// Who asked for it goes. One that comes again asks anew, and is warmed with what it gets then.
    pub fn forget(&mut self, name: &Name) {
        self.names.remove(name);
        self.has.remove(name);
    }

    /// How a wanted resource stands; `on_demand`: nothing names it, it is asked for when it is needed.
    pub fn standing(&self, name: &Name, resource: &Resource, on_demand: bool) -> Standing {
        if self.has.get(name) == Some(&Some(resource.version)) || (on_demand && !self.wants(name)) {
            return Standing::InForce;
        }
        match self.refused.get(name).filter(|refused| refused.version == resource.version) {
            Some(refused) => Standing::Refused(Refusal::of(&refused.words)),
            // Endpoints are asked for once the cluster is there.
            None if self.r#type == WireType::Endpoints && !self.wants(name) => Standing::Held(Hold::NotAsked),
            None => Standing::Held(Hold::Sent),
        }
    }

    /// Listeners that are in force or under way, with what they name; `None` if that is not known of one.
    pub fn named(&self) -> Option<impl Iterator<Item = &Arc<Resource>>> {
        let known = self.has.keys().all(|name| self.uses.contains_key(name));
        let under_way = self.waiting.iter().flat_map(|waiting| waiting.sent.values());
        known.then(|| self.uses.values().chain(under_way))
    }
}

fn no_endpoints(cluster: &Name) -> Resource {
    Resource::of(&ClusterLoadAssignment { cluster_name: cluster.to_string(), ..Default::default() })
}
