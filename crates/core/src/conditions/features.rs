//! Features of Gateway API 1.7 (`pkg/features`): what is served, the test that shows it, and what is another way on one machine. The list
//! in the status of a GatewayClass and `docs/reference/gateway.md` are made of this table.

/// A feature, or a field that has no name among them.
pub struct Feature {
    /// Name in `pkg/features`; a field in words.
    pub name: &'static str,
    /// Whether it stands there.
    pub named: bool,
    /// How it is served.
    pub state: State,
    /// Tests that show it: a case of the gateway room (`core/src/gateway/testdata`), or `e2e/<file>`.
    pub shown: &'static [&'static str],
    /// What differs under `portolan up`, or is left open.
    pub note: &'static str,
    /// Where `portolan run` serves it wholly.
    pub in_a_cluster: InACluster,
}

impl Feature {
    /// The same with another word for `portolan run`.
    const fn run(self, in_a_cluster: InACluster) -> Self {
        Self { in_a_cluster, ..self }
    }
}

/// Where `portolan run` serves a feature: Gateways have Envoys of their own there, or addresses of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InACluster {
    /// As on one machine.
    Alike,
    /// Wholly where Gateways have Envoys of their own.
    Apart,
    /// Wholly where they have addresses of a machine (`--gateway-addresses`).
    Addresses,
}

/// How a feature is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Wholly; named features are told to clients.
    Served,
    /// In part: not told.
    Partly,
    /// Said where it is written, and what it restricts is closed.
    Refused,
    /// Not yet.
    Missing,
}

impl State {
    /// A word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Partly => "in part",
            Self::Refused => "refused by name",
            Self::Missing => "not yet",
        }
    }
}

const fn served(name: &'static str, shown: &'static [&'static str], note: &'static str) -> Feature {
    Feature { name, named: true, state: State::Served, shown, note, in_a_cluster: InACluster::Alike }
}

const fn other(
    name: &'static str,
    named: bool,
    state: State,
    shown: &'static [&'static str],
    note: &'static str,
) -> Feature {
    Feature { name, named, state, shown, note, in_a_cluster: InACluster::Alike }
}

/// By kind, in the order of the documentation.
pub const KINDS: [(&str, &[Feature]); 6] = [
    ("Gateway", GATEWAY),
    ("HTTPRoute", HTTP),
    ("GRPCRoute", GRPC),
    ("BackendTLSPolicy", BACKEND_TLS),
    ("ReferenceGrant", &[served("ReferenceGrant", &["backend-with-grant", "secret-with-grant"], "")]),
    ("TLSRoute, TCPRoute, UDPRoute", LAYER_4),
];

const GATEWAY: &[Feature] = &[
    served("Gateway", &["allowed-namespaces", "conflict-protocol", "e2e/conditions"], ""),
    served(
        "GatewayPort8080",
        &["one-problem-met-twice"],
        "Ports below 1024 may be moved up (`--low-ports`).",
    ),
    served("GatewayHTTPListenerIsolation", &["listener-isolation", "e2e/isolation"], ""),
    served("GatewayHTTPSListenerDetectMisdirectedRequests", &["misdirected-requests", "e2e/isolation"], ""),
    served("GatewayRouteHostnameIntersectionPrecedence", &["hostname-of-the-route-comes-first"], ""),
    served("GatewayBackendClientCertificate", &["a-certificate-for-backends", "e2e/gateway_tls"], ""),
    served(
        "GatewayFrontendClientCertificateValidation",
        &["clients-that-are-let-in", "e2e/gateway_tls"],
        "A host that lets in no client without a certificate is live once it asks for one: the probe has none.",
    ),
    served(
        "GatewayFrontendClientCertificateValidationInsecureFallback",
        &["clients-that-are-let-in", "e2e/gateway_tls"],
        "",
    ),
    served(
        "ListenerSet",
        &["listener-sets", "a-restricted-listener-set", "e2e/gateway_tls"],
        "Names of its listeners are published where external-dns has `--gateway-listener-sets`; one that moves to another Gateway is not served at \
         the old one until its records have moved.",
    ),
    other(
        "GatewayStaticAddresses",
        true,
        State::Partly,
        &["static-addresses", "addresses-that-are-asked-for"],
        "A type that is not known is refused; the address is that of the state (PTL-0216). Where Envoys are the Gateway's own, its Service asks \
         for it, and what becomes of that is not seen.",
    )
    .run(InACluster::Addresses),
    served("GatewayAddressEmpty", &["gateways-that-ask-for-what-is-not-known"], ""),
    other(
        "GatewayInfrastructure",
        true,
        State::Partly,
        &["gateways-that-ask-for-what-is-not-known"],
        "Parameters that are not known are refused; on one machine nothing is made that could have labels.",
    )
    .run(InACluster::Apart),
    other(
        "GatewayListenerFilters",
        true,
        State::Refused,
        &["gateways-that-ask-for-what-is-not-known"],
        "Experimental, without a conformance test: the listener is not accepted (PTL-0251).",
    ),
    other(
        "GatewayAddressRoutability",
        true,
        State::Refused,
        &["gateways-that-ask-for-what-is-not-known"],
        "Experimental, without a conformance test: the Gateway is not accepted (PTL-0215).",
    ),
    other(
        "GatewayAddressRoutabilityCluster",
        true,
        State::Refused,
        &["gateways-that-ask-for-what-is-not-known"],
        "As above.",
    ),
    other("ClusterTrustBundle", true, State::Refused, &[], "A policy that refers to one is closed."),
];

