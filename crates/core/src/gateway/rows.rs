//! Rows that the gateway room reads from outside and publishes. The `envoy` crate turns the wire rows into resources.

use std::{collections::BTreeMap, fmt, sync::Arc};

pub use super::age::Age;

use portolan_model::{
    Condition, GatewayKey, Instant, Kind, Name, NamespacedName, ObjectKey, Redacted, RouteKey,
    input::{Filter, Listener, PathMatch, RouteMatch, SubjectName, Traffic},
    row,
};

/// Fact: the address that a Gateway was given and where its ports are really bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayAddress {
    /// The Gateway.
    pub key: GatewayKey,
    /// IP address as text; of a load balancer also a name.
    pub address: Name,
    /// Written port to bound port.
    pub ports: BTreeMap<u16, u16>,
    /// Whether the address is in the loopback range.
    pub loopback: bool,
}
row!(GatewayAddress, GatewayKey, "gateway_addresses");

impl GatewayAddress {
    /// No address, and every port as it is written.
    pub fn none(gateway: &GatewayKey) -> Self {
        Self { key: gateway.clone(), address: Name::default(), ports: BTreeMap::new(), loopback: false }
    }
}

/// The ports of a [`GatewayAddress`] alone: what the rules of every host read of it, so that another address runs none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayPorts {
    /// The Gateway.
    pub key: GatewayKey,
    /// Written port to bound port.
    pub ports: BTreeMap<u16, u16>,
}
row!(GatewayPorts, GatewayKey, "gateway_ports");

/// Fact: what Envoy said of a wire resource at the version that is wanted, or at one before while a newer one is under way
/// ([`WirePending`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireAck {
    /// The resource.
    pub key: WireKey,
    /// In force, or Envoy's refusal.
    pub state: Result<(), Refusal>,
}
row!(WireAck, WireKey, "wire_acks");

/// Envoy's refusal of a resource. The last good version of it stays in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What Envoy said.
    pub words: String,
    /// Of a virtual host: the entries that are refused, in order. The rest of it is in force, and what they match is
    /// answered with an error. Empty if the whole of it is refused.
    pub rules: Vec<usize>,
    /// The first of them whose match is refused too: it and all entries after it answer an error to everything.
    pub closed: Option<usize>,
}

impl Refusal {
    /// A refusal of the whole.
    pub fn of(words: &str) -> Self {
        Self { words: words.to_owned(), rules: vec![], closed: None }
    }
}

/// Fact: the version of a resource that is wanted is not in force yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WirePending {
    /// The resource.
    pub key: WireKey,
    /// What holds it back.
    pub hold: Hold,
}
row!(WirePending, WireKey, "wire_pending");

/// Why a wanted version is not in force yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It is on its way, and Envoy has not judged it.
    Sent,
    /// Another resource has to be in force first.
    By(WireKey),
    /// Envoy does not ask for it: no listener or cluster that it has uses it.
    NotAsked,
}

/// Fact: the socket of a Gateway's port as Envoy has it in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerInForce {
    /// The socket.
    pub key: SocketKey,
    /// The row that is in force.
    pub row: Arc<WireListener>,
}
row!(ListenerInForce, SocketKey, "listeners_in_force");

/// Whether what works only through Envoy does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Force {
    /// All that it needs is in force at the wanted version.
    InForce,
    /// Something is on its way; says what holds it.
    Pending(String),
    /// Envoy refused something: its words. What stood before stays in force.
    Refused(String),
    /// Envoy is not told of it; says why.
    NotSent(String),
}

/// Whether a listener is in force: its socket with its filter chain, and its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerForce {
    /// The listener.
    pub key: ListenerKey,
    /// Whether it is.
    pub state: Force,
}
row!(ListenerForce, ListenerKey, "listener_force");

/// Whether a virtual host, or the filter chain of a [`StreamHost`], is in force. Clusters and endpoints that it names are: the
/// session sends it only after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostForce {
    /// Table and hostname, as of the [`VirtualHost`] or [`StreamHost`].
    pub key: (Name, Name),
    /// Whether it is.
    pub state: Force,
    /// Rules that Envoy refused and that answer an error meanwhile.
    pub left_out: Vec<LeftOut>,
}
row!(HostForce, (Name, Name), "host_force");

