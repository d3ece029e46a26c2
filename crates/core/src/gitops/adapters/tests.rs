#![allow(clippy::unwrap_used)]
use serde_json::json;

use super::*;
use crate::dns::Policy;

fn values(component: &str, values: Value) -> ComponentValues {
    ComponentValues {
        form: Form::default(),
        component: component.into(),
        object: ObjectKey::new("argoproj.io", "Application", "argocd", "app"),
        application: "app".into(),
        namespace: "ns".into(),
        version: Name::default(),
        values,
    }
}

fn external_dns(input: Value) -> (ExternalDns, Vec<(u16, String)>) {
    let made = adapt(&values("external-dns", input));
    let Some(Component::ExternalDns(settings)) = made.component else { panic!("{made:?}") };
    (*settings, made.problems.into_iter().map(|p| (p.code.0, p.message)).collect())
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
    let without_effect = of(640);
    for key in
        ["provider.webhook", "resources", "logLevel", "extraArgs --google-project", "extraArgs --events"]
    {
        assert!(without_effect.contains(key), "{key}: {without_effect}");
    }
    assert!(of(644).ends_with("service, crd"));
}

#[test]
fn what_older_versions_make_of_two_expressions_is_said() {
    let said = |input: Value, version: &str| {
        let mut input = input;
        input["txtOwnerId"] = "x".into();
        input["sources"] = json!(["gateway-httproute"]);
        let made = adapt(&ComponentValues { version: version.into(), ..values("external-dns", input) });
        made.problems.iter().any(|problem| problem.code.0 == 649)
    };
    let both = json!({"regexDomainFilter": "a", "regexDomainExclusion": "b"});
    assert!(said(both.clone(), "1.20.0"));
    assert!(!said(both.clone(), "1.21.0"));
    assert!(!said(both, ""), "the version is not declared");
    let alone = json!({"regexDomainExclusion": "b"});
    assert!(said(alone.clone(), "1.20.0"), "it is not looked at");
    assert!(!said(alone, "1.21.0"));
    let lists = json!({"regexDomainExclusion": "b", "domainFilters": ["a.example"]});
    assert!(said(lists, "1.21.0"), "they are not looked at");
    assert!(!said(json!({"regexDomainFilter": "a"}), "1.20.0"));
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
        (json!({"extraArgs": "--a"}), "extraArgs is text, not a list"),
        (json!({"txtOwnerId": 5}), "txtOwnerId is a number, not text"),
        (json!({"labelFilter": 5}), "labelFilter is a number, not text"),
        (json!({"namespaced": "true"}), "namespaced is text, not a boolean"),
        (json!({"extraArgs": ["--gateway-name={{ .Values.x }}"]}), "cannot be filled in"),
        (
            json!({"sources": ["gateway-httproute", "gateway-httpsroute"]}),
            "no source \"gateway-httpsroute\"; gateway-httproute may be meant",
        ),
        (json!({"sources": []}), "no sources specified"),
        (json!({"sources": null}), "no sources specified"),
        (
            json!({"extraArgs": ["--txt-encrypt-enabled"]}),
            "must be set when TXT record encryption is enabled",
        ),
        (
            json!({"extraArgs": ["--txt-encrypt-enabled", "--txt-encrypt-aes-key=abc"]}),
            "must be 32 bytes long",
        ),
        (json!({"txtPrefix": "a b."}), "holds ' ', which no DNS name can"),
        (json!({"txtSuffix": "-%{record-type}"}), "holds '%'"),
        (json!({"policy": "everything"}), "--policy has a value that is not one of those"),
        (json!({"interval": "soon"}), "--interval is no duration"),
        (json!({"domainFilters": "a.example"}), "domainFilters is text, not a list"),
        (json!({"domainFilters": [{"a": 1}]}), "domainFilters[0] is a mapping, not text"),
        (json!({"labelFilter": ["a"]}), "labelFilter is a list, not text"),
        (json!({"txtPrefix": "a", "txtSuffix": "b"}), "exclude each other"),
        (json!({"domainFilter": ["a.example"]}), "domainFilters may be meant"),
        (json!({"image": {"tag": "v0.22.0"}}), "since 0.22 a policy must be chosen"),
        (
            json!({"env": [{"name": "EXTERNAL_DNS_DRY_RUN", "value": "yes"}]}),
            "EXTERNAL_DNS_DRY_RUN is \"yes\", which is neither true nor false",
        ),
        (json!({"env": [{"name": "EXTERNAL_DNS_EVENTS", "value": "on"}]}), "EXTERNAL_DNS_EVENTS is \"on\""),
        (json!({"env": [{"name": "EXTERNAL_DNS_DRY_RUN", "value": "T"}]}), "--dry-run changes no record"),
        (
            json!({"env": [{"name": "EXTERNAL_DNS_MIN_TTL", "value": "5"}]}),
            "--min-ttl is no duration such as 5m",
        ),
        (json!({"logLevel": "warn"}), "--log-level has a value that is not one of those"),
        (json!({"logFormat": "yaml"}), "--log-format has a value that is not one of those"),
        (json!({"extraArgs": ["--compatibility=kops"]}), "--compatibility has a value"),
        (json!({"provider": {"name": "gogle"}}), "\"gogle\"; google may be meant"),
        (json!({"extraArgs": ["--annotation-prefix="]}), "--annotation-prefix cannot be empty"),
        (json!({"annotationPrefix": "custom.io"}), "--annotation-prefix must end with '/'"),
        (json!({"extraArgs": ["--kube-api-qps=0"]}), "--kube-api-qps must be greater than 0"),
        (json!({"extraArgs": ["--kube-api-burst=-1"]}), "--kube-api-burst must be greater than 0"),
        (json!({"extraArgs": ["--create-ptr"]}), "--create-ptr requires PTR"),
        (
            json!({"provider": "rfc2136", "extraArgs": ["--rfc2136-insecure", "--rfc2136-gss-tsig"]}),
            "mutually exclusive arguments",
        ),
        (
            json!({"provider": "rfc2136", "extraArgs": ["--rfc2136-gss-tsig"]}),
            "--rfc2136-kerberos-realm is required",
        ),
        (
            json!({"provider": "rfc2136", "extraArgs": ["--rfc2136-batch-change-size=0"]}),
            "batch size specified for rfc2136",
        ),
        (json!({"provider": "rfc2136", "extraArgs": ["--rfc2136-min-ttl=-1m"]}), "TTL specified for rfc2136"),
        (
            json!({"provider": "azure", "extraArgs": ["--azure-config-file="]}),
            "no Azure config file specified",
        ),
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
        json!({"env": [{"name": "EXTERNAL_DNS_DRY_RUN", "value": ""}, {"name": "EXTERNAL_DNS_ONCE", "value": "F"}]}),
        json!({"env": [{"name": "EXTERNAL_DNS_DRY_RUN", "value": "yes"}, {"name": "EXTERNAL_DNS_DRY_RUN", "value": "0"}]}),
        json!({"logLevel": "warning", "logFormat": "json", "extraArgs": ["--kube-api-qps=5", "--annotation-prefix=custom.io/"]}),
        json!({"managedRecordTypes": ["A", "PTR"], "extraArgs": ["--create-ptr"]}),
        json!({"provider": "google", "extraArgs": ["--rfc2136-batch-change-size=0"]}),
        json!({"txtPrefix": "%{record_type}-_x."}),
        json!({"sources": [], "extraArgs": ["--source=gateway-httproute"]}),
        json!({"extraArgs": ["--txt-encrypt-enabled", "--txt-encrypt-aes-key=0123456789abcdef0123456789abcdef"]}),
        json!({"extraArgs": ["--txt-encrypt-enabled"], "env": [{"name": "EXTERNAL_DNS_TXT_ENCRYPT_AES_KEY", "valueFrom": {"secretKeyRef": {}}}]}),
    ] {
        assert_eq!(stopped(harmless.clone()), None, "{harmless}");
    }
}

