#![allow(clippy::unwrap_used)]
use serde_json::json;

use super::*;
use crate::dns::Policy;

fn values(component: &str, values: Value) -> ComponentValues {
    ComponentValues {
        component: component.into(),
        object: ObjectKey::new("argoproj.io", "Application", "argocd", "app"),
        application: "app".into(),
        namespace: "ns".into(),
        version: Name::default(),
        values,
    }
}

fn external_dns(input: Value) -> (ExternalDns, Vec<(u16, String)>) {
    let (component, problems) = adapt(&values("external-dns", input));
    let Some(Component::ExternalDns(settings)) = component else { panic!("{component:?}") };
    (*settings, problems.into_iter().map(|p| (p.code.0, p.message)).collect())
}

#[test]
fn both_forms_of_values_and_arguments_mean_the_same() {
    let (values, problems) = external_dns(json!({
        "provider": {"name": "google"}, "sources": ["gateway-httproute"], "domainFilters": ["a.example"],
        "policy": "sync", "registry": "txt", "txtOwnerId": "dev-01", "txtPrefix": "p-", "interval": "5m"}));
    assert_eq!(problems, []);
    assert_eq!((values.policy, values.interval_seconds), (Policy::Sync, 300));
    let list = json!([
        "--source=gateway-httproute",
        "--domain-filter",
        "a.example",
        "--txt-owner-id=dev-01",
        "--txt-prefix=p-"
    ]);
    let map = json!({"source": ["gateway-httproute"], "domain-filter": "a.example",
        "txt-owner-id": "dev-01", "txt-prefix": "p-"});
    for arguments in [list, map] {
        let input = json!({"provider": "google", "sources": [], "policy": "sync", "interval": "300s", "extraArgs": arguments});
        let (same, problems) = external_dns(input);
        assert_eq!((same, problems), (values.clone(), vec![]));
    }
}

#[test]
fn nothing_is_dropped_in_silence() {
    let (settings, problems) = external_dns(json!({
        "provider": {"name": "google", "webhook": {"image": {}}}, "txtOwnerId": "x", "sources": ["service", "crd"],
        "resources": {"limits": {}}, "labelFilter": "a=b", "annotationFilter": "c", "logLevel": "debug",
        "extraArgs": ["--google-project=p", "--events"]}));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(!settings.stopped);
    assert_eq!((&*settings.label_filter, &*settings.annotation_filter), ("a=b", "c"));
    let of = |code| problems.iter().find(|p| p.0 == code).unwrap().1.clone();
    assert_eq!(
        of(640),
        "external-dns: these values have no effect on one machine: provider.webhook, resources, logLevel, \
         extraArgs --google-project, extraArgs --events"
    );
    assert!(of(644).ends_with("service, crd"));
}

/// Stopped, and the first words of why.
fn stopped(input: Value) -> Option<String> {
    let (settings, problems) = external_dns(input);
    let said: Vec<_> = problems.into_iter().filter(|(code, _)| *code == 645).collect();
    assert_eq!(settings.stopped, !said.is_empty());
    said.into_iter().next().map(|(_, message)| message)
}

