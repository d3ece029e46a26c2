//! Room: Gateways and routes become listeners, virtual hosts, clusters and secrets.
//!
//! ```text
//!  Secret -> TlsReady -> ListenerCertificate -> WireListener
//!  Gateway -> GatewayListener ^          Route -> Offer -> Attachment -> HostRule -> VirtualHost
//!              Contender -> RouteConflict -----^  \-> Unenforced ^ \-> ClusterUse -> Cluster -> Endpoints
//!  HostRule of TLS, TCP, UDP -> StreamHost -> WireListener
//!  WireAck, WirePending, ListenerInForce (facts) -> ListenerForce, HostForce: read by every room that says what works
//! ```
//!
//! Invariants: every listener owns its hostname: without a certificate that can be shown its names get a refused handshake,
//! without a route 404, never what a wider listener serves ([`boundaries`]); what serves nothing is never served wrongly: a rule whose backend does not resolve answers 500, or UNAVAILABLE to gRPC
//! (Gateway API, `BackendRefs`); a route that is restricted by what is not enforced is served on loopback only.

pub(crate) mod addresses;
mod age;
pub(crate) mod attach;
mod authorities;
mod backend_tls;
pub mod backends;
mod boundaries;
mod clients;
pub(crate) mod conflicts;
pub(crate) mod force;
mod grants;
mod hosts;
pub mod judge;
mod listeners;
mod offers;
pub(crate) mod operated;
mod restrictions;
pub mod rows;
mod rules;
pub(crate) mod sets;
mod tls;
mod untargeted;
mod wire;

use portolan_engine::Engine;
use portolan_model::{
    Name,
    input::{
        ConfigMap, EndpointSlice, EndpointsObject, Gateway, GatewayClass, Judged, ListenerSet, Namespace,
        ReferenceGrant, Route, SealedSecret, Secret, Service, SourceProblems, TlsSource,
    },
};
use rows::{
    Attachment, BackendTrust, ClientCertificate, ClientTrust, Cluster, ClusterUse, Contender,
    DialledBackends, Endpoints, ExpressionUse, GatewayAddress, GatewayListener, GatewayOwner, GatewayPorts,
    GatewayRestrictions, HostForce, HostRule, InCluster, ListenerCertificate, ListenerForce, ListenerHost,
    ListenerInForce, ListenerSetState, ListenerState, LookInto, MergedListeners, Offer, OverBudget,
    ParentVerdict, RouteConflict, StreamHost, SystemRoots, TlsReady, TlsSecret, TlsUse, TrustedCa,
    Unenforced, Unread, Unresolved, VirtualHost, WireAck, WireListener, WirePending,
};

use crate::{
    Cx, World,
    gitops::rows::Unseen,
    infrastructure::rows::FleetSettings,
    policy::rows::Denied,
    secrets::rows::Mirror,
    status::rows::HostClaim,
    world::{
        BackendTlsByService, CertificatesByTarget, ContendersByListener, CutsBySecret,
        ExpressionsByNamespace, Finding, MakersBySecret, OffersBeneath, OffersByHost,
        RestrictionsByNamespace, RestrictionsBySelector, RestrictionsByTarget, RulesByHost, SetsByGateway,
        UsesByCluster,
    },
};

/// API group of the kinds of this room.
pub(crate) const GROUP: &str = "gateway.networking.k8s.io";

/// How many seconds Envoy leaves connections of a listener that changes or goes to finish.
pub const DRAIN_SECONDS: u64 = 10;

/// Controller names whose classes are ours.
pub const CONTROLLERS: [&str; 2] =
    ["portolan.dev/gateway-controller", "gateway.envoyproxy.io/gatewayclass-controller"];

/// Whether a controller's classes are ours: in a cluster only those that were asked for.
pub(crate) fn ours(cx: &mut Cx<'_>, controller: &str) -> bool {
    match cx.get::<InCluster>(&Name::default()) {
        Some(row) => row.controllers.iter().any(|name| **name == *controller),
        None => CONTROLLERS.contains(&controller),
    }
}

