//! Which names a route asks for.

use super::edge::{Edge, HTTPS, route};
use crate::dns::{
    Policy,
    rows::{DesiredRecord, DnsSettings, Stage},
};

const P: &str = "external-dns.kubernetes.io/";
const ALPHA: &str = "external-dns.alpha.kubernetes.io/";

/// Names that a route with these hostnames and annotations asks for.
fn asked(parents: &str, hostnames: &str, annotations: &str) -> Vec<String> {
    let mut edge = Edge::ready();
    edge.apply(&route("app", parents, hostnames, annotations));
    edge.step();
    edge.engine.rows::<DesiredRecord>().map(|desired| desired.key.0.to_string()).collect()
}

#[test]
fn hostnames_and_annotations_under_both_prefixes() {
    let none: [&str; 0] = [];
    let a = "a.example.com";
    assert_eq!(asked(HTTPS, a, ""), [a]);
    assert_eq!(asked(HTTPS, "", ""), none, "a listener's wildcard is not published by itself");
    assert_eq!(asked(HTTPS, "'*.example.com'", ""), ["*.example.com"], "unless the route names it");
    for prefix in [P, ALPHA] {
        let more = format!("{prefix}hostname: 'b.example.com, c.example.com'");
        assert_eq!(asked(HTTPS, "", &more), ["b.example.com", "c.example.com"]);
        assert_eq!(asked(HTTPS, a, &more), [a, "b.example.com", "c.example.com"]);
        let only = format!("{more}, {prefix}gateway-hostname-source: Annotation-Only");
        assert_eq!(asked(HTTPS, a, &only), ["b.example.com", "c.example.com"]);
        let defined = format!("{more}, {prefix}gateway-hostname-source: defined-hosts-only");
        assert_eq!(asked(HTTPS, a, &defined), [a]);
        assert_eq!(asked(HTTPS, a, &format!("{prefix}controller: other")), none);
        assert_eq!(asked(HTTPS, a, &format!("{prefix}controller: dns-controller")), [a]);
    }
    assert_eq!(asked(HTTPS, "a.example.org", ""), none, "the listener does not take it");
    assert_eq!(asked("{name: one, namespace: g}", a, ""), [a], "once, though two listeners take it");
}

#[test]
fn an_annotation_must_match_a_listener_and_says_what_the_route_does_not_serve() {
    let mut edge = Edge::ready();
    edge.apply(&route("app", HTTPS, "a.example.com", &format!("{P}hostname: 'b.example.org,c.example.com'")));
    edge.probe("a.example.com", Ok(200));
    assert_eq!(edge.codes(), ["PTL-0430", "PTL-0431"]);
    assert_eq!(
        edge.wanted(),
        ["a.example.com A 127.77.1.1 httproute/t/app", "c.example.com A 127.77.1.1 httproute/t/app"],
        "c is published as external-dns does, once its listener is ready"
    );
}

#[test]
fn a_route_without_hostnames_publishes_its_annotation_when_it_answers() {
    let mut edge = Edge::ready();
    edge.apply(&route("app", HTTPS, "", &format!("{ALPHA}hostname: app.example.com, {P}ttl: 2m")));
    assert_eq!(edge.gate("app.example.com").unwrap(), "waiting for *.example.com to answer through Envoy");
    edge.probe("*.example.com", Ok(404));
    assert_eq!(edge.wanted(), ["app.example.com A 127.77.1.1 ttl=120 httproute/t/app"]);
    assert!(edge.codes().is_empty());
}

#[test]
fn targets_of_the_gateway_replace_its_address() {
    let mut edge = Edge::ready();
    edge.apply(&super::edge::GATEWAYS.replace(
        "{name: one, namespace: g}",
        &format!("{{name: one, namespace: g, annotations: {{{ALPHA}target: 'LB.example.net.'}}}}"),
    ));
    edge.apply(&route("app", HTTPS, "app.example.com", ""));
    edge.probe("app.example.com", Ok(200));
    assert_eq!(edge.wanted(), ["app.example.com CNAME lb.example.net httproute/t/app"]);
    edge.publish();
    edge.address("one", None);
    assert_eq!(edge.wanted(), ["app.example.com CNAME lb.example.net httproute/t/app"]);
    edge.publish();
    edge.step();
    assert_eq!(edge.stands(), ["app.example.com CNAME lb.example.net"]);
    assert_eq!(edge.state("app.example.com").0, Stage::Answered);
}

#[test]
fn an_unspecified_address_is_not_published() {
    let mut edge = Edge::ready();
    edge.address("one", Some("0.0.0.0"));
    edge.apply(&route("app", HTTPS, "app.example.com", ""));
    edge.probe("app.example.com", Ok(200));
    assert!(edge.wanted().is_empty());
    assert_eq!(edge.codes(), ["PTL-0432"]);
}

#[test]
fn routes_that_share_a_name_are_united_or_told_apart() {
    let mut edge = Edge::ready();
    edge.apply(&route("b", HTTPS, "app.example.com", ""));
    edge.apply(&route("a", HTTPS, "app.example.com", ""));
    edge.probe("app.example.com", Ok(200));
    assert_eq!(edge.wanted(), ["app.example.com A 127.77.1.1 httproute/t/a"]);
    edge.publish();
    edge.apply(&route("a", HTTPS, "app.example.com", &format!("{P}ttl: '60'")));
    assert_eq!(edge.wanted().len(), 2, "another TTL is another desired record");
    edge.publish();
    assert_eq!(edge.codes(), ["PTL-0415"]);
    assert_eq!(edge.state("app.example.com").0, Stage::Answered, "one of them is served");
    edge.remove("HTTPRoute", "a");
    edge.publish();
    assert_eq!(edge.stands(), ["app.example.com A 127.77.1.1"], "the other route keeps the name");
    assert!(edge.codes().is_empty());
}

#[test]
fn filters_sources_and_types_limit_what_is_asked_for() {
    let with = |change: fn(&mut DnsSettings)| {
        let mut edge = Edge::ready();
        change(&mut edge.settings);
        edge.engine.put(edge.settings.clone());
        edge.apply(&route("app", HTTPS, "app.example.com", ""));
        edge.probe("app.example.com", Ok(200));
        edge
    };
    let mut edge = with(|s| s.plan.domain_filter = vec!["other.example.com".into()]);
    assert!(edge.wanted().is_empty());
    assert_eq!(edge.state("app.example.com").0, Stage::Outside);
    let mut edge = with(|s| s.sources = vec![portolan_model::RouteKind::Grpc]);
    assert!(edge.wanted().is_empty() && edge.engine.rows::<DesiredRecord>().len() == 0);
    let mut edge = with(|s| s.types = vec![portolan_model::dns::RecordType::Aaaa]);
    assert!(edge.wanted().is_empty());
    assert_eq!(edge.state("app.example.com").1, "its targets are of a type that is not managed");
    let mut edge = with(|s| s.managed = false);
    assert!(edge.wanted().is_empty());
    // create-only: what stands is never changed, and the host is live with it.
    let mut edge = with(|s| s.plan.policy = Policy::CreateOnly);
    edge.publish();
    edge.address("one", Some("127.77.1.9"));
    edge.publish();
    assert_eq!(edge.stands(), ["app.example.com A 127.77.1.1"]);
    assert_eq!(edge.state("app.example.com").0, Stage::Answered);
}
