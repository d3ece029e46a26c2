//! Pure encoding of wire rows. One function a resource type.

mod hosts;
mod inside;
mod routes;
mod scopes;
mod table;

use envoy_types::pb::{
    envoy::{
        config::{
            cluster::v3::{
                Cluster as EnvoyCluster,
                cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig},
            },
            core::v3::{
                Address, AggregatedConfigSource, ApiVersion, ConfigSource, DataSource, Http1ProtocolOptions,
                Http2ProtocolOptions, HttpProtocolOptions, SocketAddress, TransportSocket, address,
                config_source::ConfigSourceSpecifier, data_source, socket_address::PortSpecifier,
                transport_socket,
            },
            endpoint::v3::{
                ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier,
            },
            listener::v3::{
                Filter, FilterChain as EnvoyChain, FilterChainMatch, Listener, ListenerFilter, filter,
                listener_filter,
            },
        },
        extensions::{
            filters::{
                http::router::v3::Router,
                listener::tls_inspector::v3::TlsInspector,
                network::direct_response::v3::Config as DirectResponse,
                network::http_connection_manager::v3::{
                    HttpConnectionManager, HttpFilter, Rds,
                    http_connection_manager::{
                        CodecType, InternalAddressConfig, PathWithEscapedSlashesAction, RouteSpecifier,
                        ServerHeaderTransformation, UpgradeConfig,
                    },
                    http_filter,
                },
            },
            transport_sockets::tls::v3::{
                CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, Secret, TlsCertificate,
                TlsParameters, secret, tls_parameters::TlsProtocol,
            },
            upstreams::http::v3::{
                HttpProtocolOptions as UpstreamHttp,
                http_protocol_options::{
                    ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config::ProtocolConfig,
                },
            },
        },
    },
    google::protobuf::{BoolValue, Duration, UInt32Value},
};
use envoy_types::util::pack_any;
use portolan_core::gateway::rows::{Cluster, Endpoints, FilterChain, TlsSecret, WireListener};
use portolan_model::Name;
pub use scopes::{Piece, closed, in_every_shard, piece, scope, scope_name, scope_version};
pub use table::RouteTable;

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

/// A listener: near-constant, since only listener and chain changes drain connections.
pub fn listener(row: &WireListener) -> Listener {
    let tls = row.chains.iter().any(|chain| chain.secrets.is_some());
    let inspector = ListenerFilter {
        name: "envoy.filters.listener.tls_inspector".into(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(pack_any(TlsInspector::default()))),
        ..Default::default()
    };
    Listener {
        name: row.name.to_string(),
        address: Some(socket(&row.address, row.port)),
        filter_chains: row.chains.iter().map(|chain| filter_chain(row, chain)).collect(),
        listener_filters: if tls { vec![inspector] } else { vec![] },
        per_connection_buffer_limit_bytes: Some(UInt32Value { value: 32 * 1024 }),
        enable_reuse_port: Some(BoolValue { value: false }),
        ..Default::default()
    }
}

fn filter_chain(listener: &WireListener, chain: &FilterChain) -> EnvoyChain {
    EnvoyChain {
        name: chain.routes.to_string(),
        filter_chain_match: (!chain.server_names.is_empty()).then(|| FilterChainMatch {
            server_names: chain.server_names.iter().map(ToString::to_string).collect(),
            ..Default::default()
        }),
        filters: vec![if chain.refuses() { refusal() } else { http(listener, chain) }],
        transport_socket: chain.secrets.as_ref().filter(|secrets| !secrets.is_empty()).map(|secrets| {
            let tls = pack_any(downstream_tls(secrets));
            TransportSocket {
                name: "envoy.transport_sockets.tls".into(),
                config_type: Some(transport_socket::ConfigType::TypedConfig(tls)),
            }
        }),
        ..Default::default()
    }
}

fn http(listener: &WireListener, chain: &FilterChain) -> Filter {
    Filter {
        name: "envoy.filters.network.http_connection_manager".into(),
        config_type: Some(filter::ConfigType::TypedConfig(pack_any(connection_manager(listener, chain)))),
    }
}

