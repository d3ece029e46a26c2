//! Admission policies, live.

use serde_json::Value;

use super::instance::{Instance, envoy, first_steps};

const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: forbidden
  namespace: team-a
spec:
  parentRefs:
    - name: shared
      namespace: gateway-system
      sectionName: https
  hostnames:
    - forbidden.dev.example.com
  rules:
    - backendRefs:
        - name: app1
          port: 80
";

/// A policy on the hosts of routes, with its binding.
fn policy(name: &str, expression: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints:
    resourceRules:
      - apiGroups: [gateway.networking.k8s.io]
        apiVersions: ['*']
        operations: [CREATE, UPDATE]
        resources: [httproutes, grpcroutes]
  validations:
    - expression: \"{expression}\"
      message: this host is taken by the platform
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec: {{policyName: {name}, validationActions: [Deny]}}
"
    )
}

fn findings(instance: &Instance, code: &str) -> Vec<Value> {
    let status = instance.status();
    status["findings"].as_array().unwrap().iter().filter(|f| f["code"] == code).cloned().collect()
}

#[test]
fn a_denied_host_is_refused_beside_its_live_neighbour_until_the_policy_lets_it_in() {
    let Some(envoy) = envoy("e2e policy") else { return };
    let dir = first_steps();
    std::fs::write(dir.path().join("forbidden.yaml"), ROUTE).unwrap();
    let strict = policy(
        "hosts",
        "!has(object.spec.hostnames) || object.spec.hostnames.all(h, !h.startsWith('forbidden.'))",
    );
    std::fs::write(dir.path().join("policy.yaml"), &strict).unwrap();
    let instance = Instance::start(dir, envoy);
    let neighbour = instance.reach("app1.dev.example.com", "live");

    let refused = instance.reach("forbidden.dev.example.com", "refused");
    assert_eq!(refused["findings"][0]["code"], "PTL-0501");
    let finding = findings(&instance, "PTL-0501").remove(0);
    assert_eq!(finding["object"], "HTTPRoute/team-a/forbidden");
    assert!(finding["message"].as_str().unwrap().ends_with("hosts: this host is taken by the platform"));
    assert_eq!((&finding["file"], &finding["line"]), (&"forbidden.yaml".into(), &11.into()));
    let explained = instance.run(&["explain", "forbidden.dev.example.com"]);
    assert_eq!(explained.status.code(), Some(1));
    let explained = String::from_utf8(explained.stdout).unwrap();
    let line = explained.lines().find(|line| line.contains("denied by policy hosts"));
    assert!(line.is_some_and(|line| line.starts_with("  NO  policy")), "{explained}");
    // The listener serves the wildcard: a denied host has a certificate there and no route.
    let url = |host: &str| {
        let origin = neighbour["url"].as_str().unwrap().trim_end_matches('/');
        format!("{}/", origin.replace("app1.dev.example.com", host))
    };
    let mut there = neighbour.clone();
    there["hostname"] = "forbidden.dev.example.com".into();
    let client = instance.client(&there);
    let answer = || client.get(url("forbidden.dev.example.com")).send().unwrap().status().as_u16();
    assert_eq!(answer(), 404);

    // Edited live, the policy lets it in; a denial cuts at once again.
    instance.edit("policy.yaml", "'forbidden.'", "'nobody.'");
    instance.reach("forbidden.dev.example.com", "live");
    assert_eq!(answer(), 200);
    assert_eq!(findings(&instance, "PTL-0501"), Vec::<Value>::new());
    instance.edit("policy.yaml", "'nobody.'", "'forbidden.'");
    instance.reach("forbidden.dev.example.com", "refused");
    instance.wait("the denied host to be cut", || (answer() == 404).then_some(()));
    instance.reach("app1.dev.example.com", "live");
}

#[test]
fn a_policy_with_a_cel_error_is_one_finding_and_everything_else_goes_live() {
    let Some(envoy) = envoy("e2e policy error") else { return };
    let dir = first_steps();
    std::fs::write(dir.path().join("forbidden.yaml"), ROUTE).unwrap();
    let broken = policy("broken", "object.spec.hostnames.all(h, h.endWith('.dev.example.com'))");
    std::fs::write(dir.path().join("policy.yaml"), broken).unwrap();
    let instance = Instance::start(dir, envoy);
    instance.reach("app1.dev.example.com", "live");
    instance.reach("forbidden.dev.example.com", "live");
    let found = findings(&instance, "PTL-0500");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["object"], "ValidatingAdmissionPolicy/broken");
    assert_eq!(found[0]["field"], "spec.validations[0].expression");
    assert_eq!((&found[0]["file"], &found[0]["line"]), (&"policy.yaml".into(), &12.into()));
    assert_eq!(found[0]["hint"], "did you mean endsWith?");
}
