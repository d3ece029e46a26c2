//! Envoy's start configuration, as the JSON that it reads.

use std::{net::SocketAddr, path::Path};

use serde_json::{Value, json};

/// The same for an Envoy that finds Portolan by TCP at any of these addresses: the replicas of one installation. Without TLS.
pub fn bootstrap_at(xds: &[SocketAddr], admin: &Path) -> Value {
    let mut made = bootstrap(Path::new(""), admin);
    let endpoint = |at: &SocketAddr| json!({"endpoint": {"address": {"socket_address": {"address": at.ip(), "port_value": at.port()}}}});
    made["static_resources"]["clusters"][0]["load_assignment"]["endpoints"] =
        json!([{"lb_endpoints": xds.iter().map(endpoint).collect::<Vec<_>>()}]);
    made
}

/// Bootstrap for an Envoy that takes everything over one delta ADS stream from the Unix socket `xds`, with its admin
/// interface on the Unix socket `admin`. Who it is, is an argument that it is started with (`effects/src/envoy_process`): a
/// running one is told by it.
pub fn bootstrap(xds: &Path, admin: &Path) -> Value {
    json!({
        "admin": {"address": {"pipe": {"path": admin, "mode": 0o600}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [{
                    "envoy_grpc": {
                        "cluster_name": "portolan_xds",
                        // Portolan is found again at once after a restart; the default waits up to 30 s.
                        "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "0.5s"}}
                    }
                }]
            },
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
            "cds_config": {"ads": {}, "resource_api_version": "V3"}
        },
        "static_resources": {"clusters": [{
            "name": "portolan_xds",
            "type": "STATIC",
            "connect_timeout": "1s",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}}
                }
            },
            "load_assignment": {"cluster_name": "portolan_xds", "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": {"pipe": {"path": xds}}}}
            ]}]}
        }]},
        "cluster_manager": {"enable_deferred_cluster_creation": true},
        // Statistics of a cluster come with its first request: they are half of its memory (reference envoy.md §E).
        "deferred_stat_options": {"enable_deferred_creation_stats": true},
        // Prefixes that end with a dot only: whatever else a pattern asks for has Envoy spell out the name of each of some
        // hundred statistics of a cluster, which was a third of its work for the first request of one, and nobody reads
        // those here.
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": [
            {"prefix": "server."}, {"prefix": "listener_manager."}, {"prefix": "cluster_manager."},
            {"prefix": "http."}, {"prefix": "listener."}
        ]}}},
        "layered_runtime": {"layers": [{"name": "static", "static_layer": {
            "overload": {"global_downstream_max_connections": 50_000},
            // RE2's limit on the size of a program refuses expressions of ordinary size; the limits on what one namespace
            // may spend are ours.
            "re2": {"max_program_size": {"error_level": u32::MAX, "warn_level": u32::MAX}}
        }}]}
    })
}
