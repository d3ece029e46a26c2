//! Gateway API and the core kinds it refers to.
//! Source: Gateway API v1.7 `apis/v1/*_types.go`.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use super::{
    CaReference,
    filter::{Filter, Traffic},
};
use crate::{GatewayKey, Instant, Kind, LabelSelector, Name, NamespacedName, ObjectKey, RouteKey, row};

/// A Namespace: selectors look at its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Name.
    pub name: Name,
    /// Labels, `kubernetes.io/metadata.name` included.
    pub labels: BTreeMap<Name, Name>,
}
row!(Namespace, Name, "namespaces", name);

/// A GatewayClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayClass {
    /// Name.
    pub name: Name,
    /// `spec.controllerName`.
    pub controller: Name,
    /// `metadata.generation`.
    pub generation: i64,
    /// Annotations of `portolan.dev/`.
    pub annotations: BTreeMap<Name, String>,
}
row!(GatewayClass, Name, "gateway_classes", name);

/// A Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Namespace and name.
    pub key: GatewayKey,
    /// `metadata.generation`.
    pub generation: i64,
    /// `spec.gatewayClassName`.
    pub class: Name,
    /// `spec.listeners`, in the order written.
    pub listeners: Vec<Listener>,
    /// `spec.addresses`.
    pub addresses: Vec<SpecAddress>,
    /// `spec.infrastructure`: what serves it in a cluster.
    pub infrastructure: Infrastructure,
    /// `spec.allowedListeners`: namespaces whose ListenerSets may attach.
    pub sets: AllowedNamespaces,
    /// `spec.tls.frontend`: which clients are let in where TLS ends.
    pub frontend: Frontend,
    /// `spec.tls.backend.clientCertificateRef`: shown to backends that are spoken to by TLS.
    pub client_certificate: Option<SecretReference>,
    /// `metadata.labels`: external-dns' `--gateway-label-filter` looks at them.
    pub labels: BTreeMap<Name, Name>,
    /// All annotations: external-dns may be told any prefix.
    pub annotations: BTreeMap<Name, String>,
}
row!(Gateway, GatewayKey, "gateways");

/// `spec.infrastructure` of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Infrastructure {
    /// Labels of everything that is made for it.
    pub labels: BTreeMap<Name, String>,
    /// Annotations likewise.
    pub annotations: BTreeMap<Name, String>,
    /// `parametersRef`: an object of its namespace.
    pub parameters: Option<Parameters>,
}

/// A `parametersRef`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Group and kind.
    pub kind: Kind,
    /// Name.
    pub name: Name,
}

/// A `ListenerSet`: listeners of a Gateway that others write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSet {
    /// Namespace and name.
    pub key: NamespacedName,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`: of two listeners in each other's way that of the older set is served.
    pub created: Instant,
    /// `spec.parentRef`, namespace filled in.
    pub parent: ParentRef,
    /// `metadata.annotations`: where its names point, and which listeners are leaving.
    pub annotations: BTreeMap<Name, String>,
    /// `spec.listeners`, in the order written.
    pub listeners: Vec<Listener>,
}
row!(ListenerSet, NamespacedName, "listener_sets");

/// `spec.tls.frontend` of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontend {
    /// `default.validation`.
    pub default: Option<ClientValidation>,
    /// `perPort[]`: what counts at a port in the place of that; without one every client is let in.
    pub ports: Vec<(u16, Option<ClientValidation>)>,
}

impl Frontend {
    /// All that is written.
    pub fn all(&self) -> impl Iterator<Item = &ClientValidation> {
        self.default.iter().chain(self.ports.iter().filter_map(|(_, validation)| validation.as_ref()))
    }

    /// What counts at a port, and the port if it has a say of its own.
    pub fn at(&self, port: u16) -> (Option<u16>, Option<&ClientValidation>) {
        match self.ports.iter().find(|(own, _)| *own == port) {
            Some((own, validation)) => (Some(*own), validation.as_ref()),
            None => (None, self.default.as_ref()),
        }
    }
}

/// `validation` of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientValidation {
    /// `caCertificateRefs`.
    pub authorities: Vec<CaReference>,
    /// `mode: AllowInsecureFallback`: clients without a certificate, or with one that is not believed, are let in too.
    pub optional: bool,
}

/// `spec.addresses[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecAddress {
    /// Type.
    pub kind: Name,
    /// Value; empty asks for any.
    pub value: Name,
    /// From where it is to be reached; empty is the usual.
    pub routability: Name,
}

/// A reference to a Secret, or to something else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretReference {
    /// Group and kind, as written.
    pub kind: Kind,
    /// Namespace (filled in) and name.
    pub name: NamespacedName,
}

