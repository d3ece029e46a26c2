//! The set of resources that is wanted, with content-hash versions.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use envoy_types::pb::google::protobuf::Any;
use portolan_core::gateway::rows::{WireKey, WireType};
use prost::{Message, Name as _};

/// One resource, encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Hash of the content: a reconnect sends nothing that Envoy has.
    pub version: String,
    /// The message.
    pub body: Any,
}

/// All resources by type and name. Cheap to clone: resources are shared.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    all: BTreeMap<WireKey, Arc<Resource>>,
}

impl Resources {
    /// Puts a resource; `true` if it is new or changed.
    pub fn put<M: Message + prost::Name>(&mut self, key: WireKey, message: &M) -> bool {
        let value = message.encode_to_vec();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &value);
        let version = digest.as_ref().iter().take(8).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        if self.all.get(&key).is_some_and(|old| old.version == version) {
            return false;
        }
        self.all.insert(key, Arc::new(Resource { version, body: Any { type_url: M::type_url(), value } }));
        true
    }

    /// Removes a resource.
    pub fn remove(&mut self, key: &WireKey) -> bool {
        self.all.remove(key).is_some()
    }

    /// A resource.
    pub fn get(&self, key: &WireKey) -> Option<&Arc<Resource>> {
        self.all.get(key)
    }

    /// All of one type, in name order.
    pub fn of(&self, r#type: WireType) -> impl Iterator<Item = (&WireKey, &Arc<Resource>)> {
        self.all.iter().filter(move |(key, _)| key.r#type == r#type)
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
