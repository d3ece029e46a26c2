//! What Envoy refuses harms only itself.

use std::sync::Arc;

use envoy_types::pb::envoy::{
    config::listener::v3::Listener, extensions::transport_sockets::tls::v3::Secret,
};

use super::envoy::{Envoy, TABLE, cluster, edge, key, put, put_host, remove_host};
use crate::{
    board::Wanted,
    resources::{Resource, Uses},
    session::{Hold, Refusal, Session, Standing, WireKey, WireType, virtual_host_name},
    shards::shard_of,
};

fn refusal(envoy: &Envoy, host: &str) -> Refusal {
    let key = key(WireType::VirtualHost, &virtual_host_name(&TABLE.into(), &host.into()));
    match &envoy.standings[&key] {
        Standing::Refused(refusal) => refusal.clone(),
        other => panic!("{host} is {other:?}"),
    }
}

/// `n` hosts of one shard.
fn neighbours(n: usize) -> Vec<String> {
    (0..).map(|n| format!("n{n}")).filter(|name| shard_of(name) == 7).take(n).collect()
}

fn running(hosts: &[String]) -> (Wanted, Envoy, Session) {
    let mut wanted = edge();
    for host in hosts {
        put_host(&mut wanted, host, &[("c0", "fine"), ("c1", "fine")]);
    }
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    (wanted, envoy, session)
}

#[test]
fn one_bad_rule_is_left_out_and_mended_at_once() {
    let hosts = neighbours(100);
    let (mut wanted, mut envoy, mut session) = running(&hosts);
    let bad = &hosts[41];
    put_host(&mut wanted, bad, &[("c0", "a"), ("c1", "bad"), ("c2", "b"), ("c3", "c")]);
    put_host(&mut wanted, &hosts[40], &[("c2", "changed")]);
    remove_host(&mut wanted, &hosts[42]);
    let log = envoy.drain(&mut session, &wanted);
    assert!(log.len() <= 16, "{log:#?}");
    assert_eq!(envoy.marks(bad).unwrap(), ["a", "error", "b", "c"]);
    assert_eq!(envoy.marks(&hosts[40]).unwrap(), ["changed"]);
    assert_eq!(envoy.marks(&hosts[42]), None, "a removal of another is in force");
    let said = refusal(&envoy, bad);
    assert_eq!((&*said.rules, said.closed), (&[1][..], None));
    assert!(said.words.contains("bad header"), "{}", said.words);
    assert_eq!(envoy.drain(&mut session, &wanted), [""; 0], "a refused version is not sent again");
    // Others go on changing beside it, each in one response.
    put_host(&mut wanted, &hosts[0], &[("c3", "later")]);
    assert_eq!(envoy.drain(&mut session, &wanted).len(), 1);
    put_host(&mut wanted, bad, &[("c0", "a"), ("c1", "mended")]);
    assert_eq!(envoy.drain(&mut session, &wanted).len(), 1);
    assert_eq!(envoy.marks(bad).unwrap(), ["a", "mended"]);
    let key = key(WireType::VirtualHost, &virtual_host_name(&TABLE.into(), &bad.as_str().into()));
    assert_eq!(envoy.standings[&key], Standing::InForce);
}

#[test]
fn a_bad_match_closes_what_comes_after_it() {
    let hosts = neighbours(3);
    let (mut wanted, mut envoy, mut session) = running(&hosts);
    put_host(&mut wanted, "m", &[("c0", "a"), ("c1", "match"), ("c2", "b")]);
    envoy.drain(&mut session, &wanted);
    assert_eq!(envoy.marks("m").unwrap(), ["a", "closed", "b"]);
    assert_eq!((refusal(&envoy, "m").rules, refusal(&envoy, "m").closed), (vec![1], Some(1)));
    assert_eq!(envoy.hosts().len(), 4);
}

#[test]
fn a_host_that_is_refused_as_such_leaves_the_last_good_one() {
    let hosts = neighbours(3);
    let (mut wanted, mut envoy, mut session) = running(&hosts);
    put_host(&mut wanted, "bad-host", &[("c0", "a")]);
    envoy.drain(&mut session, &wanted);
    assert_eq!(envoy.marks("bad-host"), None);
    assert_eq!(refusal(&envoy, "bad-host").rules, [0_usize; 0]);
    assert_eq!(envoy.hosts().len(), 3);
}

