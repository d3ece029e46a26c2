//! Room: Gateways and routes become listeners, virtual hosts, clusters and secrets.
//!
//! ```text
//!  Secret -> TlsReady -> ListenerCertificate -> WireListener
//!  Gateway -> Door ^          Route -> Attachment -> HostRule -> VirtualHost
//!                                           \-> ClusterUse -> Cluster -> Endpoints
//! ```
//!
//! Invariants: a Secret that is not there yet leaves its own chain out and every other one untouched; what serves
//! nothing is never served wrongly: a rule whose backend does not resolve answers 500 (Gateway API, `BackendRefs`).

mod attach;
mod backends;
mod doors;
mod grants;
mod hosts;
pub mod rows;
mod rules;
mod tls;
mod wire;

use portolan_engine::Engine;
use portolan_model::input::{EndpointSlice, GatewayClass, Namespace, ReferenceGrant, Service};
use rows::{
    Attachment, Cluster, ClusterUse, Door, Endpoints, GatewayAddress, GatewayOwner, HostRule,
    ListenerCertificate, ListenerState, TlsReady, TlsSecret, Unresolved, VirtualHost, WireListener,
};

use crate::{
    World,
    policy::rows::Denied,
    status::rows::HostClaim,
    world::{Finding, RulesByHost, UsesByCluster},
};

/// API group of the kinds of this room.
pub(crate) const GROUP: &str = "gateway.networking.k8s.io";

/// Controller names whose classes are ours.
pub const CONTROLLERS: [&str; 2] =
    ["portolan.dev/gateway-controller", "gateway.envoyproxy.io/gatewayclass-controller"];

pub(crate) fn register(engine: &mut Engine<World>) {
    engine.map("tls_ready", tls::tls_ready).writes::<(TlsReady, Finding)>();
    engine
        .map("doors", doors::doors)
        .reads::<(GatewayClass,)>()
        .writes::<(Door, GatewayOwner, ListenerState, Finding)>();
    engine
        .map("listener_certificates", tls::listener_certificates)
        .reads::<(ReferenceGrant, TlsReady, Door)>()
        .writes::<(ListenerCertificate, Finding)>();
    engine.map("tls_secrets", wire::tls_secrets).reads::<(ListenerCertificate,)>().writes::<(TlsSecret,)>();
    engine
        .map("wire_listeners", wire::wire_listeners)
        .reads::<(GatewayAddress, Door, ListenerCertificate)>()
        .writes::<(WireListener,)>();
    engine
        .map("attachments", attach::attachments)
        .reads::<(GatewayOwner, Denied, Door, Namespace)>()
        .writes::<(Attachment, HostClaim, Finding)>();
    engine
        .map("host_rules", rules::host_rules)
        .reads::<(Attachment, Door, GatewayAddress, Service, ReferenceGrant)>()
        .writes::<(HostRule, ClusterUse, Unresolved, Finding)>();
    engine.group::<RulesByHost>("virtual_hosts", wire::virtual_hosts).writes::<(VirtualHost, Finding)>();
    engine.group::<UsesByCluster>("clusters", backends::clusters).writes::<(Cluster,)>();
    engine.map("endpoints", backends::endpoints).reads::<(Service, EndpointSlice)>().writes::<(Endpoints,)>();
}

pub use tls::one_label as covers;

/// Whether hostname `pattern` (exact or `*.x`) takes `name`; a wildcard takes any number of labels, never its own
/// parent (Gateway API, `Listener.hostname`).
pub fn takes(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern == name,
        Some(parent) => name.strip_suffix(parent).is_some_and(|head| head.len() > 1 && head.ends_with('.')),
    }
}
