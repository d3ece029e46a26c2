//! Removal order: records first, then the route.

use portolan_model::{Instant, Object, RouteKey, RouteKind};

use super::edge::{Edge, HTTPS, object, route};
use crate::{
    dns::{
        drain::{copy, is_leaving, original},
        rows::Departed,
    },
    gateway::rows::VirtualHost,
    status::rows::{EntryPoint, State},
};

const UNTIL: Instant = Instant(30_000);

fn old() -> Object {
    object(&route("app", HTTPS, "a.example.com, b.example.com", ""))
}

/// Both names published.
fn published() -> Edge {
    let mut edge = Edge::ready();
    edge.put(&old());
    edge.probe("a.example.com", Ok(200));
    edge.probe("b.example.com", Ok(200));
    edge.publish();
    assert_eq!(edge.stands().len(), 2);
    edge
}

fn served(edge: &Edge) -> Vec<String> {
    edge.engine.rows::<VirtualHost>().map(|host| host.key.1.to_string()).collect()
}

fn departed(edge: &Edge) -> Vec<bool> {
    edge.engine.rows::<Departed>().map(|row| row.late).collect()
}

#[test]
fn a_removed_route_is_served_until_its_records_are_gone() {
    let mut edge = published();
    let kept = copy(&edge.engine, &old(), None, UNTIL).unwrap();
    edge.remove("HTTPRoute", "app");
    edge.put(&kept);
    edge.step();
    let key = RouteKey { kind: RouteKind::Http, name: kept.key.name.clone() };
    assert!(is_leaving(&key));
    assert_eq!(original(&key).to_string(), "HTTPRoute/t/app");
    assert_eq!(served(&edge), ["a.example.com", "b.example.com"], "still served");
    assert!(edge.wanted().is_empty(), "and not wished for");
    assert!(departed(&edge).is_empty());
    let entry = edge.engine.get::<EntryPoint>(&"a.example.com".into()).unwrap();
    assert_eq!((entry.state, entry.route.to_string()), (State::Pending, "HTTPRoute/t/app".to_owned()));
    assert!(entry.why.contains("leaving"), "{}", entry.why);
    edge.publish();
    assert!(edge.stands().is_empty());
    assert_eq!(departed(&edge), [false], "the records are gone: it may go");
    edge.remove("HTTPRoute", &key.name.name);
    edge.step();
    assert!(served(&edge).is_empty());
}

#[test]
fn the_wait_has_an_end() {
    let mut edge = published();
    let kept = copy(&edge.engine, &old(), None, UNTIL).unwrap();
    edge.remove("HTTPRoute", "app");
    edge.put(&kept);
    edge.now = UNTIL.0 - 1;
    edge.step();
    assert!(departed(&edge).is_empty());
    edge.now = UNTIL.0;
    edge.step();
    assert_eq!(departed(&edge), [true]);
}

#[test]
fn a_removed_hostname_is_served_alone() {
    let mut edge = published();
    let new = object(&route("app", HTTPS, "a.example.com", ""));
    let kept = copy(&edge.engine, &old(), Some(&new), UNTIL).unwrap();
    assert_eq!(kept.json["spec"]["hostnames"], serde_json::json!(["b.example.com"]));
    edge.put(&new);
    edge.put(&kept);
    edge.step();
    assert_eq!(served(&edge), ["a.example.com", "b.example.com"]);
    edge.publish();
    assert_eq!(edge.stands(), ["a.example.com A 127.77.1.1"]);
    assert_eq!(departed(&edge), [false]);
}

#[test]
fn nothing_is_kept_for_names_that_are_not_published_or_not_lost() {
    let edge = published();
    assert!(copy(&edge.engine, &old(), Some(&old()), UNTIL).is_none(), "nothing is lost");
    let wide = object(&route("app", HTTPS, "", ""));
    assert!(copy(&edge.engine, &old(), Some(&wide), UNTIL).is_none());
    let mut fresh = Edge::ready();
    fresh.put(&old());
    fresh.step();
    assert!(copy(&fresh.engine, &old(), None, UNTIL).is_none(), "nothing is published");
    let kept = copy(&edge.engine, &old(), None, UNTIL).unwrap();
    assert!(copy(&edge.engine, &kept, None, UNTIL).is_none(), "a copy leaves no copy");
}

#[test]
fn a_name_that_another_route_takes_over_is_not_waited_for() {
    let mut edge = published();
    let kept = copy(&edge.engine, &old(), None, UNTIL).unwrap();
    edge.remove("HTTPRoute", "app");
    edge.put(&kept);
    edge.apply(&route("other", HTTPS, "a.example.com, b.example.com", ""));
    edge.step();
    assert_eq!(departed(&edge), [false]);
    assert!(edge.publish().actions.iter().all(|action| action.verb != crate::dns::Verb::Delete));
}
