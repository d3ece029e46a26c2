//! An Envoy of the tests: it has what it accepted, refuses what is marked as bad, and checks what it is told on the way.

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::{
    envoy::config::{
        cluster::v3::Cluster,
        endpoint::v3::{ClusterLoadAssignment, Endpoint, LocalityLbEndpoints},
        listener::v3::Listener,
        route::v3::{
            RouteConfiguration, ScopedRouteConfiguration, VirtualHost, route::Action,
            route_action::ClusterSpecifier, route_match::PathSpecifier,
        },
    },
    google::rpc::Status,
};
use portolan_core::gateway::rows::{RouteEntry, VirtualHost as Row, WeightedCluster};
use portolan_model::{
    NamespacedName, RouteKey, RouteKind,
    input::{Filter, HeaderChange, PathMatch, RouteMatch, ValueMatch},
};
use prost::Message as _;

use super::super::*;
use crate::{resources::Uses, shards::SHARDS, tables::Host};

pub const TABLE: &str = "rc/t";

/// A rule: its cluster and a mark. Refused by this Envoy: `bad` (a header), `match` (its match).
pub type Rule<'a> = (&'a str, &'a str);

pub fn row(host: &str, rules: &[Rule<'_>]) -> Row {
    let entries = rules.iter().enumerate().map(|(at, (cluster, mark))| RouteEntry {
        rule: at,
        r#match: RouteMatch {
            path: PathMatch::Prefix(format!("/{at}").into()),
            method: None,
            headers: (*mark == "match")
                .then(|| ValueMatch { name: "bad-match".into(), value: "x".into(), regex: false })
                .into_iter()
                .collect(),
            query: vec![],
        },
        filters: vec![Filter::RequestHeaders(HeaderChange {
            set: vec![((*mark).into(), "x".to_owned())],
            add: vec![],
            remove: vec![],
        })],
        clusters: vec![WeightedCluster::new((*cluster).into(), 1)],
        ..RouteEntry::of(RouteKey { kind: RouteKind::Http, name: NamespacedName::new("ns", host) })
    });
    Row {
        key: (TABLE.into(), host.into()),
        entries: entries.map(std::sync::Arc::new).collect(),
        misdirected: false,
    }
}

