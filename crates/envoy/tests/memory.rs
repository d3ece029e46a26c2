//! What one host takes of what Envoy is sent and of what a stream knows, counted by the allocator. A process of its own with one
//! test: nothing else allocates. `cargo test -p portolan-envoy --test memory -- --nocapture` prints the parts.
#![allow(clippy::unwrap_used, clippy::disallowed_macros, missing_docs)]

use std::{hint::black_box, sync::Arc};

use envoy_types::pb::envoy::{
    config::listener::v3::Listener,
    service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse},
};
use portolan_core::gateway::rows::{
    Carries, Cluster, Endpoints, RouteEntry, VirtualHost, WeightedCluster, WireKey, WireType,
};
use portolan_envoy::{
    board::Wanted,
    encode,
    resources::{Resource, Uses, type_url},
    session::{Session, Standing},
    tables::Host,
};
use portolan_model::{Name, NamespacedName, RouteKey, RouteKind};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const HOSTS: usize = 2000;
const TABLE: &str = "routes/infra/edge/443/https";

fn bytes<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let in_use = || HEAP.stats().bytes_allocated - HEAP.stats().bytes_deallocated;
    let before = in_use();
    let made = black_box(make());
    (made, in_use().saturating_sub(before) / HOSTS)
}

/// The rows of a host, which the engine has anyway.
fn rows(number: usize) -> (Cluster, Endpoints, Arc<VirtualHost>) {
    let service = NamespacedName::new("team", format!("s{number}"));
    let key = Name::from(format!("team/s{number}/80"));
    let route = RouteKey { kind: RouteKind::Http, name: NamespacedName::new("team", format!("h{number}")) };
    let entry = RouteEntry {
        clusters: vec![WeightedCluster::new(key.clone(), 1)],
        https: true,
        listener_port: 443,
        ..RouteEntry::of(route)
    };
    let host = VirtualHost {
        key: (TABLE.into(), format!("app-{number}.example.com").into()),
        entries: [Arc::new(entry)].into_iter().collect(),
        misdirected: false,
    };
    let addresses = vec![("127.0.0.1".into(), 8080)];
    (
        Cluster {
            key: key.clone(),
            service: service.clone(),
            port: 80,
            http2: false,
            tls: None,
            carries: Carries::Requests,
            blend: None,
        },
        Endpoints { key, service, addresses, stand_in: None, tls: false, blend: None },
        Arc::new(host),
    )
}

/// An Envoy that takes everything; gives the names that it follows up with.
fn take(session: &mut Session, response: &DeltaDiscoveryResponse) {
    let ask = |session: &mut Session, r#type, names| {
        let request = DeltaDiscoveryRequest {
            type_url: type_url(r#type),
            resource_names_subscribe: names,
            ..Default::default()
        };
        session.request(&request, 0);
    };
    let ack = DeltaDiscoveryRequest {
        type_url: response.type_url.clone(),
        response_nonce: response.nonce.clone(),
        ..Default::default()
    };
    session.request(&ack, 0);
    if response.type_url == type_url(WireType::Cluster) {
        ask(session, WireType::Endpoints, response.resources.iter().map(|r| r.name.clone()).collect());
    }
    if response.type_url == type_url(WireType::Listener) {
        ask(session, WireType::VirtualHost, vec![]);
    }
}

#[test]
fn what_envoy_has_of_a_host_takes_little_memory() {
    let all: Vec<_> = (0..HOSTS).map(rows).collect();
    let mut wanted = Wanted::default();
    let uses = Uses { tables: vec![TABLE.into()], ..Uses::default() };
    let listener = Resource::of(&Listener { name: "l".into(), ..Default::default() }).using(uses);
    wanted.set(&WireKey { r#type: WireType::Listener, name: "l".into() }, Some(Arc::new(listener)));
    let key = |r#type, name: &Name| WireKey { r#type, name: name.clone() };
    let ((), flat) = bytes(|| {
        for (cluster, endpoints, _) in &all {
            let made = Resource::of(&encode::cluster(cluster));
            wanted.set(&key(WireType::Cluster, &cluster.key), Some(Arc::new(made)));
            let made = Resource::of(&encode::endpoints(endpoints, None));
            wanted.set(&key(WireType::Endpoints, &endpoints.key), Some(Arc::new(made)));
        }
    });
    let ((), hosts) = bytes(|| {
        for (.., host) in &all {
            wanted.set_host(&host.key.0, &host.key.1, Some(Arc::new(Host::of(host))));
        }
    });
    let (served, stream) = bytes(|| {
        let mut session = Session::default();
        for r#type in [WireType::Cluster, WireType::Listener] {
            let request = DeltaDiscoveryRequest { type_url: type_url(r#type), ..Default::default() };
            session.request(&request, 0);
        }
        let mut in_force = 0;
        loop {
            let responses = session.responses(&wanted, 0);
            let verdicts = session.verdicts();
            in_force += verdicts.iter().filter(|verdict| verdict.standing == Standing::InForce).count();
            if responses.is_empty() {
                break (session, in_force);
            }
            for response in &responses {
                take(&mut session, response);
            }
        }
    });
    assert!(served.1 > 3 * HOSTS, "cluster, endpoints and virtual host of each are in force: {}", served.1);
    let total = flat + hosts + stream;
    println!(
        "bytes a host, {HOSTS} hosts: clusters and endpoints {flat}, virtual hosts {hosts}, a stream {stream}; {total}"
    );
    assert!(total < 900, "a host takes {total} bytes");
}
