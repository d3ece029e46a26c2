//! One encoded resource with its content-hash version, and the discovery types.

use std::{fmt, num::NonZeroU64};

use aws_lc_rs::digest::{SHA256, digest};
use envoy_types::pb::{envoy::service::discovery::v3::Resource as Wire, google::protobuf::Any};
use portolan_core::gateway::rows::WireType;
use portolan_model::{GatewayKey, Name};
use prost::{Message, Name as _};

/// Hash of a content. Its text is what Envoy is told, and what it names on a new stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(NonZeroU64);

impl Version {
    /// The version of a content.
    pub fn of(content: &[u8]) -> Self {
        let start =
            digest(&SHA256, content).as_ref().iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte));
        Self(NonZeroU64::new(start).unwrap_or(NonZeroU64::MIN))
    }

    /// What a version's text says; `None` if it is not one of ours.
    pub fn read(text: &str) -> Option<Self> {
        let version = Self(u64::from_str_radix(text, 16).ok().and_then(NonZeroU64::new)?);
        (version.to_string() == text).then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One resource, encoded. Each host has some, so what follows from the type is not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Hash of the content: a reconnect sends nothing that Envoy has.
    pub version: Version,
    /// The message.
    pub body: Box<[u8]>,
    /// Of a listener or cluster: what it names.
    uses: Option<Box<Uses>>,
}

/// What a listener or cluster names. None of it goes from Envoy while the listener or cluster is in force there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Of a listener: the Gateway whose Envoys serve it.
    pub gateway: Option<GatewayKey>,
    /// Secrets that are named; others are asked for by the name of the handshake.
    pub secrets: Vec<Name>,
    /// Route tables.
    pub tables: Vec<Name>,
    /// Clusters to which connections or datagrams go as they come.
    pub clusters: Vec<Name>,
}

impl Resource {
    /// A message as a resource.
    pub fn of(message: &impl Message) -> Self {
        let body = message.encode_to_vec().into_boxed_slice();
        Self { version: Version::of(&body), body, uses: None }
    }

    /// The same with what it names.
    #[must_use]
    pub fn using(self, uses: Uses) -> Self {
        Self { uses: Some(Box::new(uses)), ..self }
    }

    /// Of a listener: its Gateway.
    pub fn gateway(&self) -> Option<&GatewayKey> {
        self.uses.as_ref()?.gateway.as_ref()
    }

    /// Secrets that it names.
    pub fn secrets(&self) -> &[Name] {
        self.uses.as_ref().map_or(&[], |uses| &uses.secrets)
    }

    /// Route tables that it names.
    pub fn tables(&self) -> &[Name] {
        self.uses.as_ref().map_or(&[], |uses| &uses.tables)
    }

    /// Clusters that it names.
    pub fn clusters(&self) -> &[Name] {
        self.uses.as_ref().map_or(&[], |uses| &uses.clusters)
    }

    /// As it is sent.
    pub fn wire(&self, r#type: WireType, name: &Name) -> Wire {
        let any = Any { type_url: type_url(r#type), value: self.body.to_vec() };
        let version = self.version.to_string();
        Wire { name: name.to_string(), version, resource: Some(any), ..Default::default() }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_it_is_written_and_nothing_else_is() {
        let version = Version::of(b"content");
        // The first 16 digits of its SHA-256: earlier releases named the same.
        assert_eq!(version.to_string(), "ed7002b439e9ac84");
        assert_eq!(Version::read("ed7002b439e9ac84"), Some(version));
        for other in [
            "",
            "0",
            "ed7002b439e9ac8",
            "0ed7002b439e9ac84",
            "ED7002B439E9AC84",
            "+d7002b439e9ac84",
            "0000000000000000",
        ] {
            assert_eq!(Version::read(other), None, "{other}");
        }
        assert_eq!(
            Version::read("00000000000000ff").map(|version| version.to_string()).as_deref(),
            Some("00000000000000ff")
        );
    }

    #[test]
    fn a_resource_is_small() {
        assert_eq!(size_of::<Resource>(), 32);
    }
}