#[test]
fn what_narrows_and_is_not_followed_stops_the_component() {
    for (input, part) in [
        (
            json!({"extraArgs": ["--zone-id-filter=Z1"]}),
            "--zone-id-filter is not followed: it limits the zones",
        ),
        (json!({"extraArgs": {"zone-name-filter": ["a.example"]}}), "--zone-name-filter is not followed"),
        (json!({"extraArgs": ["--aws-zone-type=private"]}), "stand for the public ones"),
        (json!({"aws": {"zoneType": "private"}}), "stand for the public ones"),
        (json!({"zoneIdFilters": ["Z1"]}), "--zone-id-filter is not followed"),
        (json!({"extraArgs": ["--once"]}), "--once is not followed"),
        (json!({"extraArgs": ["--dry-run"]}), "--dry-run changes no record"),
        (json!({"extraArgs": ["--ignore-hostname-annotation"]}), "needs --fqdn-template"),
        (
            json!({"extraArgs": ["--policy=sync"], "policy": "sync"}),
            "--policy is set twice, by policy and by extraArgs[0]",
        ),
        (json!({"extraArgs": ["--interval=5m"]}), "--interval is set twice, by interval and by extraArgs[0]"),
        (
            json!({"extraArgs": ["--gateway-nam=public"]}),
            "no flag --gateway-nam; --gateway-name may be meant",
        ),
        (json!({"extraArgs": ["--gateway-name"]}), "--gateway-name needs a value"),
        (json!({"extraArgs": ["--dry-run=false"]}), "--dry-run takes no value"),
        (json!({"extraArgs": ["--no-gateway-name=x"]}), "--no-gateway-name is no switch"),
        (json!({"extraArgs": ["loose"]}), "\"loose\" is no flag"),
        (json!({"extraArgs": [7]}), "extraArgs[0] is a number, not text"),
        (json!({"extraArgs": "--a"}), "extraArgs is text, not text"),
        (json!({"extraArgs": ["--gateway-name={{ .Values.x }}"]}), "cannot be filled in"),
        (json!({"policy": "everything"}), "--policy has a value that is not one of those"),
        (json!({"interval": "soon"}), "--interval is no duration"),
        (json!({"domainFilters": "a.example"}), "domainFilters is text, not a list"),
        (json!({"domainFilters": [{"a": 1}]}), "domainFilters[0] is a mapping, not text"),
        (json!({"labelFilter": ["a"]}), "labelFilter is a list, not text"),
        (json!({"txtPrefix": "a", "txtSuffix": "b"}), "exclude each other"),
        (json!({"domainFilter": ["a.example"]}), "domainFilters may be meant"),
        (json!({"image": {"tag": "v0.22.0"}}), "since 0.22 a policy must be chosen"),
        (
            json!({"env": [{"name": "EXTERNAL_DNS_GATEWAY_NAME", "valueFrom": {"configMapKeyRef": {}}}]}),
            "EXTERNAL_DNS_GATEWAY_NAME is set from elsewhere",
        ),
    ] {
        let said = stopped(input.clone());
        assert!(said.as_ref().is_some_and(|said| said.contains(part)), "{input}: {said:?}");
    }
    for harmless in [
        json!({"extraArgs": ["--aws-zone-type=public", "--zone-id-filter=", "--no-dry-run", "--batch-change-size=5"]}),
        json!({"extraArgs": {"dry-run": false, "events": null, "aws-zone-type": ""}}),
        json!({"env": [{"name": "EXTERNAL_DNS_DRY_RUN", "value": "false"}, {"name": "AWS_REGION"}], "logLevels": 1}),
        json!({"domainFilters": null, "extraArgs": null}),
    ] {
        assert_eq!(stopped(harmless.clone()), None, "{harmless}");
    }
}

#[test]
fn a_record_type_that_is_none_is_named() {
    let (settings, problems) =
        external_dns(json!({"txtOwnerId": "x", "sources": [], "managedRecordTypes": ["A,CNAME"]}));
    assert!(settings.stopped);
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].0, problems[0].1.contains("\"A,CNAME\" is no record type")), (641, true));
}

#[test]
fn lists_add_up_and_variables_stand_for_what_is_not_set() {
    let (settings, problems) = external_dns(json!({
        "domainFilters": ["a.example"], "excludeDomains": ["x.a.example"], "txtOwnerId": "x", "sources": ["gateway-httproute"],
        "namespaced": true,
        "extraArgs": ["--exclude-domains=y.a.example", "--domain-filter", "b.example", "--min-ttl=2m",
            "--fqdn-template={{ `{{.Name}}` }}.{{ .Release.Namespace }}.example"],
        "env": [{"name": "EXTERNAL_DNS_GATEWAY_NAME", "value": "public"}, {"name": "EXTERNAL_DNS_DOMAIN_FILTER", "value": "c.example"},
            {"name": "EXTERNAL_DNS_EXCLUDE_TARGET_NET", "value": "10.0.0.0/8\n172.16.0.0/12"}]}));
    assert_eq!(problems.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [640], "{problems:?}");
    assert_eq!(settings.domain_filters, ["a.example", "b.example"]);
    assert_eq!(settings.exclude_domains, ["x.a.example", "y.a.example"]);
    assert_eq!((&*settings.gateway_name, settings.namespaces.as_slice()), ("public", &["ns".into()][..]));
    assert_eq!(settings.excluded_nets, ["10.0.0.0/8", "172.16.0.0/12"]);
    assert_eq!(
        (settings.templates.as_slice(), settings.min_ttl),
        (&["{{.Name}}.ns.example".into()][..], 120)
    );
}

#[test]
fn the_version_is_that_of_the_image_else_of_the_chart() {
    let of = |version: &str, input: Value| {
        let made = adapt(&ComponentValues { version: version.into(), ..values("external-dns", input) });
        let Some(Component::ExternalDns(settings)) = made.0 else { panic!("no external-dns") };
        settings.version
    };
    assert_eq!(of("1.20.0", json!({})), Some(20));
    assert_eq!(of("~1.24", json!({})), Some(24));
    assert_eq!(of("1.20.0", json!({"image": {"tag": "v0.24.1"}})), Some(24));
    assert_eq!(of("*", json!({})), None);
    assert_eq!(of("", json!({"image": {"tag": "latest"}})), None);
}

