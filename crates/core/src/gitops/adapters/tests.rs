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
        "--policy=sync",
        "--txt-owner-id=dev-01",
        "--txt-prefix=p-",
        "--interval=300s"
    ]);
    let map = json!({"source": ["gateway-httproute"], "domain-filter": "a.example", "policy": "sync",
        "txt-owner-id": "dev-01", "txt-prefix": "p-", "interval": "5m"});
    for arguments in [list, map] {
        let input = json!({"provider": "google", "sources": ["service"], "policy": "upsert-only", "extraArgs": arguments});
        let (same, problems) = external_dns(input);
        assert_eq!((same, problems), (values.clone(), vec![]));
    }
}

#[test]
fn nothing_is_dropped_in_silence() {
    let (settings, problems) = external_dns(json!({
        "provider": {"name": "google", "webhook": {"image": {}}}, "txtOwnerId": "x", "sources": ["service", "crd"],
        "resources": {"limits": {}}, "labelFilter": "a=b", "annotationFilter": "c", "extraArgs": ["loose", 7, "--google-project=p", "--once"]}));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!((&*settings.label_filter, &*settings.annotation_filter), ("a=b", "c"));
    let of = |code| problems.iter().find(|p| p.0 == code).unwrap().1.clone();
    assert_eq!(
        of(640),
        "external-dns: these values have no effect on one machine: provider.webhook, resources, extraArgs 7, extraArgs loose, \
         extraArgs --google-project, extraArgs --once"
    );
    assert!(of(644).ends_with("service, crd"));
}

#[test]
fn what_cannot_be_used_falls_to_the_safe_side() {
    let (settings, problems) = external_dns(json!({
        "policy": "everything", "interval": "soon", "registry": "noop", "domainFilters": "a.example", "txtOwnerId": 7}));
    assert_eq!(settings.policy, Policy::CreateOnly);
    assert_eq!((settings.interval_seconds, &*settings.owner), (60, "7"));
    let codes: Vec<_> = problems.iter().map(|p| p.0).collect();
    assert_eq!(codes, [641, 641, 641, 642]);
    let (settings, problems) = external_dns(json!({}));
    assert_eq!((settings.policy, &*settings.owner), (Policy::UpsertOnly, "default"));
    assert_eq!(problems[0].0, 643);
    // No mapping at all must not panic either.
    assert_eq!(external_dns(Value::Null).1.len(), 1);
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
