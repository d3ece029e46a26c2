#![allow(clippy::unwrap_used)]
use envoy_types::pb::{
    envoy::config::{
        cluster::v3::Cluster, endpoint::v3::ClusterLoadAssignment, listener::v3::Listener,
        route::v3::RouteConfiguration,
    },
    google::rpc::Status,
};

use super::*;

fn key(r#type: WireType, name: &str) -> WireKey {
    WireKey { r#type, name: name.into() }
}

fn put(r: &mut Resources, r#type: WireType, name: &str, content: &str) {
    let key = key(r#type, name);
    match r#type {
        WireType::Cluster => {
            r.put(key, &Cluster { name: name.into(), alt_stat_name: content.into(), ..Default::default() })
        }
        WireType::Endpoints => {
            r.put(key, &ClusterLoadAssignment { cluster_name: content.into(), ..Default::default() })
        }
        WireType::Listener => {
            r.put(key, &Listener { name: name.into(), stat_prefix: content.into(), ..Default::default() })
        }
        _ => r.put(
            key,
            &RouteConfiguration {
                name: name.into(),
                internal_only_headers: vec![content.into()],
                ..Default::default()
            },
        ),
    };
}

fn subscribe(s: &mut Session, r#type: WireType, names: &[&str]) {
    s.request(&DeltaDiscoveryRequest {
        type_url: type_url(r#type),
        resource_names_subscribe: names.iter().map(ToString::to_string).collect(),
        ..Default::default()
    });
}

fn answer(s: &mut Session, response: &DeltaDiscoveryResponse, error: Option<&str>) -> Vec<Verdict> {
    s.request(&DeltaDiscoveryRequest {
        type_url: response.type_url.clone(),
        response_nonce: response.nonce.clone(),
        error_detail: error.map(|m| Status { message: m.into(), ..Default::default() }),
        ..Default::default()
    })
}

/// What would be sent if every name was looked at: nothing else may follow from looking at the open ones only.
fn all_looked_at(s: &Session, wanted: &Resources) -> Vec<DeltaDiscoveryResponse> {
    let mut s = s.clone();
    s.types.values_mut().for_each(|state| state.all = true);
    s.responses(wanted)
}

/// Sends until nothing is left; `bad` content is refused as Envoy does it: the whole response. Gives names in order.
fn drain(s: &mut Session, wanted: &Resources, bad: &[(&str, &str)]) -> Vec<String> {
    let mut order = Vec::new();
    for _ in 0..50 {
        let slow = all_looked_at(s, wanted);
        let responses = s.responses(wanted);
        assert_eq!(responses, slow);
        if responses.is_empty() {
            return order;
        }
        for response in responses {
            let names: Vec<String> = response.resources.iter().map(|r| r.name.clone()).collect();
            let refuse = response.resources.iter().any(|r| {
                let text = String::from_utf8_lossy(&r.resource.as_ref().unwrap().value).into_owned();
                bad.iter().any(|(name, content)| r.name == *name && text.contains(content))
            });
            order.push(format!(
                "{}{}{}",
                names.join("+"),
                response.removed_resources.iter().map(|n| format!("-{n}")).collect::<Vec<_>>().concat(),
                if refuse { "!" } else { "" }
            ));
            answer(s, &response, refuse.then_some("bad"));
        }
    }
    panic!("does not come to rest: {order:?}");
}

fn start(wanted: &Resources) -> Session {
    let mut s = Session::default();
    for t in [WireType::Cluster, WireType::Listener] {
        subscribe(&mut s, t, &[]);
    }
    subscribe(&mut s, WireType::Endpoints, &["c1", "c2"]);
    subscribe(&mut s, WireType::Routes, &["r1", "r2", "r3"]);
    let _ = wanted;
    s
}

#[test]
fn routes_wait_for_clusters_and_endpoints() {
    let mut wanted = Resources::default();
    put(&mut wanted, WireType::Routes, "r1", "x");
    put(&mut wanted, WireType::Cluster, "c1", "x");
    put(&mut wanted, WireType::Listener, "l1", "x");
    let mut s = start(&wanted);
    assert_eq!(drain(&mut s, &wanted, &[]), ["c1", "l1"], "no endpoints yet, so no routes");
    put(&mut wanted, WireType::Endpoints, "c1", "c1");
    assert_eq!(drain(&mut s, &wanted, &[]), ["c1", "r1"]);
    assert_eq!(drain(&mut s, &wanted, &[]), [""; 0], "a bare ACK is not answered");
}

#[test]
fn clusters_go_after_the_routes_that_named_them() {
    let mut wanted = Resources::default();
    for c in ["c1", "c2"] {
        put(&mut wanted, WireType::Cluster, c, "x");
        put(&mut wanted, WireType::Endpoints, c, c);
    }
    put(&mut wanted, WireType::Routes, "r1", "uses c1 c2");
    let mut s = start(&wanted);
    drain(&mut s, &wanted, &[]);
    put(&mut wanted, WireType::Routes, "r1", "uses c1");
    wanted.remove(&key(WireType::Cluster, "c2"));
    wanted.remove(&key(WireType::Endpoints, "c2"));
    assert_eq!(drain(&mut s, &wanted, &[]), ["r1", "-c2", "-c2"]);
}

#[test]
fn a_refused_resource_is_isolated_and_the_good_ones_are_served() {
    let mut wanted = Resources::default();
    for r in ["r1", "r2", "r3"] {
        put(&mut wanted, WireType::Routes, r, if r == "r2" { "poison" } else { "fine" });
    }
    let mut s = start(&wanted);
    assert_eq!(drain(&mut s, &wanted, &[("r2", "poison")]), ["r1+r2+r3!", "r1", "r2!", "r3"]);
    assert_eq!(drain(&mut s, &wanted, &[]), [""; 0], "a refused version is not sent again");
    put(&mut wanted, WireType::Routes, "r2", "mended");
    assert_eq!(drain(&mut s, &wanted, &[]), ["r2"]);
}

#[test]
fn a_reconnect_sends_nothing_that_envoy_has() {
    let mut wanted = Resources::default();
    put(&mut wanted, WireType::Listener, "l1", "x");
    put(&mut wanted, WireType::Listener, "l2", "x");
    let version = wanted.get(&key(WireType::Listener, "l1")).unwrap().version.clone();
    let mut s = Session::default();
    s.request(&DeltaDiscoveryRequest {
        type_url: type_url(WireType::Listener),
        initial_resource_versions: [("l1".to_owned(), version), ("gone".to_owned(), "1".to_owned())].into(),
        ..Default::default()
    });
    assert_eq!(drain(&mut s, &wanted, &[]), ["l2-gone"]);
}

/// Numbers that only look random (Knuth's MMIX constants).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

#[test]
fn looking_at_open_names_finds_all_that_is_to_be_sent() {
    for seed in 0..40 {
        let mut random = Numbers(seed);
        let (mut wanted, mut s) = (Resources::default(), Session::default());
        let mut unjudged: Vec<DeltaDiscoveryResponse> = Vec::new();
        for _ in 0..300 {
            let r#type = TYPES[random.below(TYPES.len())];
            let name = ["a", "b", "c", "d"][random.below(4)];
            match random.below(10) {
                0..4 => put(&mut wanted, r#type, name, ["one", "two", "three"][random.below(3)]),
                4 => _ = wanted.remove(&key(r#type, name)),
                5 => {
                    let all = matches!(r#type, WireType::Cluster | WireType::Listener);
                    let names: &[&str] = if all { &[] } else { &[name] };
                    subscribe(&mut s, r#type, names);
                }
                6 => {
                    s.request(&DeltaDiscoveryRequest {
                        type_url: type_url(r#type),
                        resource_names_unsubscribe: vec![name.to_owned()],
                        ..Default::default()
                    });
                }
                _ if unjudged.is_empty() => {}
                n => {
                    let response = unjudged.swap_remove(random.below(unjudged.len()));
                    answer(&mut s, &response, (n == 7).then_some("bad"));
                }
            }
            let slow = all_looked_at(&s, &wanted);
            let made = s.responses(&wanted);
            assert_eq!(made, slow, "seed {seed}");
            unjudged.extend(made);
        }
    }
}

#[test]
fn a_settled_table_is_not_looked_at_again() {
    let mut wanted = Resources::default();
    for n in 0..100 {
        let name = format!("c{n}");
        put(&mut wanted, WireType::Cluster, &name, "x");
        put(&mut wanted, WireType::Endpoints, &name, &name);
    }
    put(&mut wanted, WireType::Routes, "r1", "x");
    let mut s = start(&wanted);
    let names: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
    subscribe(&mut s, WireType::Endpoints, &names.iter().map(String::as_str).collect::<Vec<_>>());
    drain(&mut s, &wanted, &[]);
    assert_eq!(s.open.values().map(BTreeSet::len).sum::<usize>(), 0);
    put(&mut wanted, WireType::Routes, "r1", "y");
    s.responses(&wanted);
    assert_eq!(s.open.values().map(BTreeSet::len).sum::<usize>(), 1);
}

#[test]
fn who_is_far_behind_looks_at_everything() {
    let mut wanted = Resources::default();
    put(&mut wanted, WireType::Listener, "l1", "x");
    let mut s = start(&wanted);
    drain(&mut s, &wanted, &[]);
    put(&mut wanted, WireType::Listener, "l2", "x");
    for n in 0..20_000 {
        put(&mut wanted, WireType::Listener, "l1", ["y", "z"][n % 2]);
    }
    wanted.remove(&key(WireType::Listener, "l1"));
    assert!(wanted.since(1).is_none());
    assert_eq!(drain(&mut s, &wanted, &[]), ["l2-l1"]);
}
