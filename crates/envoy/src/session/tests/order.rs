//! In which order things come and go.

use std::{collections::BTreeSet, sync::Arc};

use envoy_types::pb::envoy::config::{listener::v3::Listener, route::v3::route::Action};

use super::envoy::{Envoy, TABLE, cluster, edge, key, put, put_host, remove_host};
use crate::{
    board::Wanted,
    encode::scope_name,
    resources::{Resource, Uses},
    session::{Hold, Session, Standing, WireType, virtual_host_name},
    shards::{SHARDS, shard_of},
};

fn standing(envoy: &Envoy, host: &str) -> Standing {
    envoy.standings[&key(WireType::VirtualHost, &virtual_host_name(&TABLE.into(), &host.into()))].clone()
}

#[test]
fn an_empty_edge_is_answered_at_once() {
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    assert_eq!(envoy.drain(&mut session, &Wanted::default()), ["", ""], "clusters and listeners: none");
    assert_eq!(envoy.drain(&mut session, &Wanted::default()), [""; 0], "a bare ACK is not answered");
}

#[test]
fn a_start_sends_everything_once_and_scopes_in_one() {
    let mut wanted = edge();
    for n in 0..20 {
        put_host(&mut wanted, &format!("h{n}"), &[("c0", "x"), ("c1", "y")]);
    }
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    let log = envoy.drain(&mut session, &wanted);
    assert_eq!(log[..3], ["c0 c1 c2 c3", "l", "c0 c1 c2 c3"]);
    assert_eq!(log.len(), 4, "{log:?}");
    assert_eq!(log[3].split(' ').count(), usize::from(SHARDS), "also the empty scopes");
    assert_eq!(envoy.hosts().len(), 20);
    assert!(envoy.standings.values().all(|standing| *standing == Standing::InForce));
}

/// Envoy opens its listeners with the first answer, and answers 404 where the scope is missing.
#[test]
fn a_start_with_wildcards_sends_all_scopes_in_the_first_answer() {
    for wildcards in [&["*.example.com"][..], &["*", "*.example.com"]] {
        let mut wanted = edge();
        put_host(&mut wanted, "h", &[("c0", "x")]);
        for host in wildcards {
            put_host(&mut wanted, host, &[("c1", "x")]);
        }
        let mut envoy = Envoy::default();
        let mut session = envoy.connect();
        let log = envoy.drain(&mut session, &wanted);
        let scopes: Vec<usize> = log[3..].iter().map(|names| names.split(' ').count()).collect();
        assert_eq!(scopes, [usize::from(SHARDS)], "{wildcards:?}");
        assert!(envoy.standings.values().all(|standing| *standing == Standing::InForce));
    }
}

#[test]
fn a_host_whose_cluster_is_not_there_is_held_back_alone() {
    let mut wanted = edge();
    put_host(&mut wanted, "a", &[("c0", "old")]);
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    // The cluster has no endpoints yet.
    put(&mut wanted, WireType::Cluster, "late", "x");
    put_host(&mut wanted, "a", &[("late", "new")]);
    put_host(&mut wanted, "b", &[("c1", "new")]);
    envoy.drain(&mut session, &wanted);
    assert_eq!(envoy.marks("a").unwrap(), ["old"]);
    assert_eq!(envoy.marks("b").unwrap(), ["new"], "nobody else waits");
    assert_eq!(standing(&envoy, "a"), Standing::Held(Hold::By(key(WireType::Cluster, "late"))));
    put(&mut wanted, WireType::Endpoints, "late", "x");
    envoy.drain(&mut session, &wanted);
    assert_eq!(envoy.marks("a").unwrap(), ["new"]);
    assert_eq!(standing(&envoy, "a"), Standing::InForce);
}