#[test]
fn a_record_type_that_is_none_is_named() {
    let (settings, problems) = external_dns(
        json!({"txtOwnerId": "x", "sources": ["gateway-httproute"], "managedRecordTypes": ["A,CNAME"]}),
    );
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
        let Some(Component::ExternalDns(settings)) = made.component else { panic!("no external-dns") };
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

fn fates(made: &Adapted, fate: Fate) -> String {
    let items = made.ledger.iter().filter(|(of, ..)| *of == fate).map(|(.., item)| item.as_str());
    items.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_other_components() {
    let made = adapt(&values("cert-manager", json!({"crds": {"enabled": true, "keep": true}})));
    let Some(Component::CertManager(settings)) = &made.component else { panic!("{made:?}") };
    assert_eq!(&*settings.cluster_resource_namespace, "ns");
    assert_eq!(
        (fates(&made, Fate::Used), fates(&made, Fate::Irrelevant)),
        ("crds.enabled".into(), "crds.keep".into())
    );
    let flags = json!({"extraArgs": ["--cluster-resource-namespace=other", "--v=2"]});
    let made = adapt(&values("cert-manager", flags));
    assert!(
        matches!(made.component, Some(Component::CertManager(c)) if &*c.cluster_resource_namespace == "other")
    );
    let foreign = json!({"config": {"envoyGateway": {"gateway": {"controllerName": "x.example/y"}}}});
    assert_eq!(adapt(&values("gateway-helm", foreign)).problems[0].code.0, 641);
    assert_eq!(adapt(&values("redis", json!({}))), Adapted::default());
}

/// Codes of what is said, and the keys that were not looked at.
fn said(component: &str, input: Value) -> (Vec<u16>, String) {
    let made = adapt(&values(component, input));
    (made.problems.iter().map(|p| p.code.0).collect(), fates(&made, Fate::NotLookedAt))
}

#[test]
fn what_may_change_an_answer_and_is_not_looked_at_is_said() {
    for (component, input, unseen) in [
        ("cert-manager", json!({"config": {"namespace": "a"}}), "config.namespace"),
        ("cert-manager", json!({"extraArgs": ["--namespace=a"]}), "extraArgs --namespace"),
        ("cert-manager", json!({"extraArgs": ["--no-such-flag"]}), "extraArgs --no-such-flag"),
        ("cert-manager", json!({"disableAutoApproval": true}), "disableAutoApproval"),
        (
            "cert-manager",
            json!({"featureGates": "NoSuchGate=true,NameConstraints=true"}),
            "featureGates NoSuchGate",
        ),
        (
            "cert-manager",
            json!({"config": {"featureGates": {"ValidateCAA": true}}}),
            "config.featureGates ValidateCAA",
        ),
        (
            "cert-manager",
            json!({"extraArgs": ["--feature-gates=OtherNames=false"]}),
            "extraArgs --feature-gates OtherNames",
        ),
        ("cert-manager", json!({"config": {"futureKey": 1}}), "config.futureKey"),
        ("cert-manager", json!({"replicaCount": 0}), "replicaCount"),
        ("cert-manager", json!({"replicaCount": "2"}), "replicaCount"),
        ("cert-manager", json!({"extraArgs": "--enable-gateway-api"}), "extraArgs"),
        ("cert-manager", json!({"config": {"enableGatewayAPI": "true"}}), "config.enableGatewayAPI"),
        ("cert-manager", json!({"clusterResourceNamespace": 5}), "clusterResourceNamespace"),
        (
            "gateway-helm",
            json!({"config": {"envoyGateway": {"provider": {"kubernetes": {"watch": {"type": "Namespaces", "namespaces": ["a"]}}}}}}),
            "config.envoyGateway.provider.kubernetes.watch",
        ),
        (
            "gateway-helm",
            json!({"config": {"envoyGateway": {"extensionManager": {"hooks": {"x": 1}}}}}),
            "config.envoyGateway.extensionManager",
        ),
        ("sealed-secrets", json!({"extraDeploy": [{"kind": "Secret"}]}), "extraDeploy"),
        (
            "reflector",
            json!({"extraEnv": [{"name": "ES_Reflector__Watcher__ExcludedNamespaces"}]}),
            "extraEnv",
        ),
    ] {
        let (codes, found) = said(component, input.clone());
        assert!(codes.contains(&646), "{component} {input}: {codes:?}");
        assert_eq!(found, unseen, "{component} {input}");
    }
    for (component, harmless) in [
        (
            "cert-manager",
            json!({"disableAutoApproval": false, "featureGates": "", "config": {}, "extraArgs": []}),
        ),
        (
            "cert-manager",
            json!({"config": {"apiVersion": "controller.config.cert-manager.io/v1alpha1",
            "kind": "ControllerConfiguration", "controllers": ["*"]}, "ingressShim": {"defaultIssuerKind": "Issuer"}}),
        ),
        ("cert-manager", json!({"featureGates": "ExperimentalGatewayAPISupport=true, ServerSideApply=true"})),
        ("cert-manager", json!({"extraArgs": ["--enable-gateway-api", "--v=4"], "replicaCount": 2})),
        (
            "gateway-helm",
            json!({"config": {"envoyGateway": {"extensionApis": {}, "provider": {"type": "Kubernetes"}}}}),
        ),
        ("sealed-secrets", json!({"keyrenewperiod": "0", "createController": true})),
        (
            "kyverno",
            json!({"config": {"webhooks": {"namespaceSelector": {}}}, "features": {"policyExceptions": {"enabled": true}}}),
        ),
    ] {
        let (codes, unseen) = said(component, harmless.clone());
        assert!(
            unseen.is_empty() && codes.iter().all(|code| *code == 640),
            "{component} {harmless}: {codes:?} {unseen}"
        );
    }
}

#[test]
fn a_misspelt_key_that_matters_is_told() {
    let made = adapt(&values("reflector", json!({"configuration": {"watcher": {"excludeNamespaces": "a"}}})));
    assert_eq!(
        made.problems.iter().map(|p| p.code.0).collect::<Vec<_>>(),
        [640],
        "below a known key: {made:?}"
    );
    let (_, problems) = external_dns(
        json!({"domainFilter": ["a.example"], "txtOwnerId": "x", "sources": ["gateway-httproute"]}),
    );
    assert_eq!(
        problems
            .iter()
            .filter(|(_, said)| said.contains("domainFilter ") || said.contains("domainFilters"))
            .count(),
        1,
        "{problems:?}"
    );
    let made = adapt(&values("cert-manager", json!({"disableAutoAproval": true, "grafana": 1})));
    let told: Vec<_> = made.problems.iter().filter(|p| p.code.0 == 647).map(|p| p.message.clone()).collect();
    assert_eq!(told, ["cert-manager: disableAutoAproval is not known to the chart; disableAutoApproval is"]);
}

#[test]
fn sealed_secrets_reach_where_their_controller_looks() {
    let reach = |input: Value| {
        let made = adapt(&values("sealed-secrets", input));
        let Some(Component::SealedSecrets(settings)) = made.component else { panic!("no component") };
        let stopped = made.problems.iter().any(|p| p.code.0 == 648);
        let all =
            settings.namespaces.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        (all, stopped)
    };
    let only = |names: &str| (Some(names.to_owned()), false);
    assert_eq!(reach(json!({})), (None, false));
    assert_eq!(reach(json!({"additionalNamespaces": ["b", "a"]})), only("a b ns"));
    assert_eq!(reach(json!({"args": ["--all-namespaces=false", "--update-status"]})), only("ns"));
    assert_eq!(reach(json!({"args": ["--additional-namespaces", "a,b"]})), only("a b ns"));
    assert_eq!(reach(json!({"args": ["--all-namespaces"], "additionalNamespaces": ["a"]})), (None, false));
    assert_eq!(reach(json!({"args": ["--label-selector=a=b"]})), (Some(String::new()), true));
    // What the controller does not start with opens nothing; a word after a switch is none of its own.
    assert_eq!(reach(json!({"args": ["--all-namespaces", "false"]})), (None, false));
    assert_eq!(reach(json!({"args": ["--all-namespaces=false", "--all-namespaces=T"]})), (None, false));
    assert_eq!(
        reach(json!({"args": ["--additional-namespaces=a", "--additional-namespaces=b"]})),
        only("b ns")
    );
    assert_eq!(reach(json!({"command": ["/usr/bin/controller", "--all-namespaces=f"]})), only("ns"));
    assert_eq!(reach(json!({"additionalNamespaces": "b"})), only("b ns"));
    assert_eq!(reach(json!({"additionalNamespaces": "b,c", "command": ["controller"]})), only("b c ns"));
    assert_eq!(reach(json!({"additionalNamespaces": [5, null]})), only("5 ns"));
    for empty in [json!([]), json!(""), json!(null)] {
        assert_eq!(reach(json!({"additionalNamespaces": empty, "args": empty})), (None, false), "{empty}");
    }
    for stopped in [
        json!({"createController": false}),
        json!({"additionalNamespaces": {"b": true}}),
        json!({"additionalNamespaces": [["b"]]}),
        json!({"command": ["sh"]}),
        json!({"command": "controller"}),
        json!({"args": "--all-namespaces=false"}),
        json!({"args": [5]}),
        json!({"args": ["--all-namespaces=no"]}),
        json!({"args": ["-all-namespaces=false"]}),
        json!({"args": ["--nope"]}),
        json!({"args": ["--additional-namespaces"]}),
        json!({"args": ["--additional-namespaces={{ .Values.x }}"]}),
        json!({"args": ["--max-unseal-retries=x"]}),
        json!({"args": ["--update-status=x"]}),
        json!({"args": ["--key-renew-period=nope"]}),
        json!({"args": ["--kubeclient-qps=many"]}),
        json!({"args": ["--version"]}),
        json!({"keyrenewperiod": "nope"}),
        json!({"keyttl": 720}),
        json!({"maxRetries": "many"}),
    ] {
        assert_eq!(reach(stopped.clone()), (Some(String::new()), true), "{stopped}");
    }
    let made = adapt(&values("sealed-secrets", json!({"args": ["--all-namespace=false"]})));
    let told = made.problems.iter().find(|problem| problem.code.0 == 648).unwrap();
    assert_eq!(
        told.message,
        "sealed-secrets: it would not start: unknown flag: --all-namespace; --all-namespaces may be meant; no SealedSecret is opened"
    );
}

#[test]
fn gateways_are_looked_at_where_cert_manager_is_told_so() {
    let told = |version: &str, input: Value| {
        let values = ComponentValues { version: version.into(), ..values("cert-manager", input) };
        let made = adapt(&values);
        assert!(made.problems.iter().all(|problem| problem.code.0 == 640), "{made:?}");
        let Some(Component::CertManager(told)) = &made.component else { panic!("no cert-manager") };
        ((told.shim.gateways, told.shim.listener_sets), fates(&made, Fate::NotLookedAt))
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
    let more = json!({"featureGates": "ListenerSets=true,ServerSideApply=true", "extraArgs": ["--v=4"]});
    let made = adapt(&values("cert-manager", more));
    assert_eq!(fates(&made, Fate::Irrelevant), "featureGates ServerSideApply extraArgs --v");
}

#[test]
fn the_default_issuer_of_ingresses_is_that_of_the_last_word() {
    let input = json!({
        "config": {"ingressShimConfig": {"defaultIssuerName": "config", "defaultIssuerGroup": "g", "extraCertificateAnnotations": ["a", "b"]}},
        "ingressShim": {"defaultIssuerName": "value", "defaultIssuerKind": "ClusterIssuer"},
        "extraArgs": ["--default-issuer-name=flag", "--auto-certificate-annotations=x/y, z"],
    });
    let made = adapt(&values("cert-manager", input));
    assert_eq!(made.problems, []);
    let Some(Component::CertManager(told)) = made.component else { panic!("no cert-manager") };
    let shim = told.shim;
    assert_eq!((&*shim.issuer, &*shim.issuer_kind, &*shim.issuer_group), ("flag", "ClusterIssuer", "g"));
    assert_eq!(
        (shim.auto_annotations, shim.extra_annotations),
        (vec!["x/y".into(), "z".into()], vec!["a".into(), "b".into()])
    );
}

/// A container as `standing` finds it, in a Deployment of namespace `dns`.
fn workload(container: Value) -> ComponentValues {
    let mut container = container;
    if container.get("image").is_none() {
        container["image"] = json!("registry.k8s.io:443/external-dns/external-dns:v0.21.0@sha256:00");
    }
    if container.get("name").is_none() {
        container["name"] = json!("main");
    }
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "names"},
        "spec": {"selector": {"matchLabels": {"app": "names"}}, "template": {"metadata": {"labels": {"app": "names"}},
            "spec": {"containers": [{"name": "side", "image": "busybox"}, container],
            "volumes": [{"secret": {"secretName": "file"}}]}}}});
    let mut found = standing(&object, &Name::default(), &Name::new("dns"));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

const FLAGS: [&str; 6] = [
    "--source=gateway-httproute",
    "--provider=google",
    "--registry=txt",
    "--txt-owner-id=me",
    "--policy=sync",
    "--domain-filter=other.org",
];

/// Fresh eyes, 2026-11-30: an external-dns without a chart was not seen, and all names were published under another owner.
#[test]
fn an_external_dns_that_stands_as_a_workload_says_the_same_as_its_chart() {
    let (chart, problems) = external_dns(json!({
        "provider": {"name": "google"}, "sources": ["gateway-httproute"], "domainFilters": ["other.org"],
        "policy": "sync", "txtOwnerId": "me", "image": {"tag": "v0.21.0"}}));
    assert_eq!(problems, []);
    let apart: Vec<&str> = FLAGS.iter().flat_map(|flag| flag.split('=')).collect();
    let env: Vec<Value> = FLAGS
        .iter()
        .map(|flag| {
            let (name, value) = flag.trim_start_matches("--").split_once('=').unwrap();
            json!({"name": format!("EXTERNAL_DNS_{}", name.to_uppercase().replace('-', "_")), "value": value})
        })
        .collect();
    let command: Vec<&str> = ["/bin/external-dns"].into_iter().chain(FLAGS).collect();
    let mut named = FLAGS.to_vec();
    named[5] = "--domain-filter=$(ZONE)";
    let zone = json!([{"name": "TOP", "value": "org"}, {"name": "ZONE", "value": "other.$(TOP)"}]);
    for container in [
        json!({"args": FLAGS}),
        json!({"args": apart}),
        json!({"command": command}),
        json!({"command": ["external-dns"], "args": FLAGS}),
        json!({"env": env}),
        json!({"args": named, "env": zone}),
        json!({"args": FLAGS, "image": "bitnami/external-dns:0.21.0"}),
    ] {
        let made = adapt(&workload(container.clone()));
        assert_eq!(made.problems, [], "{container}");
        let Some(Component::ExternalDns(mut settings)) = made.component else { panic!("{container}") };
        assert_eq!(settings.object.to_string(), "Deployment/dns/names");
        assert_eq!((&*settings.namespace, &*settings.application), ("dns", ""));
        assert_eq!(settings.credentials, ["file"]);
        settings.object.clone_from(&chart.object);
        settings.namespace.clone_from(&chart.namespace);
        settings.application.clone_from(&chart.application);
        settings.credentials.clear();
        assert_eq!(*settings, chart, "{container}");
    }
}

#[test]
fn what_a_workload_says_and_is_not_known_stops_external_dns() {
    let at = "spec.template.spec.containers[1]";
    let mut unknown = FLAGS.to_vec();
    unknown[5] = "--domain-filtr=other.org";
    let mut elsewhere = FLAGS.to_vec();
    elsewhere[5] = "--domain-filter=$(ZONE)";
    let from = json!({"secretKeyRef": {"name": "s", "key": "k"}});
    let script = "external-dns --source=gateway-httproute --provider=google";
    for (container, field, says) in [
        (json!({"command": ["sh", "-c", script]}), "command[0]", "the command is \"sh\""),
        (json!({"args": unknown}), "args[5]", "it has no flag --domain-filtr; --domain-filter may be meant"),
        (
            json!({"args": elsewhere, "env": [{"name": "ZONE", "valueFrom": from}]}),
            "args[5]",
            "set from elsewhere",
        ),
        (
            json!({"args": FLAGS, "env": [{"name": "EXTERNAL_DNS_LABEL_FILTER", "valueFrom": from}]}),
            "env[0]",
            "stands for --label-filter",
        ),
        (
            json!({"args": FLAGS, "envFrom": [{"configMapRef": {"name": "c"}}]}),
            "envFrom[0]",
            "may set any of its flags",
        ),
        (json!({"args": &FLAGS[1..]}), "", "no sources specified"),
        (
            json!({"args": ["--source=gateway-httproute", "--txt-owner-id=me"]}),
            "args",
            "required flag --provider",
        ),
        (json!({"args": "--source=gateway-httproute"}), "args", "args is no list"),
    ] {
        let made = adapt(&workload(container.clone()));
        let Some(Component::ExternalDns(settings)) = made.component else { panic!("{container}") };
        assert!(settings.stopped, "{container}");
        let told: Vec<_> = made.problems.iter().filter(|problem| problem.code == Code(645)).collect();
        let [told] = told[..] else { panic!("{container}: {:?}", made.problems) };
        assert!(told.message.contains(says), "{container}: {}", told.message);
        assert_eq!(*told.field, *format!("{at}.{field}").trim_end_matches('.'), "{container}");
    }
    // What sets nothing of external-dns' own closes nothing.
    for container in [
        json!({"args": FLAGS, "envFrom": [{"prefix": "AWS_", "secretRef": {"name": "c"}}]}),
        json!({"args": FLAGS, "env": [{"name": "CF_API_TOKEN", "valueFrom": from}]}),
    ] {
        assert_eq!(adapt(&workload(container.clone())).problems, [], "{container}");
    }
}

#[test]
fn a_workload_without_pods_publishes_nothing_and_other_images_are_none() {
    let deployment = |replicas: u32, image: &str| {
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "a", "namespace": "b"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": image, "args": FLAGS}]}}}})
    };
    let found = |object: &Value| standing(object, &Name::new("app"), &Name::default());
    let none = found(&deployment(0, "external-dns"));
    let made = adapt(&none[0]);
    let told: Vec<_> = made.problems.iter().map(|p| (p.code.0, p.severity, &*p.field)).collect();
    assert_eq!(told, [(645, Severity::Warning, "spec.replicas")]);
    assert!(matches!(made.component, Some(Component::ExternalDns(settings)) if settings.stopped));
    for image in ["team/external-dns-webhook:1", "external-dns/proxy", "team/my-external-dns"] {
        assert_eq!(found(&deployment(1, image)), [], "{image}");
    }
    let mut job = deployment(1, "external-dns");
    job["apiVersion"] = json!("corp.example/v1");
    assert_eq!(found(&job), []);
}

/// What Kubernetes refuses of a workload does not run, so it does nothing that it says.
#[test]
fn a_workload_that_kubernetes_refuses_does_nothing() {
    let object = |field: &str, value: Value| {
        let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "b"},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b", "c": "d"}},
                "spec": {"containers": [{"name": "c", "image": "external-dns", "args": FLAGS}]}}}});
        let (at, last) = field.rsplit_once('/').unwrap();
        object.pointer_mut(at).unwrap()[last] = value;
        object
    };
    let of = |object: &Value| {
        let made = adapt(&standing(object, &Name::new("app"), &Name::default())[0]);
        let Some(Component::ExternalDns(settings)) = made.component else { panic!("{object}") };
        let told = made.problems.iter().find(|problem| problem.code.0 == 645);
        (settings.stopped, told.map_or_else(String::new, |told| format!("{} {}", told.field, told.message)))
    };
    let container = "/spec/template/spec/containers/0/";
    for (field, value, says) in [
        ("/spec/replicas", json!("0"), "spec.replicas is text, not a whole number"),
        ("/spec/replicas", json!(1.5), "spec.replicas is a number, not a whole number"),
        ("/spec/replicas", json!(-1), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ("/spec/selector", json!(null), "spec.selector: Required value"),
        ("/spec/selector", json!({}), "empty selector is invalid"),
        ("/spec/selector", json!({"matchLabels": {"a": "x"}}), "`selector` does not match template `labels`"),
        (
            "/spec/selector",
            json!({"matchExpressions": [{"key": "c", "operator": "DoesNotExist"}]}),
            "`selector` does not match template `labels`",
        ),
        ("/spec/selector", json!({"matchLabels": ["a"]}), "no selector of labels"),
        (&*format!("{container}name"), json!(null), "containers[0].name: Required value"),
        (&*format!("{container}env"), json!({"A": "b"}), "env is a mapping, not a list"),
        (&*format!("{container}env"), json!([{"value": "b"}]), "env[0].name: Required value"),
    ] {
        let (stopped, told) = of(&object(field, value.clone()));
        assert!(stopped && told.contains(says), "{field} {value}: {told}");
    }
    for (field, value) in [
        ("/spec/replicas", json!(2)),
        ("/spec/replicas", json!(null)),
        ("/spec/selector", json!({"matchExpressions": [{"key": "c", "operator": "In", "values": ["d"]}]})),
    ] {
        assert_eq!(of(&object(field, value.clone())), (false, String::new()), "{field} {value}");
    }
}

