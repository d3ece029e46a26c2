#![allow(clippy::unwrap_used)]

use envoy_types::pb::envoy::config::listener::v3::Listener;
use portolan_core::gateway::rows::{RouteEntry, VirtualHost, WeightedCluster};
use portolan_model::{NamespacedName, RouteKey, RouteKind};

use super::*;
use crate::resources::Uses;

fn key(r#type: WireType, name: &str) -> WireKey {
    WireKey { r#type, name: name.into() }
}

fn gateway(name: &str) -> GatewayKey {
    GatewayKey::new("infra", name)
}

/// Any content, with what it uses.
#[allow(clippy::unnecessary_wraps, reason = "as it is put")]
fn made(content: &str, uses: Uses) -> Option<Arc<Resource>> {
    Some(Arc::new(Resource::of(&Listener { name: content.into(), ..Default::default() }).using(uses)))
}

fn listener(whole: &mut Wanted, owner: &str, name: &str, tables: &[&str], secrets: &[&str]) {
    let names = |all: &[&str]| all.iter().map(|name| Name::from(*name)).collect::<Vec<_>>();
    let uses = Uses {
        gateway: Some(gateway(owner)),
        tables: names(tables),
        secrets: names(secrets),
        ..Uses::default()
    };
    whole.set(&key(WireType::Listener, name), made(&format!("{owner} {tables:?} {secrets:?}"), uses));
}

fn cluster(whole: &mut Wanted, name: &str, secrets: &[&str]) {
    let secrets: Vec<Name> = secrets.iter().map(|name| (*name).into()).collect();
    let uses = Uses { secrets: secrets.clone(), ..Uses::default() };
    whole.set(&key(WireType::Cluster, name), made(&format!("{name} {secrets:?}"), uses));
    whole.set(&key(WireType::Endpoints, name), made(name, Uses::default()));
}

fn secret(whole: &mut Wanted, name: &str) {
    whole.set(&key(WireType::Secret, name), made(name, Uses::default()));
}

fn host(whole: &mut Wanted, table: &str, name: &str, clusters: &[&str]) {
    let route = RouteKey { kind: RouteKind::Http, name: NamespacedName::new("ns", name) };
    let clusters = clusters.iter().map(|cluster| WeightedCluster::new((*cluster).into(), 1)).collect();
    let entries = vec![Arc::new(RouteEntry { clusters, ..RouteEntry::of(route) })];
    let row = VirtualHost { key: (table.into(), name.into()), entries, misdirected: false };
    whole.set_host(&table.into(), &name.into(), Some(Arc::new(Host::of(&Arc::new(row)))));
}

/// Everything of a part, as text.
fn shown(part: Option<&Wanted>) -> BTreeSet<String> {
    part.into_iter().flat_map(Wanted::keys).map(|key| format!("{:?} {}", key.r#type, key.name)).collect()
}

/// The same, from the whole alone.
fn expected(whole: &Wanted, gateway: &GatewayKey) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut put = |r#type, name: &Name| {
        if whole.holds(&WireKey { r#type, name: name.clone() }) {
            out.insert(format!("{type:?} {name}"));
        }
    };
    for (name, listener) in whole.of(WireType::Listener).filter(|(_, one)| one.gateway() == Some(gateway)) {
        put(WireType::Listener, name);
        listener.secrets().iter().for_each(|name| put(WireType::Secret, name));
        for host in listener.tables().iter().filter_map(|table| whole.table(table)).flat_map(Table::all) {
            let (table, name) = &host.row.key;
            put(WireType::VirtualHost, &portolan_core::gateway::rows::virtual_host_name(table, name));
            for cluster in &host.clusters {
                put(WireType::Cluster, cluster);
                put(WireType::Endpoints, cluster);
                let secrets = whole.get(WireType::Cluster, cluster).map(|one| one.secrets().to_vec());
                secrets.unwrap_or_default().iter().for_each(|name| put(WireType::Secret, name));
            }
        }
    }
    out
}

#[test]
fn a_gateway_gets_its_own_and_what_it_shares_and_nobody_elses_keys() {
    let (mut whole, mut parts) = (Wanted::default(), Parts::default());
    for name in ["mine", "theirs", "client"] {
        secret(&mut whole, name);
    }
    cluster(&mut whole, "shared", &["client"]);
    cluster(&mut whole, "only", &[]);
    listener(&mut whole, "a", "la", &["ta"], &["mine"]);
    listener(&mut whole, "b", "lb", &["tb"], &["theirs"]);
    host(&mut whole, "ta", "a.example.com", &["shared"]);
    host(&mut whole, "tb", "b.example.com", &["shared", "only"]);
    parts.follow(&whole);
    let a = shown(parts.of(&gateway("a")));
    assert_eq!(a, expected(&whole, &gateway("a")));
    assert!(
        a.contains("Secret mine") && a.contains("Secret client") && !a.contains("Secret theirs"),
        "{a:?}"
    );
    assert!(!a.contains("Cluster only") && !a.contains("VirtualHost tb/b.example.com"), "{a:?}");
    assert!(shown(parts.of(&gateway("c"))).is_empty());
    // Another Gateway takes over the listener: its keys go from the first one.
    listener(&mut whole, "b", "la", &["ta"], &["mine"]);
    parts.follow(&whole);
    assert!(parts.of(&gateway("a")).is_none());
    assert_eq!(shown(parts.of(&gateway("b"))), expected(&whole, &gateway("b")));
}

/// What a listener that looks into no requests leads to comes with it.
#[test]
fn a_listener_of_streams_brings_its_clusters() {
    let (mut whole, mut parts) = (Wanted::default(), Parts::default());
    secret(&mut whole, "client");
    cluster(&mut whole, "database", &["client"]);
    cluster(&mut whole, "other", &[]);
    let leads = |to: &str| {
        let clusters = vec![Name::from(to)];
        made(to, Uses { gateway: Some(gateway("a")), clusters, ..Uses::default() })
    };
    whole.set(&key(WireType::Listener, "la"), leads("database"));
    parts.follow(&whole);
    let has = |parts: &Parts| shown(parts.of(&gateway("a"))).into_iter().collect::<Vec<_>>();
    assert_eq!(has(&parts), ["Cluster database", "Endpoints database", "Listener la", "Secret client"]);
    whole.set(&key(WireType::Listener, "la"), leads("other"));
    parts.follow(&whole);
    assert_eq!(has(&parts), ["Cluster other", "Endpoints other", "Listener la"]);
}

#[test]
fn a_part_that_comes_again_is_another_one() {
    let (mut whole, mut parts) = (Wanted::default(), Parts::default());
    listener(&mut whole, "a", "la", &[], &[]);
    parts.follow(&whole);
    let seen = parts.of(&gateway("a")).unwrap().sequence();
    whole.set(&key(WireType::Listener, "la"), None);
    parts.follow(&whole);
    listener(&mut whole, "a", "la", &[], &[]);
    parts.follow(&whole);
    let part = parts.of(&gateway("a")).unwrap();
    assert!(
        part.since(seen).is_none_or(|mut changes| changes.next().is_some()),
        "a stream sees that it changed"
    );
    assert!(part.since(seen + 1).is_none_or(|mut changes| changes.next().is_some()));
}

#[test]
fn step_by_step_it_comes_to_what_it_is_at_once() {
    // Numbers of a linear congruential generator: the same at every run.
    let mut state = 12_345_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut whole, mut parts) = (Wanted::default(), Parts::default());
    for step in 0..4_000_u64 {
        let mut name = |kind: &str| format!("{kind}{}", random(4));
        let (owner, at, other) = (name("g"), name("x"), name("x"));
        match random(9) {
            0 | 1 => {
                listener(
                    &mut whole,
                    &owner,
                    &format!("l{at}"),
                    &[&format!("t{other}")],
                    &[&format!("s{at}")],
                );
            }
            2 => drop(whole.set(&key(WireType::Listener, &format!("l{at}")), None)),
            3 | 4 => host(
                &mut whole,
                &format!("t{at}"),
                &format!("{other}.example.com"),
                &[&format!("c{other}"), &format!("c{owner}")],
            ),
            5 => drop(whole.set_host(
                &format!("t{at}").as_str().into(),
                &format!("{other}.example.com").as_str().into(),
                None,
            )),
            6 => cluster(&mut whole, &format!("c{at}"), &[&format!("s{other}")]),
            7 => drop(whole.set(&key(WireType::Cluster, &format!("c{at}")), None)),
            _ => secret(&mut whole, &format!("s{at}")),
        }
        if random(3) == 0 {
            parts.follow(&whole);
            for owner in ["g0", "g1", "g2", "g3"] {
                let owner = gateway(owner);
                assert_eq!(shown(parts.of(&owner)), expected(&whole, &owner), "step {step}, {owner}");
            }
        }
    }
    // Who has missed too much looks at everything.
    let mut late = Parts { seen: u64::MAX, ..Parts::default() };
    late.follow(&whole);
    parts.follow(&whole);
    for owner in ["g0", "g1", "g2", "g3"] {
        assert_eq!(shown(late.of(&gateway(owner))), shown(parts.of(&gateway(owner))));
    }
}