/// `spec.listeners[]` of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Name, unique in the Gateway.
    pub name: Name,
    /// Port as written; on one machine it may be moved when served.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// Hostname, lower-case; `None` matches every host.
    pub hostname: Option<Name>,
    /// TLS settings.
    pub tls: Option<ListenerTls>,
    /// Namespaces whose routes may attach.
    pub from: AllowedNamespaces,
    /// `allowedRoutes.kinds`; empty means those of the protocol.
    pub kinds: Vec<Kind>,
    /// Types of `filters.requests`, which look at requests before they are routed.
    pub filters: Vec<Name>,
}

/// `listeners[].protocol`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Cleartext HTTP/1.1 and h2c.
    Http,
    /// HTTP over TLS.
    Https,
    /// TLS, chosen by SNI; ends here or passes through.
    Tls,
    /// Connections as they come.
    Tcp,
    /// Datagrams as they come.
    Udp,
    /// Any other: not served, reported.
    Other(Name),
}

/// `listeners[].tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// Whether TLS ends here (`Terminate`) or passes through.
    pub terminate: bool,
    /// `certificateRefs` to core Secrets, namespace filled in.
    pub certificates: Vec<NamespacedName>,
    /// References to something else than a core Secret, as written.
    pub unsupported: Vec<Name>,
}

/// `allowedRoutes.namespaces`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedNamespaces {
    /// Every namespace.
    All,
    /// The Gateway's own (the default).
    Same,
    /// Those whose labels match.
    Selector(LabelSelector),
    /// None at all.
    None,
}

/// A route of any kind: one type after parsing. Those that look into no requests have rules that match everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Kind, namespace, name.
    pub key: RouteKey,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`: the older route wins a tie.
    pub created: Instant,
    /// `spec.hostnames`, lower-case, valid ones only.
    pub hostnames: Vec<Name>,
    /// `spec.parentRefs` with namespace filled in.
    pub parents: Vec<ParentRef>,
    /// `spec.rules`; defaults applied (a missing rule list or match list becomes prefix `/`).
    pub rules: Vec<RouteRule>,
    /// `metadata.labels`: external-dns' `labelFilter` looks at them.
    pub labels: BTreeMap<Name, Name>,
    /// All annotations: external-dns' `annotationFilter` may name any.
    pub annotations: BTreeMap<Name, String>,
}
row!(Route, RouteKey, "routes");

/// `spec.parentRefs[]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParentRef {
    /// Group and kind; anything but Gateway is reported.
    pub kind: Kind,
    /// The parent.
    pub name: NamespacedName,
    /// `sectionName`: one listener.
    pub section: Option<Name>,
    /// `port`: listeners on this port only.
    pub port: Option<u16>,
}

/// `spec.rules[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRule {
    /// Matches. Empty if none of those that are written can be served: the rule then matches nothing.
    pub matches: Vec<RouteMatch>,
    /// Matches that cannot be served.
    pub left_out: Vec<LeftOut>,
    /// Values that are not known or supported, one sentence each: what they stand in is left out.
    pub invalid: Vec<String>,
    /// Filters of the rule.
    pub filters: Vec<Filter>,
    /// Backends.
    pub backends: Vec<BackendRef>,
    /// How its requests are sent; `None` if nothing is written about it.
    pub traffic: Option<Arc<Traffic>>,
}

/// A match that cannot be served. Requests that it may be meant for are answered by no wider rule of its route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its position among those that are written.
    pub at: usize,
    /// What of it can be expressed: it takes all requests that the match was written for, and others.
    pub rest: RouteMatch,
    /// The match as written, for its precedence; `None` if that is not known.
    pub written: Option<RouteMatch>,
}

/// One match; all its parts must hold. GRPCRoute's method matches arrive as paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteMatch {
    /// Path.
    pub path: PathMatch,
    /// HTTP method, upper-case.
    pub method: Option<Name>,
    /// Headers, names lower-case, first of a name wins.
    pub headers: Vec<ValueMatch>,
    /// Query parameters.
    pub query: Vec<ValueMatch>,
}

/// How the path is matched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathMatch {
    /// Exactly this path.
    Exact(Name),
    /// By path elements; no trailing slash unless `/`.
    Prefix(Name),
    /// RE2 over the whole path.
    Regex(Name),
}

/// What a gRPC method of any service begins with, as an expression.
pub const ANY_SERVICE: &str = "/[^/]+/";

