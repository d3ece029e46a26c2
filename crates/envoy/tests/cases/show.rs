//! Messages as text.

use std::{collections::BTreeSet, fmt::Write as _};

use envoy_types::pb::envoy::config::{
    listener::v3::{Listener, filter::ConfigType},
    route::v3::{RouteConfiguration, ScopedRouteConfiguration},
};
use portolan_core::{
    World,
    gateway::rows::{
        Cluster, Endpoints, FilterChain, SocketKey, TlsSecret, TrustedCa, VirtualHost, WireListener,
    },
};
use portolan_engine::Engine;
use portolan_envoy::{encode, shards};
use portolan_model::NamespacedName;
use prost::Message as _;

use super::{
    case::rows,
    tree::{self, Node},
};

/// Where the stand-in of every Service answers.
const ECHO: &str = "/sockets/stand-in";
const LISTENER: &str = "<listener>";
const TABLE: &str = "<table>";
const COMMON: &str = "as listener.txt has it";

/// What is equal in all listeners and all tables.
pub fn common() -> String {
    let mut out = String::from("# What is equal in all listeners and all route tables: cases refer to it.\n");
    writeln!(out, "\nconnection manager of {LISTENER} with {TABLE}:\n{}", manager_of_all().text(2)).unwrap();
    let scope = encode::scope(TABLE, 7, std::iter::empty());
    let scope = tree::of(&ScopedRouteConfiguration::decode(&*scope.value).unwrap());
    writeln!(out, "\nscope 7 of {TABLE}:\n{}", scope.text(2)).unwrap();
    // Frozen with test vectors of its own (`src/shards/tests.rs`).
    out.replace(&shards::expression(), "<shards::expression>")
}

fn manager_of_all() -> Node {
    let chain = FilterChain {
        server_names: vec![],
        secrets: None,
        clients: None,
        routes: TABLE.into(),
        stream: None,
    };
    let made = encode::listener(&WireListener {
        key: SocketKey { gateway: NamespacedName::new("infra", "gw"), port: 80, udp: false },
        name: LISTENER.into(),
        address: "127.0.0.1".into(),
        port: 80,
        chains: vec![chain],
    });
    manager(&made, 0).unwrap()
}

fn manager(listener: &Listener, chain: usize) -> Option<Node> {
    let filter = listener.filter_chains.get(chain)?.filters.first()?;
    let ConfigType::TypedConfig(any) = filter.config_type.as_ref()? else { return None };
    any.type_url.ends_with(".HttpConnectionManager").then(|| tree::of(any))
}

/// All that a case sends.
pub fn case(engine: &Engine<World>) -> String {
    let mut out = String::new();
    let common = manager_of_all().flow();
    for row in rows::<WireListener>(engine) {
        let made = encode::listener(&row);
        let mut shown = tree::of(&made);
        for (at, chain) in row.chains.iter().enumerate() {
            let Some(manager) = manager(&made, at) else { continue };
            let is = manager.flow();
            if is == common.replace(LISTENER, &row.name).replace(TABLE, &chain.routes) {
                let short = format!("{COMMON}, with {}", chain.routes);
                shown.replace(&is, &Node::Word(short));
            }
        }
        writeln!(out, "listener {}:\n{}", row.name, shown.text(2)).unwrap();
    }
    for row in rows::<VirtualHost>(engine) {
        let piece = encode::piece(&row, &BTreeSet::new());
        let table = RouteConfiguration::decode(&*piece.bytes).unwrap();
        let [host] = &*table.virtual_hosts else { panic!("one virtual host: {table:?}") };
        writeln!(out, "host of {}:\n{}", row.key.0, tree::of(host).text(2)).unwrap();
    }
    for row in rows::<Cluster>(engine) {
        writeln!(out, "cluster:\n{}", tree::of(&encode::cluster(&row)).text(2)).unwrap();
    }
    for row in rows::<Endpoints>(engine) {
        let echo = row.stand_in.as_ref().map(|_| ECHO);
        writeln!(out, "endpoints:\n{}", tree::of(&encode::endpoints(&row, echo)).text(2)).unwrap();
    }
    for row in rows::<TrustedCa>(engine) {
        writeln!(out, "secret:\n{}", tree::of(&encode::trusted_ca(&row)).text(2)).unwrap();
    }
    for row in rows::<TlsSecret>(engine) {
        writeln!(out, "secret:\n{}", tree::of(&encode::tls_secret(&row)).text(2)).unwrap();
    }
    out
}
