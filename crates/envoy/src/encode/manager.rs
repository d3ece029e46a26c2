//! The HTTP connection manager of a filter chain.

use envoy_types::{
    pb::{
        envoy::{
            config::{
                common::mutation_rules::v3::{HeaderMutation as Mutation, header_mutation::Action},
                core::v3::{
                    HeaderValue, HeaderValueOption, Http1ProtocolOptions, Http2ProtocolOptions,
                    HttpProtocolOptions, TypedExtensionConfig, header_value_option::HeaderAppendAction,
                },
            },
            extensions::{
                filters::network::http_connection_manager::v3::{
                    HttpConnectionManager, ScopedRds, ScopedRoutes,
                    http_connection_manager::{
                        CodecType, InternalAddressConfig, PathWithEscapedSlashesAction, RouteSpecifier,
                        ServerHeaderTransformation, UpgradeConfig,
                    },
                    scoped_routes::{
                        ConfigSpecifier, ScopeKeyBuilder,
                        scope_key_builder::{
                            FragmentBuilder,
                            fragment_builder::{
                                HeaderValueExtractor, Type, header_value_extractor::ExtractType,
                            },
                        },
                    },
                },
                http::early_header_mutation::header_mutation::v3::HeaderMutation,
            },
        },
        google::protobuf::UInt32Value,
    },
    util::pack_any,
};
use portolan_core::gateway::rows::{FilterChain, WireListener};

use super::{ads, filters::http_filters, inside, replies, seconds, yes};
use crate::shards;

/// Hardening as Envoy's edge guide recommends; it costs nothing measurable (reference envoy.md §A).
///
/// The port of a Host header stays: a backend sees the name that its client used. Route tables ignore it.
pub(super) fn connection_manager(listener: &WireListener, chain: &FilterChain) -> HttpConnectionManager {
    HttpConnectionManager {
        codec_type: CodecType::Auto as i32,
        stat_prefix: listener.name.to_string(),
        route_specifier: Some(RouteSpecifier::ScopedRoutes(scoped_routes())),
        early_header_mutation_extensions: vec![inside::client_headers(), scope_header(&chain.routes)],
        http_filters: http_filters(),
        local_reply_config: Some(replies::local_replies()),
        strip_trailing_host_dot: true,
        max_request_headers_kb: Some(UInt32Value { value: 60 }),
        normalize_path: yes(),
        merge_slashes: true,
        path_with_escaped_slashes_action: PathWithEscapedSlashesAction::UnescapeAndRedirect as i32,
        // Nobody in front is trusted: the client's address is that of the connection, whatever it says.
        use_remote_address: yes(),
        internal_address_config: Some(InternalAddressConfig::default()),
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

/// Writes the scope of a request into the header that it is looked up by. A client's own is removed first, so that even an
/// expression that failed would leave none.
fn scope_header(table: &str) -> TypedExtensionConfig {
    let remove = Mutation { action: Some(Action::Remove(shards::HEADER.into())) };
    let value = super::scope_name(table, format!("%CEL({})%", shards::expression()));
    let append = Mutation {
        action: Some(Action::Append(HeaderValueOption {
            header: Some(HeaderValue {
                key: shards::HEADER.into(),
                value: value.to_string(),
                ..Default::default()
            }),
            append_action: HeaderAppendAction::OverwriteIfExistsOrAdd as i32,
            ..Default::default()
        })),
    };
    TypedExtensionConfig {
        name: "scope".into(),
        typed_config: Some(pack_any(HeaderMutation { mutations: vec![remove, append] })),
    }
}

fn scoped_routes() -> ScopedRoutes {
    let by_header = HeaderValueExtractor {
        name: shards::HEADER.into(),
        extract_type: Some(ExtractType::Index(0)),
        ..Default::default()
    };
    ScopedRoutes {
        // The same for all, since all share one subscription.
        name: "portolan".into(),
        scope_key_builder: Some(ScopeKeyBuilder {
            fragments: vec![FragmentBuilder { r#type: Some(Type::HeaderValueExtractor(by_header)) }],
        }),
        rds_config_source: Some(ads()),
        config_specifier: Some(ConfigSpecifier::ScopedRds(ScopedRds {
            scoped_rds_config_source: Some(ads()),
            ..Default::default()
        })),
    }
}
