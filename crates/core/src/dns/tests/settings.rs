//! Settings from external-dns, and zones of the embedded server.

use portolan_model::{Name, ObjectKey, RouteKind, dns::RecordType};
use serde_json::json;

use crate::{
    dns::{Policy, Registry, observe::embedded_zone, rows::DnsSettings},
    gitops::adapters::{Component, ComponentValues, adapt},
};

fn of(values: serde_json::Value) -> (DnsSettings, usize) {
    let values = ComponentValues {
        component: "external-dns".into(),
        object: ObjectKey::new("argoproj.io", "Application", "argocd", "dns"),
        application: "dns".into(),
        namespace: "dns".into(),
        version: Name::default(),
        values,
    };
    let Some(Component::ExternalDns(component)) = adapt(&values).component else { panic!("no external-dns") };
    let (settings, problems) = DnsSettings::of_external_dns(&component);
    (settings, problems.len())
}

#[test]
fn external_dns_values_become_settings() {
    let (settings, problems) = of(json!({
        "provider": {"name": "google"}, "sources": ["gateway-httproute", "ingress"], "policy": "sync",
        "domainFilters": ["Dev.Example.com."], "excludeDomains": [".private.dev.example.com"],
        "registry": "txt", "txtOwnerId": "dev-01", "txtPrefix": "x-%{record_type}.", "interval": "5m",
    }));
    assert_eq!(problems, 0);
    assert!(settings.managed);
    assert_eq!(settings.sources, [RouteKind::Http]);
    assert_eq!(settings.plan.types, [RecordType::A, RecordType::Aaaa, RecordType::Cname]);
    assert_eq!(settings.interval_seconds, 300);
    assert_eq!(settings.plan.owner, "dev-01");
    assert_eq!(settings.plan.policy, Policy::Sync);
    assert_eq!(settings.plan.domain_filter, [Name::new("dev.example.com")]);
    assert_eq!(settings.plan.registry, Registry::new("x-%{record_type}.", "", "").unwrap());
    assert!(settings.plan.in_scope("a.dev.example.com") && settings.plan.in_scope("private.dev.example.com"));
    assert!(!settings.plan.in_scope("a.private.dev.example.com") && !settings.plan.in_scope("a.example.com"));
    let (defaults, _) = of(json!({"managedRecordTypes": ["A"]}));
    assert_eq!((defaults.plan.policy, &*defaults.plan.owner), (Policy::UpsertOnly, "default"));
    assert_eq!(defaults.plan.types, [RecordType::A]);
}

#[test]
fn a_filter_that_cannot_be_read_widens_nothing() {
    let (settings, problems) = of(json!({"domainFilters": ["a..b"]}));
    assert_eq!(problems, 1);
    assert!(!settings.plan.in_scope("app.example.com"));
}

#[test]
fn a_filter_of_routes_that_cannot_be_read_publishes_and_removes_nothing() {
    let (settings, problems) = of(json!({"labelFilter": "team!=b", "annotationFilter": "team in (a)"}));
    assert!(settings.managed && problems == 0);
    assert_eq!(
        (settings.scope.labels.expressions.len(), settings.scope.annotations.expressions.len()),
        (1, 1)
    );
    for (values, wrong) in [
        (json!({"labelFilter": "team in"}), 1),
        (json!({"annotationFilter": "team!=b"}), 1),
        (json!({"labelFilter": "a b", "extraArgs": {"annotation-filter": "a=/"}}), 2),
    ] {
        let (settings, problems) = of(values);
        assert!(!settings.managed);
        assert_eq!(problems, wrong);
    }
}

#[test]
fn a_folder_is_owned_by_its_environment() {
    assert_eq!(DnsSettings::of_folder("default").plan.owner, "portolan");
    assert_eq!(DnsSettings::of_folder("dev-01").plan.owner, "dev-01");
    assert!(!DnsSettings::unmanaged().managed);
}

#[test]
fn zones_are_filters_solver_zones_or_the_last_two_labels() {
    let mut settings = DnsSettings::of_folder("").plan;
    let zone = |name: &str, settings: &_, solvers: &[Name]| {
        embedded_zone(&name.into(), settings, solvers, |_| false)
    };
    assert_eq!(zone("app.dev.example.com", &settings, &[]).unwrap(), "example.com");
    assert_eq!(zone("*.example.com", &settings, &[]).unwrap(), "example.com");
    let solvers = ["dev.example.com".into()];
    assert_eq!(zone("app.dev.example.com", &settings, &solvers).unwrap(), "dev.example.com");
    assert_eq!(zone("app.prod.example.com", &settings, &solvers).unwrap(), "example.com");
    settings.domain_filter = vec![".dev.example.com".into(), "a.dev.example.com".into()];
    assert_eq!(zone("x.a.dev.example.com", &settings, &[]).unwrap(), "a.dev.example.com");
    assert_eq!(zone("b.dev.example.com", &settings, &[]).unwrap(), "dev.example.com");
    assert_eq!(zone("example.org", &settings, &[]), None, "filtered out: REFUSED");
    // A filter that is a host itself.
    let (host, registry) = (Name::new("shop.dev.example.com"), Registry::default());
    let of = |name: &str, registry: Registry, solvers: &[Name]| {
        let settings = crate::dns::Settings {
            domain_filter: vec![host.clone()],
            registry,
            ..crate::dns::Settings::default()
        };
        embedded_zone(&name.into(), &settings, solvers, |name| *name == host).unwrap()
    };
    assert_eq!(of(&host, registry.clone(), &[]), "dev.example.com");
    assert_eq!(
        of("x.shop.dev.example.com", registry.clone(), &[]),
        "dev.example.com",
        "with what is below it"
    );
    assert_eq!(of(&host, registry, std::slice::from_ref(&host)), host, "a solver knows it as a zone");
    assert_eq!(
        of(&host, Registry::new("x-%{record_type}.", "", "").unwrap(), &[]),
        host,
        "its entry is below it"
    );
}

