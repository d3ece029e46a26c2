//! A synthetic edge: gateways with listeners, Secrets, Services, and routes with two rules and two listeners each.
//! Shaped as the rooms are (narrow rows where many read, order in the key, shared things through a group).
#![allow(dead_code, missing_docs)]

use std::{cmp::Ordering, sync::Arc};

use portolan_engine::{Engine, Index, Row, world};

/// Text that compares pointers first, as the product's names do; it is not interned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(Arc<str>);

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}
impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

macro_rules! rows {
    ($($row:ident [$key:ty, $name:literal] { $($field:ident: $ty:ty),* })*) => {$(
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $row { pub key: $key $(, pub $field: $ty)* }
        impl Row for $row {
            type Key = $key;
            const NAME: &'static str = $name;
            fn key(&self) -> &$key { &self.key }
        }
    )*};
}
macro_rules! indexes {
    ($($index:ident: $row:ty, $value:ty, $name:literal, |$r:ident| $values:expr;)*) => {$(
        pub struct $index;
        impl Index for $index {
            type Row = $row;
            type Value = $value;
            const NAME: &'static str = $name;
            fn values($r: &$row, out: &mut Vec<$value>) { out.push($values); }
        }
    )*};
}

rows! {
    Secret [Name, "secrets"] { fingerprint: u64, not_after: i64 }
    Gateway [Name, "gateways"] { addresses: Vec<Name> }
    Listener [(Name, Name), "listeners"] { secret: Name }
    Service [Name, "services"] { port: u16 }
    Route [Name, "routes"] { gateway: Name, hosts: Vec<Name>, backends: Vec<Name>, filter: u32 }
    ListenerTls [(Name, Name), "listener_tls"] { fingerprint: Option<u64> }
    ListenerReady [(Name, Name), "listener_ready"] { ready: bool }
    Attachment [(Name, (Name, Name)), "attachments"] { accepted: bool }
    HostRule [HostRuleKey, "host_rules"] { backend: Option<Name>, filter: u32 }
    VirtualHost [(Name, Name), "virtual_hosts"] { rules: Vec<Arc<HostRule>> }
    HostUse [(Name, (Name, Name)), "host_uses"] { }
    DnsName [Name, "dns_names"] { targets: Vec<Name>, gates: Vec<(Name, bool)> }
    BackendUse [(Name, Name), "backend_uses"] { port: u16 }
    Cluster [Name, "clusters"] { port: u16, users: usize }
    ListenerStatus [(Name, Name), "listener_status"] { attached: usize }
    RouteStatus [Name, "route_status"] { accepted: usize }
}

/// Listener and hostname, then precedence, then route and rule: the order of the virtual host is the order of the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostRuleKey {
    pub gateway: Name,
    pub listener: Name,
    pub host: Name,
    pub precedence: u32,
    pub route: Name,
    pub rule: u32,
}

indexes! {
    ListenersByGateway: ListenerReady, Name, "listeners by gateway", |l| l.key.0.clone();
    AttachmentsByListener: Attachment, (Name, Name), "attachments by listener", |a| a.key.1.clone();
    AttachmentsByRoute: Attachment, Name, "attachments by route", |a| a.key.0.clone();
    RulesByHost: HostRule, (Name, Name), "rules by host", |r| (r.key.listener.clone(), r.key.host.clone());
    UsesByHost: HostUse, Name, "uses by host", |u| u.key.0.clone();
    UsesByCluster: BackendUse, Name, "uses by cluster", |u| u.key.0.clone();
}

world! {
    pub struct World {
        secrets: Secret [], gateways: Gateway [], listeners: Listener [], services: Service [], routes: Route [],
        tls: ListenerTls [], ready: ListenerReady [ListenersByGateway],
        attachments: Attachment [AttachmentsByListener, AttachmentsByRoute], rules: HostRule [RulesByHost],
        hosts: VirtualHost [], host_uses: HostUse [UsesByHost], dns_names: DnsName [], uses: BackendUse [UsesByCluster], clusters: Cluster [],
        listener_status: ListenerStatus [], route_status: RouteStatus [],
    }
}
type Cx<'a> = portolan_engine::Cx<'a, World>;

fn listener_tls(cx: &mut Cx<'_>, listener: &Arc<Listener>) {
    let secret = cx.get::<Secret>(&listener.secret);
    let good = secret.filter(|secret| !cx.due(secret.not_after));
    cx.emit(ListenerTls { key: listener.key.clone(), fingerprint: good.map(|secret| secret.fingerprint) });
}

fn listener_ready(cx: &mut Cx<'_>, tls: &Arc<ListenerTls>) {
    cx.emit(ListenerReady { key: tls.key.clone(), ready: tls.fingerprint.is_some() });
}

fn attachments(cx: &mut Cx<'_>, route: &Arc<Route>) {
    for listener in cx.keys::<ListenersByGateway>(&route.gateway) {
        cx.emit(Attachment { key: (route.key.clone(), listener), accepted: true });
    }
}

fn host_rules(cx: &mut Cx<'_>, route: &Arc<Route>) {
    let backends: Vec<_> = route
        .backends
        .iter()
        .map(|backend| cx.get::<Service>(backend).map(|service| service.key.clone()))
        .collect();
    for (_, listener) in cx.keys::<AttachmentsByRoute>(&route.key) {
        for host in &route.hosts {
            for (rule, backend) in (0..).zip(&backends) {
                let key = HostRuleKey {
                    gateway: listener.0.clone(),
                    listener: listener.1.clone(),
                    host: host.clone(),
                    precedence: rule,
                    route: route.key.clone(),
                    rule,
                };
                cx.emit(HostRule { key, backend: backend.clone(), filter: route.filter });
            }
        }
    }
}