/// A record with the fatal TLS alert `unrecognized_name` (RFC 6066 §3; record and alert: RFC 8446 §5.1, §6).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// Answers a ClientHello with an alert. No certificate is named, so nothing has to be fetched before the listener serves.
fn refusal() -> Filter {
    let alert = DirectResponse {
        response: Some(DataSource {
            specifier: Some(data_source::Specifier::InlineBytes(UNRECOGNIZED_NAME.to_vec())),
            ..Default::default()
        }),
    };
    Filter {
        name: "envoy.filters.network.direct_response".into(),
        config_type: Some(filter::ConfigType::TypedConfig(pack_any(alert))),
    }
}

fn downstream_tls(secrets: &[Name]) -> DownstreamTlsContext {
    DownstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            tls_params: Some(TlsParameters {
                tls_minimum_protocol_version: TlsProtocol::TlSv12 as i32,
                tls_maximum_protocol_version: TlsProtocol::TlSv13 as i32,
                ..Default::default()
            }),
            alpn_protocols: vec!["h2".into(), "http/1.1".into()],
            tls_certificate_sds_secret_configs: secrets
                .iter()
                .map(|secret| SdsSecretConfig { name: secret.to_string(), sds_config: Some(ads()) })
                .collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Hardening as Envoy's edge guide recommends; it costs nothing measurable (reference envoy.md §A).
fn connection_manager(listener: &WireListener, chain: &FilterChain) -> HttpConnectionManager {
    HttpConnectionManager {
        codec_type: CodecType::Auto as i32,
        stat_prefix: listener.name.to_string(),
        route_specifier: Some(RouteSpecifier::Rds(Rds {
            config_source: Some(ads()),
            route_config_name: chain.routes.to_string(),
        })),
        http_filters: vec![HttpFilter {
            name: "envoy.filters.http.router".into(),
            config_type: Some(http_filter::ConfigType::TypedConfig(pack_any(Router {
                // What Envoy says of itself (x-envoy-…) is for operators, not for backends and clients.
                suppress_envoy_headers: true,
                ..Default::default()
            }))),
            ..Default::default()
        }],
        normalize_path: yes(),
        merge_slashes: true,
        path_with_escaped_slashes_action: PathWithEscapedSlashesAction::UnescapeAndRedirect as i32,
        // Nobody in front is trusted: the client's address is that of the connection, whatever it says.
        use_remote_address: yes(),
        internal_address_config: Some(InternalAddressConfig::default()),
        early_header_mutation_extensions: vec![inside::client_headers()],
        // The backend's Server header is the backend's, and a rule may set or remove it.
        server_header_transformation: ServerHeaderTransformation::PassThrough as i32,
        common_http_protocol_options: Some(HttpProtocolOptions {
            idle_timeout: seconds(3600),
            ..Default::default()
        }),
        http_protocol_options: Some(Http1ProtocolOptions { accept_http_10: true, ..Default::default() }),
        http2_protocol_options: Some(Http2ProtocolOptions {
            max_concurrent_streams: Some(UInt32Value { value: 100 }),
            initial_stream_window_size: Some(UInt32Value { value: 65_536 }),
            initial_connection_window_size: Some(UInt32Value { value: 1_048_576 }),
            ..Default::default()
        }),
        upgrade_configs: vec![UpgradeConfig { upgrade_type: "websocket".into(), ..Default::default() }],
        request_headers_timeout: seconds(10),
        ..Default::default()
    }
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

/// Endpoints, with the built-in echo backend where it stands in.
pub fn endpoints(row: &Endpoints, echo: Option<std::net::SocketAddr>) -> ClusterLoadAssignment {
    let point = |address: &str, port: u16| LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(Endpoint {
            address: Some(socket(address, port)),
            ..Default::default()
        })),
        ..Default::default()
    };
    let dialled = row.addresses.iter().map(|(address, port)| point(address, *port));
    let echo = echo.map(|echo| point(&echo.ip().to_string(), echo.port()));
    ClusterLoadAssignment {
        cluster_name: row.key.to_string(),
        endpoints: vec![LocalityLbEndpoints {
            lb_endpoints: dialled.chain(echo).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}