/// A rule that Envoy refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its route.
    pub route: RouteKey,
    /// Position of the rule in the route.
    pub rule: usize,
    /// What Envoy said.
    pub words: String,
}

/// Name under which a virtual host of a table is known.
pub fn virtual_host_name(routes: &Name, host: &Name) -> Name {
    format!("{routes}/{host}").into()
}

/// A port of a Gateway. One number may be there for TCP and for UDP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketKey {
    /// The Gateway.
    pub gateway: GatewayKey,
    /// Port as written.
    pub port: u16,
    /// Whether it takes datagrams.
    pub udp: bool,
}

impl SocketKey {
    /// Name of its listener resource.
    pub fn resource(&self) -> Name {
        let udp = if self.udp { "/udp" } else { "" };
        format!("gw/{}/{}{udp}", self.gateway, self.port).into()
    }
}

/// Under which name a socket that takes whatever comes is listed among hostnames: as DNS names services (RFC 2782).
pub fn service_host(gateway: &GatewayKey, port: Option<u16>, udp: bool) -> Name {
    let protocol = if udp { "_udp" } else { "_tcp" };
    let port = port.map_or_else(String::new, |port| format!("_{port}."));
    format!("{port}{protocol}.{}.{}", gateway.name, gateway.namespace).into()
}

/// Name of the SDS secret that a Secret is served as.
pub fn secret_name(secret: &NamespacedName) -> Name {
    format!("secret/{secret}").into()
}

/// Names one xDS resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireKey {
    /// Which discovery type.
    pub r#type: WireType,
    /// Resource name.
    pub name: Name,
}

/// The discovery types that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WireType {
    /// CDS.
    Cluster,
    /// EDS.
    Endpoints,
    /// SDS.
    Secret,
    /// LDS.
    Listener,
    /// A virtual host. Travels in the scopes of its table.
    VirtualHost,
}

/// One listener of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerKey {
    /// The Gateway.
    pub gateway: GatewayKey,
    /// Listener name; of one that a ListenerSet brings with namespace and name of that before it.
    pub name: Name,
}

/// Whether a ListenerSet brings its listeners to its Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSetState {
    /// The ListenerSet.
    pub key: NamespacedName,
    /// The Gateway.
    pub gateway: GatewayKey,
    /// When the set was made: the older one comes first.
    pub created: Instant,
    /// Reason and message of the condition `Accepted` where it does not.
    pub attached: Result<(), (Name, String)>,
}
row!(ListenerSetState, NamespacedName, "listener_set_states");

/// The listeners of a Gateway and of the ListenerSets that are attached to it, in order of precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedListeners {
    /// The Gateway.
    pub key: GatewayKey,
    /// Its own come first.
    pub all: Vec<Merged>,
}
row!(MergedListeners, GatewayKey, "merged_listeners");

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Name among all.
    pub name: Name,
    /// The ListenerSet that brings it.
    pub set: Option<NamespacedName>,
    /// Position in the object that it is written in.
    pub at: usize,
    /// As written.
    pub listener: Listener,
    /// Whether it was removed and is served until its DNS records are gone.
    pub leaving: bool,
}

/// Which clients are let in at a port of a Gateway where TLS ends; no row where all are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTrust {
    /// Gateway, and the port if it has a say of its own.
    pub key: (GatewayKey, Option<u16>),
    /// SDS secret with the authorities whose clients are let in; `None` if there is none that can be used.
    pub authorities: Option<Name>,
    /// Clients without a certificate, or with one that is not believed, are let in too.
    pub optional: bool,
    /// Reason of the specification and message, if some references do not resolve.
    pub wrong: Option<(Name, String)>,
}
row!(ClientTrust, (GatewayKey, Option<u16>), "client_trusts");

/// Wire: authorities whose clients are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedCa {
    /// Resource name.
    pub key: Name,
    /// PEM.
    pub pem: Name,
    /// Clients that they do not vouch for are let in too.
    pub optional: bool,
}
row!(TrustedCa, Name, "trusted_cas");

impl fmt::Display for ListenerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.gateway, self.name)
    }
}