pub(crate) fn register(engine: &mut Engine<World>) {
    engine
        .map("tls_ready", tls::tls_ready)
        .reads::<(CutsBySecret, Secret, Denied)>()
        .writes::<(TlsReady, Finding)>();
    engine
        .map("listener_sets_attached", sets::listener_sets)
        .reads::<(Denied, Gateway, Namespace, Unseen)>()
        .writes::<(ListenerSetState, Finding)>();
    engine
        .map("merged_listeners", sets::merged_listeners)
        .reads::<(SetsByGateway, ListenerSet)>()
        .writes::<(MergedListeners,)>();
    engine
        .map("client_trusts", clients::client_trusts)
        .reads::<(Denied, ConfigMap, Secret, ReferenceGrant, Unseen, Unread)>()
        .writes::<(ClientTrust, TrustedCa, Finding)>();
    engine
        .map("gateway_listeners", listeners::gateway_listeners)
        .reads::<(GatewayClass, Denied, Unseen, InCluster, MergedListeners, ClientTrust)>()
        .writes::<(GatewayListener, GatewayOwner, ListenerState, Finding)>();
    engine
        .map("listener_certificates", tls::listener_certificates)
        .reads::<(
            ReferenceGrant,
            TlsReady,
            GatewayListener,
            MergedListeners,
            CertificatesByTarget,
            SealedSecret,
            Mirror,
            MakersBySecret,
            SourceProblems,
            Unseen,
            Unread,
            TlsSource,
            Secret,
        )>()
        .writes::<(ListenerCertificate, LookInto, Finding)>();
    engine
        .map("client_certificates", tls::client_certificates)
        .reads::<(
            ReferenceGrant,
            TlsReady,
            CertificatesByTarget,
            SealedSecret,
            Mirror,
            MakersBySecret,
            SourceProblems,
            Unseen,
            Unread,
            TlsSource,
            Secret,
        )>()
        .writes::<(ClientCertificate, Finding)>();
    engine
        .map("backend_trusts", backend_tls::backend_trusts)
        .reads::<(
            Denied,
            BackendTlsByService,
            ConfigMap,
            Secret,
            ReferenceGrant,
            Service,
            SystemRoots,
            Unseen,
            Unread,
        )>()
        .writes::<(BackendTrust, LookInto, Finding)>();
    engine
        .map("tls_secrets", wire::tls_secrets)
        .reads::<(ListenerCertificate, ClientCertificate)>()
        .writes::<(TlsSecret,)>();
    engine.map("gateway_ports", wire::gateway_ports).writes::<(GatewayPorts,)>();
    engine
        .map("offers", offers::offers)
        .reads::<(Gateway, GatewayOwner, Denied, GatewayListener, ListenerSetState, Namespace, Unseen)>()
        .writes::<(Offer,)>();
    engine
        .map("contenders", conflicts::contenders)
        .reads::<(OffersByHost, OffersBeneath)>()
        .writes::<(Contender,)>();
    engine
        .group::<ContendersByListener>("route_conflicts", conflicts::route_conflicts)
        .writes::<(RouteConflict,)>();
    engine.map("expression_uses", judge::expression_uses).writes::<(ExpressionUse,)>();
    engine
        .group::<ExpressionsByNamespace>("expression_budgets", judge::expression_budgets)
        .writes::<(OverBudget,)>();
    engine
        .map("attachments", attach::attachments)
        .reads::<(Offer, OverBudget, RouteConflict, GatewayListener)>()
        .writes::<(Attachment, ParentVerdict, HostClaim, Finding)>();
    engine
        .map("untargeted_policies", untargeted::untargeted)
        .reads::<(Gateway, ListenerSet, Route, Service, Unseen, Denied)>()
        .writes::<(Finding,)>();
    engine
        .map("gateway_restrictions", restrictions::gateway_restrictions)
        .reads::<(RestrictionsByTarget, RestrictionsBySelector, RestrictionsByNamespace, Judged, MergedListeners)>()
        .writes::<(GatewayRestrictions,)>();
    engine
        .map("unenforced", restrictions::unenforced)
        .reads::<(
            Attachment,
            GatewayListener,
            GatewayAddress,
            GatewayRestrictions,
            RestrictionsByTarget,
            RestrictionsBySelector,
            RestrictionsByNamespace,
            Judged,
            FleetSettings,
        )>()
        .writes::<(Unenforced, Finding)>();
    engine
        .map("host_rules", rules::host_rules)
        .reads::<(
            Attachment,
            OverBudget,
            GatewayListener,
            GatewayOwner,
            GatewayPorts,
            ListenerSetState,
            Service,
            ReferenceGrant,
            Unenforced,
            BackendTlsByService,
            BackendTrust,
            ClientCertificate,
            Judged,
            Denied,
            Unseen,
        )>()
        .writes::<(HostRule, ClusterUse, TlsUse, Unresolved, Finding)>();
    engine
        .group::<RulesByHost>("virtual_hosts", wire::virtual_hosts)
        .writes::<(VirtualHost, StreamHost, Finding)>();
    engine
        .map("wire_listeners", wire::wire_listeners)
        .reads::<(
            GatewayAddress,
            GatewayListener,
            GatewayOwner,
            ListenerCertificate,
            StreamHost,
            InCluster,
            FleetSettings,
        )>()
        .writes::<(WireListener, Finding)>();
    engine
        .map("listener_hosts", boundaries::listener_hosts)
        .reads::<(GatewayListener,)>()
        .writes::<(ListenerHost,)>();
    engine.map("bare_hosts", boundaries::bare_hosts).reads::<(RulesByHost,)>().writes::<(VirtualHost,)>();
    engine.group::<UsesByCluster>("clusters", backends::clusters).writes::<(Cluster,)>();
    engine
        .map("endpoints", backends::endpoints)
        .reads::<(Service, EndpointSlice, EndpointsObject, DialledBackends, Judged, Unseen)>()
        .writes::<(Endpoints, Finding)>();
    engine
        .map("listener_force", force::listener_force)
        .reads::<(ListenerCertificate, WireListener, ListenerInForce, WireAck, WirePending)>()
        .writes::<(ListenerForce, Finding)>();
    engine
        .map("host_force", force::host_force)
        .reads::<(WireAck, WirePending)>()
        .writes::<(HostForce, Finding)>();
    engine
        .map("stream_force", force::stream_force)
        .reads::<(ListenerInForce, WireAck, WirePending)>()
        .writes::<(HostForce,)>();
    engine.map("backend_refused", force::backend_refused).reads::<(WireAck,)>().writes::<(Finding,)>();
}

pub use tls::{MADE, one_label as covers, temporary_in, told};

/// Whether hostname `pattern` (exact or `*.x`) takes `name`; a wildcard takes any number of labels, never its own
/// parent (Gateway API, `Listener.hostname`).
pub fn takes(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern == name,
        Some(parent) => name.strip_suffix(parent).is_some_and(|head| head.len() > 1 && head.ends_with('.')),
    }
}
