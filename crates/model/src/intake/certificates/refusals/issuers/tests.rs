#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

fn said(spec: &Value) -> Vec<String> {
    let object = json!({"spec": spec});
    let refusals = issuer(&Node::of(&object).get("spec"));
    refusals.into_iter().map(|one| one.field.trim_start_matches("spec.").to_owned()).collect()
}

/// An ACME issuer with one solver.
fn with(solver: &Value) -> Value {
    json!({"acme": {"server": "https://ca.example", "privateKeySecretRef": {"name": "key"}, "solvers": [solver]}})
}

#[test]
fn every_rule_of_the_webhook_for_solvers_has_a_refusal() {
    let secret = json!({"name": "s", "key": "k"});
    let dns = |provider: Value| json!({"dns01": provider});
    let all = [
        (json!({}), ""),
        (json!({"dns01": {}, "http01": {"ingress": {}}}), ""),
        (dns(json!({})), "dns01"),
        (dns(json!({"cnameStrategy": "Never", "cloudDNS": {"project": "p"}})), "dns01.cnameStrategy"),
        (dns(json!({"cloudDNS": {"project": ""}})), "dns01.cloudDNS.project"),
        (
            dns(json!({"cloudDNS": {"project": "p", "serviceAccountSecretRef": {"name": "a"}}})),
            "dns01.cloudDNS.serviceAccountSecretRef.key",
        ),
        (dns(json!({"cloudDNS": {"project": "p"}, "route53": {}})), "dns01.route53"),
        (dns(json!({"acmeDNS": {"host": "", "accountSecretRef": secret}})), "dns01.acmeDNS.host"),
        (
            dns(
                json!({"acmeDNS": {"host": "h", "accountSecretRef": secret}, "webhook": {"solverName": "a"}}),
            ),
            "dns01.webhook",
        ),
        (dns(json!({"cloudflare": {}})), "dns01.cloudflare"),
        (
            dns(
                json!({"cloudflare": {"email": "a@b", "apiKeySecretRef": secret, "apiTokenSecretRef": secret}}),
            ),
            "dns01.cloudflare",
        ),
        (dns(json!({"cloudflare": {"apiKeySecretRef": secret}})), "dns01.cloudflare.email"),
        (
            dns(json!({"cloudflare": {"apiTokenSecretRef": {"name": "", "key": "k"}}})),
            "dns01.cloudflare.apiTokenSecretRef.name",
        ),
        (dns(json!({"route53": {"accessKeyID": "a", "accessKeyIDSecretRef": secret}})), "dns01.route53"),
        (
            dns(json!({"digitalocean": {"tokenSecretRef": {"name": "s"}}})),
            "dns01.digitalocean.tokenSecretRef.key",
        ),
        (dns(json!({"webhook": {"groupName": "g", "solverName": ""}})), "dns01.webhook.solverName"),
        (
            dns(json!({"akamai": {"serviceConsumerDomain": "", "accessTokenSecretRef": secret,
                "clientSecretSecretRef": secret, "clientTokenSecretRef": secret}})),
            "dns01.akamai.serviceConsumerDomain",
        ),
        (dns(json!({"azureDNS": {"resourceGroupName": "g"}})), "dns01.azureDNS.subscriptionID"),
        (
            dns(
                json!({"azureDNS": {"resourceGroupName": "g", "subscriptionID": "s", "environment": "Azure"}}),
            ),
            "dns01.azureDNS.environment",
        ),
        (
            dns(
                json!({"azureDNS": {"resourceGroupName": "g", "subscriptionID": "s", "clientID": "c", "tenantID": "t"}}),
            ),
            "dns01.azureDNS.clientSecretSecretRef",
        ),
        (
            dns(json!({"azureDNS": {"resourceGroupName": "g", "subscriptionID": "s",
                "managedIdentity": {"clientID": "c", "resourceID": "r"}}})),
            "dns01.azureDNS.managedIdentity",
        ),
        (dns(json!({"rfc2136": {"nameserver": ""}})), "dns01.rfc2136.nameserver"),
        (dns(json!({"rfc2136": {"nameserver": ":53"}})), "dns01.rfc2136.nameserver"),
        (dns(json!({"rfc2136": {"nameserver": "2001:db8::1"}})), "dns01.rfc2136.nameserver"),
        (
            dns(json!({"rfc2136": {"nameserver": "n:53", "tsigAlgorithm": "SHA1"}})),
            "dns01.rfc2136.tsigAlgorithm",
        ),
        (
            dns(
                json!({"rfc2136": {"nameserver": "n", "tsigKeyName": "a", "tsigSecretSecretRef": {"name": "s"}}}),
            ),
            "dns01.rfc2136.tsigSecretSecretRef.key",
        ),
        (
            dns(json!({"rfc2136": {"nameserver": "n", "tsigSecretSecretRef": secret}})),
            "dns01.rfc2136.tsigKeyName",
        ),
        (
            json!({"waitInsteadOfSelfCheck": "-5s", "dns01": {"cloudDNS": {"project": "p"}}}),
            "waitInsteadOfSelfCheck",
        ),
        (json!({"http01": {}}), "http01"),
        (json!({"http01": {"ingress": {}, "gatewayHTTPRoute": {}}}), "http01"),
        (json!({"http01": {"ingress": {"class": "a", "ingressClassName": "a"}}}), "http01.ingress"),
        (json!({"http01": {"ingress": {"ingressClassName": "a/b"}}}), "http01.ingress.ingressClassName"),
        (json!({"http01": {"ingress": {"serviceType": "LoadBalancer"}}}), "http01.ingress.serviceType"),
        (
            json!({"http01": {"gatewayHTTPRoute": {"parentRefs": [{"kind": "Gateway", "name": ""}]}}}),
            "http01.gatewayHTTPRoute.parentRefs[0].name",
        ),
    ];
    for (solver, field) in all {
        let wanted = format!("acme.solvers[0].{field}");
        assert_eq!(said(&with(&solver)), [wanted.trim_end_matches('.')], "{solver}");
    }
}

