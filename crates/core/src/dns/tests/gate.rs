//! The gate: what opens it, and that nothing but a changed desired record closes it again.

use super::edge::{END, Edge, HTTPS, route};
use crate::{
    dns::{Verb, rows::Stage},
    gateway::rows::WireType,
    status::rows::{EntryPoint, State},
};

const APP: &str = "app.example.com A 127.77.1.1 httproute/t/app";

fn app() -> String {
    route("app", HTTPS, "app.example.com", "")
}

/// A world in which `app.example.com` is published.
fn published() -> Edge {
    let mut edge = Edge::ready();
    edge.apply(&app());
    edge.probe("app.example.com", Ok(200));
    edge.publish();
    assert_eq!(edge.stands(), ["app.example.com A 127.77.1.1"]);
    edge
}

#[test]
fn each_missing_piece_keeps_a_name_back_and_is_named() {
    let mut edge = Edge::new();
    edge.apply(&app());
    let waits = |edge: &mut Edge, part: &str| {
        let why = edge.gate("app.example.com").unwrap();
        assert!(why.contains(part), "{why}");
        assert_eq!(edge.state("app.example.com"), (Stage::Waiting, why));
        assert_eq!(edge.wanted(), Vec::<String>::new());
        assert!(edge.publish().actions.is_empty());
    };
    waits(&mut edge, "Secret g/tls is not there yet");
    edge.certificate(&["*.example.com"]);
    waits(&mut edge, "accept gw/g/one/443");
    edge.ack(WireType::Listener, "gw/g/one/443", Ok(()));
    waits(&mut edge, "accept secret/g/tls");
    edge.ack(WireType::Secret, "secret/g/tls", Err("no"));
    waits(&mut edge, "Envoy refused secret/g/tls: no");
    edge.ack_all();
    waits(&mut edge, "waiting for app.example.com to answer through Envoy");
    edge.probe("app.example.com", Err("TLS: no"));
    waits(&mut edge, "does not answer yet: TLS: no");
    edge.probe("app.example.com", Ok(200));
    edge.certificate(&["other.example.com"]);
    waits(&mut edge, "covers other.example.com, not app.example.com");
    edge.certificate(&["*.example.com"]);
    edge.address("one", None);
    edge.step();
    assert_eq!(edge.wanted(), Vec::<String>::new(), "there is nowhere to point to");
    edge.address("one", Some("127.77.1.1"));
    assert_eq!(edge.wanted(), [APP]);
    edge.now = END.0;
    waits(&mut edge, "has expired");
}

#[test]
fn nothing_but_a_changed_desired_record_withdraws_a_published_name() {
    type Loss = (&'static str, fn(&mut Edge));
    let losses: [Loss; 6] = [
        ("expiry", |edge| edge.now = END.0 + 1),
        ("refusal", |edge| edge.ack(WireType::Listener, "gw/g/one/443", Err("no"))),
        ("silence", |edge| edge.probe("app.example.com", Err("connect: refused"))),
        ("another certificate", |edge| edge.certificate(&["other.example.com"])),
        ("lost address", |edge| edge.address("one", None)),
        ("address that moved to a listener that is not acked", |edge| {
            edge.ack(WireType::Listener, "gw/g/one/443", Err("no"));
            edge.address("one", Some("127.77.1.9"));
        }),
    ];
    for (what, lose) in losses {
        let mut edge = published();
        lose(&mut edge);
        assert_eq!(edge.wanted(), [APP], "{what}");
        assert!(edge.publish().is_empty(), "{what}");
        assert_eq!(edge.stands(), ["app.example.com A 127.77.1.1"], "{what}");
    }
    let mut edge = published();
    edge.apply(&route("app", HTTPS, "other.example.com", ""));
    let plan = edge.publish();
    assert!(plan.actions.iter().any(|action| action.verb == Verb::Delete));
    assert!(
        edge.stands().is_empty(),
        "a changed desired record withdraws, and the new name waits for its gate"
    );
}

#[test]
fn after_a_restart_the_kept_zone_is_enough() {
    let before = published();
    let mut edge = Edge::new();
    edge.apply(&app());
    edge.zone = before.zone;
    edge.report();
    assert_eq!(edge.wanted(), [APP], "no ack, no certificate, no probe");
    edge.address("one", None);
    assert_eq!(edge.wanted(), [APP], "and no address yet");
    assert!(edge.publish().is_empty());
}

#[test]
fn an_address_moves_once_the_new_one_is_served() {
    let mut edge = published();
    edge.ack(WireType::Listener, "gw/g/one/443", Err("no"));
    edge.address("one", Some("127.77.1.9"));
    assert!(edge.publish().is_empty());
    edge.ack_all();
    edge.publish();
    assert_eq!(edge.stands(), ["app.example.com A 127.77.1.9"]);
}

#[test]
fn a_second_gateway_joins_when_it_is_ready_and_leaves_no_hole() {
    let mut edge = published();
    let both = format!("{HTTPS}, {{name: two, namespace: g}}");
    edge.apply(&route("app", &both, "app.example.com", ""));
    assert_eq!(edge.wanted(), [APP], "two is not acked");
    edge.ack(WireType::Listener, "gw/g/two/80", Ok(()));
    edge.publish();
    assert_eq!(edge.stands(), ["app.example.com A 127.77.1.1,127.77.1.2"]);
    edge.address("two", None);
    edge.publish();
    assert_eq!(
        edge.stands(),
        ["app.example.com A 127.77.1.1,127.77.1.2"],
        "a lost address withdraws nothing"
    );
    edge.apply(&app());
    edge.publish();
    assert_eq!(edge.stands(), ["app.example.com A 127.77.1.1"], "a changed desired record does");
}

#[test]
fn an_entry_point_is_live_once_dns_answers() {
    let mut edge = Edge::ready();
    edge.apply(&app());
    edge.probe("app.example.com", Ok(200));
    edge.step();
    let entry = |edge: &Edge| {
        let row = edge.engine.get::<EntryPoint>(&"app.example.com".into()).unwrap();
        (row.state, row.why.clone())
    };
    let (state, why) = entry(&edge);
    assert_eq!(state, State::Pending);
    assert!(why.contains("being written"), "{why}");
    edge.publish();
    assert_eq!(entry(&edge).0, State::Live);
    assert_eq!(edge.state("app.example.com").0, Stage::Answered);
    edge.engine.put(crate::dns::rows::DnsAnswer {
        key: "app.example.com".into(),
        state: Err("127.0.0.1:53 did not answer".into()),
    });
    edge.step();
    assert_eq!(entry(&edge).0, State::Pending);
}

#[test]
fn a_foreign_record_is_left_alone_and_refuses_the_host() {
    let mut edge = Edge::ready();
    edge.zone.sets.push(super::plan::set("app.example.com A ttl=300 192.0.2.1"));
    edge.report();
    edge.apply(&app());
    edge.probe("app.example.com", Ok(200));
    edge.publish();
    assert_eq!(edge.stands(), ["app.example.com A 192.0.2.1"]);
    let (stage, why) = edge.state("app.example.com");
    assert_eq!(stage, Stage::Refused);
    assert!(why.contains("without a registry entry"), "{why}");
    assert_eq!(edge.codes(), ["PTL-0410"]);
    let entry = edge.engine.get::<EntryPoint>(&"app.example.com".into()).unwrap();
    assert_eq!(entry.state, State::Refused);
}