#[test]
fn a_cluster_goes_after_the_host_that_named_it() {
    let mut wanted = edge();
    put_host(&mut wanted, "a", &[("c0", "old")]);
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    cluster(&mut wanted, "new");
    put_host(&mut wanted, "a", &[("new", "new")]);
    for t in [WireType::Cluster, WireType::Endpoints] {
        wanted.set(&key(t, "c0"), None);
    }
    let scope = scope_name(TABLE, shard_of("a")).to_string();
    assert_eq!(envoy.drain(&mut session, &wanted), ["new", "new", &scope, "-c0"]);
    // The last host goes, and what it used.
    remove_host(&mut wanted, "a");
    wanted.set(&key(WireType::Cluster, "new"), None);
    assert_eq!(envoy.drain(&mut session, &wanted), [&*scope, "-new"]);
}

/// Hosts flip between two backends, and each flip takes the other's cluster away. Whatever is under way when the next flip
/// comes: no host is sent that names a cluster which goes ([`Envoy`] checks it).
#[test]
fn a_cluster_that_is_wanted_again_while_it_goes_is_waited_for() {
    let flip = |wanted: &mut Wanted, to: usize| {
        cluster(wanted, ["left", "right"][to % 2]);
        put_host(wanted, "a", &[(["left", "right"][to % 2], "x")]);
        for t in [WireType::Cluster, WireType::Endpoints] {
            wanted.set(&key(t, ["right", "left"][to % 2]), None);
        }
    };
    for delay in 0..12 {
        let mut wanted = edge();
        flip(&mut wanted, 0);
        let mut envoy = Envoy::default();
        let mut session = envoy.connect();
        envoy.drain(&mut session, &wanted);
        // Responses that are on their way to Envoy, one a turn is taken.
        let mut way = std::collections::VecDeque::new();
        for turn in 0..60 {
            if turn % 12 == delay {
                flip(&mut wanted, turn / 12 + 1);
            }
            way.extend(session.responses(&wanted, envoy.now));
            if let Some(response) = way.pop_front() {
                envoy.take(&mut session, &response);
            }
            way.extend(session.responses(&wanted, envoy.now));
            if turn % 12 == delay {
                // The next one comes while what follows from this one is under way.
                flip(&mut wanted, turn / 12);
                way.extend(session.responses(&wanted, envoy.now));
            }
        }
        for response in way {
            envoy.take(&mut session, &response);
        }
        envoy.drain(&mut session, &wanted);
        assert_eq!(envoy.marks("a").unwrap(), ["x"]);
    }
    // Just then: the removal is sent, and not judged yet.
    let mut wanted = edge();
    flip(&mut wanted, 0);
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    flip(&mut wanted, 1);
    let removal = loop {
        let responses = session.responses(&wanted, envoy.now);
        if let Some(removal) = responses.iter().find(|response| !response.removed_resources.is_empty()) {
            break removal.clone();
        }
        for response in &responses {
            envoy.take(&mut session, response);
        }
    };
    flip(&mut wanted, 0);
    assert!(session.responses(&wanted, envoy.now).is_empty(), "its cluster is not there any more");
    envoy.take(&mut session, &removal);
    assert_eq!(envoy.drain(&mut session, &wanted).len(), 4, "cluster, endpoints, scope, and the other goes");
    assert_eq!(standing(&envoy, "a"), Standing::InForce);
}

#[test]
fn changes_of_small_scopes_go_together() {
    let mut wanted = edge();
    for n in 0..300 {
        put_host(&mut wanted, &format!("h{n}"), &[("c0", "old")]);
    }
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    let scopes: BTreeSet<u16> = (0..10).map(|n| shard_of(&format!("h{n}"))).collect();
    for n in 0..10 {
        put_host(&mut wanted, &format!("h{n}"), &[("c0", "new")]);
    }
    let log = envoy.drain(&mut session, &wanted);
    assert_eq!((log.len(), log[0].split(' ').count()), (1, scopes.len()), "{log:?}");
    assert!((0..10).all(|n| envoy.marks(&format!("h{n}")).unwrap() == ["new"]));
    assert!((0..10).all(|n| standing(&envoy, &format!("h{n}")) == Standing::InForce));
}