#[test]
fn defaults() {
    let (settings, problems) = external_dns(json!({}));
    assert_eq!((settings.policy, &*settings.owner), (Policy::UpsertOnly, "default"));
    assert_eq!(problems.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [643, 644]);
    assert_eq!(settings.sources, ["service", "ingress"]);
    // No mapping at all must not panic either.
    assert_eq!(external_dns(Value::Null).1.len(), 2);
}

#[test]
fn the_other_components() {
    let (component, problems) =
        adapt(&values("cert-manager", json!({"crds": {"enabled": true, "keep": true}})));
    let Some(Component::CertManager(settings)) = component else { panic!("{component:?}") };
    assert_eq!(&*settings.cluster_resource_namespace, "ns");
    assert!(problems[0].message.ends_with("crds.keep"));
    let flags = json!({"extraArgs": ["--cluster-resource-namespace=other", "--v=2"]});
    let (component, _) = adapt(&values("cert-manager", flags));
    assert!(
        matches!(component, Some(Component::CertManager(c)) if &*c.cluster_resource_namespace == "other")
    );
    let foreign = json!({"config": {"envoyGateway": {"gateway": {"controllerName": "x.example/y"}}}});
    assert_eq!(adapt(&values("gateway-helm", foreign)).1[0].code.0, 641);
    assert_eq!(adapt(&values("redis", json!({}))).0, None);
}

#[test]
fn gateways_are_looked_at_where_cert_manager_is_told_so() {
    let told = |version: &str, input: Value| {
        let values = ComponentValues { version: version.into(), ..values("cert-manager", input) };
        let (Some(Component::CertManager(made)), problems) = adapt(&values) else {
            panic!("no cert-manager")
        };
        assert!(problems.iter().all(|problem| problem.code.0 == 640), "{problems:?}");
        let ignored = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
        ((made.shim.gateways, made.shim.listener_sets), ignored)
    };
    let new = "v1.21.2";
    for (version, input, expected) in [
        (new, json!({}), (false, false)),
        (new, json!({"config": {"apiVersion": "x", "kind": "y", "enableGatewayAPI": true}}), (true, false)),
        (new, json!({"config": {"gatewayAPI": {"enabled": true}}}), (true, false)),
        (new, json!({"extraArgs": ["--enable-gateway-api"]}), (true, false)),
        ("", json!({"extraArgs": ["--enable-gateway-api=true"]}), (true, false)),
        // A flag wins.
        (
            new,
            json!({"config": {"enableGatewayAPI": true}, "extraArgs": ["--enable-gateway-api=false"]}),
            (false, false),
        ),
        (
            new,
            json!({"config": {"enableGatewayAPI": true}, "featureGates": "ExperimentalGatewayAPISupport=false"}),
            (false, false),
        ),
        ("v1.14.7", json!({"featureGates": "ExperimentalGatewayAPISupport=true"}), (true, false)),
        ("v1.14.7", json!({"config": {"enableGatewayAPI": true}}), (false, false)),
        (
            new,
            json!({"config": {"enableGatewayAPI": true, "enableGatewayAPIListenerSet": true}}),
            (true, false),
        ),
        (
            new,
            json!({"config": {"enableGatewayAPI": true, "enableGatewayAPIListenerSet": true, "featureGates": {"ListenerSets": true}}}),
            (true, true),
        ),
    ] {
        assert_eq!(told(version, input.clone()), (expected, String::new()), "{version} {input}");
    }
    let (_, ignored) =
        told(new, json!({"featureGates": "ListenerSets=true,ServerSideApply=true", "extraArgs": ["--v=4"]}));
    assert!(ignored.ends_with(": featureGates ServerSideApply=true, extraArgs --v"), "{ignored}");
}

#[test]
fn the_default_issuer_of_ingresses_is_that_of_the_last_word() {
    let input = json!({
        "config": {"ingressShimConfig": {"defaultIssuerName": "config", "defaultIssuerGroup": "g", "extraCertificateAnnotations": ["a", "b"]}},
        "ingressShim": {"defaultIssuerName": "value", "defaultIssuerKind": "ClusterIssuer"},
        "extraArgs": ["--default-issuer-name=flag", "--auto-certificate-annotations=x/y, z"],
    });
    let (Some(Component::CertManager(made)), problems) = adapt(&values("cert-manager", input)) else {
        panic!()
    };
    assert_eq!(problems, []);
    let shim = made.shim;
    assert_eq!((&*shim.issuer, &*shim.issuer_kind, &*shim.issuer_group), ("flag", "ClusterIssuer", "g"));
    assert_eq!(
        (shim.auto_annotations, shim.extra_annotations),
        (vec!["x/y".into(), "z".into()], vec!["a".into(), "b".into()])
    );
}
