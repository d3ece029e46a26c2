//! What Envoy says in answers that it makes by itself.

use envoy_types::{
    pb::envoy::{
        config::{
            accesslog::v3::{
                AccessLogFilter, AndFilter, ComparisonFilter, ExtensionFilter, StatusCodeFilter,
                access_log_filter::FilterSpecifier, comparison_filter::Op, extension_filter::ConfigType,
            },
            core::v3::{
                DataSource, RuntimeUInt32, SubstitutionFormatString, data_source::Specifier,
                substitution_format_string::Format,
            },
        },
        extensions::{
            access_loggers::filters::cel::v3::ExpressionFilter,
            filters::network::http_connection_manager::v3::{LocalReplyConfig, ResponseMapper},
        },
    },
    util::pack_any,
};

/// Whether the endpoint that was chosen is a stand-in: only those are reached by a Unix socket, whose address is its path.
/// What a repository lists are addresses, so none of it can look like one. Without an endpoint the expression fails, which
/// Envoy takes for false.
const STAND_IN: &str = "upstream.address.startsWith('/')";

/// No line break: of a gRPC answer this becomes the header `grpc-message`.
const ENDED: &str = "the echo backend that stands in for %UPSTREAM_CLUSTER% is not running: it ends with Portolan, and `portolan up` \
                     brings it back";

/// A 503 that Envoy itself makes for a stand-in says so. Another backend's answers are its own, and where it is not reached
/// Envoy keeps its words.
pub(super) fn local_replies() -> LocalReplyConfig {
    let unavailable = FilterSpecifier::StatusCodeFilter(StatusCodeFilter {
        comparison: Some(ComparisonFilter {
            op: Op::Eq as i32,
            // Envoy wants a key by which the number could be set while it runs; nothing sets it.
            value: Some(RuntimeUInt32 { default_value: 503, runtime_key: "portolan.unavailable".into() }),
        }),
    });
    let stand_in = FilterSpecifier::ExtensionFilter(ExtensionFilter {
        name: "envoy.access_loggers.extension_filters.cel".into(),
        config_type: Some(ConfigType::TypedConfig(pack_any(ExpressionFilter {
            expression: STAND_IN.into(),
            ..Default::default()
        }))),
    });
    let filters = [unavailable, stand_in].map(filter).to_vec();
    let words = DataSource { specifier: Some(Specifier::InlineString(ENDED.into())), ..Default::default() };
    LocalReplyConfig {
        mappers: vec![ResponseMapper {
            filter: Some(filter(FilterSpecifier::AndFilter(AndFilter { filters }))),
            body_format_override: Some(SubstitutionFormatString {
                format: Some(Format::TextFormatSource(words)),
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn filter(specifier: FilterSpecifier) -> AccessLogFilter {
    AccessLogFilter { filter_specifier: Some(specifier) }
}
