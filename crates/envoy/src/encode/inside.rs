//! What stays inside Envoy: headers by which it talks to other Envoys, and what is the same in every route table.

use envoy_types::{
    pb::{
        envoy::{
            config::{
                common::mutation_rules::v3::{
                    HeaderMutation as Mutation,
                    header_mutation::{Action, RemoveOnMatch},
                },
                core::v3::TypedExtensionConfig,
                route::v3::RouteConfiguration,
            },
            extensions::http::early_header_mutation::header_mutation::v3::HeaderMutation,
            r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern},
        },
        google::protobuf::BoolValue,
    },
    util::pack_any,
};

/// Headers by which Envoy tells backends what it did. They are not part of what a client sent (what a client sends under
/// such a name is dropped by the connection manager), so no backend gets them.
const REQUEST_HEADERS: [&str; 2] = ["x-envoy-external-address", "x-envoy-internal"];

/// Headers by which an Envoy tells another one of a backend: what a backend, or the proxy beside it, says to this Envoy is
/// not for the client (Envoy, `HTTP header sanitizing` and the router's own headers).
const RESPONSE_HEADERS: [&str; 10] = [
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-degraded",
    "x-envoy-immediate-health-check-fail",
    "x-envoy-is-timeout-retry",
    "x-envoy-overloaded",
    "x-envoy-ratelimited",
    "x-envoy-upstream-canary",
    "x-envoy-upstream-healthchecked-cluster",
    "x-envoy-upstream-service-time",
];

/// What every route table begins with.
pub(super) fn table() -> RouteConfiguration {
    let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
    RouteConfiguration {
        // Clusters may be gone for a moment: a missing one answers an error. Inline routes are validated by default, and
        // one cluster that is not there yet would refuse every host of the response.
        validate_clusters: Some(BoolValue { value: false }),
        // The port is left out of the comparison only: a backend gets the Host as it came.
        ignore_port_in_host_matching: true,
        request_headers_to_remove: names(&REQUEST_HEADERS),
        response_headers_to_remove: names(&RESPONSE_HEADERS),
        // Filters of a backend are applied after those of its rule (Gateway API, `HTTPBackendRef.filters`), so where both set
        // a header the backend's is seen.
        most_specific_header_mutations_wins: true,
        ..Default::default()
    }
}

/// Drops every `x-envoy-…` header of a client before Envoy looks at any: by such names it would take orders (timeouts,
/// retries) and tell backends.
pub(super) fn client_headers() -> TypedExtensionConfig {
    let matcher =
        StringMatcher { match_pattern: Some(MatchPattern::Prefix("x-envoy-".into())), ignore_case: true };
    let mutation =
        Mutation { action: Some(Action::RemoveOnMatch(RemoveOnMatch { key_matcher: Some(matcher) })) };
    TypedExtensionConfig {
        name: "envoy.http.early_header_mutation.header_mutation".into(),
        typed_config: Some(pack_any(HeaderMutation { mutations: vec![mutation] })),
    }
}