#[test]
fn blank_filters_are_skipped_and_exclusions_that_cannot_be_read_close() {
    let (settings, problems) = of(json!({"domainFilters": ["", " ", "a.example"], "excludeDomains": [""]}));
    assert_eq!((settings.plan.domain_filter.len(), settings.plan.exclude.len(), problems), (1, 0, 0));
    assert!(!settings.plan.in_scope("www.other.example.org") && settings.plan.in_scope("x.a.example"));
    for wrong in ["*.internal.example", "a.example,b.example", "a..b"] {
        let (settings, problems) = of(json!({"domainFilters": [wrong]}));
        assert!(
            settings.managed && problems == 1 && !settings.plan.in_scope("x.internal.example"),
            "{wrong}"
        );
        let (settings, problems) = of(json!({"excludeDomains": [wrong]}));
        assert!(!settings.managed && problems == 1, "{wrong}");
    }
}

#[test]
fn expressions_replace_the_lists() {
    let (settings, problems) = of(json!({"domainFilters": ["a.example"], "extraArgs": {
        "regex-domain-filter": r"^(www|shop)\.", "regex-domain-exclusion": "internal"}}));
    assert_eq!(problems, 0);
    for (name, within) in [
        ("www.b.example", true),
        ("shop.internal.example", false),
        ("x.a.example", false),
        ("xwww.a.example", false),
    ] {
        assert_eq!(settings.plan.in_scope(name), within, "{name}");
    }
    let (settings, _) =
        of(json!({"domainFilters": ["a.example"], "extraArgs": {"regex-domain-exclusion": "^x"}}));
    assert!(settings.plan.in_scope("y.a.example"), "an exclusion alone");
    assert!(!settings.plan.in_scope("x.a.example") && !settings.plan.in_scope("y.b.example"));
    for wrong in ["(", "(?=a)", "[a&&b]", r"\Qa", "a{1001}", "[[a]b]"] {
        let (settings, problems) = of(json!({"extraArgs": {"regex-domain-filter": wrong}}));
        assert!(!settings.managed && problems == 1, "{wrong}");
    }
}

#[test]
fn networks_templates_and_types_are_read_or_close() {
    let (settings, problems) =
        of(json!({"extraArgs": ["--target-net-filter=192.0.2.0/24", "--target-net-filter=2001:db8::/32",
        "--exclude-target-net=192.0.2.128/25"]}));
    assert_eq!(problems, 0);
    for (target, within) in [
        ("192.0.2.1", true),
        ("192.0.2.200", false),
        ("198.51.100.1", false),
        ("2001:db8::1", true),
        ("2001:db9::1", false),
        ("::ffff:192.0.2.1", true),
        ("lb.example", false),
    ] {
        assert_eq!(settings.scope.lets_in(target), within, "{target}");
    }
    let (settings, _) = of(json!({"extraArgs": ["--exclude-target-net=0.0.0.0/0"]}));
    assert!(
        !settings.scope.lets_in("1.2.3.4")
            && settings.scope.lets_in("lb.example")
            && settings.scope.lets_in("::1")
    );
    for (flag, wrong) in [
        ("target-net-filter", "192.0.2.0"),
        ("exclude-target-net", "192.0.2.0/33"),
        ("exclude-target-net", "10.0.0.0/8,192.168.0.0/16"),
        ("gateway-label-filter", "a b"),
        ("annotation-prefix", "no-slash"),
        ("fqdn-template", "{{ `{{ range .Spec.Hostnames }}x{{ end }}` }}"),
    ] {
        let (settings, problems) = of(json!({"extraArgs": {flag: wrong}}));
        assert!(!settings.managed && problems == 1, "--{flag}={wrong}");
    }
    for wrong in [
        json!({"managedRecordTypes": ["A,CNAME"]}),
        json!({"managedRecordTypes": ["a"]}),
        json!({"extraArgs": ["--exclude-record-types=ALIAS"]}),
    ] {
        assert!(!of(wrong.clone()).0.managed, "{wrong}");
    }
    let (settings, problems) = of(json!({"managedRecordTypes": ["A", "TXT", "CNAME"],
        "extraArgs": ["--exclude-record-types=CNAME", "--exclude-record-types=NS"]}));
    assert_eq!((settings.plan.types.as_slice(), problems), (&[RecordType::A][..], 0));
}