#[test]
fn cert_manager_and_sealed_secrets_that_stand_as_workloads_are_told_by_their_flags() {
    let of = |image: &str, container: Value| {
        let mut container = container;
        container["image"] = json!(image);
        adapt(&workload(container))
    };
    let certs = "quay.io/jetstack/cert-manager-controller:v1.21.0";
    let own =
        json!([{"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]);
    let usual =
        ["--v=2", "--cluster-resource-namespace=$(POD_NAMESPACE)", "--leader-election-namespace=kube-system"];
    let settings = |made: &Adapted| match &made.component {
        Some(Component::CertManager(settings)) => {
            (settings.cluster_resource_namespace.to_string(), settings.shim.gateways)
        }
        other => panic!("{other:?}"),
    };
    let made = of(certs, json!({"args": usual, "env": own}));
    assert_eq!(settings(&made), ("dns".to_owned(), false));
    assert!(made.problems.iter().all(|problem| problem.severity == Severity::Info), "{:?}", made.problems);
    let made = of(certs, json!({"args": ["--enable-gateway-api", "--controllers=-certificates-issuing"]}));
    assert_eq!(settings(&made), ("kube-system".to_owned(), true));
    let told = made.problems.iter().find(|problem| problem.code == Code(646)).unwrap();
    assert!(told.message.contains("args --controllers"), "{}", told.message);
    assert_eq!(*told.field, *"spec.template.spec.containers[1].args");
    let made = of(certs, json!({"command": ["sh", "-c", "x"]}));
    assert!(made.problems.iter().any(|problem| problem.code == Code(646)));

    let sealed = "docker.io/bitnami/sealed-secrets-controller:0.36.0";
    let namespaces = |container: Value| match of(sealed, container.clone()).component {
        Some(Component::SealedSecrets(settings)) => {
            settings.namespaces.map(|all| all.into_iter().collect::<Vec<_>>())
        }
        other => panic!("{container}: {other:?}"),
    };
    assert_eq!(namespaces(json!({"command": ["controller"], "args": []})), None);
    let only = Some(vec![Name::new("dns")]);
    assert_eq!(namespaces(json!({"args": ["--all-namespaces=false"]})), only);
    assert_eq!(
        namespaces(json!({"env": [{"name": "SEALED_SECRETS_ALL_NAMESPACES", "value": "false"}]})),
        only
    );
    assert_eq!(
        namespaces(
            json!({"env": [{"name": "SEALED_SECRETS_ALL_NAMESPACES", "value": "false"}], "args": ["--all-namespaces"]})
        ),
        None
    );
    assert_eq!(namespaces(json!({"env": [{"name": "SEALED_SECRETS_OTHER", "value": "x"}]})), None);
    for stopped in [
        json!({"command": ["sh", "-c", "controller"]}),
        json!({"command": ["sh"]}),
        json!({"args": "--update-status"}),
        json!({"args": ["-all-namespaces=false"]}),
        json!({"env": [{"name": "SEALED_SECRETS_ALL_NAMESPACES", "value": "no"}]}),
    ] {
        assert_eq!(namespaces(stopped.clone()), Some(vec![]), "{stopped}");
    }
}

#[test]
fn the_file_of_envoy_gateway_is_read_as_the_values_that_become_it() {
    let map = |data: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "envoy-gateway-config", "namespace": "egs"},
            "data": {"envoy-gateway.yaml": data}})
    };
    let codes = |data: &str| {
        let found = standing(&map(data), &Name::default(), &Name::default());
        let made = adapt(&found[0]);
        assert!(made.problems.iter().all(|problem| *problem.field == *"data"), "{:?}", made.problems);
        let severe = made.problems.iter().filter(|problem| problem.severity != Severity::Info);
        severe.map(|problem| problem.code.0).collect::<Vec<_>>()
    };
    let usual =
        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyGateway\nprovider: {type: Kubernetes}\n";
    assert_eq!(
        codes(&format!(
            "{usual}gateway: {{controllerName: gateway.envoyproxy.io/gatewayclass-controller}}\n"
        )),
        [0_u16; 0]
    );
    assert_eq!(codes(&format!("{usual}gateway: {{controllerName: corp.example/eg}}\n")), [641]);
    let watch = "provider: {type: Kubernetes, kubernetes: {watch: {type: Namespaces, namespaces: [team]}}}\n";
    assert_eq!(codes(watch), [646]);
    assert_eq!(codes("a: [b\n"), [646]);
}