/// What a listener speaks with clients, and how far it looks into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Speaks {
    /// HTTP in clear.
    Http,
    /// HTTP over TLS, which ends here.
    Https,
    /// TLS ends here; what is in it goes on as it comes.
    TlsEnds,
    /// TLS goes on as it comes; its SNI is looked at.
    TlsPasses,
    /// Connections go on as they come.
    Tcp,
    /// Datagrams go on as they come.
    Udp,
}

impl Speaks {
    /// Whether TLS ends here: a certificate is shown.
    pub const fn ends_tls(self) -> bool {
        matches!(self, Self::Https | Self::TlsEnds)
    }

    /// Whether requests are looked into.
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// Whether it takes whatever comes to its port: no hostname chooses it, or its routes.
    pub const fn is_nameless(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }

    /// Protocol as listeners have it written.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::TlsEnds | Self::TlsPasses => "TLS",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// A listener as decided: may routes attach, and is it served. Narrow on purpose: many routes read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayListener {
    /// The listener.
    pub key: ListenerKey,
    /// Its hostname; `None` takes all.
    pub hostname: Option<Name>,
    /// Port as written.
    pub port: u16,
    /// What it speaks.
    pub speaks: Speaks,
    /// Whether it is accepted (no conflict, protocol served, Gateway is ours).
    pub accepted: bool,
    /// Route configuration that its virtual hosts go into.
    pub routes: Name,
    /// Whose routes may attach.
    pub from: portolan_model::input::AllowedNamespaces,
    /// Route kinds that may attach.
    pub kinds: Vec<portolan_model::RouteKind>,
    /// It was removed and is served until its DNS records are gone ([`crate::dns::drain`]).
    pub leaving: bool,
    /// The ListenerSet that brings it.
    pub set: Option<NamespacedName>,
    /// Which clients are let in; `None` lets all in.
    pub clients: Option<Clients>,
}
row!(GatewayListener, ListenerKey, "gateway_listeners");

impl GatewayListener {
    /// Its socket.
    pub fn socket(&self) -> SocketKey {
        let udp = self.speaks == Speaks::Udp;
        SocketKey { gateway: self.key.gateway.clone(), port: self.port, udp }
    }

    /// Its name in the object that it is written in.
    pub fn section(&self) -> &str {
        match self.set {
            Some(_) => self.key.name.rsplit('/').next().unwrap_or_default(),
            None => &self.key.name,
        }
    }

    /// The object that it is written in.
    pub fn object(&self) -> ObjectKey {
        let (kind, name) = match &self.set {
            Some(set) => ("ListenerSet", set),
            None => ("Gateway", &self.key.gateway),
        };
        ObjectKey { kind: Kind::new(super::GROUP, kind), name: name.clone() }
    }
}

/// Which clients a listener lets in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clients {
    /// SDS secret with the authorities.
    pub authorities: Name,
    /// Others are let in too.
    pub optional: bool,
}

/// Whether a Gateway is ours to serve. Narrow: every route that names the Gateway reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayOwner {
    /// The Gateway.
    pub key: GatewayKey,
    /// `controllerName` of its class; `None` while the class does not exist.
    pub controller: Option<Name>,
    /// Whether that is a name of ours.
    pub is_ours: bool,
}
row!(GatewayOwner, GatewayKey, "gateway_owners");

impl GatewayOwner {
    /// The controller name, if it is one of ours.
    pub fn ours(&self) -> Option<&Name> {
        self.controller.as_ref().filter(|_| self.is_ours)
    }
}

/// What a listener's own fields decide, for its conditions. Reasons are those of the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerState {
    /// The listener.
    pub key: ListenerKey,
    /// Whether it is accepted, or reason and message.
    pub accepted: Result<(), (Name, String)>,
    /// Whether it conflicts with others of its Gateway: no winner is picked (`Gateway.spec.listeners`).
    pub conflicted: bool,
    /// `allowedRoutes.kinds` that a listener of this protocol cannot take.
    pub wrong_kinds: Vec<Name>,
    /// Reason and message of references to authorities of clients that do not resolve.
    pub clients: Option<(Name, String)>,
}
row!(ListenerState, ListenerKey, "listener_states");

