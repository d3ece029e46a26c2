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
    assert_eq!(asked(HTTPS, "", ""), ["*.example.com"], "its listener's");
    assert_eq!(
        asked("{name: one, namespace: g, sectionName: http}", "", ""),
        none,
        "a listener without a hostname"
    );
    assert_eq!(asked(HTTPS, "'*.example.com'", ""), ["*.example.com"]);
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
    let mut edge = with(|s| s.plan.types = vec![portolan_model::dns::RecordType::Aaaa]);
    assert!(edge.wanted().is_empty());
    assert_eq!(edge.state("app.example.com").1, "its targets are of types that are not managed");
    assert_eq!(
        (edge.state("app.example.com").0, edge.codes()),
        (Stage::Outside, vec!["PTL-0438".to_owned()])
    );
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

/// Names of a route without hostnames, or with `a.example.com`, under settings that were changed.
fn under(change: fn(&mut DnsSettings), parents: &str, hostnames: &str, annotations: &str) -> Vec<String> {
    let mut edge = Edge::ready();
    change(&mut edge.settings);
    edge.engine.put(edge.settings.clone());
    edge.apply(&route("app", parents, hostnames, annotations));
    edge.step();
    let inside = |desired: &&std::sync::Arc<DesiredRecord>| desired.outside.is_none();
    edge.engine.rows::<DesiredRecord>().filter(inside).map(|desired| desired.key.0.to_string()).collect()
}

#[test]
fn a_listeners_name_beside_others_depends_on_the_version() {
    let annotated = format!("{P}hostname: b.example.com");
    assert_eq!(under(|_| {}, HTTPS, "", &annotated), ["b.example.com"], "since 0.24");
    let older = |s: &mut DnsSettings| s.scope.always_listener = true;
    assert_eq!(under(older, HTTPS, "", &annotated), ["*.example.com", "b.example.com"], "before 0.24");
    assert_eq!(under(older, HTTPS, "a.example.com", &annotated), ["a.example.com", "b.example.com"]);
    let defined = format!("{annotated}, {P}gateway-hostname-source: defined-hosts-only");
    assert!(under(older, HTTPS, "", &defined).is_empty());
}

#[test]
fn templates_make_names_and_the_annotation_can_be_ignored() {
    let template = |s: &mut DnsSettings| {
        s.scope.templates.add("{{.Name}}.example.com,{{.Labels.x}}.example.com").unwrap();
    };
    assert_eq!(under(template, HTTPS, "", ""), ["app.example.com"], "what is no name is left out");
    assert_eq!(under(template, HTTPS, "a.example.com", ""), ["a.example.com"]);
    let combined = |s: &mut DnsSettings| {
        s.scope.templates.add("{{.Name}}.example.com").unwrap();
        s.scope.combine = true;
        s.scope.ignore_hostnames = true;
    };
    let annotated = format!("{P}hostname: b.example.com");
    assert_eq!(under(combined, HTTPS, "a.example.com", &annotated), ["a.example.com", "app.example.com"]);
    let only = format!("{annotated}, {P}gateway-hostname-source: annotation-only");
    assert!(under(combined, HTTPS, "a.example.com", &only).is_empty());
}

#[test]
fn annotations_are_read_under_the_prefix_of_the_component() {
    let own = |s: &mut DnsSettings| {
        s.scope.prefix = crate::dns::annotations::Prefix::One("dns.example.com/".into());
    };
    let annotations = format!("dns.example.com/hostname: b.example.com, {P}hostname: c.example.com");
    assert_eq!(under(own, HTTPS, "a.example.com", &annotations), ["a.example.com", "b.example.com"]);
    assert!(under(own, HTTPS, "a.example.com", "dns.example.com/controller: other").is_empty());
    assert_eq!(under(own, HTTPS, "a.example.com", &format!("{P}controller: other")), ["a.example.com"]);
}

#[test]
fn gateways_and_routes_are_chosen() {
    let a = "a.example.com";
    let none: [&str; 0] = [];
    for (change, names) in [
        ((|s| s.scope.gateway_name = "one".into()) as fn(&mut DnsSettings), &[a][..]),
        (|s| s.scope.gateway_name = "two".into(), &none),
        (|s| s.scope.gateway_namespace = "g".into(), &[a]),
        (|s| s.scope.gateway_namespace = "t".into(), &none),
        (|s| s.scope.gateway_labels = crate::dns::selector::parse("a=b").unwrap(), &none),
        (|s| s.scope.gateway_labels = crate::dns::selector::parse("!a").unwrap(), &[a]),
        (|s| s.scope.namespaces = vec!["x".into(), "t".into()], &[a]),
        (|s| s.scope.namespaces = vec!["x".into()], &none),
        (|s| s.scope.excluded_nets.extend(crate::dns::scope::Net::parse("127.0.0.0/8")), &none),
        (|s| s.scope.excluded_nets.extend(crate::dns::scope::Net::parse("10.0.0.0/8")), &[a]),
    ] {
        assert_eq!(under(change, HTTPS, a, ""), names);
    }
}

#[test]
fn a_target_that_is_filtered_leaves_the_others() {
    let mut edge = Edge::ready();
    edge.settings.scope.excluded_nets.extend(crate::dns::scope::Net::parse("10.0.0.0/8"));
    edge.engine.put(edge.settings.clone());
    let both = format!("annotations: {{{P}target: '198.51.100.10,10.9.9.9'}}");
    edge.apply(
        &super::edge::GATEWAYS
            .replace("{name: one, namespace: g}", &format!("{{name: one, namespace: g, {both}}}")),
    );
    edge.apply(&route("app", HTTPS, "app.example.com", ""));
    edge.probe("app.example.com", Ok(200));
    assert_eq!(edge.wanted(), ["app.example.com A 198.51.100.10 httproute/t/app"]);
}

#[test]
fn of_weighted_twins_one_with_weight_0_is_not_answered() {
    let mut edge = Edge::ready();
    edge.apply(&super::edge::GATEWAYS.replace(
        "{name: two, namespace: g}",
        &format!("{{name: two, namespace: g, annotations: {{{P}target: 192.0.2.2}}}}"),
    ));
    let twin = |id: &str, weight: &str| format!("{P}set-identifier: {id}, {P}aws-weight: '{weight}'");
    edge.apply(&route("a", HTTPS, "w.example.com", &twin("a", "100")));
    edge.apply(&route("b", "{name: two, namespace: g}", "w.example.com", &twin("b", "0")));
    edge.probe("w.example.com", Ok(200));
    edge.ack(crate::gateway::rows::WireType::Listener, "gw/g/two/80", Ok(()));
    assert_eq!(edge.wanted(), ["w.example.com A 127.77.1.1 httproute/t/a"]);
    assert_eq!(edge.codes().iter().filter(|code| *code == "PTL-0439").count(), 2);
    edge.apply(&route("b", "{name: two, namespace: g}", "w.example.com", &twin("b", "1")));
    assert_eq!(edge.wanted(), ["w.example.com A 127.77.1.1,192.0.2.2 httproute/t/a"]);
}