fn virtual_hosts(cx: &mut Cx<'_>, key: &(Name, Name), members: &[Arc<HostRule>]) {
    cx.emit(VirtualHost { key: key.clone(), rules: members.to_vec() });
    // Narrow: which listener of which gateway serves the host, and nothing of how.
    let gateway = members[0].key.gateway.clone();
    cx.emit(HostUse { key: (key.1.clone(), (gateway, key.0.clone())) });
}

fn dns_names(cx: &mut Cx<'_>, host: &Name, members: &[Arc<HostUse>]) {
    let addresses = cx.get::<Gateway>(&members[0].key.1.0).map(|gateway| gateway.addresses.clone());
    let gates = members
        .iter()
        .map(|member| {
            let ready = cx.get::<ListenerReady>(&member.key.1).is_some_and(|listener| listener.ready);
            (member.key.1.1.clone(), ready)
        })
        .collect();
    cx.emit(DnsName { key: host.clone(), targets: addresses.unwrap_or_default(), gates });
}

fn backend_uses(cx: &mut Cx<'_>, route: &Arc<Route>) {
    for backend in &route.backends {
        if let Some(service) = cx.get::<Service>(backend) {
            cx.emit(BackendUse { key: (backend.clone(), route.key.clone()), port: service.port });
        }
    }
}

fn clusters(cx: &mut Cx<'_>, name: &Name, members: &[Arc<BackendUse>]) {
    cx.emit(Cluster { key: name.clone(), port: members[0].port, users: members.len() });
}

fn listener_status(cx: &mut Cx<'_>, listener: &Arc<Listener>) {
    let attached = cx.count::<AttachmentsByListener>(&listener.key);
    cx.emit(ListenerStatus { key: listener.key.clone(), attached });
}

fn route_status(cx: &mut Cx<'_>, route: &Arc<Route>) {
    let accepted = cx.find::<AttachmentsByRoute>(&route.key).iter().filter(|a| a.accepted).count();
    cx.emit(RouteStatus { key: route.key.clone(), accepted });
}

/// Rules without facts.
///
/// # Panics
/// When the rules are out of order.
pub fn engine() -> Engine<World> {
    let mut e = Engine::<World>::new();
    e.map("listener_tls", listener_tls).reads::<(Secret,)>().writes::<(ListenerTls,)>();
    e.map("listener_ready", listener_ready).writes::<(ListenerReady,)>();
    e.map("attachments", attachments).reads::<(ListenersByGateway,)>().writes::<(Attachment,)>();
    e.map("host_rules", host_rules).reads::<(Service, AttachmentsByRoute)>().writes::<(HostRule,)>();
    e.group::<RulesByHost>("virtual_hosts", virtual_hosts).writes::<(VirtualHost, HostUse)>();
    e.group::<UsesByHost>("dns_names", dns_names).reads::<(ListenerReady, Gateway)>().writes::<(DnsName,)>();
    e.map("backend_uses", backend_uses).reads::<(Service,)>().writes::<(BackendUse,)>();
    e.group::<UsesByCluster>("clusters", clusters).writes::<(Cluster,)>();
    e.map("listener_status", listener_status)
        .reads::<(AttachmentsByListener,)>()
        .writes::<(ListenerStatus,)>();
    e.map("route_status", route_status).reads::<(AttachmentsByRoute,)>().writes::<(RouteStatus,)>();
    assert_eq!(e.finish(), Ok(()), "the rules are in order");
    e
}

fn name(kind: &str, number: usize) -> Name {
    Name(format!("{kind}-{number:06}.team.example").into())
}

/// One Secret; `version` stands for its content.
pub fn secret(version: u64) -> Secret {
    Secret { key: "certificate".into(), fingerprint: version, not_after: i64::MAX }
}

/// Route `number`: one or two hostnames, two rules with a Service of its own and one shared by 100 routes.
pub fn route(number: usize, filter: u32) -> Route {
    Route {
        key: name("route", number),
        gateway: "edge".into(),
        hosts: (0..=number % 2).map(|nth| name(["a", "b"][nth], number)).collect(),
        backends: vec![name("own", number / 2), name("shared", number / 100)],
        filter,
    }
}

/// The gateway with so many addresses.
pub fn gateway(addresses: usize) -> Gateway {
    Gateway { key: "edge".into(), addresses: (0..addresses).map(|n| name("address", n)).collect() }
}

/// A listener of it.
pub fn listener(section: &str) -> Listener {
    Listener { key: ("edge".into(), section.into()), secret: "certificate".into() }
}

/// Puts the gateway with its Secret and two listeners.
pub fn fill_gateway(e: &mut Engine<World>) {
    e.put(secret(1));
    e.put(gateway(1));
    for section in ["http", "https"] {
        e.put(listener(section));
    }
}

/// The Services of a route.
pub fn services(number: usize) -> impl Iterator<Item = Service> {
    route(number, 0).backends.into_iter().map(|key| Service { key, port: 80 })
}

/// An engine with the gateway and `routes` routes with their Services, stepped once.
pub fn filled(routes: usize) -> Engine<World> {
    let mut e = engine();
    fill_gateway(&mut e);
    for number in 0..routes {
        e.put(route(number, 0));
        services(number).for_each(|service| e.put(service));
    }
    e.step(0);
    e
}
