//! Removal order: records first, then the route.

use portolan_model::{Instant, Object, RouteKey, RouteKind};

use super::edge::{Edge, HTTPS, object, route};
use crate::{
    dns::{
        drain::{is_kept, is_leaving, keep, original, spoken},
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

/// Hosts that a route is served under, not those that a listener answers with 404.
fn served(edge: &Edge) -> Vec<String> {
    let hosts = edge.engine.rows::<VirtualHost>().filter(|host| !host.entries.is_empty());
    hosts.map(|host| host.key.1.to_string()).collect()
}

fn departed(edge: &Edge) -> Vec<bool> {
    edge.engine.rows::<Departed>().map(|row| row.late).collect()
}

#[test]
fn sentences_name_what_a_copy_was_made_of() {
    for (text, told) in [
        ("HTTPRoute/t/app~1a2289ea34a is older", "HTTPRoute/t/app is older"),
        ("t/a~1a2289ea34a, t/b2~1a2289ea34b", "t/a, t/b2"),
        // Neither a path of somebody's nor a short number is one.
        ("~/charts/a~1 and ~1a2289ea34a", "~/charts/a~1 and ~1a2289ea34a"),
        ("", ""),
    ] {
        assert_eq!(spoken(text), told);
    }
}

#[test]
fn a_removed_route_is_served_until_its_records_are_gone() {
    let mut edge = published();
    let kept = keep(&edge.engine, &old(), None, &[], UNTIL).unwrap();
    edge.remove("HTTPRoute", "app");
    edge.put(&kept);
    edge.step();
    let key = RouteKey { kind: RouteKind::Http, name: kept.key.name.clone() };
    assert!(is_leaving(&key));
    assert_eq!(original(&key).to_string(), "HTTPRoute/t/app");
    assert_eq!(served(&edge), ["a.example.com", "b.example.com"], "still served");
    assert!(edge.wanted().is_empty(), "and not desired");
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
    let kept = keep(&edge.engine, &old(), None, &[], UNTIL).unwrap();
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
    let kept = keep(&edge.engine, &old(), Some(&new), &[], UNTIL).unwrap();
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
    assert!(keep(&edge.engine, &old(), Some(&old()), &[], UNTIL).is_none(), "nothing is lost");
    let wide = object(&route("app", HTTPS, "", ""));
    assert!(keep(&edge.engine, &old(), Some(&wide), &[], UNTIL).is_none());
    let mut fresh = Edge::ready();
    fresh.put(&old());
    fresh.step();
    assert!(keep(&fresh.engine, &old(), None, &[], UNTIL).is_none(), "nothing is published");
    let kept = keep(&edge.engine, &old(), None, &[], UNTIL).unwrap();
    assert!(keep(&edge.engine, &kept, None, &[], UNTIL).is_none(), "a copy leaves no copy");
}

#[test]
fn a_name_that_another_route_takes_over_is_not_waited_for() {
    let mut edge = published();
    let kept = keep(&edge.engine, &old(), None, &[], UNTIL).unwrap();
    edge.remove("HTTPRoute", "app");
    edge.put(&kept);
    edge.apply(&route("other", HTTPS, "a.example.com, b.example.com", ""));
    edge.step();
    assert_eq!(departed(&edge), [false]);
    assert!(edge.publish().actions.iter().all(|action| action.verb != crate::dns::Verb::Delete));
}

#[test]
fn a_route_that_moves_to_another_gateway_is_served_at_the_old_one_until_its_records_have_moved() {
    let mut edge = published();
    let elsewhere = object(&route("app", "{name: two, namespace: g}", "a.example.com, b.example.com", ""));
    let kept = keep(&edge.engine, &old(), Some(&elsewhere), &[], UNTIL).unwrap();
    assert_eq!(kept.json["spec"]["parentRefs"][0]["name"], "one");
    assert_eq!(kept.json["spec"]["hostnames"], old().json["spec"]["hostnames"]);
    edge.put(&elsewhere);
    edge.put(&kept);
    edge.publish();
    let at_one = ["a.example.com A 127.77.1.1", "b.example.com A 127.77.1.1"];
    assert_eq!(edge.stands(), at_one, "the new Gateway serves nothing yet: the names stay");
    assert!(departed(&edge).is_empty());
    assert!(served(&edge).len() >= 4, "served at both: {:?}", served(&edge));
    edge.ack(crate::gateway::rows::WireType::Listener, "gw/g/two/80", Ok(()));
    edge.publish();
    assert_eq!(edge.stands(), ["a.example.com A 127.77.1.2", "b.example.com A 127.77.1.2"]);
    assert_eq!(departed(&edge), [false], "nothing points to the old Gateway any more");
}

#[test]
fn a_removed_gateway_is_kept_until_no_name_points_to_it() {
    let mut edge = published();
    let gateway = super::edge::GATEWAYS.split("---").nth(1).unwrap();
    let gateway = object(gateway);
    let marked = keep(&edge.engine, &gateway, None, &[], UNTIL).unwrap();
    assert_eq!(marked.key, gateway.key);
    assert!(is_kept(&marked) && !is_kept(&gateway));
    assert!(keep(&edge.engine, &marked, None, &[], UNTIL).is_none(), "it is marked once");
    edge.put(&marked);
    edge.step();
    assert_eq!(served(&edge), ["a.example.com", "b.example.com"], "still served");
    assert!(edge.wanted().is_empty(), "and nothing is desired");
    assert!(departed(&edge).is_empty());
    edge.publish();
    assert!(edge.stands().is_empty());
    assert_eq!(departed(&edge), [false]);
    // It comes back before it is gone: no mark, and the desired records are there again.
    edge.put(&gateway);
    edge.publish();
    assert_eq!(edge.stands().len(), 2);
    assert!(departed(&edge).is_empty());
}

#[test]
fn a_gateway_without_published_names_goes_at_once() {
    let mut edge = Edge::ready();
    edge.put(&old());
    edge.step();
    let gateway = object(super::edge::GATEWAYS.split("---").nth(1).unwrap());
    assert!(keep(&edge.engine, &gateway, None, &[], UNTIL).is_none());
}