/// The TLS side of a listener: what it serves and whether it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerCertificate {
    /// The listener.
    pub key: ListenerKey,
    /// The Secret that is served first, or why none is (reason, message).
    pub secret: Result<NamespacedName, (Name, String)>,
    /// All that is served, in the order written; Envoy chooses by the name that a client asks for.
    pub served: Vec<ServedCertificate>,
    /// DNS names that the certificates cover.
    pub covers: Vec<Name>,
    /// Why one of several cannot be served (reason, message), while others are.
    pub broken: Option<(Name, String)>,
    /// What cannot be served is allowed and merely not there yet: nobody has to edit anything.
    pub waiting: bool,
    /// And it is made elsewhere, or may stand in what was not read.
    pub elsewhere: bool,
}
row!(ListenerCertificate, ListenerKey, "listener_certificates");

/// One certificate of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedCertificate {
    /// Its Secret.
    pub secret: NamespacedName,
    /// DNS names that it covers.
    pub covers: Vec<Name>,
    /// End of validity.
    pub not_after: Instant,
    /// It stands there until its issuer has signed, and no client can verify it.
    pub temporary: bool,
}

impl ListenerCertificate {
    /// The temporary certificate that a client of this host may see.
    pub fn temporary_for(&self, host: &str) -> Option<&ServedCertificate> {
        let covers = |one: &ServedCertificate| one.covers.iter().any(|name| super::covers(name, host));
        self.served.iter().find(|one| one.temporary && covers(one))
    }

    /// The certificate that a client of this host sees: one that covers it, or else the first.
    pub fn shown_to(&self, host: &str) -> Option<&ServedCertificate> {
        let covers = |one: &&ServedCertificate| one.covers.iter().any(|name| super::covers(name, host));
        self.served.iter().find(covers).or(self.served.first())
    }
}

/// Listeners with the effective hostnames there (`*` for any); no hostname where a more specific listener of the port
/// keeps them all.
pub type Taken = Vec<(ListenerKey, Vec<Name>)>;

/// Why no listener takes a route. Reasons are those of the specification (`RouteConditionAccepted`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Reason.
    pub reason: Name,
    /// Message.
    pub message: String,
    /// What is missing may stand in what was not read.
    pub unknown: bool,
    /// What to do.
    pub hint: &'static str,
}

/// What one parentRef of a route comes to, other routes aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Route and position of the parentRef.
    pub key: (RouteKey, usize),
    /// Age of the route.
    pub age: Age,
    /// The Gateway; of a ListenerSet its own.
    pub gateway: GatewayKey,
    /// `controllerName` of the Gateway's class if it is one of ours.
    pub controller: Option<Name>,
    /// Listeners that would take it, or why none does.
    pub outcome: Result<Taken, Refused>,
    /// Listeners that would take it and are not accepted themselves: their `attachedRoutes` count it too.
    pub unserved: Vec<ListenerKey>,
}
row!(Offer, (RouteKey, usize), "offers");

/// A route that overlaps with one of the other kind at a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contender {
    /// Listener, the route by age, and the offer that found the overlap.
    pub key: (ListenerKey, Age, (RouteKey, usize)),
    /// Hostnames of the route at the listener.
    pub hosts: Vec<Name>,
}
row!(Contender, (ListenerKey, Age, (RouteKey, usize)), "contenders");

/// A route is not accepted at a listener, since one of the other kind has an overlapping hostname there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConflict {
    /// Route and listener.
    pub key: (RouteKey, ListenerKey),
    /// The route that is accepted.
    pub winner: RouteKey,
    /// A hostname that both have.
    pub host: Name,
}
row!(RouteConflict, (RouteKey, ListenerKey), "route_conflicts");

/// A restriction of a Gateway that is not enforced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Restricting {
    /// Its name.
    pub feature: Name,
    /// Only this listener.
    pub section: Option<Name>,
    /// Only listeners on this port.
    pub port: Option<u16>,
    /// Only where TLS ends at the listener.
    pub tls: bool,
}

/// Restrictions of a Gateway that are not enforced; no row if there is none. Narrow: every route of the Gateway reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRestrictions {
    /// The Gateway.
    pub key: GatewayKey,
    /// What restricts it.
    pub all: Vec<Restricting>,
}
row!(GatewayRestrictions, GatewayKey, "gateway_restrictions");

