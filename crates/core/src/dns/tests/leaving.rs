//! Removal order of listeners and GatewayClasses: records first.

use portolan_model::{Instant, Object, ObjectKey};

use super::edge::{Edge, GATEWAYS, HTTPS, object, route};
use crate::{
    dns::{
        drain::{LISTENERS, NAMES, UNTIL as MARK, is_kept, keep, released},
        rows::Departed,
    },
    gateway::rows::{VirtualHost, WireListener},
    world::Finding,
};

const UNTIL: Instant = Instant(30_000);
const LATER: Instant = Instant(60_000);

/// `a` at the HTTPS listener only, `b` at every listener of the Gateway; both published.
fn published() -> Edge {
    let mut edge = Edge::ready();
    edge.apply(&route("a", HTTPS, "a.example.com", ""));
    edge.apply(&route("b", "{name: one, namespace: g}", "b.example.com", ""));
    edge.probe("a.example.com", Ok(200));
    edge.probe("b.example.com", Ok(200));
    edge.publish();
    assert_eq!(edge.stands().len(), 2);
    edge
}

fn gateway() -> Object {
    object(GATEWAYS.split("---").nth(1).unwrap())
}

/// The Gateway with its HTTP listener and these.
fn with(listeners: &[&str]) -> Object {
    let all = ["{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}"];
    let all: Vec<&str> = all.iter().chain(listeners).copied().collect();
    object(&format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: one, namespace: g}}\nspec: {{gatewayClassName: c, listeners: [{}]}}\n",
        all.join(", ")
    ))
}

const RENAMED: &str = "{name: web, port: 443, protocol: HTTPS, hostname: '*.example.com', allowedRoutes: {namespaces: {from: All}}, tls: {certificateRefs: [{name: tls}]}}";

fn departed(edge: &Edge) -> Vec<bool> {
    edge.engine.rows::<Departed>().map(|row| row.late).collect()
}

fn wanted(edge: &mut Edge) -> String {
    edge.wanted().join("\n")
}

fn served(edge: &Edge, host: &str) -> Vec<String> {
    let hosts = edge.engine.rows::<VirtualHost>().filter(|row| &*row.key.1 == host);
    hosts.map(|row| row.key.0.to_string()).collect()
}

#[test]
fn a_removed_listener_is_served_until_the_records_of_its_names_are_gone() {
    let mut edge = published();
    let new = with(&[]);
    let kept = keep(&edge.engine, &gateway(), Some(&new), &[], UNTIL).unwrap();
    assert_eq!((kept.key.clone(), kept.annotation(LISTENERS)), (gateway().key, Some("https")));
    assert!(is_kept(&kept));
    edge.put(&kept);
    edge.step();
    assert_eq!(served(&edge, "a.example.com"), ["rc/g/one/443/https"]);
    assert!(!wanted(&mut edge).contains("a.example.com") && wanted(&mut edge).contains("b.example.com"));
    assert!(departed(&edge).is_empty());
    edge.publish();
    assert_eq!(edge.stands(), ["b.example.com A 127.77.1.1"]);
    assert_eq!(departed(&edge), [false]);
    assert_eq!(released(&kept).unwrap().json, new.json, "what stands in the repository");
    edge.put(&new);
    edge.publish();
    assert!(served(&edge, "a.example.com").is_empty() && departed(&edge).is_empty());
    assert_eq!(edge.stands(), ["b.example.com A 127.77.1.1"]);
}

#[test]
fn the_wait_for_a_listener_has_an_end() {
    let mut edge = published();
    edge.put(&keep(&edge.engine, &gateway(), Some(&with(&[])), &[], UNTIL).unwrap());
    edge.now = UNTIL.0 - 1;
    edge.step();
    assert!(departed(&edge).is_empty());
    edge.now = UNTIL.0;
    edge.step();
    assert_eq!(departed(&edge), [true]);
}

#[test]
fn a_listener_without_published_names_goes_at_once() {
    let mut edge = Edge::ready();
    edge.apply(&route("a", HTTPS, "a.example.com", ""));
    edge.step();
    assert!(keep(&edge.engine, &gateway(), Some(&with(&[])), &[], UNTIL).is_none(), "nothing is published");
    let edge = published();
    assert!(keep(&edge.engine, &gateway(), Some(&gateway()), &[], UNTIL).is_none(), "nothing is removed");
}