pub fn put_host(wanted: &mut Wanted, host: &str, rules: &[Rule<'_>]) {
    let made = Host::of(&std::sync::Arc::new(row(host, rules)));
    wanted.set_host(&TABLE.into(), &host.into(), Some(std::sync::Arc::new(made)));
}

pub fn remove_host(wanted: &mut Wanted, host: &str) {
    wanted.set_host(&TABLE.into(), &host.into(), None);
}

pub fn key(r#type: WireType, name: &str) -> WireKey {
    WireKey { r#type, name: name.into() }
}

pub fn put(wanted: &mut Wanted, r#type: WireType, name: &str, content: &str) {
    let made = match r#type {
        WireType::Cluster => {
            Resource::of(&Cluster { name: name.into(), alt_stat_name: content.into(), ..Default::default() })
        }
        WireType::Endpoints => Resource::of(&ClusterLoadAssignment {
            cluster_name: name.into(),
            endpoints: vec![LocalityLbEndpoints::default(); content.len()],
            named_endpoints: [(content.to_owned(), Endpoint::default())].into(),
            ..Default::default()
        }),
        WireType::Listener => {
            let uses = Uses { tables: vec![TABLE.into()], ..Uses::default() };
            Resource::of(&Listener { name: name.into(), stat_prefix: content.into(), ..Default::default() })
                .using(uses)
        }
        WireType::Secret | WireType::VirtualHost => panic!("not made here"),
    };
    wanted.set(&key(r#type, name), Some(std::sync::Arc::new(made)));
}

pub fn cluster(wanted: &mut Wanted, name: &str) {
    put(wanted, WireType::Cluster, name, "x");
    put(wanted, WireType::Endpoints, name, "x");
}

/// A wanted edge: a listener with table [`TABLE`] and clusters `c0` to `c3`.
pub fn edge() -> Wanted {
    let mut wanted = Wanted::default();
    put(&mut wanted, WireType::Listener, "l", "x");
    (0..4).for_each(|n| cluster(&mut wanted, &format!("c{n}")));
    wanted
}

#[derive(Clone, Debug, Default)]
pub struct Envoy {
    /// Type to name to version and content.
    pub has: BTreeMap<WireType, BTreeMap<String, (String, Vec<u8>)>>,
    asked: BTreeSet<WireType>,
    endpoints: BTreeSet<String>,
    pub responses: usize,
    pub bytes: usize,
    /// What came, in order.
    pub log: Vec<String>,
    pub now: u64,
    pub standings: BTreeMap<WireKey, Standing>,
}

fn type_of(url: &str) -> WireType {
    FLAT.into_iter().chain([WireType::VirtualHost]).find(|t| type_url(*t) == url).unwrap()
}

impl Envoy {
    /// Starts a stream: what it has is named in the first request of each type.
    pub fn connect(&mut self) -> Session {
        let mut session = Session::default();
        self.asked.clear();
        for r#type in [WireType::Cluster, WireType::Endpoints, WireType::Listener, WireType::VirtualHost] {
            if matches!(r#type, WireType::Cluster | WireType::Listener) || self.has.contains_key(&r#type) {
                self.ask(&mut session, r#type, vec![]);
            }
        }
        session
    }

    fn ask(&mut self, session: &mut Session, r#type: WireType, names: Vec<String>) {
        let first = self.asked.insert(r#type);
        let has = self.has.get(&r#type).filter(|_| first).into_iter().flatten();
        let initial = has.map(|(name, (version, _))| (name.clone(), version.clone())).collect();
        let names = if first && r#type == WireType::Endpoints {
            self.endpoints.iter().cloned().chain(names).collect()
        } else {
            names
        };
        let request = DeltaDiscoveryRequest {
            type_url: type_url(r#type),
            resource_names_subscribe: names,
            initial_resource_versions: initial,
            ..Default::default()
        };
        session.request(&request, self.now);
    }

    /// Takes responses until none comes.
    pub fn drain(&mut self, session: &mut Session, wanted: &Wanted) -> Vec<String> {
        let from = self.log.len();
        for _ in 0..3_000 {
            let responses = session.responses(wanted, self.now);
            for verdict in session.verdicts() {
                self.standings.insert(verdict.key, verdict.standing);
            }
            if responses.is_empty() {
                return self.log.split_off(from);
            }
            for response in &responses {
                self.take(session, response);
            }
        }
        panic!("does not come to rest: {:?}", &self.log[self.log.len() - 20..]);
    }

    /// Takes one response.
    pub fn take(&mut self, session: &mut Session, response: &DeltaDiscoveryResponse) {
        let r#type = type_of(&response.type_url);
        self.responses += 1;
        self.bytes +=
            response.resources.iter().map(|r| r.resource.as_ref().unwrap().value.len()).sum::<usize>();
        let refused = response.resources.iter().find_map(|r| {
            bad(r#type, &r.resource.as_ref().unwrap().value).map(|why| format!("{}: {why}", r.name))
        });
        let names = response.resources.iter().map(|r| r.name.clone());
        let names = names.chain(response.removed_resources.iter().map(|name| format!("-{name}")));
        let mark = if refused.is_some() { "!" } else { "" };
        self.log.push(format!("{}{mark}", names.collect::<Vec<_>>().join(" ")));
        if refused.is_none() {
            for resource in &response.resources {
                let value = resource.resource.as_ref().unwrap().value.clone();
                self.check(r#type, &resource.name, &value);
                let all = self.has.entry(r#type).or_default();
                all.insert(resource.name.clone(), (resource.version.clone(), value));
            }
            for name in &response.removed_resources {
                let uses = |host: &VirtualHost| clusters(host).contains(name);
                let used = r#type == WireType::Cluster && self.hosts().values().any(uses);
                assert!(!used, "cluster {name} goes while it is used");
                self.has.entry(r#type).or_default().remove(name);
            }
        }
        session.request(
            &DeltaDiscoveryRequest {
                type_url: response.type_url.clone(),
                response_nonce: response.nonce.clone(),
                error_detail: refused.clone().map(|message| Status { message, ..Default::default() }),
                ..Default::default()
            },
            self.now,
        );
        if refused.is_some() {
            return;
        }
        // What follows from it.
        if r#type == WireType::Cluster {
            let new: Vec<String> = response
                .resources
                .iter()
                .map(|r| r.name.clone())
                .filter(|n| self.endpoints.insert(n.clone()))
                .collect();
            if !new.is_empty() {
                self.ask(session, WireType::Endpoints, new);
            }
            for name in &response.removed_resources {
                self.endpoints.remove(name);
                self.has.entry(WireType::Endpoints).or_default().remove(name);
                session.request(
                    &DeltaDiscoveryRequest {
                        type_url: type_url(WireType::Endpoints),
                        resource_names_unsubscribe: vec![name.clone()],
                        ..Default::default()
                    },
                    self.now,
                );
            }
        }
        let listens = r#type == WireType::Listener && !response.resources.is_empty();
        if listens && !self.asked.contains(&WireType::VirtualHost) {
            self.ask(session, WireType::VirtualHost, vec![]);
        }
    }

    /// Clusters and endpoints stand before what names them.
    fn check(&self, r#type: WireType, name: &str, value: &[u8]) {
        if r#type != WireType::VirtualHost {
            return;
        }
        let has =
            |t: WireType, cluster: &String| self.has.get(&t).is_some_and(|all| all.contains_key(cluster));
        let old = self.has.get(&r#type).and_then(|all| all.get(name));
        let old = old.map(|(_, value)| routes(value).virtual_hosts).unwrap_or_default();
        for host in routes(value).virtual_hosts {
            let before = old.iter().find(|old| old.name == host.name).map(clusters).unwrap_or_default();
            for cluster in clusters(&host).difference(&before).filter(|name| !name.starts_with("bad")) {
                let there = has(WireType::Cluster, cluster) && has(WireType::Endpoints, cluster);
                assert!(there, "{name}: {cluster} is not there yet");
            }
        }
    }

    /// Virtual hosts that are in force, by name; those of the search's scope apart.
    pub fn hosts(&self) -> BTreeMap<String, VirtualHost> {
        let scopes = self.has.get(&WireType::VirtualHost).into_iter().flatten();
        let search = format!("#{SHARDS}");
        scopes
            .filter(|(name, _)| !name.ends_with(&search))
            .flat_map(|(_, (_, value))| routes(value).virtual_hosts)
            .map(|host| (host.name.clone(), host))
            .collect()
    }

    /// The marks of a host's rules as they are served: `error` where it answers one.
    pub fn marks(&self, host: &str) -> Option<Vec<String>> {
        let host = self.hosts().remove(host)?;
        let mark = |route: &envoy_types::pb::envoy::config::route::v3::Route| match &route.action {
            Some(Action::DirectResponse(_)) => {
                let any = matches!(&route.r#match.as_ref().unwrap().path_specifier, Some(PathSpecifier::Prefix(p)) if p == "/");
                if any { "closed".to_owned() } else { "error".to_owned() }
            }
            _ => route.request_headers_to_add[0].header.as_ref().unwrap().key.clone(),
        };
        Some(host.routes.iter().map(mark).collect())
    }
}

fn routes(value: &[u8]) -> RouteConfiguration {
    ScopedRouteConfiguration::decode(value).unwrap().route_configuration.unwrap()
}

fn clusters(host: &VirtualHost) -> BTreeSet<String> {
    let actions = host.routes.iter().filter_map(|route| match &route.action {
        Some(Action::Route(action)) => action.cluster_specifier.clone(),
        _ => None,
    });
    actions
        .filter_map(|specifier| match specifier {
            ClusterSpecifier::Cluster(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// What this Envoy refuses.
fn bad(r#type: WireType, value: &[u8]) -> Option<&'static str> {
    match r#type {
        WireType::VirtualHost => routes(value).virtual_hosts.iter().find_map(|host| {
            let header = |route: &envoy_types::pb::envoy::config::route::v3::Route| {
                route.request_headers_to_add.iter().any(|h| h.header.as_ref().unwrap().key == "bad")
            };
            let matched = |route: &envoy_types::pb::envoy::config::route::v3::Route| {
                route.r#match.as_ref().unwrap().headers.iter().any(|h| h.name == "bad-match")
            };
            if host.name.starts_with("bad-host") {
                Some("bad host")
            } else if host.routes.iter().any(header) {
                Some("bad header")
            } else {
                host.routes.iter().any(matched).then_some("bad match")
            }
        }),
        WireType::Cluster => {
            (Cluster::decode(value).unwrap().alt_stat_name == "bad").then_some("bad cluster")
        }
        WireType::Endpoints => {
            let named = ClusterLoadAssignment::decode(value).unwrap().named_endpoints;
            named.contains_key("bad").then_some("bad endpoints")
        }
        WireType::Listener => {
            (Listener::decode(value).unwrap().stat_prefix == "bad").then_some("bad listener")
        }
        WireType::Secret => None,
    }
}
