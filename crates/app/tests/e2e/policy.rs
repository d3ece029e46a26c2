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
    // An instance that is still starting says no status.
    let all = instance.wait("a status", || instance.status()["findings"].as_array().cloned());
    all.into_iter().filter(|f| f["code"] == code).collect()
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
    assert!(line.is_some_and(|line| line.starts_with("NO   policy")), "{explained}");
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
    let found = findings(&instance, "PTL-0005");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["object"], "ValidatingAdmissionPolicy/broken");
    assert_eq!(found[0]["field"], "spec.validations[0].expression");
    assert_eq!((&found[0]["file"], &found[0]["line"]), (&"policy.yaml".into(), &12.into()));
    assert!(
        found[0]["message"].as_str().unwrap().contains("undeclared reference to function 'endWith'"),
        "{found:#?}"
    );
}

/// Kubernetes would refuse the edit and keep what it has: so does the store, over kill -9 too.
#[test]
fn an_edit_that_does_not_compile_opens_nothing() {
    let Some(envoy) = envoy("e2e policy edit") else { return };
    let dir = first_steps();
    std::fs::write(dir.path().join("forbidden.yaml"), ROUTE).unwrap();
    let strict = policy("hosts", "object.spec.hostnames.all(h, !h.startsWith('forbidden.'))");
    std::fs::write(dir.path().join("policy.yaml"), &strict).unwrap();
    let mut instance = Instance::start(dir, envoy);
    instance.reach("app1.dev.example.com", "live");
    instance.reach("forbidden.dev.example.com", "refused");
    let held = |instance: &Instance| {
        let refused = instance.wait("the finding on the edit", || findings(instance, "PTL-0005").pop());
        assert_eq!(refused["object"], "ValidatingAdmissionPolicy/hosts");
        assert_eq!(refused["field"], "spec.validations[0].expression");
        assert_eq!((&refused["file"], &refused["line"]), (&"policy.yaml".into(), &13.into()));
        assert!(
            refused["message"].as_str().unwrap().contains("undeclared reference to function 'startWith'"),
            "{refused}"
        );
        instance.reach("app1.dev.example.com", "live");
        let entry = instance.reach("forbidden.dev.example.com", "refused");
        assert_eq!(entry["findings"][0]["code"], "PTL-0501", "the last good policy still says so");
        assert_eq!(findings(instance, "PTL-0500"), Vec::<Value>::new());
    };
    // A line more and a letter less: the finding names where it stands now.
    instance.write("policy.yaml", &format!("# moved\n{}", strict.replace("startsWith", "startWith")));
    held(&instance);
    instance.kill_nine();
    instance.up();
    held(&instance);
    instance.write("policy.yaml", &strict.replace("'forbidden.'", "'nobody.'"));
    instance.reach("forbidden.dev.example.com", "live");
    assert_eq!(findings(&instance, "PTL-0005"), Vec::<Value>::new());
}

/// What a Certificate was issued before it was denied is not served any longer; its mirrors are not either.
#[test]
fn the_secret_of_a_denied_certificate_is_served_no_longer() {
    let Some(envoy) = envoy("e2e denied certificate") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let entry = instance.reach("app1.dev.example.com", "live");
    let client = || instance.client(&entry).get(entry["url"].as_str().unwrap()).send();
    assert_eq!(client().unwrap().status(), 200);
    let names = policy("names", "object.spec.dnsNames.all(n, !n.startsWith('*'))")
        .replace("gateway.networking.k8s.io", "cert-manager.io")
        .replace("[httproutes, grpcroutes]", "[certificates]")
        .replace("expression: \"", "expression: \"!has(object.spec.dnsNames) || ");
    instance.write("policy.yaml", &names);
    let refused = instance.reach("app1.dev.example.com", "refused");
    assert!(refused["message"].as_str().unwrap().contains("wildcard-dev is denied"), "{refused}");
    let finding = instance.wait("the finding", || findings(&instance, "PTL-0217").pop());
    assert_eq!(
        (&finding["object"], &finding["file"]),
        (&"Gateway/gateway-system/shared".into(), &"gateway.yaml".into())
    );
    instance.wait("Envoy to drop the certificate", || client().is_err().then_some(()));
    instance.edit("policy.yaml", "startsWith('*')", "startsWith('?')");
    instance.reach("app1.dev.example.com", "live");
    instance.wait("Envoy to serve it again", || client().is_ok().then_some(()));
}

/// One wrong value that a policy denies takes nothing down, over a restart too; a policy that is tightened cuts at once.
#[test]
fn a_denied_edit_keeps_what_was_live_and_a_tightened_policy_does_not() {
    let Some(envoy) = envoy("e2e denied edit") else { return };
    let dir = first_steps();
    let rule = "!has(object.spec.hostnames) || object.spec.hostnames.all(h, h.endsWith('.dev.example.com'))";
    std::fs::write(dir.path().join("policy.yaml"), policy("hosts", rule)).unwrap();
    let mut instance = Instance::start(dir, envoy);
    let live = instance.reach("app1.dev.example.com", "live");
    let records = live["dns"]["records"].clone();
    assert!(!records.as_array().unwrap().is_empty(), "{live}");
    let denied = |instance: &Instance| {
        instance.wait("the finding", || {
            findings(instance, "PTL-0501").into_iter().find(|f| f["object"] == "HTTPRoute/team-a/app1")
        })
    };
    instance.edit("team-a.yaml", "app1.dev.example.com", "app1.dev.exmaple.com");
    let finding = denied(&instance);
    assert!(finding["message"].as_str().unwrap().contains("stays in force"), "{finding}");
    assert_eq!(finding["file"], "team-a.yaml");
    let still = |instance: &Instance| {
        let entry = instance.entry("app1.dev.example.com").unwrap();
        assert_eq!((&entry["state"], &entry["dns"]["records"]), (&"live".into(), &records), "{entry}");
        let answer = instance.client(&entry).get(entry["url"].as_str().unwrap()).send().unwrap();
        assert_eq!(answer.status(), 200);
        assert!(instance.entry("app1.dev.exmaple.com").is_none());
    };
    still(&instance);
    assert_eq!(instance.run(&["status"]).status.code(), Some(1));
    instance.kill_nine();
    instance.up();
    denied(&instance);
    instance.reach("app1.dev.example.com", "live");
    still(&instance);

    // The policy lets it in: the edit is taken without anybody's touching the file again.
    let wide = rule.replace(".dev.example.com", ".com");
    instance.write("policy.yaml", &policy("hosts", &wide));
    instance.wait("the edit to be taken", || instance.entry("app1.dev.exmaple.com"));
    instance.edit("team-a.yaml", "app1.dev.exmaple.com", "app1.dev.example.com");
    instance.reach("app1.dev.example.com", "live");

    // A mended edit is stored, and a tightened policy denies what stands.
    let tight = rule.replace("'.dev.example.com'", "'greeter.dev.example.com'");
    instance.write("policy.yaml", &policy("hosts", &tight));
    instance.reach("app1.dev.example.com", "refused");
    assert_eq!(instance.entry("greeter.dev.example.com").unwrap()["state"], "live");
}
