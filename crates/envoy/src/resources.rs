//! The set of resources that is wanted, with content-hash versions, and the order in which they changed.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest::{SHA256, digest};
use envoy_types::pb::google::protobuf::Any;
use portolan_core::gateway::rows::{WireKey, WireType};
use portolan_model::Name;
use prost::{Message, Name as _};
use tokio::sync::watch;

/// Changes that are remembered; who is further behind looks at everything.
const MOST_CHANGES: usize = 10_000;

/// One resource, encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Hash of the content: a reconnect sends nothing that Envoy has.
    pub version: String,
    /// The message.
    pub body: Any,
}

impl Resource {
    /// A message as a resource.
    pub fn of<M: Message + prost::Name>(message: &M) -> Self {
        let value = message.encode_to_vec();
        let version = version(&value);
        Self { version, body: Any { type_url: M::type_url(), value } }
    }
}

/// The version of a content.
pub(crate) fn version(content: &[u8]) -> String {
    digest(&SHA256, content).as_ref().iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// All resources by type and name.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    all: BTreeMap<WireType, BTreeMap<Name, Arc<Resource>>>,
    changes: VecDeque<WireKey>,
    /// Changes that were forgotten.
    forgotten: u64,
}

impl Resources {
    /// Puts a resource; `true` if it is new or changed.
    pub fn put<M: Message + prost::Name>(&mut self, key: WireKey, message: &M) -> bool {
        self.set(key, Some(Arc::new(Resource::of(message))))
    }

    /// Puts or removes a resource; `true` if that changes something.
    pub fn set(&mut self, key: WireKey, resource: Option<Arc<Resource>>) -> bool {
        let all = self.all.entry(key.r#type).or_default();
        let changed = match resource {
            Some(new) if all.get(&key.name).is_some_and(|old| old.version == new.version) => false,
            Some(new) => {
                all.insert(key.name.clone(), new);
                true
            }
            None => all.remove(&key.name).is_some(),
        };
        if changed {
            self.changes.push_back(key);
            if self.changes.len() > MOST_CHANGES {
                self.changes.pop_front();
                self.forgotten += 1;
            }
        }
        changed
    }

    /// Removes a resource.
    pub fn remove(&mut self, key: &WireKey) -> bool {
        self.set(key.clone(), None)
    }

    /// A resource.
    pub fn get(&self, key: &WireKey) -> Option<&Arc<Resource>> {
        self.all.get(&key.r#type)?.get(&key.name)
    }

    /// All of one type, in name order.
    pub fn of(&self, r#type: WireType) -> impl Iterator<Item = (&Name, &Arc<Resource>)> {
        self.all.get(&r#type).into_iter().flatten()
    }

    /// How many changes there have been.
    pub fn sequence(&self) -> u64 {
        self.forgotten + self.changes.len() as u64
    }

    /// What changed after the first `seen` changes; `None` if that is not known any more.
    pub fn since(&self, seen: u64) -> Option<impl Iterator<Item = &WireKey>> {
        let from = usize::try_from(seen.checked_sub(self.forgotten)?).ok()?;
        (from <= self.changes.len()).then(|| self.changes.range(from..))
    }
}

/// The resources that all streams are served from. A change is seen by them whole or not at all.
#[derive(Debug, Default)]
pub struct Board {
    wanted: Mutex<Resources>,
    news: watch::Sender<()>,
}

impl Board {
    /// Makes changes, and tells the streams.
    pub fn publish(&self, changes: impl IntoIterator<Item = (WireKey, Option<Arc<Resource>>)>) {
        {
            let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, resource) in changes {
                wanted.set(key, resource);
            }
        }
        self.news.send_replace(());
    }

    /// Looks at what is wanted.
    pub fn look<T>(&self, look: impl FnOnce(&Resources) -> T) -> T {
        look(&self.wanted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says when something is published.
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }
}

/// Type URL of a discovery type.
pub fn type_url(r#type: WireType) -> String {
    use envoy_types::pb::envoy::{
        config::{
            cluster::v3::Cluster, endpoint::v3::ClusterLoadAssignment, listener::v3::Listener,
            route::v3::RouteConfiguration,
        },
        extensions::transport_sockets::tls::v3::Secret,
    };
    match r#type {
        WireType::Cluster => Cluster::type_url(),
        WireType::Endpoints => ClusterLoadAssignment::type_url(),
        WireType::Secret => Secret::type_url(),
        WireType::Listener => Listener::type_url(),
        WireType::Routes => RouteConfiguration::type_url(),
    }
}

/// All types in the order in which they are sent: make before break.
pub const TYPES: [WireType; 5] =
    [WireType::Cluster, WireType::Endpoints, WireType::Secret, WireType::Listener, WireType::Routes];
