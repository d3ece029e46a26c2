//! Reconnects and restarts.

use super::envoy::{Envoy, cluster, edge, key, put_host, remove_host};
use crate::{
    board::Wanted,
    encode::scope_name,
    session::{Session, Standing, WireType},
    shards::shard_of,
};

fn running() -> (Wanted, Envoy, Session) {
    let mut wanted = edge();
    for n in 0..50 {
        put_host(&mut wanted, &format!("h{n}"), &[("c0", "fine"), ("c1", "fine")]);
    }
    put_host(&mut wanted, "*", &[("c2", "fine")]);
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    (wanted, envoy, session)
}

#[test]
fn a_restart_sends_nothing_that_envoy_has() {
    let (wanted, mut envoy, _) = running();
    (envoy.responses, envoy.bytes) = (0, 0);
    envoy.standings.clear();
    let mut session = envoy.connect();
    assert_eq!(envoy.drain(&mut session, &wanted), [""; 0]);
    assert_eq!((envoy.responses, envoy.bytes), (0, 0));
    assert_eq!(envoy.standings.len(), 1 + 4 + 4 + 51);
    assert!(envoy.standings.values().all(|standing| *standing == Standing::InForce));
    assert_eq!(session.due(), None);
}

#[test]
fn a_restart_sends_what_changed_and_takes_away_what_is_gone() {
    let (mut wanted, mut envoy, _) = running();
    put_host(&mut wanted, "h7", &[("c0", "changed")]);
    remove_host(&mut wanted, "h8");
    remove_host(&mut wanted, "*");
    cluster(&mut wanted, "new");
    for t in [WireType::Cluster, WireType::Endpoints] {
        wanted.set(&key(t, "c2"), None);
    }
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    assert_eq!(envoy.marks("h7").unwrap(), ["changed"]);
    assert_eq!((envoy.marks("h8"), envoy.marks("*")), (None, None));
    let clusters: Vec<&String> = envoy.has[&WireType::Cluster].keys().collect();
    assert_eq!(clusters, ["c0", "c1", "c3", "new"]);
}

#[test]
fn a_restart_beside_a_bad_rule_changes_nothing() {
    let (mut wanted, mut envoy, mut session) = running();
    put_host(&mut wanted, "h7", &[("c0", "fine"), ("c1", "bad")]);
    envoy.drain(&mut session, &wanted);
    let scope = scope_name("rc/t", shard_of("h7")).to_string();
    let before = envoy.has[&WireType::VirtualHost][&scope].clone();
    let mut session = envoy.connect();
    let log = envoy.drain(&mut session, &wanted);
    assert!(log.len() < 15, "{log:#?}");
    assert_eq!(envoy.has[&WireType::VirtualHost][&scope], before);
    assert_eq!(envoy.marks("h7").unwrap(), ["fine", "error"]);
    put_host(&mut wanted, "h8", &[("c3", "later")]);
    envoy.drain(&mut session, &wanted);
    assert_eq!(envoy.marks("h8").unwrap(), ["later"]);
}

#[test]
fn scopes_of_another_generation_go_after_the_drain() {
    let (wanted, mut envoy, _) = running();
    let scopes = envoy.has.get_mut(&WireType::VirtualHost).unwrap();
    let old = scopes.values().next().unwrap().clone();
    scopes.insert("rc/t@0#7".into(), old);
    let mut session = envoy.connect();
    assert_eq!(envoy.drain(&mut session, &wanted), [""; 0], "connections that drain are routed on");
    envoy.now = session.due().unwrap();
    assert_eq!(envoy.drain(&mut session, &wanted), ["-rc/t@0#7"]);
    assert_eq!(session.due(), None);
}

/// Numbers that only look random (Knuth's MMIX constants).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Whatever happens in whatever order: at rest each host is served as wanted, the bad ones without what is bad, and the
/// clusters are those that are wanted. What is named is never taken away ([`Envoy`] checks it).
#[test]
fn any_series_of_changes_comes_to_what_is_wanted() {
    for seed in 0..8 {
        let mut random = Numbers(seed);
        let mut wanted = edge();
        let mut envoy = Envoy::default();
        let mut session = envoy.connect();
        let mut hosts: std::collections::BTreeMap<String, Vec<&str>> = std::collections::BTreeMap::new();
        for _ in 0..40 {
            let host = ["a", "b", "c", "*.w", "*", "d"][random.below(6)];
            let to = ["c0", "c1", "c2", "c3"][random.below(4)];
            match random.below(11) {
                0..6 => {
                    let marks: Vec<&str> =
                        (0..=random.below(3)).map(|_| ["x", "y", "bad"][random.below(3)]).collect();
                    let rules: Vec<_> = marks.iter().map(|mark| (to, *mark)).collect();
                    put_host(&mut wanted, host, &rules);
                    hosts.insert(host.to_owned(), marks);
                }
                6 => {
                    remove_host(&mut wanted, host);
                    hosts.remove(host);
                }
                7 => cluster(&mut wanted, to),
                8 => session = envoy.connect(),
                9 => _ = session.responses(&wanted, envoy.now),
                _ => _ = envoy.drain(&mut session, &wanted),
            }
        }
        // Responses that were never judged belong to a stream that has ended.
        session = envoy.connect();
        envoy.drain(&mut session, &wanted);
        let served: std::collections::BTreeMap<String, Vec<String>> =
            envoy.hosts().into_keys().map(|host| (host.clone(), envoy.marks(&host).unwrap())).collect();
        let expected = hosts.into_iter().map(|(host, marks)| {
            let marks = marks.into_iter().map(|mark| if mark == "bad" { "error" } else { mark });
            (host, marks.map(str::to_owned).collect())
        });
        assert_eq!(served, expected.collect(), "seed {seed}");
    }
}