/// A header or query parameter match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueMatch {
    /// Name.
    pub name: Name,
    /// Value or expression.
    pub value: Name,
    /// Whether `value` is a regular expression.
    pub regex: bool,
}

/// What a backendRef points to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendTarget {
    /// Group and kind; only the core Service is served.
    pub kind: Kind,
    /// Namespace (filled in) and name.
    pub name: NamespacedName,
    /// Port.
    pub port: Option<u16>,
}

/// `backendRefs[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendRef {
    /// What it points to.
    pub target: BackendTarget,
    /// Weight, 1 by default.
    pub weight: u32,
    /// Filters of this backend.
    pub filters: Vec<Filter>,
}

/// A ReferenceGrant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceGrant {
    /// Namespace and name.
    pub key: NamespacedName,
    /// `from`: kind and namespace.
    pub from: Vec<(Kind, Name)>,
    /// `to`: kind and, if limited, name.
    pub to: Vec<(Kind, Option<Name>)>,
}
row!(ReferenceGrant, NamespacedName, "reference_grants");

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Namespace and name.
    pub key: NamespacedName,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// `spec.externalName` of a Service of that type, perhaps empty.
    pub external: Option<Name>,
    /// Whether `spec.selector` is set: its endpoints are then those of Pods, and an Endpoints object says nothing.
    pub selects: bool,
    /// `spec.publishNotReadyAddresses`.
    pub publish_not_ready: bool,
}
row!(Service, NamespacedName, "services");

/// `spec.ports[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Name, empty for a single port.
    pub name: Name,
    /// `protocol`, `TCP` by default. One number may be there for each.
    pub protocol: Name,
    /// Port.
    pub port: u16,
    /// `appProtocol`.
    pub app_protocol: Option<Name>,
}

/// An EndpointSlice (Kubernetes, `discovery/v1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Namespace and name.
    pub key: NamespacedName,
    /// The Service it belongs to (label `kubernetes.io/service-name`).
    pub service: NamespacedName,
    /// Its endpoints; none of a slice of names (`addressType: FQDN`).
    pub subset: EndpointSubset,
}
row!(EndpointSlice, NamespacedName, "endpoint_slices");

/// An Endpoints object: of a Service without a selector Kubernetes mirrors it into slices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointsObject {
    /// Namespace and name, which is the Service's.
    pub key: NamespacedName,
    /// `subsets`.
    pub subsets: Vec<EndpointSubset>,
}
row!(EndpointsObject, NamespacedName, "endpoints_objects");

/// Addresses that have the same ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSubset {
    /// Ports; those without a number, which stand for any, are left out.
    pub ports: Vec<EndpointPort>,
    /// Addresses, sorted.
    pub addresses: Vec<EndpointAddress>,
    /// Some are left out, with a problem each: names, and what is no address of a backend.
    pub left_out: bool,
}

/// `ports[]` of a slice or subset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPort {
    /// Name: that of the Service's port.
    pub name: Name,
    /// `protocol`, `TCP` by default.
    pub protocol: Name,
    /// The number that is dialled.
    pub port: u16,
}

/// One address with what its conditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointAddress {
    /// The address.
    pub address: IpAddr,
    /// Whether it takes requests.
    pub readiness: Readiness,
}

/// `endpoints[].conditions` (Kubernetes, `discovery/v1.EndpointConditions`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Readiness {
    /// `ready`, also where it is not set.
    Ready,
    /// `serving` and `terminating`: takes requests only where no other does.
    Draining,
    /// Takes none.
    NotReady,
}

/// A kind or field that restricts traffic and that is not enforced: hosts that it covers must say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// The object.
    pub key: ObjectKey,
    /// What it targets by name.
    pub targets: Vec<ParentRef>,
    /// The last of them is that of the older form (`targetRef`).
    pub single: bool,
    /// What it targets by labels, in its own namespace (`targetSelectors`).
    pub selectors: Vec<(Kind, LabelSelector)>,
    /// A selector looks into other namespaces too (`targetSelectors[].namespaces`): it is taken to choose in all.
    pub everywhere: bool,
    /// What it targets cannot be read: it is taken to be everything of its namespace.
    pub whole: bool,
    /// Names of the restricting features, such as `SecurityPolicy`.
    pub features: Vec<Name>,
    /// The same of those that concern only listeners which end TLS, such as `ClientTrafficPolicy.tls.clientValidation`.
    pub tls_features: Vec<Name>,
}
row!(Restriction, ObjectKey, "restrictions");
