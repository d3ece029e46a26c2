//! Clusters and their endpoints.

use envoy_types::{
    pb::{
        envoy::{
            config::{
                cluster::v3::{
                    CircuitBreakers, Cluster as EnvoyCluster,
                    circuit_breakers::Thresholds,
                    cluster::{
                        ClusterDiscoveryType, CommonLbConfig, DiscoveryType, EdsClusterConfig,
                        TransportSocketMatch,
                        common_lb_config::{LocalityConfigSpecifier, LocalityWeightedLbConfig},
                    },
                },
                core::v3::{
                    DataSource, Http2ProtocolOptions, Locality, Metadata, TransportSocket, data_source,
                    transport_socket,
                },
                endpoint::v3::{
                    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
                    lb_endpoint::HostIdentifier,
                },
            },
            extensions::{
                transport_sockets::{
                    raw_buffer::v3::RawBuffer,
                    tls::v3::{
                        CertificateValidationContext, CommonTlsContext, SdsSecretConfig,
                        SubjectAltNameMatcher, TlsParameters, UpstreamTlsContext,
                        common_tls_context::ValidationContextType, subject_alt_name_matcher::SanType,
                        tls_parameters::TlsProtocol,
                    },
                },
                upstreams::http::v3::{
                    HttpProtocolOptions as UpstreamHttp,
                    http_protocol_options::{
                        ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config::ProtocolConfig,
                    },
                },
            },
            r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern},
        },
        google::protobuf::{Any, Struct, UInt32Value, Value, value::Kind},
    },
    util::pack_any,
};
use portolan_core::gateway::rows::{BackendTls, Carries, Cluster, Endpoints, Trust};
use portolan_model::input::SubjectName;

use super::{ads, seconds};

const TLS: &str = "envoy.transport_sockets.tls";

/// What marks the built-in echo backend among endpoints that are spoken to by TLS: it speaks in clear, over a Unix socket.
const STAND_IN: &str = "stand-in";

/// Where a share goes that leads nowhere: no datagram can be sent to port 0.
const NOWHERE: (&str, u16) = ("127.0.0.1", 0);

/// Most requests of a cluster that are sent again at a time.
const RETRIES: u32 = 1024;

/// A cluster; its endpoints come by EDS.
pub fn cluster(row: &Cluster) -> EnvoyCluster {
    let mut made = EnvoyCluster {
        name: row.key.to_string(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds as i32)),
        eds_cluster_config: Some(EdsClusterConfig { eds_config: Some(ads()), ..Default::default() }),
        connect_timeout: seconds(5),
        circuit_breakers: Some(CircuitBreakers {
            thresholds: vec![Thresholds {
                // How often a request is sent again is its rule's to say; Envoy's own end is three at a time.
                max_retries: Some(UInt32Value { value: RETRIES }),
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    };
    if row.blend.is_some() {
        // Shares are those of localities: to datagrams Envoy gives one cluster.
        let by_locality = LocalityConfigSpecifier::LocalityWeightedLbConfig(LocalityWeightedLbConfig {});
        made.common_lb_config =
            Some(CommonLbConfig { locality_config_specifier: Some(by_locality), ..Default::default() });
    }
    if let Some(tls) = &row.tls {
        made.transport_socket = Some(socket(TLS, pack_any(upstream_tls(tls, row))));
        made.transport_socket_matches = vec![TransportSocketMatch {
            name: STAND_IN.into(),
            r#match: Some(mark()),
            transport_socket: Some(socket("envoy.transport_sockets.raw_buffer", pack_any(RawBuffer {}))),
        }];
    }
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
    if let Some(blend) = &row.blend {
        let locality = |name: &str, weight: u32, all: Vec<(&str, u16)>| LocalityLbEndpoints {
            locality: Some(Locality { sub_zone: name.to_owned(), ..Default::default() }),
            load_balancing_weight: Some(UInt32Value { value: weight }),
            lb_endpoints: all
                .into_iter()
                .map(|(address, port)| point(super::socket(address, port)))
                .collect(),
            ..Default::default()
        };
        let parts = blend.parts.iter().map(|part| {
            let all = part.addresses.iter().map(|(address, port)| (&**address, *port));
            locality(&part.name, part.weight, all.collect())
        });
        let lost = (blend.lost > 0).then(|| locality("nowhere", blend.lost, vec![NOWHERE]));
        return ClusterLoadAssignment {
            cluster_name: row.key.to_string(),
            endpoints: parts.chain(lost).collect(),
            ..Default::default()
        };
    }
    let dialled = row.addresses.iter().map(|(address, port)| point(super::socket(address, *port)));
    let marked = || Metadata {
        filter_metadata: [("envoy.transport_socket_match".to_owned(), mark())].into(),
        ..Default::default()
    };
    let echo = echo.map(|path| LbEndpoint { metadata: row.tls.then(marked), ..point(super::pipe(path)) });
    ClusterLoadAssignment {
        cluster_name: row.key.to_string(),
        endpoints: vec![LocalityLbEndpoints {
            lb_endpoints: dialled.chain(echo).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn mark() -> Struct {
    Struct { fields: [(STAND_IN.to_owned(), Value { kind: Some(Kind::BoolValue(true)) })].into() }
}

fn socket(name: &str, config: Any) -> TransportSocket {
    TransportSocket {
        name: name.into(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(config)),
    }
}

fn upstream_tls(row: &BackendTls, cluster: &Cluster) -> UpstreamTlsContext {
    let authorities = match &row.trust {
        Trust::Pem(pem) => data_source::Specifier::InlineString(pem.to_string()),
        Trust::File(path) => data_source::Specifier::Filename(path.to_string()),
    };
    let one = |name: &SubjectName| {
        let (kind, text) = match name {
            SubjectName::Dns(name) => (SanType::Dns, name),
            SubjectName::Uri(uri) => (SanType::Uri, uri),
        };
        let matcher = StringMatcher {
            match_pattern: Some(MatchPattern::Exact(text.to_string())),
            ..Default::default()
        };
        SubjectAltNameMatcher { san_type: kind as i32, matcher: Some(matcher), ..Default::default() }
    };
    let validation = CertificateValidationContext {
        trusted_ca: Some(DataSource { specifier: Some(authorities), ..Default::default() }),
        match_typed_subject_alt_names: row.names.iter().map(one).collect(),
        ..Default::default()
    };
    UpstreamTlsContext {
        sni: row.sni.to_string(),
        common_tls_context: Some(CommonTlsContext {
            tls_params: Some(TlsParameters {
                tls_minimum_protocol_version: TlsProtocol::TlSv12 as i32,
                tls_maximum_protocol_version: TlsProtocol::TlSv13 as i32,
                ..Default::default()
            }),
            alpn_protocols: match (cluster.carries, cluster.http2) {
                // Nobody knows what is spoken in it.
                (Carries::Connections, _) => vec![],
                (_, true) => vec!["h2".to_owned()],
                (_, false) => vec!["http/1.1".to_owned()],
            },
            tls_certificate_sds_secret_configs: row
                .client
                .iter()
                .map(|name| SdsSecretConfig { name: name.to_string(), sds_config: Some(ads()) })
                .collect(),
            validation_context_type: Some(ValidationContextType::ValidationContext(validation)),
            ..Default::default()
        }),
        ..Default::default()
    }
}