/// Restrictions that are not enforced for what a parentRef of a route serves; no row if there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unenforced {
    /// Route and position of the parentRef.
    pub key: (RouteKey, usize),
    /// Listeners with the names of what restricts the route there.
    pub listeners: Vec<(ListenerKey, Vec<Name>)>,
    /// The Gateway's address is not loopback: the route is not served there.
    pub refused: bool,
}
row!(Unenforced, (RouteKey, usize), "unenforced");

impl Unenforced {
    /// What restricts the route at a listener.
    pub fn at(&self, listener: &ListenerKey) -> &[Name] {
        self.listeners.iter().find(|(key, _)| key == listener).map_or(&[], |(_, features)| features)
    }
}

/// What the expressions of a route cost Envoy; no row if it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionUse {
    /// Namespace, and the route by age.
    pub key: (Name, Age),
    /// Instructions of RE2, in every place where they are compiled.
    pub cost: u64,
}
row!(ExpressionUse, (Name, Age), "expression_uses");

/// A route whose expressions its namespace has no budget left for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverBudget {
    /// The route.
    pub key: RouteKey,
    /// What they cost.
    pub cost: u64,
    /// What is left.
    pub left: u64,
}
row!(OverBudget, RouteKey, "over_budget");

/// Verdict on one parentRef of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Route and position of the parentRef.
    pub key: (RouteKey, usize),
    /// The Gateway.
    pub gateway: GatewayKey,
    /// Listeners that took it.
    pub taken: Taken,
    /// Listeners whose `attachedRoutes` this adds one to: the route is accepted, and not yet counted by an earlier parentRef.
    pub counted: Vec<ListenerKey>,
}
row!(Attachment, (RouteKey, usize), "attachments");

/// What is said of one parentRef of one route: apart from [`Attachment`], so that a listener more or less rewords nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentVerdict {
    /// Route and position of the parentRef.
    pub key: (RouteKey, usize),
    /// `controllerName` of the Gateway's class if it is one of ours; others write no status.
    pub controller: Option<Name>,
    /// `Accepted`, and `PartiallyInvalid` if some rules are left out.
    pub conditions: Vec<Condition>,
}
row!(ParentVerdict, (RouteKey, usize), "parent_verdicts");

/// References of a route that do not resolve; no row if all do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// The route.
    pub key: RouteKey,
    /// Reason of the specification and message, in the order written.
    pub references: Vec<(Name, String)>,
    /// The first of those that requests go to, if no rule of the route works. Without any that requests go to (a weight of 0, a
    /// mirror) every host is served whole.
    pub refuses: Option<String>,
    /// The same with its rule, if another rule works.
    pub partly: Option<String>,
}
row!(Unresolved, RouteKey, "unresolved_references");

/// One match of one rule of one route under one effective hostname. The key's order is the precedence of the
/// specification, so that members of a virtual host arrive sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// Where it belongs and its precedence.
    pub key: HostRuleKey,
    /// The entry; the virtual host shares it.
    pub entry: Arc<RouteEntry>,
}
row!(HostRule, HostRuleKey, "host_rules");

/// Orders host rules by the precedence of Gateway API: the hostname as the route has it, exact path, longest prefix, method, header count, query count,
/// then the older route, then its name, then position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostRuleKey {
    /// Route configuration.
    pub routes: Name,
    /// Effective hostname, `*` for any.
    pub host: Name,
    /// How wide the route's own hostname is, of which the effective one is the intersection with the listener's.
    pub width: u32,
    /// Descending precedence as numbers, smallest first.
    pub precedence: [u32; 5],
    /// Age of the route.
    pub age: Age,
    /// Rule and match position; then the entries that close it in part, in front of the match itself.
    pub position: (usize, usize, Closes),
}

/// Whether an entry is a match of a rule, or closes what a match that is left out was for
/// ([`super::judge`]): the rule and position of that one, and which form of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Closes {
    /// Answers with an error what the match at that rule and position was for.
    For(usize, usize, usize),
    /// A match as it was written.
    Nothing,
}

