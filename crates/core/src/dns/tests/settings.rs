//! Settings from external-dns, and zones of the embedded server.

use portolan_model::{Name, ObjectKey, RouteKind, dns::RecordType};
use serde_json::json;

use crate::{
    dns::{Policy, Registry, observe::embedded_zone, rows::DnsSettings},
    gitops::adapters::{Component, ComponentValues, Form, TsigSecret, adapt},
};

fn of(values: serde_json::Value) -> (DnsSettings, usize) {
    let values = ComponentValues {
        form: Form::default(),
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
    for wrong in ["a.*.example", "a.example,b.example", "a..b"] {
        let (settings, problems) = of(json!({"domainFilters": [wrong]}));
        assert!(
            settings.managed && problems == 1 && !settings.plan.in_scope("x.internal.example"),
            "{wrong}"
        );
        let (settings, problems) = of(json!({"excludeDomains": [wrong]}));
        assert!(!settings.managed && problems == 1, "{wrong}");
    }
}

/// external-dns compares names (`matchFilter`): of a wildcard the record of that name alone is meant.
#[test]
fn a_filter_with_a_wildcard_is_the_name_of_one_record() {
    let wildcard = "*.dev.example.com";
    let (settings, problems) = of(json!({"excludeDomains": [wildcard]}));
    assert!(settings.managed && problems == 0);
    assert!(!settings.plan.in_scope(wildcard) && settings.plan.in_scope("a.dev.example.com"));
    let (settings, problems) = of(json!({"domainFilters": [wildcard]}));
    assert!(settings.managed && problems == 0);
    for (name, within) in [(wildcard, true), ("a.dev.example.com", false), ("dev.example.com", false)] {
        assert_eq!(settings.plan.in_scope(name), within, "{name}");
        let zone = embedded_zone(&name.into(), &settings.plan, &[], |_| false);
        assert_eq!(zone, within.then(|| "dev.example.com".into()), "{name}");
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

fn update_server(more: &serde_json::Value) -> serde_json::Value {
    let mut values = json!({
        "provider": {"name": "rfc2136"}, "policy": "sync", "txtOwnerId": "me",
        "extraArgs": [
            "--rfc2136-host=192.0.2.53", "--rfc2136-port=5353", "--rfc2136-zone=Example.com.", "--rfc2136-zone=example.org",
            "--rfc2136-tsig-keyname=edge", "--rfc2136-tsig-secret-alg=hmac-sha256",
        ],
        "env": [{
            "name": "EXTERNAL_DNS_RFC2136_TSIG_SECRET",
            "valueFrom": {"secretKeyRef": {"name": "tsig", "key": "secret"}},
        }],
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        match (&mut values[field], value) {
            (serde_json::Value::Array(had), serde_json::Value::Array(more)) => {
                had.extend(more.iter().cloned());
            }
            (had, value) => *had = value.clone(),
        }
    }
    values
}

#[test]
fn a_server_of_updates_is_read_with_the_place_of_its_secret() {
    let (settings, problems) = of(update_server(&json!({})));
    assert!(settings.managed && problems == 0);
    assert_eq!((&*settings.place.provider, &*settings.place.namespace), ("rfc2136", "dns"));
    let server = settings.place.server.unwrap();
    assert_eq!((server.hosts, server.port), (vec![Name::new("192.0.2.53")], 5353));
    assert_eq!((&*server.key, &*server.algorithm, server.refused), ("edge", "hmac-sha256", None));
    assert_eq!(server.secret, TsigSecret::Secret { name: "tsig".into(), key: "secret".into() });
    assert_eq!(server.zones, [Name::new("example.com"), Name::new("example.org")], "in normal form");

    // In the values themselves, or by a variable that the flag names.
    for (more, wanted) in [
        (json!({"extraArgs": ["--rfc2136-tsig-secret=c2VjcmV0"]}), TsigSecret::Value("c2VjcmV0".into())),
        (
            json!({"extraArgs": ["--rfc2136-tsig-secret=$(KEY)"], "env": [{"name": "KEY", "value": "c2VjcmV0"}]}),
            TsigSecret::Value("c2VjcmV0".into()),
        ),
    ] {
        let (settings, _) = of(update_server(&more));
        let server = settings.place.server.unwrap();
        assert_eq!(server.secret, wanted, "{more}");
        assert!(!format!("{server:?}").contains("c2VjcmV0"), "{server:?}");
    }
    for (more, part) in [
        (json!({"extraArgs": ["--rfc2136-gss-tsig"]}), "gss-tsig"),
        (json!({"extraArgs": ["--rfc2136-use-tls"]}), "use-tls"),
        (json!({"extraArgs": ["--rfc2136-zone=a..test"]}), "--rfc2136-zone a..test is no zone"),
        (json!({"extraArgs": ["--rfc2136-tsig-secret=$(NONE)"]}), "rfc2136-tsig-secret is not set"),
    ] {
        let (settings, _) = of(update_server(&more));
        let refused = settings.place.server.unwrap().refused;
        assert!(refused.as_ref().is_some_and(|why| why.contains(part)), "{more}: {refused:?}");
    }
    let (other, _) = of(json!({"provider": {"name": "google"}, "extraArgs": ["--rfc2136-zone=example.com"]}));
    assert_eq!(other.place.server, None);
    assert!(
        other.managed && other.plan.domain_filter.is_empty(),
        "external-dns looks at it with rfc2136 only"
    );
}

#[test]
fn names_outside_the_zones_of_the_server_are_not_published() {
    let (all, _) = of(update_server(&json!({})));
    assert_eq!(all.plan.domain_filter, ["example.com", "example.org"]);
    assert!(all.plan.in_scope("a.example.com"), "a zone that is written Example.com. is the same one");
    let (less, _) = of(update_server(&json!({"domainFilters": ["dev.example.com", "org", "example.net"]})));
    assert_eq!(less.plan.domain_filter, ["dev.example.com", "example.org"]);
    assert!(less.plan.in_scope("a.dev.example.com") && !less.plan.in_scope("a.example.com"));
    let (none, problems) = of(update_server(&json!({"domainFilters": ["example.net"]})));
    assert!(!none.managed && problems == 1, "what is asked for lies in no zone");
}