#[test]
fn solvers_that_the_webhook_takes_are_taken() {
    let secret = json!({"name": "s", "key": "k"});
    for solver in [
        json!({"dns01": {"cloudDNS": {"project": "p"}}}),
        json!({"dns01": {"cloudDNS": {"project": "p", "serviceAccountSecretRef": secret}}, "waitInsteadOfSelfCheck": "5s"}),
        json!({"dns01": {"cloudflare": {"apiTokenSecretRef": secret}, "cnameStrategy": "Follow"}}),
        json!({"dns01": {"cloudflare": {"email": "a@b", "apiKeySecretRef": secret}}}),
        json!({"dns01": {"route53": {}}}),
        // Not looked at there.
        json!({"dns01": {"cloudDNS": {"project": "p"}, "acmeDNS": {"host": "h", "accountSecretRef": secret}}}),
        json!({"dns01": {"azureDNS": {"resourceGroupName": "g", "subscriptionID": "s", "managedIdentity": {"clientID": "c"}}}}),
        json!({"dns01": {"rfc2136": {"nameserver": "[2001:db8::1]"}}}),
        json!({"dns01": {"rfc2136": {"nameserver": "192.0.2.1:", "tsigKeyName": "a", "tsigAlgorithm": "hmacsha256",
            "tsigSecretSecretRef": secret}}}),
        json!({"http01": {"ingress": {"class": "azure/application-gateway"}}}),
        json!({"http01": {"ingress": {"ingressClassName": "nginx", "serviceType": "NodePort"}}}),
        json!({"http01": {"gatewayHTTPRoute": {}}}),
    ] {
        assert_eq!(said(&with(&solver)), Vec::<String>::new(), "{solver}");
    }
}

#[test]
fn issuers_themselves() {
    let acme = |more: Value| {
        let mut acme = json!({"server": "https://ca.example", "privateKeySecretRef": {"name": "key"}});
        acme.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"acme": acme})
    };
    let vault = |more: Value| {
        let mut vault =
            json!({"server": "https://v", "path": "a", "auth": {"tokenSecretRef": {"name": "a"}}});
        vault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"vault": vault})
    };
    for (spec, field) in [
        (acme(json!({"server": ""})), "acme.server"),
        (acme(json!({"privateKeySecretRef": {"name": ""}})), "acme.privateKeySecretRef.name"),
        (acme(json!({"caBundle": "aGVsbG8="})), "acme.caBundle"),
        (
            acme(json!({"externalAccountBinding": {"keyID": "", "keySecretRef": {"name": "a", "key": "b"}}})),
            "acme.externalAccountBinding.keyID",
        ),
        (json!({"ca": {"secretName": ""}}), "ca.secretName"),
        (json!({"ca": {"secretName": "a"}, "selfSigned": {}}), "selfSigned"),
        (vault(json!({"path": ""})), "vault.path"),
        (vault(json!({"path": "a/../b"})), "vault.path"),
        (vault(json!({"auth": {}})), "vault.auth"),
        (vault(json!({"clientCertSecretRef": {"name": "a"}})), "vault.clientKeySecretRef"),
        (vault(json!({"auth": {"kubernetes": {"role": "r"}}})), "vault.auth.kubernetes"),
        (
            vault(json!({"auth": {"aws": {"role": "r", "serviceAccountRef": {"name": "a"}}}})),
            "vault.auth.aws.iamRoleArn",
        ),
        (json!({"venafi": {"zone": "", "cloud": {}}}), "venafi.zone"),
        (json!({"venafi": {"zone": "z"}}), "venafi"),
        (json!({"venafi": {"zone": "z", "tpp": {"url": ""}}}), "venafi.tpp.url"),
    ] {
        assert_eq!(said(&spec), [field], "{spec}");
    }
    for spec in
        [acme(json!({})), vault(json!({})), json!({"selfSigned": {}}), json!({"ca": {"secretName": "a"}})]
    {
        assert_eq!(said(&spec), Vec::<String>::new(), "{spec}");
    }
}
