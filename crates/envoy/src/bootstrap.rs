//! Envoy's start configuration, as the JSON that it reads.

use std::{net::SocketAddr, path::Path};

use portolan_core::infrastructure::{ADMIN, READY, STATS};
use serde_json::{Value, json};

/// The same for an Envoy that finds Portolan by TCP at any of these addresses: the replicas of one installation. Without TLS.
pub fn bootstrap_at(xds: &[SocketAddr], admin: &Path) -> Value {
    let mut made = bootstrap(Path::new(""), admin);
    let endpoint = |at: &SocketAddr| json!({"endpoint": {"address": {"socket_address": {"address": at.ip(), "port_value": at.port()}}}});
    made["static_resources"]["clusters"][0]["load_assignment"]["endpoints"] =
        json!([{"lb_endpoints": xds.iter().map(endpoint).collect::<Vec<_>>()}]);
    made
}

/// Where an Envoy in a cluster finds what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InCluster<'a> {
    /// Name or address at which the replicas of Portolan answer; it stands in their certificate.
    pub host: &'a str,
    /// Port there.
    pub port: u16,
    /// Folder with [`TRUST`] and [`CREDENTIAL`], which is replaced as a whole when one of them changes.
    pub config: &'a Path,
    /// Folder with the token as `token`, which is replaced likewise.
    pub token: &'a Path,
}

/// File with the certificates that Portolan's is signed by.
pub const TRUST: &str = "trust.json";
/// File that says where the token is.
pub const CREDENTIAL: &str = "credential.json";

/// [`TRUST`] for these certificates, PEM.
pub fn trust(bundle: &str) -> Value {
    secret("trust", &json!({"validation_context": {"trusted_ca": {"inline_string": bundle}}}))
}

/// [`CREDENTIAL`] for a token in a folder.
pub fn credential(token: &Path) -> Value {
    let source = json!({"filename": token.join("token"), "watched_directory": {"path": token}});
    secret("token", &json!({"generic_secret": {"secret": source}}))
}

fn secret(name: &str, kind: &Value) -> Value {
    let mut made = kind.clone();
    made["@type"] = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret".into();
    made["name"] = name.into();
    json!({"resources": [made]})
}

/// Bootstrap for an Envoy in a cluster: xDS over TLS from any replica, with the token of its Pod. Its node id comes from its arguments
/// (`--service-node`). It is ready once it has been told everything, and not before.
pub fn bootstrap_in_cluster(place: &InCluster<'_>) -> Value {
    let mut made = bootstrap(Path::new(""), Path::new(""));
    let loopback = json!({"socket_address": {"address": "127.0.0.1", "port_value": ADMIN}});
    made["admin"]["address"] = loopback.clone();
    // Without an answer there is nothing to serve: a listener for nobody would be taken for a ready one.
    for config in ["lds_config", "cds_config"] {
        made["dynamic_resources"][config]["initial_fetch_timeout"] = "0s".into();
    }
    let file = |name: &str| {
        let source = json!({"path": place.config.join(name), "watched_directory": {"path": place.config}});
        json!({"path_config_source": source, "resource_api_version": "V3"})
    };
    let xds = &mut made["static_resources"]["clusters"][0];
    let is_address = place.host.parse::<std::net::IpAddr>().is_ok();
    xds["type"] = if is_address { "STATIC" } else { "STRICT_DNS" }.into();
    xds["load_assignment"]["endpoints"] = json!([{"lb_endpoints": [{"endpoint": {"address": {
        "socket_address": {"address": place.host, "port_value": place.port}
    }}}]}]);
    // A replica whose machine is gone closes nothing.
    let alive = json!({"connection_keepalive": {"interval": "20s", "timeout": "10s"}});
    let options = &mut xds["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
    options["explicit_http_config"]["http2_protocol_options"] = alive;
    let kind = |name: &str| format!("type.googleapis.com/envoy.extensions.{name}");
    options["http_filters"] = json!([
        {"name": "token", "typed_config": {
            "@type": kind("filters.http.credential_injector.v3.CredentialInjector"), "overwrite": true,
            "credential": {"name": "token", "typed_config": {
                "@type": kind("http.injected_credentials.generic.v3.Generic"),
                "credential": {"name": "token", "sds_config": file(CREDENTIAL)},
            }},
        }},
        {"name": "codec", "typed_config": {"@type": kind("filters.http.upstream_codec.v3.UpstreamCodec")}},
    ]);
    let name = if is_address {
        json!({"san_type": "IP_ADDRESS", "matcher": {"exact": place.host}})
    } else {
        json!({"san_type": "DNS", "matcher": {"exact": place.host}})
    };
    let mut tls = json!({
        "@type": kind("transport_sockets.tls.v3.UpstreamTlsContext"),
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": [name]},
                "validation_context_sds_secret_config": {"name": "trust", "sds_config": file(TRUST)},
            },
        },
    });
    if !is_address {
        tls["sni"] = place.host.into();
    }
    xds["transport_socket"] = json!({"name": "tls", "typed_config": tls});
    let admin = json!({
        "name": "portolan_admin", "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "portolan_admin", "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": loopback}}
        ]}]},
    });
    if let Some(clusters) = made["static_resources"]["clusters"].as_array_mut() {
        clusters.push(admin);
    }
    let health = json!({"name": "health", "typed_config": {
        "@type": kind("filters.http.health_check.v3.HealthCheck"), "pass_through_mode": false,
        "headers": [{"name": ":path", "string_match": {"exact": "/ready"}}],
    }});
    let numbers = json!([{"match": {"path": "/stats/prometheus"}, "route": {"cluster": "portolan_admin"}}]);
    made["static_resources"]["listeners"] = json!([
        own_listener("portolan_ready", READY, &json!([]), Some(health)),
        own_listener("portolan_stats", STATS, &numbers, None),
    ]);
    made
}

/// A listener that is no Gateway's.
fn own_listener(name: &str, port: u16, routes: &Value, before: Option<Value>) -> Value {
    let kind = |name: &str| format!("type.googleapis.com/envoy.extensions.filters.{name}");
    let router = json!({"name": "router", "typed_config": {"@type": kind("http.router.v3.Router")}});
    let filters: Vec<Value> = before.into_iter().chain([router]).collect();
    json!({
        "name": name,
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": port}},
        // A client that holds connections open here takes none from those who are served.
        "ignore_global_conn_limit": true,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": {
            "@type": kind("network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": name, "codec_type": "AUTO", "http_filters": filters,
            "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}]},
        }}]}],
    })
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
