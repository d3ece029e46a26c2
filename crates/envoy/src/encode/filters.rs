//! The HTTP filters of a filter chain.
//!
//! A chain that changes drains its connections. So every filter that a policy of a single route may want is there from the
//! start, disabled; a route enables it with its configuration (`typed_per_filter_config`), and that is a change of its
//! virtual host alone. Idle filters cost nothing that can be measured (reference envoy.md §A).
//!
//! Not here: `jwt_authn` and `oauth2`, whose providers stand in the filter and not in a route, and `ratelimit`, whose
//! server does.

use envoy_types::{
    pb::{
        envoy::{
            config::core::v3::{
                DataSource, GrpcService, HttpUri, RuntimeFractionalPercent, TypedExtensionConfig,
                data_source, grpc_service, http_uri::HttpUpstreamType,
            },
            extensions::{
                compression::{
                    brotli::compressor::v3::Brotli, gzip::compressor::v3::Gzip, zstd::compressor::v3::Zstd,
                },
                filters::http::{
                    api_key_auth::v3::ApiKeyAuth,
                    bandwidth_limit::v3::BandwidthLimit,
                    basic_auth::v3::BasicAuth,
                    buffer::v3::Buffer,
                    compressor::v3::Compressor,
                    cors::v3::Cors,
                    csrf::v3::CsrfPolicy,
                    custom_response::v3::CustomResponse,
                    ext_authz::v3::{ExtAuthz, HttpService, ext_authz::Services},
                    ext_proc::v3::ExternalProcessor,
                    fault::v3::HttpFault,
                    grpc_web::v3::GrpcWeb,
                    header_mutation::v3::HeaderMutation,
                    local_ratelimit::v3::LocalRateLimit,
                    lua::v3::Lua,
                    rbac::v3::Rbac,
                    router::v3::Router,
                    stateful_session::v3::StatefulSession,
                },
                filters::network::http_connection_manager::v3::{HttpFilter, http_filter},
            },
            r#type::v3::FractionalPercent,
        },
        google::protobuf::{Any, UInt32Value},
    },
    util::pack_any,
};

use super::{routes::UNRESOLVED, seconds};

/// In the order of Envoy Gateway: who may not pass is refused before anything is spent on him.
pub(super) fn http_filters() -> Vec<HttpFilter> {
    let idle = [
        ("fault", pack_any(HttpFault::default())),
        ("cors", pack_any(Cors::default())),
        ("csrf", pack_any(csrf())),
        ("header_mutation", pack_any(HeaderMutation::default())),
        ("ext_authz", pack_any(ext_authz())),
        ("api_key_auth", pack_any(ApiKeyAuth::default())),
        ("basic_auth", pack_any(basic_auth())),
        ("stateful_session", pack_any(StatefulSession::default())),
        ("buffer", pack_any(Buffer { max_request_bytes: Some(UInt32Value { value: 1 << 20 }) })),
        ("lua", pack_any(Lua::default())),
        ("ext_proc", pack_any(ext_proc())),
        ("rbac", pack_any(Rbac::default())),
        (
            "local_ratelimit",
            pack_any(LocalRateLimit { stat_prefix: "local_ratelimit".into(), ..Default::default() }),
        ),
        (
            "bandwidth_limit",
            pack_any(BandwidthLimit { stat_prefix: "bandwidth_limit".into(), ..Default::default() }),
        ),
        ("grpc_web", pack_any(GrpcWeb::default())),
        ("custom_response", pack_any(CustomResponse::default())),
        ("compressor.zstd", compressor("zstd", pack_any(Zstd::default()))),
        ("compressor.brotli", compressor("brotli", pack_any(Brotli::default()))),
        ("compressor.gzip", compressor("gzip", pack_any(Gzip::default()))),
    ];
    let filter = |name: &str, config: Any, disabled: bool| HttpFilter {
        name: format!("envoy.filters.http.{name}"),
        config_type: Some(http_filter::ConfigType::TypedConfig(config)),
        disabled,
        ..Default::default()
    };
    let router = filter(
        "router",
        pack_any(Router {
            // What Envoy says of itself (x-envoy-…) is for operators, not for backends and clients.
            suppress_envoy_headers: true,
            ..Default::default()
        }),
        false,
    );
    idle.into_iter().map(|(name, config)| filter(name, config, true)).chain([router]).collect()
}

fn csrf() -> CsrfPolicy {
    CsrfPolicy {
        filter_enabled: Some(RuntimeFractionalPercent {
            default_value: Some(FractionalPercent::default()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Asks a service that does not exist: to enable it without naming another refuses everything.
fn ext_authz() -> ExtAuthz {
    let uri = HttpUri {
        uri: "http://unresolved".into(),
        timeout: seconds(1),
        http_upstream_type: Some(HttpUpstreamType::Cluster(UNRESOLVED.into())),
    };
    ExtAuthz {
        services: Some(Services::HttpService(HttpService { server_uri: Some(uri), ..Default::default() })),
        ..Default::default()
    }
}

/// No users: to enable it without a list of them refuses everybody.
fn basic_auth() -> BasicAuth {
    BasicAuth {
        users: Some(DataSource {
            specifier: Some(data_source::Specifier::InlineString("\n".into())),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn ext_proc() -> ExternalProcessor {
    let service = GrpcService {
        target_specifier: Some(grpc_service::TargetSpecifier::EnvoyGrpc(grpc_service::EnvoyGrpc {
            cluster_name: UNRESOLVED.into(),
            ..Default::default()
        })),
        ..Default::default()
    };
    ExternalProcessor { grpc_service: Some(service), ..Default::default() }
}

fn compressor(name: &str, library: Any) -> Any {
    pack_any(Compressor {
        compressor_library: Some(TypedExtensionConfig { name: name.into(), typed_config: Some(library) }),
        ..Default::default()
    })
}