const HTTP: &[Feature] = &[
    served("HTTPRoute", &["match-precedence", "hostname-intersection", "weights-and-missing-backends"], ""),
    served("HTTPRouteMethodMatching", &["match-precedence"], ""),
    served("HTTPRouteQueryParamMatching", &["match-precedence"], ""),
    served("HTTPRouteNamedRouteRule", &["match-precedence"], "Names of rules are taken and change nothing."),
    served("HTTPRouteParentRefPort", &["parent-by-section-and-port"], ""),
    served("HTTPRouteDestinationPortMatching", &["parent-by-section-and-port"], ""),
    served("HTTPRouteResponseHeaderModification", &["refused-header-changes", "e2e/backends"], ""),
    served(
        "HTTPRouteBackendRequestHeaderModification",
        &["filters-of-one-backend", "e2e/gateway_traffic"],
        "",
    ),
    served("HTTPRouteSchemeRedirect", &["redirect-and-rewrite"], ""),
    served(
        "HTTPRoutePortRedirect",
        &["refused-redirects-and-rewrites"],
        "A port that was moved is named as moved.",
    ),
    served("HTTPRoutePathRedirect", &["redirect-and-rewrite"], ""),
    served("HTTPRoute303RedirectStatusCode", &["refused-redirects-and-rewrites"], ""),
    served("HTTPRoute307RedirectStatusCode", &["refused-redirects-and-rewrites"], ""),
    served("HTTPRoute308RedirectStatusCode", &["refused-redirects-and-rewrites"], ""),
    served("HTTPRouteHostRewrite", &["redirect-and-rewrite"], ""),
    served("HTTPRoutePathRewrite", &["redirect-and-rewrite"], ""),
    served("HTTPRouteBackendURLRewrite", &["filters-of-one-backend", "e2e/gateway_traffic"], ""),
    served("HTTPRouteRequestMirror", &["filters-of-one-backend"], ""),
    served("HTTPRouteRequestMultipleMirrors", &["filters-of-one-backend"], ""),
    served("HTTPRouteRequestPercentageMirror", &["filters-of-one-backend"], ""),
    served(
        "HTTPRouteCORS",
        &["cors", "refused-cors-retries-and-sessions", "e2e/gateway_traffic"],
        "Redirects and errors of the edge itself carry no headers of it. Where `allowHeaders` is `*` and a preflight request asks for \
         none, `access-control-allow-headers` is there and empty.",
    ),
    served("HTTPRouteRequestTimeout", &["retries", "e2e/backends"], ""),
    served("HTTPRouteBackendTimeout", &["retries", "e2e/backends"], ""),
    served(
        "HTTPRouteRetryCodes",
        &["retries", "e2e/gateway_traffic"],
        "Bodies above 32 KiB are not sent again.",
    ),
    served("HTTPRouteRetryConnectionError", &["retries", "e2e/gateway_traffic"], ""),
    served("HTTPRouteBackendProtocolH2C", &["backend-protocols"], ""),
    served("HTTPRouteBackendProtocolWebSocket", &["backend-protocols"], ""),
    other(
        "rules[].sessionPersistence",
        false,
        State::Served,
        &["session-persistence", "e2e/gateway_traffic"],
        "Experimental. Among several backends the choice by weight is made anew for each request: a session stays with its endpoint where the \
         rule has one backend.",
    ),
    other(
        "filters[].externalAuth, filters[].extensionRef",
        false,
        State::Refused,
        &["filter-not-served"],
        "Their rules answer 500.",
    ),
    other("useDefaultGateways", false, State::Refused, &[], "No Gateway is a default one (PTL-0205)."),
];

const GRPC: &[Feature] = &[
    served("GRPCRoute", &["grpc-methods", "backends-of-a-grpc-route-that-do-not-resolve"], ""),
    served("GRPCRouteNamedRouteRule", &["grpc-methods"], "Names of rules are taken and change nothing."),
    served("GRPCRouteRequestHeaderModifier", &["grpc-methods"], ""),
    other(
        "rules[].sessionPersistence",
        false,
        State::Served,
        &["session-persistence"],
        "Experimental; as of HTTPRoutes.",
    ),
];