/// What a virtual host does with requests that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// The route it comes from.
    pub route: RouteKey,
    /// Position of the rule in the route.
    pub rule: usize,
    /// The match.
    pub r#match: RouteMatch,
    /// Filters of the rule.
    pub filters: Vec<Filter>,
    /// Clusters with weights and backend filters; empty with `invalid_weight == 0` and no redirect answers 500.
    pub clusters: Vec<WeightedCluster>,
    /// Weight of backends that do not resolve: that share answers 500.
    pub invalid_weight: u32,
    /// How its requests are sent.
    pub traffic: Option<Arc<Traffic>>,
    /// Mirror clusters, share in parts per million.
    pub mirrors: Vec<(Name, u32)>,
    /// Written port to bound port of the Gateway, so that redirects point to a port that is open.
    pub moved_ports: BTreeMap<u16, u16>,
    /// Whether the listener ends TLS (scheme of the request, for redirects).
    pub https: bool,
    /// Port of the listener as written.
    pub listener_port: u16,
}

impl RouteEntry {
    /// An entry of a route for every path, with no backend.
    pub fn of(route: RouteKey) -> Self {
        let path = PathMatch::Prefix("/".into());
        Self {
            route,
            rule: 0,
            r#match: RouteMatch { path, method: None, headers: vec![], query: vec![] },
            filters: vec![],
            clusters: vec![],
            invalid_weight: 0,
            traffic: None,
            mirrors: vec![],
            moved_ports: BTreeMap::new(),
            https: false,
            listener_port: 0,
        }
    }
}

/// One weighted backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedCluster {
    /// Cluster name.
    pub cluster: Name,
    /// Weight.
    pub weight: u32,
    /// Filters of the backend.
    pub filters: Vec<Filter>,
    /// Mirror clusters of the backend, share in parts per million.
    pub mirrors: Vec<(Name, u32)>,
}

impl WeightedCluster {
    /// A backend without filters.
    pub fn new(cluster: Name, weight: u32) -> Self {
        Self { cluster, weight, filters: vec![], mirrors: vec![] }
    }
}

/// A hostname that a listener owns in a route table, whether or not a route serves it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerHost {
    /// Route configuration and hostname (`*` for any).
    pub key: (Name, Name),
    /// It is another listener's than the one that the connection was made for (SNI).
    pub misdirected: bool,
}
row!(ListenerHost, (Name, Name), "listener_hosts");

/// Wire: a virtual host, routes in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualHost {
    /// Route configuration and hostname (`*` for any).
    pub key: (Name, Name),
    /// Entries in the order in which Envoy tries them; what none of them matches gets 404.
    pub entries: Vec<Arc<RouteEntry>>,
    /// It belongs to another listener than the one that the connection was made for: 421 (RFC 9110 §15.5.20), and no
    /// entries.
    pub misdirected: bool,
}
row!(VirtualHost, (Name, Name), "virtual_hosts");

/// Where the connections or datagrams go that come to a listener which looks into no requests, for one hostname.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHost {
    /// Name of the listener's chains and hostname (`*` for any).
    pub key: (Name, Name),
    /// Of the route that comes first.
    pub entry: Arc<RouteEntry>,
}
row!(StreamHost, (Name, Name), "stream_hosts");

/// Wire: one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireListener {
    /// The socket.
    pub key: SocketKey,
    /// Resource name.
    pub name: Name,
    /// Address.
    pub address: Name,
    /// Bound port.
    pub port: u16,
    /// Filter chains.
    pub chains: Vec<FilterChain>,
}
row!(WireListener, SocketKey, "wire_listeners");

impl WireListener {
    /// The resources that it consists of: the listener, and the certificates of its chains.
    pub fn resources(&self) -> impl Iterator<Item = WireKey> {
        let key = |r#type, name: &Name| WireKey { r#type, name: name.clone() };
        let secrets = self.chains.iter().filter(|chain| !chain.refuses()).flat_map(FilterChain::named);
        let chains = secrets.map(move |name| key(WireType::Secret, name));
        std::iter::once(key(WireType::Listener, &self.name)).chain(chains)
    }
}

