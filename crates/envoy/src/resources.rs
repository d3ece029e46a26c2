//! One encoded resource with its content-hash version, and the discovery types.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use envoy_types::pb::google::protobuf::Any;
use portolan_core::gateway::rows::WireType;
use portolan_model::Name;
use prost::{Message, Name as _};

/// One resource, encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Hash of the content: a reconnect sends nothing that Envoy has.
    pub version: String,
    /// The message.
    pub body: Any,
    /// Of a listener: what it names. None of it goes from Envoy while the listener is in force there.
    pub uses: Uses,
}

/// What a listener names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Secrets that are named; others are asked for by the name of the handshake.
    pub secrets: Vec<Name>,
    /// Route tables.
    pub tables: Vec<Name>,
}

impl Resource {
    /// A message as a resource.
    pub fn of<M: Message + prost::Name>(message: &M) -> Self {
        let value = message.encode_to_vec();
        let version = version(&value);
        Self { version, body: Any { type_url: M::type_url(), value }, uses: Uses::default() }
    }

    /// The same with what it names.
    #[must_use]
    pub fn using(self, uses: Uses) -> Self {
        Self { uses, ..self }
    }
}

/// The version of a content.
pub(crate) fn version(content: &[u8]) -> String {
    digest(&SHA256, content).as_ref().iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Type URL of a discovery type. Virtual hosts travel in the scopes of their tables.
pub fn type_url(r#type: WireType) -> String {
    use envoy_types::pb::envoy::{
        config::{
            cluster::v3::Cluster, endpoint::v3::ClusterLoadAssignment, listener::v3::Listener,
            route::v3::ScopedRouteConfiguration,
        },
        extensions::transport_sockets::tls::v3::Secret,
    };
    match r#type {
        WireType::Cluster => Cluster::type_url(),
        WireType::Endpoints => ClusterLoadAssignment::type_url(),
        WireType::Secret => Secret::type_url(),
        WireType::Listener => Listener::type_url(),
        WireType::VirtualHost => ScopedRouteConfiguration::type_url(),
    }
}

/// The types whose resources are sent as they are, in the order in which they are sent: make before break.
pub const FLAT: [WireType; 4] =
    [WireType::Cluster, WireType::Endpoints, WireType::Secret, WireType::Listener];