#[test]
fn changes_of_large_scopes_go_in_parts() {
    let mut wanted = edge();
    let hosts: Vec<String> = (0..60_000).map(|n| format!("h{n}")).filter(|h| shard_of(h) < 8).collect();
    for host in &hosts {
        put_host(&mut wanted, host, &[("c0", "old")]);
    }
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    for shard in 0..8 {
        let host = hosts.iter().find(|host| shard_of(host) == shard).unwrap();
        put_host(&mut wanted, host, &[("c0", "new")]);
    }
    let log = envoy.drain(&mut session, &wanted);
    // A scope of this table holds about 230 hosts.
    assert!(log.iter().all(|names| (1..=3).contains(&names.split(' ').count())), "{log:?}");
    assert!(log.len() >= 3, "{log:?}");
}

#[test]
fn exact_changes_overtake_a_wildcard() {
    let mut wanted = edge();
    put_host(&mut wanted, "*", &[("c0", "old")]);
    let hosts: Vec<String> = (0..30_000).map(|n| format!("h{n}")).filter(|h| shard_of(h) > 200).collect();
    for host in &hosts {
        put_host(&mut wanted, host, &[("c0", "old")]);
    }
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    put_host(&mut wanted, "*", &[("c0", "new")]);
    let last = hosts.iter().max_by_key(|host| scope_name(TABLE, shard_of(host))).unwrap();
    put_host(&mut wanted, last, &[("c0", "new")]);
    let log = envoy.drain(&mut session, &wanted);
    let scope = scope_name(TABLE, shard_of(last)).to_string();
    let at = log.iter().position(|names| names.split(' ').any(|name| name == scope)).unwrap();
    assert!(at < 2, "at {at} of {}", log.len());
    assert!(log.len() > 10 && log.len() < 40, "{}: {log:?}", log.len());
    assert_eq!(standing(&envoy, "*"), Standing::InForce);
}

/// Answers an error to everything, with this status.
fn is_closed(envoy: &Envoy, host: &str) -> Option<u32> {
    let host = envoy.hosts().remove(host)?;
    let [route] = &*host.routes else { return None };
    match &route.action {
        Some(Action::DirectResponse(direct)) => Some(direct.status),
        _ => None,
    }
}

#[test]
fn a_wildcard_does_not_answer_for_a_new_host_that_waits_for_its_cluster() {
    let mut wanted = edge();
    put_host(&mut wanted, "*.example.com", &[("c0", "wild")]);
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    put(&mut wanted, WireType::Cluster, "late", "x");
    put_host(&mut wanted, "a.example.com", &[("late", "new")]);
    put_host(&mut wanted, "a.example.org", &[("late", "new")]);
    envoy.drain(&mut session, &wanted);
    assert_eq!(is_closed(&envoy, "a.example.com"), Some(503));
    assert_eq!(envoy.marks("a.example.org"), None, "no other host would answer for it");
    let waits = Standing::Held(Hold::By(key(WireType::Cluster, "late")));
    assert_eq!(standing(&envoy, "a.example.com"), waits);
    put(&mut wanted, WireType::Endpoints, "late", "x");
    envoy.drain(&mut session, &wanted);
    for host in ["a.example.com", "a.example.org"] {
        assert_eq!(
            (envoy.marks(host).unwrap(), standing(&envoy, host)),
            (vec!["new".into()], Standing::InForce)
        );
    }
    // What was served before stays while the next version waits.
    put(&mut wanted, WireType::Cluster, "later", "x");
    put_host(&mut wanted, "a.example.com", &[("later", "newer")]);
    envoy.drain(&mut session, &wanted);
    assert_eq!(envoy.marks("a.example.com").unwrap(), ["new"]);
}