#[test]
fn edits_meanwhile_lose_no_listener_that_is_leaving() {
    let mut edge = published();
    let kept = keep(&edge.engine, &gateway(), Some(&with(&[])), &[], UNTIL).unwrap();
    edge.put(&kept);
    edge.step();
    let other = "{name: other, port: 81, protocol: HTTP}";
    let again = keep(&edge.engine, &kept, Some(&with(&[other])), &[], LATER).unwrap();
    assert_eq!(again.json["spec"]["listeners"].as_array().unwrap().len(), 3);
    for mark in [MARK, NAMES, LISTENERS] {
        assert_eq!(again.annotation(mark), kept.annotation(mark), "the time is not begun anew");
    }
    // One more loses what it served: all get the new time.
    let http = with(&[]).json["spec"]["listeners"][0].clone();
    let mut last = with(&[other]);
    let mut json = (*last.json).clone();
    json["spec"]["listeners"].as_array_mut().unwrap().retain(|listener| *listener != http);
    last = Object::from_json(json, last.origin.clone()).unwrap();
    let all = keep(&edge.engine, &kept, Some(&last), &[], LATER).unwrap();
    assert_eq!(all.annotation(LISTENERS), Some("http,https"));
    assert_eq!(all.annotation(NAMES), Some("a.example.com,b.example.com"));
    assert_ne!(all.annotation(MARK), kept.annotation(MARK));
    // It comes back.
    assert!(keep(&edge.engine, &kept, Some(&gateway()), &[], LATER).is_none());
    // The Gateway goes: all names are waited for, and nothing is released.
    let whole = keep(&edge.engine, &kept, None, &[], LATER).unwrap();
    assert_eq!((whole.annotation(LISTENERS), released(&whole).is_none()), (None, true));
    assert_eq!(whole.annotation(NAMES), Some("a.example.com,b.example.com"));
    edge.put(&whole);
    edge.publish();
    assert!(edge.stands().is_empty());
    assert_eq!(departed(&edge), [false]);
}

#[test]
fn a_renamed_listener_serves_under_both_names_over_one_chain() {
    let mut edge = published();
    let kept = keep(&edge.engine, &gateway(), Some(&with(&[RENAMED])), &[], UNTIL).unwrap();
    edge.put(&kept);
    edge.step();
    assert_eq!(served(&edge, "a.example.com"), ["rc/g/one/443/web"], "it names the old listener still");
    let chains: Vec<String> = edge
        .engine
        .rows::<WireListener>()
        .filter(|row| row.port == 8443)
        .flat_map(|row| row.chains.iter().map(|chain| chain.routes.to_string()))
        .collect();
    assert_eq!(chains, ["rc/g/one/443/web"]);
    // Routes of these tests have no backends.
    let findings = edge.engine.rows::<Finding>().filter(|row| row.problem.code.0 != 229);
    let findings: Vec<String> = findings.map(|row| row.problem.message.clone()).collect();
    assert_eq!(findings, Vec::<String>::new());
    // A route that moves with it keeps its name: nothing is waited for.
    edge.apply(&route("a", "{name: one, namespace: g, sectionName: web}", "a.example.com", ""));
    edge.step();
    assert_eq!(departed(&edge), [false]);
    edge.put(&released(&kept).unwrap());
    edge.publish();
    assert_eq!(edge.stands().len(), 2);
    assert_eq!(served(&edge, "a.example.com"), ["rc/g/one/443/web"]);
}

#[test]
fn a_removed_class_is_kept_until_no_name_points_to_its_gateways() {
    let mut edge = published();
    let class = object(GATEWAYS.split("---").next().unwrap());
    let kept = keep(&edge.engine, &class, None, &[], UNTIL).unwrap();
    assert_eq!(kept.key, class.key);
    assert!(keep(&edge.engine, &kept, None, &[], UNTIL).is_none(), "it is marked once");
    assert!(released(&kept).is_none());
    edge.put(&kept);
    edge.step();
    assert_eq!(served(&edge, "a.example.com").len(), 1, "still served");
    assert!(edge.wanted().is_empty(), "and nothing is desired");
    edge.publish();
    assert!(edge.stands().is_empty());
    assert_eq!(departed(&edge), [false]);
    edge.put(&class);
    edge.publish();
    assert_eq!(edge.stands().len(), 2, "it comes back");
    assert!(departed(&edge).is_empty());
    // Of another class nothing goes.
    let other = ObjectKey::new("gateway.networking.k8s.io", "GatewayClass", "", "other");
    let mut json = (*class.json).clone();
    json["metadata"]["name"] = "other".into();
    let other = Object { key: other, ..Object::from_json(json, class.origin.clone()).unwrap() };
    assert!(keep(&edge.engine, &other, None, &[], UNTIL).is_none());
}
