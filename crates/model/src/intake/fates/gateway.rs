//! Kinds of the Gateway API, and those of Envoy Gateway that restrict.
//! Sources: Gateway API 1.7 `apis/v1`, Envoy Gateway 1.9 `internal/gatewayapi`.

use super::{
    Effect::{Irrelevant, NotLookedAt, Refused, Told, Used},
    Entry, Table,
};

const GATEWAY: &str = "gateway.networking.k8s.io";
const ENVOY: &str = "gateway.envoyproxy.io";

const FILTERS: &str = "filters that are not built: requests of their rule are answered with an error";
const LIFETIME: &str =
    "a session cookie may be given up earlier: `absoluteTimeout` says when, whatever the type";
const POLICIES: &str = "policies that are not enforced: hosts that they cover are served on loopback only";
const DEFAULTS: &str = "routes may attach to a Gateway that they do not name (experimental)";

const CLASS: Table = &[
    (Used, "spec.controllerName"),
    (Irrelevant("prose"), "spec.description"),
    (
        NotLookedAt("the EnvoyProxy that it names may change how every Gateway of the class serves"),
        "spec.parametersRef",
    ),
];

const OF_GATEWAY: Table = &[
    (
        Used,
        "spec.gatewayClassName spec.addresses spec.listeners.name spec.listeners.hostname spec.listeners.port \
         spec.listeners.protocol spec.listeners.allowedRoutes spec.listeners.tls.mode spec.listeners.tls.certificateRefs \
         spec.allowedListeners spec.tls.frontend spec.tls.backend",
    ),
    (Irrelevant("options of other implementations: Envoy Gateway reads none"), "spec.listeners.tls.options"),
    (Used, "spec.infrastructure.annotations spec.infrastructure.labels"),
    (
        NotLookedAt("the EnvoyProxy that it names may change how the Gateway serves"),
        "spec.infrastructure.parametersRef",
    ),
    (NotLookedAt(DEFAULTS), "spec.defaultScope"),
    (
        Refused("filters of all routes of a listener, which are not built: it is not accepted"),
        "spec.listeners.filters",
    ),
];

const HTTP_ROUTE: Table = &[
    (
        Used,
        "spec.hostnames spec.parentRefs spec.rules.matches spec.rules.timeouts spec.rules.backendRefs.group \
         spec.rules.backendRefs.kind spec.rules.backendRefs.name spec.rules.backendRefs.namespace spec.rules.backendRefs.port \
         spec.rules.backendRefs.weight spec.rules.filters.type spec.rules.filters.requestHeaderModifier \
         spec.rules.filters.responseHeaderModifier spec.rules.filters.requestMirror spec.rules.filters.requestRedirect \
         spec.rules.filters.urlRewrite spec.rules.filters.cors spec.rules.retry spec.rules.sessionPersistence \
         spec.rules.backendRefs.filters.type spec.rules.backendRefs.filters.requestHeaderModifier \
         spec.rules.backendRefs.filters.responseHeaderModifier spec.rules.backendRefs.filters.requestMirror \
         spec.rules.backendRefs.filters.requestRedirect spec.rules.backendRefs.filters.urlRewrite \
         spec.rules.backendRefs.filters.cors",
    ),
    (
        Irrelevant("a name by which policies refer to the rule: they cover the whole route here"),
        "spec.rules.name",
    ),
    (Irrelevant(LIFETIME), "spec.rules.sessionPersistence.cookie.lifetimeType"),
    (
        Refused(FILTERS),
        "spec.rules.filters.extensionRef spec.rules.filters.externalAuth spec.rules.backendRefs.filters.extensionRef \
         spec.rules.backendRefs.filters.externalAuth",
    ),
    (NotLookedAt(DEFAULTS), "spec.useDefaultGateways"),
];

const GRPC_ROUTE: Table = &[
    (
        Used,
        "spec.hostnames spec.parentRefs spec.rules.matches spec.rules.backendRefs.group spec.rules.backendRefs.kind \
         spec.rules.backendRefs.name spec.rules.backendRefs.namespace spec.rules.backendRefs.port spec.rules.backendRefs.weight \
         spec.rules.filters.type spec.rules.filters.requestHeaderModifier spec.rules.filters.responseHeaderModifier \
         spec.rules.filters.requestMirror spec.rules.sessionPersistence spec.rules.backendRefs.filters.type \
         spec.rules.backendRefs.filters.requestHeaderModifier spec.rules.backendRefs.filters.responseHeaderModifier \
         spec.rules.backendRefs.filters.requestMirror",
    ),
    (
        Irrelevant("a name by which policies refer to the rule: they cover the whole route here"),
        "spec.rules.name",
    ),
    (Irrelevant(LIFETIME), "spec.rules.sessionPersistence.cookie.lifetimeType"),
    (Refused(FILTERS), "spec.rules.filters.extensionRef spec.rules.backendRefs.filters.extensionRef"),
    (NotLookedAt(DEFAULTS), "spec.useDefaultGateways"),
];

/// TLSRoutes, TCPRoutes and UDPRoutes.
const STREAM_ROUTE: Table = &[
    (Used, "spec.parentRefs spec.rules.backendRefs"),
    (
        Irrelevant("a name by which policies refer to the rule: they cover the whole route here"),
        "spec.rules.name",
    ),
    (NotLookedAt(DEFAULTS), "spec.useDefaultGateways"),
];

const TLS_ROUTE: Table = &[
    (Used, "spec.hostnames spec.parentRefs spec.rules.backendRefs"),
    (
        Irrelevant("a name by which policies refer to the rule: they cover the whole route here"),
        "spec.rules.name",
    ),
    (NotLookedAt(DEFAULTS), "spec.useDefaultGateways"),
];

const LISTENER_SET: Table = &[
    (
        Used,
        "spec.parentRef spec.listeners.name spec.listeners.hostname spec.listeners.port spec.listeners.protocol \
         spec.listeners.allowedRoutes spec.listeners.tls.mode spec.listeners.tls.certificateRefs",
    ),
    (Irrelevant("options of other implementations: Envoy Gateway reads none"), "spec.listeners.tls.options"),
    (
        Refused("filters of all routes of a listener, which are not built: it is not accepted"),
        "spec.listeners.filters",
    ),
];

const BACKEND_TLS: Table = &[
    (Used, "spec.targetRefs spec.validation"),
    (Told("options of other implementations: they have no effect"), "spec.options"),
];

const GRANT: Table = &[(Used, "spec.from spec.to")];

/// All that is decided about these is that they restrict, and where.
const RESTRICTS: Table = &[(Refused(POLICIES), "spec")];

pub(super) const KINDS: [Entry; 13] = [
    (GATEWAY, "GatewayClass", CLASS),
    (GATEWAY, "Gateway", OF_GATEWAY),
    (GATEWAY, "HTTPRoute", HTTP_ROUTE),
    (GATEWAY, "GRPCRoute", GRPC_ROUTE),
    (GATEWAY, "TLSRoute", TLS_ROUTE),
    (GATEWAY, "TCPRoute", STREAM_ROUTE),
    (GATEWAY, "UDPRoute", STREAM_ROUTE),
    (GATEWAY, "ReferenceGrant", GRANT),
    (GATEWAY, "ListenerSet", LISTENER_SET),
    (GATEWAY, "BackendTLSPolicy", BACKEND_TLS),
    (ENVOY, "SecurityPolicy", RESTRICTS),
    (ENVOY, "EnvoyPatchPolicy", RESTRICTS),
    (ENVOY, "EnvoyExtensionPolicy", RESTRICTS),
];