#[test]
fn a_listener_waits_for_the_scopes_of_its_table_and_they_outlive_it() {
    let mut wanted = edge();
    put_host(&mut wanted, "a", &[("c0", "x")]);
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    wanted.set(&key(WireType::Listener, "l"), None);
    assert_eq!(envoy.drain(&mut session, &wanted), ["-l"], "connections that drain are routed on");
    envoy.now = session.due().unwrap();
    let log = envoy.drain(&mut session, &wanted);
    assert_eq!(log[0].split(' ').count(), usize::from(SHARDS));
    assert!(envoy.hosts().is_empty());
    put(&mut wanted, WireType::Listener, "l", "again");
    put_host(&mut wanted, "*.example.com", &[("c1", "x")]);
    let log = envoy.drain(&mut session, &wanted);
    assert_eq!((log.len(), &*log[1]), (2, "l"), "{log:?}");
}

#[test]
fn a_settled_edge_is_not_looked_at_again() {
    let mut wanted = edge();
    for n in 0..500 {
        cluster(&mut wanted, &format!("d{n}"));
        put_host(&mut wanted, &format!("h{n}"), &[(&format!("d{n}"), "x")]);
    }
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    let open = |session: &Session| {
        let flats = [&session.clusters, &session.endpoints, &session.secrets, &session.listeners];
        flats.iter().map(|flat| flat.open.len()).sum::<usize>()
            + session.scopes.exact.len()
            + session.scopes.wild.len()
    };
    assert_eq!(open(&session), 0);
    put_host(&mut wanted, "h7", &[("d7", "y")]);
    assert_eq!(envoy.drain(&mut session, &wanted).len(), 1);
    assert_eq!(open(&session), 0);
}

#[test]
fn who_is_far_behind_looks_at_everything() {
    let mut wanted = edge();
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    envoy.drain(&mut session, &wanted);
    put_host(&mut wanted, "a", &[("c0", "x")]);
    for n in 0..20_000 {
        put(&mut wanted, WireType::Cluster, "c1", ["y", "z"][n % 2]);
    }
    assert!(wanted.since(1).is_none());
    envoy.drain(&mut session, &wanted);
    assert_eq!(envoy.marks("a").unwrap(), ["x"]);
}

/// A listener that hands connections on comes after the clusters that it names itself, and they stay as long as it does.
#[test]
fn a_listener_of_streams_waits_for_its_clusters_and_keeps_them() {
    let mut wanted = Wanted::default();
    let listen = |wanted: &mut Wanted, to: &str| {
        let uses = Uses { clusters: vec![to.into()], ..Uses::default() };
        let made = Listener { name: "l".into(), stat_prefix: to.into(), ..Default::default() };
        wanted.set(&key(WireType::Listener, "l"), Some(Arc::new(Resource::of(&made).using(uses))));
    };
    let clusters = |wanted: &mut Wanted, name: &str, there: bool| {
        if there {
            cluster(wanted, name);
            return;
        }
        wanted.set(&key(WireType::Cluster, name), None);
        wanted.set(&key(WireType::Endpoints, name), None);
    };
    clusters(&mut wanted, "one", true);
    listen(&mut wanted, "one");
    let mut envoy = Envoy::default();
    let mut session = envoy.connect();
    // The empty answers are those that are owed: no listener yet, and no scope.
    assert_eq!(envoy.drain(&mut session, &wanted), ["one", "", "one", "l", ""]);
    // All at once: first what is new, then the listener, then what it does not name any more goes.
    clusters(&mut wanted, "two", true);
    listen(&mut wanted, "two");
    clusters(&mut wanted, "one", false);
    assert_eq!(envoy.drain(&mut session, &wanted), ["two", "two", "l", "-one"]);
    // What nobody makes is not waited for: its connections are closed. Nor does the one before go while it is named.
    clusters(&mut wanted, "two", false);
    assert_eq!(envoy.drain(&mut session, &wanted), [""; 0]);
    listen(&mut wanted, "nobody");
    assert_eq!(envoy.drain(&mut session, &wanted), ["l", "-two"]);
}