/// This Envoy refuses every host of that name, also one that answers errors only: nothing can close it, and nothing is
/// sent again and again.
#[test]
fn a_host_that_is_refused_as_such_under_a_wildcard_ends_in_rest() {
    let hosts = neighbours(3);
    let (mut wanted, mut envoy, mut session) = running(&hosts);
    put_host(&mut wanted, "*", &[("c0", "wild")]);
    envoy.drain(&mut session, &wanted);
    put_host(&mut wanted, "bad-host", &[("c0", "a")]);
    put_host(&mut wanted, &hosts[0], &[("c2", "changed")]);
    let log = envoy.drain(&mut session, &wanted);
    assert!(log.len() < 20, "{log:#?}");
    assert_eq!(envoy.marks("bad-host"), None);
    assert_eq!(refusal(&envoy, "bad-host").rules, [0_usize; 0]);
    assert_eq!(envoy.marks(&hosts[0]).unwrap(), ["changed"]);
    assert_eq!(envoy.drain(&mut session, &wanted), [""; 0]);
}

/// Of ten scopes in one response one is bad: the others are in force, and so is the rest of the bad host.
#[test]
fn one_bad_scope_of_a_response_harms_no_other() {
    let hosts: Vec<String> = (0..300).map(|n| format!("h{n}")).collect();
    let (mut wanted, mut envoy, mut session) = running(&hosts);
    for (n, host) in hosts.iter().enumerate().take(10) {
        put_host(&mut wanted, host, &[("c0", "a"), ("c1", if n == 6 { "bad" } else { "b" })]);
    }
    let log = envoy.drain(&mut session, &wanted);
    assert!(log.len() <= 20, "{log:#?}");
    for (n, host) in hosts.iter().enumerate().take(10) {
        assert_eq!(envoy.marks(host).unwrap(), ["a", if n == 6 { "error" } else { "b" }], "{host}");
    }
    assert_eq!(envoy.drain(&mut session, &wanted), [""; 0]);
}

#[test]
fn every_bad_one_of_a_start_is_found_and_the_others_are_served() {
    let mut wanted = edge();
    for n in 0..300 {
        let mark = if n % 100 == 50 { "bad" } else { "fine" };
        put_host(&mut wanted, &format!("h{n}"), &[("c0", "fine"), ("c1", mark)]);
    }
    put_host(&mut wanted, "*.wild", &[("c0", "bad"), ("c1", "fine")]);
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    let log = envoy.drain(&mut session, &wanted);
    assert!(log.len() < 700, "{}", log.len());
    for n in 0..300 {
        let mark = if n % 100 == 50 { "error" } else { "fine" };
        assert_eq!(envoy.marks(&format!("h{n}")).unwrap(), ["fine", mark], "h{n}");
    }
    assert_eq!(envoy.marks("*.wild").unwrap(), ["error", "fine"]);
}

#[test]
fn refused_endpoints_concern_one_cluster() {
    let hosts = neighbours(3);
    let (mut wanted, mut envoy, mut session) = running(&hosts);
    for name in ["d0", "d1", "d2"] {
        cluster(&mut wanted, name);
    }
    put(&mut wanted, WireType::Endpoints, "d1", "bad");
    for (host, to) in hosts.iter().zip(["d0", "d1", "d2"]) {
        put_host(&mut wanted, host, &[(to, "moved")]);
    }
    put_host(&mut wanted, "new", &[("d1", "new")]);
    envoy.drain(&mut session, &wanted);
    for host in &hosts {
        assert_eq!(envoy.marks(host).unwrap(), ["moved"]);
    }
    assert_eq!(
        envoy.marks("new").unwrap(),
        ["new"],
        "its requests get an error from a cluster without endpoints"
    );
    assert!(matches!(envoy.standings[&key(WireType::Endpoints, "d1")], Standing::Refused(_)));
    assert_eq!(envoy.standings[&key(WireType::Endpoints, "d2")], Standing::InForce);
    // Where there are good ones they stay.
    put(&mut wanted, WireType::Endpoints, "d0", "bad");
    let before = envoy.has[&WireType::Endpoints]["d0"].clone();
    envoy.drain(&mut session, &wanted);
    assert_eq!(envoy.has[&WireType::Endpoints]["d0"], before);
    put(&mut wanted, WireType::Endpoints, "d0", "mended");
    envoy.drain(&mut session, &wanted);
    assert_eq!(envoy.standings[&key(WireType::Endpoints, "d0")], Standing::InForce);
}

