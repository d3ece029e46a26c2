//! Pure encoding of wire rows. One function a resource type.

mod bytes;
mod filters;
mod hosts;
mod index;
mod inside;
mod listeners;
mod manager;
mod replies;
mod routes;
mod scopes;

use envoy_types::pb::{
    envoy::{
        config::{
            cluster::v3::{
                Cluster as EnvoyCluster,
                cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig},
            },
            core::v3::{
                Address, AggregatedConfigSource, ApiVersion, ConfigSource, DataSource, Http2ProtocolOptions,
                Pipe, SocketAddress, address, config_source::ConfigSourceSpecifier, data_source,
                socket_address::PortSpecifier,
            },
            endpoint::v3::{
                ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier,
            },
        },
        extensions::{
            transport_sockets::tls::v3::{Secret, TlsCertificate, secret},
            upstreams::http::v3::{
                HttpProtocolOptions as UpstreamHttp,
                http_protocol_options::{
                    ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config::ProtocolConfig,
                },
            },
        },
    },
    google::protobuf::{BoolValue, Duration},
};
use envoy_types::util::pack_any;
pub use listeners::listener;
use portolan_core::gateway::rows::{Cluster, Endpoints, TlsSecret};
pub use scopes::{Piece, closed, in_every_shard, mark, piece, scope, scope_name};

/// Everything arrives over the one ADS stream.
fn ads() -> ConfigSource {
    ConfigSource {
        resource_api_version: ApiVersion::V3 as i32,
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        ..Default::default()
    }
}

#[allow(clippy::unnecessary_wraps, reason = "every such field of the messages is an option")]
const fn yes() -> Option<BoolValue> {
    Some(BoolValue { value: true })
}

#[allow(clippy::unnecessary_wraps, reason = "every such field of the messages is an option")]
const fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

fn socket(address: &str, port: u16) -> Address {
    Address {
        address: Some(address::Address::SocketAddress(SocketAddress {
            address: address.to_owned(),
            port_specifier: Some(PortSpecifier::PortValue(u32::from(port))),
            ..Default::default()
        })),
    }
}

fn pipe(path: &str) -> Address {
    Address { address: Some(address::Address::Pipe(Pipe { path: path.to_owned(), ..Default::default() })) }
}

/// A certificate with its key, for SDS.
pub fn tls_secret(row: &TlsSecret) -> Secret {
    let bytes = |value: &portolan_model::Redacted| {
        Some(DataSource {
            specifier: Some(data_source::Specifier::InlineBytes(value.expose().to_vec())),
            ..Default::default()
        })
    };
    Secret {
        name: row.key.to_string(),
        r#type: Some(secret::Type::TlsCertificate(TlsCertificate {
            certificate_chain: bytes(&row.chain),
            private_key: bytes(&row.private_key),
            ..Default::default()
        })),
    }
}

/// A cluster; its endpoints come by EDS.
pub fn cluster(row: &Cluster) -> EnvoyCluster {
    let mut made = EnvoyCluster {
        name: row.key.to_string(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds as i32)),
        eds_cluster_config: Some(EdsClusterConfig { eds_config: Some(ads()), ..Default::default() }),
        connect_timeout: seconds(5),
        ..Default::default()
    };
    if row.http2 {
        let options = UpstreamHttp {
            upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(
                ExplicitHttpConfig {
                    protocol_config: Some(ProtocolConfig::Http2ProtocolOptions(
                        Http2ProtocolOptions::default(),
                    )),
                },
            )),
            ..Default::default()
        };
        made.typed_extension_protocol_options
            .insert("envoy.extensions.upstreams.http.v3.HttpProtocolOptions".into(), pack_any(options));
    }
    made
}

/// Endpoints, with the socket of the built-in echo backend where it stands in.
pub fn endpoints(row: &Endpoints, echo: Option<&str>) -> ClusterLoadAssignment {
    let point = |address| LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(Endpoint {
            address: Some(address),
            ..Default::default()
        })),
        ..Default::default()
    };
    let dialled = row.addresses.iter().map(|(address, port)| point(socket(address, *port)));
    let echo = echo.map(|path| point(pipe(path)));
    ClusterLoadAssignment {
        cluster_name: row.key.to_string(),
        endpoints: vec![LocalityLbEndpoints {
            lb_endpoints: dialled.chain(echo).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}
