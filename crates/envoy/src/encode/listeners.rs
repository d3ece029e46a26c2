//! Listeners and filter chains.

use envoy_types::{
    pb::{
        envoy::{
            config::{
                core::v3::{DataSource, TransportSocket, data_source, transport_socket},
                listener::v3::{
                    Filter, FilterChain as EnvoyChain, FilterChainMatch, Listener, ListenerFilter, filter,
                    listener_filter,
                },
            },
            extensions::{
                filters::{
                    listener::tls_inspector::v3::TlsInspector,
                    network::direct_response::v3::Config as DirectResponse,
                },
                transport_sockets::tls::v3::{
                    CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, TlsParameters,
                    common_tls_context::ValidationContextType, tls_parameters::TlsProtocol,
                },
            },
        },
        google::protobuf::{BoolValue, UInt32Value},
    },
    util::pack_any,
};
use portolan_core::gateway::rows::{FilterChain, WireListener};
use portolan_model::Name;

use super::{ads, manager::connection_manager, socket, streams, yes};

/// A listener: near-constant, since only listener and chain changes drain connections.
pub fn listener(row: &WireListener) -> Listener {
    if row.key.udp {
        return streams::datagrams(row);
    }
    let tls = row.chains.iter().any(|chain| chain.secrets.is_some() || !chain.server_names.is_empty());
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
        // A listener of streams has a chain for each host.
        name: match chain.server_names.first().filter(|_| chain.stream.is_some()) {
            Some(host) => format!("{}/{host}", chain.routes),
            None => chain.routes.to_string(),
        },
        filter_chain_match: (!chain.server_names.is_empty()).then(|| FilterChainMatch {
            server_names: chain.server_names.iter().map(ToString::to_string).collect(),
            ..Default::default()
        }),
        filters: vec![match &chain.stream {
            _ if chain.refuses() => refusal(),
            Some(shares) => streams::connections(listener, shares),
            None => http(listener, chain),
        }],
        transport_socket: chain.secrets.as_ref().filter(|secrets| !secrets.is_empty()).map(|secrets| {
            let tls = pack_any(downstream_tls(secrets, chain));
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

fn downstream_tls(secrets: &[Name], chain: &FilterChain) -> DownstreamTlsContext {
    let clients = chain.clients.as_ref();
    let sds = |name: &Name| SdsSecretConfig { name: name.to_string(), sds_config: Some(ads()) };
    DownstreamTlsContext {
        require_client_certificate: clients.filter(|clients| !clients.optional).and_then(|_| yes()),
        common_tls_context: Some(CommonTlsContext {
            tls_params: Some(TlsParameters {
                tls_minimum_protocol_version: TlsProtocol::TlSv12 as i32,
                tls_maximum_protocol_version: TlsProtocol::TlSv13 as i32,
                ..Default::default()
            }),
            // What is spoken in a stream is its backend's to know: none is chosen, and none refused.
            alpn_protocols: match chain.stream {
                None => vec!["h2".into(), "http/1.1".into()],
                Some(_) => vec![],
            },
            tls_certificate_sds_secret_configs: secrets.iter().map(sds).collect(),
            validation_context_type: clients.map(|clients| {
                ValidationContextType::ValidationContextSdsSecretConfig(sds(&clients.authorities))
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}