#[test]
fn a_host_that_moves_to_a_refused_cluster_keeps_the_old_one() {
    let hosts = neighbours(3);
    let (mut wanted, mut envoy, mut session) = running(&hosts);
    put(&mut wanted, WireType::Cluster, "bad-c", "bad");
    put(&mut wanted, WireType::Endpoints, "bad-c", "x");
    put_host(&mut wanted, &hosts[0], &[("bad-c", "moved")]);
    put_host(&mut wanted, &hosts[1], &[("c3", "moved")]);
    wanted.set(&key(WireType::Cluster, "c1"), None);
    envoy.drain(&mut session, &wanted);
    assert_eq!(envoy.marks(&hosts[0]).unwrap(), ["fine", "fine"]);
    assert!(envoy.has[&WireType::Cluster].contains_key("c1"), "it is named by what is kept");
    assert_eq!(envoy.marks(&hosts[1]).unwrap(), ["moved"]);
    assert!(refusal(&envoy, &hosts[0]).words.contains("bad cluster"));
    put(&mut wanted, WireType::Cluster, "bad-c", "mended");
    envoy.drain(&mut session, &wanted);
    assert_eq!(envoy.marks(&hosts[0]).unwrap(), ["moved"]);
}

#[test]
fn one_refused_listener_of_many_is_found_and_tried_again() {
    let (mut wanted, mut envoy, mut session) = running(&[]);
    for n in 0..32 {
        put(&mut wanted, WireType::Listener, &format!("l{n}"), if n == 20 { "bad" } else { "fine" });
    }
    let log = envoy.drain(&mut session, &wanted);
    assert!(log.len() <= 12, "{log:?}");
    assert_eq!(envoy.has[&WireType::Listener].len(), 32, "31 and the first");
    assert_eq!(envoy.drain(&mut session, &wanted), [""; 0]);
    envoy.now = session.due().unwrap();
    assert_eq!(envoy.drain(&mut session, &wanted), ["l20!"]);
    assert!(session.due().unwrap() > envoy.now + 3_000, "ever more slowly");
    put(&mut wanted, WireType::Listener, "l20", "free");
    assert_eq!(envoy.drain(&mut session, &wanted), ["l20"], "what changes is tried at once");
}

/// What only a refused listener names is asked for by nobody: it holds up no end. It is sent once the listener is taken.
#[test]
fn what_only_a_refused_listener_names_is_waited_for_by_nobody() {
    let mut wanted = edge();
    let uses = Uses { secrets: vec!["s".into()], tables: vec![TABLE.into()], ..Uses::default() };
    let bad = Listener { name: "l".into(), stat_prefix: "bad".into(), ..Default::default() };
    let secret = Secret { name: "s".into(), ..Default::default() };
    wanted.set(&key(WireType::Listener, "l"), Some(Arc::new(Resource::of(&bad).using(uses))));
    wanted.set(&key(WireType::Secret, "s"), Some(Arc::new(Resource::of(&secret))));
    put_host(&mut wanted, "a.test", &[("c0", "fine")]);
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    let host = key(WireType::VirtualHost, &virtual_host_name(&TABLE.into(), &"a.test".into()));
    let standing = |envoy: &Envoy, key: &WireKey| envoy.standings[key].clone();
    assert!(matches!(standing(&envoy, &key(WireType::Listener, "l")), Standing::Refused(_)));
    for unasked in [&host, &key(WireType::Secret, "s")] {
        assert_eq!(standing(&envoy, unasked), Standing::Held(Hold::NotAsked));
    }
    // Beside another listener that names the table it is on its way again.
    put(&mut wanted, WireType::Listener, "m", "x");
    envoy.drain(&mut session, &wanted);
    assert_eq!(standing(&envoy, &host), Standing::InForce);
}