/// Wire: one filter chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterChain {
    /// SNI that selects it; empty matches all.
    pub server_names: Vec<Name>,
    /// SDS secrets, where TLS ends here; no secret refuses every handshake ([`FilterChain::refuses`]). `None` for plain
    /// HTTP.
    pub secrets: Option<Vec<Name>>,
    /// Which clients are let in, where TLS ends here.
    pub clients: Option<Clients>,
    /// Route configuration; of a chain without one only its name: of those that refuse every handshake, and of streams.
    pub routes: Name,
    /// Where connections go as they come; `None` where requests are looked into, or every handshake is refused.
    pub stream: Option<Shares>,
}

/// Clusters that share connections or datagrams.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shares {
    /// Cluster and weight, above 0; in the order written.
    pub clusters: Vec<(Name, u32)>,
    /// Weight of what leads nowhere: that share is closed or dropped. With no cluster all is.
    pub lost: u32,
}

impl FilterChain {
    /// SDS secrets that it names.
    pub fn named(&self) -> impl Iterator<Item = &Name> {
        let authorities = self.clients.iter().map(|clients| &clients.authorities);
        self.secrets.iter().flatten().chain(authorities.filter(|_| !self.refuses()))
    }

    /// Whether it keeps its names from other chains and serves nothing: its listener has no certificate to show.
    pub fn refuses(&self) -> bool {
        self.secrets.as_ref().is_some_and(Vec::is_empty)
    }

    /// The hostname of a stream, as its [`StreamHost`] has it.
    pub fn host(&self) -> Name {
        self.server_names.first().cloned().unwrap_or_else(|| "*".into())
    }
}

/// Wire: a certificate with its key. Named `secret/<namespace>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSecret {
    /// Resource name.
    pub key: Name,
    /// PEM chain.
    pub chain: Redacted,
    /// PEM key.
    pub private_key: Redacted,
}
row!(TlsSecret, Name, "tls_secrets");

/// Wire: a cluster, named by what it is (`svc/<namespace>/<name>/<port>`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Resource name.
    pub key: Name,
    /// The Service.
    pub service: NamespacedName,
    /// Its port.
    pub port: u16,
    /// HTTP/2 to the backend (GRPCRoute, `kubernetes.io/h2c`).
    pub http2: bool,
    /// TLS to the backend.
    pub tls: Option<Arc<BackendTls>>,
    /// What is sent to it.
    pub carries: Carries,
    /// Of datagrams: all that share them, of which the Service above is the first.
    pub blend: Option<Arc<Blend>>,
}
row!(Cluster, Name, "clusters");

/// What is sent to a backend: whether the built-in echo backend, which speaks HTTP, can answer in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carries {
    /// Requests, or connections in clear in which there may be some.
    Requests,
    /// Connections by TLS of our own, in which there may be anything.
    Connections,
    /// TLS that ends there.
    Tls,
    /// Datagrams.
    Datagrams,
}

/// Backends of one cluster that share what is sent to it: to datagrams Envoy gives a cluster, and not one of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blend {
    /// Service, port and weight, above 0; in the order written, each once.
    pub parts: Vec<(NamespacedName, u16, u32)>,
    /// Weight of what leads nowhere.
    pub lost: u32,
}

/// How a backend is spoken to by TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendTls {
    /// Asked for by SNI.
    pub sni: Name,
    /// Its certificate has one of these names.
    pub names: Vec<SubjectName>,
    /// Whose signature is believed.
    pub trust: Trust,
    /// SDS secret with the certificate that is shown to it.
    pub client: Option<Name>,
}

/// Certificates of authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// PEM.
    Pem(Name),
    /// A file of the machine.
    File(Name),
}

/// What a policy of TLS to backends comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendTrust {
    /// The policy.
    pub key: NamespacedName,
    /// How backends are spoken to; without it, why they are not: requests get an error.
    pub tls: Result<Arc<BackendTls>, String>,
    /// `Accepted` and `ResolvedRefs`.
    pub conditions: Vec<Condition>,
}
row!(BackendTrust, NamespacedName, "backend_trusts");

/// A policy of TLS to backends concerns a Service that a route sends requests to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsUse {
    /// Policy, Gateway of the route, route.
    pub key: (NamespacedName, GatewayKey, RouteKey),
    /// `controllerName` of the Gateway's class.
    pub controller: Name,
}
row!(TlsUse, (NamespacedName, GatewayKey, RouteKey), "tls_uses");