const BACKEND_TLS: &[Feature] = &[
    served(
        "BackendTLSPolicy",
        &["tls-to-backends", "tls-to-backends-that-cannot-be-had", "e2e/gateway_tls"],
        "Endpoints that are not loopback are answered for by the echo backend in clear, unless `up` is given `--real-backends`.",
    ),
    served("BackendTLSPolicySANValidation", &["tls-to-backends", "e2e/gateway_tls"], ""),
    other(
        "options",
        false,
        State::Refused,
        &["tls-to-backends-that-cannot-be-had"],
        "None is known (PTL-0248).",
    ),
];

const LAYER_4: &[Feature] = &[
    served(
        "TLSRoute",
        &["tls-passes-through", "tls-names-that-two-listeners-want", "e2e/gateway_streams"],
        "Where TLS passes through the built-in echo backend, which speaks HTTP, answers for nobody: without endpoints on loopback \
         connections are closed (PTL-0241).",
    ),
    served("TLSRouteModeTerminate", &["tls-of-three-kinds-on-one-port", "e2e/gateway_streams"], ""),
    served(
        "TLSRouteModeMixed",
        &["tls-of-three-kinds-on-one-port", "e2e/gateway_streams"],
        "Also beside HTTPS.",
    ),
    served("TCPRoute", &["tcp-routes", "e2e/gateway_streams"], "The echo backend answers to HTTP."),
    served(
        "UDPRoute",
        &["udp-routes", "e2e/gateway_streams"],
        "As of TLSRoutes without a stand-in. There is no probe: a host is live when Envoy has it in force.",
    ),
];

/// Names of the features that are served, sorted: the official suite takes this list as a promise.
pub fn names() -> Vec<&'static str> {
    promised(|feature| feature.state == State::Served)
}

/// The same of `portolan run`, where Gateways have Envoys of their own (`apart`) or addresses of a machine.
pub fn names_in_a_cluster(apart: bool) -> Vec<&'static str> {
    promised(|feature| match feature.in_a_cluster {
        InACluster::Alike => feature.state == State::Served,
        InACluster::Apart => apart,
        InACluster::Addresses => !apart,
    })
}

fn promised(is: impl Fn(&Feature) -> bool) -> Vec<&'static str> {
    let all = KINDS.iter().flat_map(|(_, features)| *features);
    let served = all.filter(|feature| feature.named && is(feature));
    let mut names: Vec<&str> = served.map(|feature| feature.name).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{fmt::Write as _, path::Path};

    use super::*;

    const HEAD: &str = "# Gateway API 1.7\n\n\
        Made of the table in `crates/core/src/conditions/features.rs`; `PORTOLAN_ACCEPT=1 cargo test -p portolan-core --lib features` \
        writes it. In a cluster means `portolan run`. A test without a folder is a case of `crates/core/src/gateway/testdata`, each of which a real Envoy loads \
        (`crates/envoy/tests/cases.rs`); `e2e/…` stands in `crates/app/tests` and sends requests through one. Features that are \
        served are those of `GatewayClass.status.supportedFeatures`.\n";

    fn document() -> String {
        let mut out = HEAD.to_owned();
        for (kind, features) in KINDS {
            write!(out, "\n## {kind}\n\n| feature | state | in a cluster | shown by | on one machine, and what is left |\n|---|---|---|---|---|\n").unwrap();
            for Feature { name, named, state, shown, note, in_a_cluster } in features {
                let name = if *named { (*name).to_owned() } else { format!("`{name}`") };
                let shown: Vec<String> = shown.iter().map(|test| format!("`{test}`")).collect();
                let cluster = match in_a_cluster {
                    InACluster::Alike if matches!(state, State::Served | State::Partly) => state.word(),
                    InACluster::Alike => "",
                    InACluster::Apart => "served where Gateways have Envoys of their own",
                    InACluster::Addresses => "served with `--gateway-addresses`",
                };
                writeln!(out, "| {name} | {} | {cluster} | {} | {note} |", state.word(), shown.join(", "))
                    .unwrap();
            }
        }
        out
    }

    #[test]
    fn the_document_is_that_of_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/gateway.md");
        if std::env::var_os("PORTOLAN_ACCEPT").is_some() {
            std::fs::write(&path, document()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), document());
    }

    #[test]
    fn every_feature_that_is_served_is_shown_by_tests_that_are_there() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        for Feature { name, state, shown, .. } in KINDS.iter().flat_map(|(_, features)| *features) {
            assert!(*state != State::Served || !shown.is_empty(), "{name} is shown by nothing");
            for test in *shown {
                let path = match test.strip_prefix("e2e/") {
                    Some(file) => here.join("../app/tests/e2e").join(format!("{file}.rs")),
                    None => here.join("src/gateway/testdata").join(test).join("input.yaml"),
                };
                assert!(path.is_file(), "{name}: {}", path.display());
            }
        }
    }
}
