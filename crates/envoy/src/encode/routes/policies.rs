//! What a route does beside choosing a backend: cross-origin requests, sessions, retries.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use envoy_types::{
    pb::{
        envoy::{
            config::{
                core::v3::TypedExtensionConfig,
                route::v3::{
                    RetryPolicy,
                    retry_policy::{RetryBackOff, RetryHostPredicate, retry_host_predicate},
                },
            },
            extensions::{
                filters::http::{
                    cors::v3::CorsPolicy,
                    stateful_session::v3::{
                        StatefulSession, StatefulSessionPerRoute, stateful_session_per_route::Override,
                    },
                },
                http::stateful_session::{
                    cookie::v3::CookieBasedSessionState, header::v3::HeaderBasedSessionState,
                },
                retry::host::previous_hosts::v3::PreviousHostsPredicate,
            },
            r#type::{
                http::v3::Cookie,
                matcher::v3::{StringMatcher, string_matcher::MatchPattern},
            },
        },
        google::protobuf::{Any, BoolValue, UInt32Value},
    },
    util::pack_any,
};
use portolan_core::gateway::rows::RouteEntry;
use portolan_model::{
    Name,
    input::{Carrier, Cors, Retry, Session},
};

use super::{matches::regex, millis};

/// The policy of the filter `cors`. It answers preflight requests itself, also those of other origins: these get no header that
/// would allow anything. Of `*` it says what was asked for, with or without credentials (tried with Envoy 1.40).
pub(super) fn cors(cors: &Cors) -> Any {
    let listed = |names: &[Name]| names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
    // "The gateway cannot use the `*` in the `Access-Control-Expose-Headers` response header" (`exposeHeaders`).
    let exposes = !(cors.credentials && cors.expose.iter().any(|name| &**name == "*"));
    pack_any(CorsPolicy {
        allow_origin_string_match: cors.origins.iter().map(|one| origin(one)).collect(),
        allow_methods: listed(&cors.methods),
        allow_headers: listed(&cors.headers),
        expose_headers: if exposes { listed(&cors.expose) } else { String::new() },
        max_age: cors.max_age.to_string(),
        allow_credentials: Some(BoolValue { value: cors.credentials }),
        forward_not_matching_preflights: Some(BoolValue { value: false }),
        ..Default::default()
    })
}

/// Takes the origins that one entry stands for. A browser leaves the port of a scheme out (RFC 6454 §6.2), so it is left out
/// here; a `*` is any number of labels.
fn origin(text: &str) -> StringMatcher {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let known = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let rest = rest.strip_suffix(known).unwrap_or(rest);
    let pattern = match rest.strip_prefix('*').filter(|_| !scheme.is_empty()) {
        None if scheme.is_empty() => MatchPattern::Exact(text.to_owned()),
        None => MatchPattern::Exact(format!("{scheme}://{rest}")),
        Some(rest) => {
            let any = if rest.starts_with('.') { "[^/:@]+" } else { r"(?:[^/:@]+|\[[0-9A-Fa-f:.]+\])" };
            MatchPattern::SafeRegex(regex(&format!("(?i){scheme}://{any}{}", rest.replace('.', r"\."))))
        }
    };
    // Expressions say themselves that case does not matter.
    let ignore_case = matches!(pattern, MatchPattern::Exact(_));
    StringMatcher { match_pattern: Some(pattern), ignore_case }
}

/// The configuration of the filter `stateful_session` for a rule.
pub(super) fn session(entry: &RouteEntry, session: &Session) -> Any {
    let state = match &session.carrier {
        Carrier::Header(name) => extension(
            "envoy.http.stateful_session.header",
            pack_any(HeaderBasedSessionState { name: name.to_string() }),
        ),
        Carrier::Cookie { name, path } => extension(
            "envoy.http.stateful_session.cookie",
            pack_any(CookieBasedSessionState {
                cookie: Some(Cookie {
                    name: name.as_ref().map_or_else(|| cookie_of(entry), ToString::to_string),
                    path: path.to_string(),
                    ttl: session.lifetime.map(millis),
                    ..Default::default()
                }),
            }),
        ),
    };
    let stateful = StatefulSession { session_state: Some(state), ..Default::default() };
    pack_any(StatefulSessionPerRoute { r#override: Some(Override::StatefulSession(stateful)) })
}

/// "If not specified, a unique cookie name SHOULD be generated" (`CookieConfig.name`): one for each rule.
fn cookie_of(entry: &RouteEntry) -> String {
    let hash = digest(&SHA256, format!("{}/{}", entry.route, entry.rule).as_bytes());
    let mut name = "portolan-".to_owned();
    for byte in &hash.as_ref()[..6] {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Sends again what did not reach a backend, what it refused before it looked at it, and what it answered with one of the
/// codes ("This is the case when the connection could not be established, or when the backend explicitly rejected the
/// request", `HTTPRouteRule.retry`), to another endpoint if there is one.
pub(super) fn retry(retry: &Retry, tries: Option<u64>) -> Option<RetryPolicy> {
    const BEFORE: &str = "connect-failure,refused-stream,reset-before-request";
    let codes = if retry.codes.is_empty() { "" } else { ",retriable-status-codes" };
    (retry.attempts > 0).then(|| RetryPolicy {
        retry_on: format!("{BEFORE}{codes}"),
        num_retries: Some(UInt32Value { value: retry.attempts }),
        per_try_timeout: tries.map(millis),
        retriable_status_codes: retry.codes.clone(),
        retry_host_predicate: vec![RetryHostPredicate {
            name: "envoy.retry_host_predicates.previous_hosts".into(),
            config_type: Some(retry_host_predicate::ConfigType::TypedConfig(pack_any(
                PreviousHostsPredicate {},
            ))),
        }],
        host_selection_retry_max_attempts: 5,
        retry_back_off: retry
            .backoff
            .filter(|ms| *ms > 0)
            .map(|ms| RetryBackOff { base_interval: Some(millis(ms)), ..Default::default() }),
        ..Default::default()
    })
}

fn extension(name: &str, config: Any) -> TypedExtensionConfig {
    TypedExtensionConfig { name: name.into(), typed_config: Some(config) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        let matched = |text: &str| match origin(text).match_pattern {
            Some(MatchPattern::Exact(text)) => text,
            Some(MatchPattern::SafeRegex(regex)) => format!("~{}", regex.regex),
            other => format!("{other:?}"),
        };
        for (text, pattern) in [
            ("*", "*"),
            ("https://a.example.com", "https://a.example.com"),
            ("https://a.example.com:443", "https://a.example.com"),
            ("http://a.example.com:443", "http://a.example.com:443"),
            ("http://a.example.com:80", "http://a.example.com"),
            ("https://*.bar.com", r"~(?i)https://[^/:@]+\.bar\.com"),
            ("https://*.bar.com:8443", r"~(?i)https://[^/:@]+\.bar\.com:8443"),
            ("https://*", r"~(?i)https://(?:[^/:@]+|\[[0-9A-Fa-f:.]+\])"),
            ("http://*:8080", r"~(?i)http://(?:[^/:@]+|\[[0-9A-Fa-f:.]+\]):8080"),
        ] {
            assert_eq!(matched(text), pattern, "{text}");
        }
    }
}