/// The certificate that a Gateway shows to backends; no row if it asks for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The Gateway.
    pub key: GatewayKey,
    /// Its Secret, or reason and message of the condition `ResolvedRefs`: then nothing is sent by TLS.
    pub secret: Result<NamespacedName, (Name, String)>,
}
row!(ClientCertificate, GatewayKey, "client_certificates");

/// Fact: where the machine keeps the certificates of authorities that it believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemRoots {
    /// Always the empty name: there is one row.
    pub key: Name,
    /// A file of PEM.
    pub path: Name,
}
row!(SystemRoots, Name, "system_roots");

/// Wire: addresses of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Cluster name.
    pub key: Name,
    /// The Service, by whose name its stand-in answers.
    pub service: NamespacedName,
    /// Address and port, sorted.
    pub addresses: Vec<(Name, u16)>,
    /// The built-in echo backend answers too, or alone: why.
    pub stand_in: Option<StandIn>,
    /// The others are spoken to by TLS; a stand-in never is.
    pub tls: bool,
    /// Of a [`Blend`] all addresses by weight; the rest of it goes nowhere.
    pub blend: Option<BlendEndpoints>,
}
row!(Endpoints, Name, "endpoints");

/// Name, weight and addresses with their ports of a part of a [`Blend`].
pub type BlendPart = (Name, u32, Vec<(Name, u16)>);

/// Addresses of a [`Blend`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlendEndpoints {
    /// Each part that has some.
    pub parts: Vec<BlendShare>,
    /// Weight of the others, and of what leads nowhere.
    pub lost: u32,
}

/// Addresses of one of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlendShare {
    /// Name; of an endpoint whose part is called otherwise the sessions end.
    pub name: Name,
    /// Weight.
    pub weight: u32,
    /// Address and port, sorted.
    pub addresses: Vec<(Name, u16)>,
}

/// Why the built-in echo backend answers for a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StandIn {
    /// Nothing lists endpoints of the Service.
    NoEndpoints,
    /// The Service is not here, and may be in a cluster: who may bring it.
    Absent(String),
    /// In place of these, which are not loopback.
    Instead(Vec<(Name, u16)>),
}

/// Fact: objects come from a cluster. Without it they come from a repository, to one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InCluster {
    /// Always the empty name: there is one row.
    pub key: Name,
    /// Names by which GatewayClasses are ours: there others may be served by whom they belong to.
    pub controllers: Vec<Name>,
}
row!(InCluster, Name, "in_cluster");

/// Fact: an object that is there, and whose content was not read: what is missing in it may stand there. Whoever needs it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The object.
    pub key: ObjectKey,
}
row!(Unread, ObjectKey, "unread");

/// The content of a Secret or ConfigMap is needed: a store that reads it only then has to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookInto {
    /// What is to be read, and the object that needs it.
    pub key: (ObjectKey, ObjectKey),
}
row!(LookInto, (ObjectKey, ObjectKey), "look_into");

/// Fact: which endpoints this run may dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialledBackends {
    /// Always the empty name: there is one row.
    pub key: Name,
    /// Whether endpoints are dialled that are not loopback (`up --real-backends`).
    pub real: bool,
    /// Whether nothing else answers in the place of endpoints: in a cluster a Service without any has none.
    pub alone: bool,
}
row!(DialledBackends, Name, "dialled_backends");

/// The TLS side of a Secret, narrow: what listeners read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsReady {
    /// The Secret.
    pub key: NamespacedName,
    /// What of the certificate matters, or why it cannot be served.
    pub state: Result<Usable, String>,
    /// A policy denies the Certificate that it was issued for: it is not served, whatever its state.
    pub denied: Option<String>,
}
row!(TlsReady, NamespacedName, "tls_ready");

/// A certificate that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usable {
    /// DNS names that it covers.
    pub covers: Vec<Name>,
    /// End of validity.
    pub not_after: Instant,
    /// It stands there until its issuer has signed, and no client can verify it.
    pub temporary: bool,
}

/// Use of a cluster by a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterUse {
    /// Cluster and route.
    pub key: (Name, RouteKey),
    /// The cluster.
    pub cluster: Cluster,
}
row!(ClusterUse, (Name, RouteKey), "cluster_uses");
