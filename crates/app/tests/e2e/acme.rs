//! Certificates over ACME: issuer, embedded development CA, embedded DNS, Envoy, all real and on loopback.

use crate::instance::{Instance, envoy, first_steps};

/// The example with a wildcard and its apex from an ACME issuer; RSA account key and ECDSA certificate key.
const CERTIFICATES: &str = r#"apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: letsencrypt}
spec:
  acme:
    server: https://acme-staging-v02.api.letsencrypt.org/directory
    email: edge@example.com
    privateKeySecretRef: {name: letsencrypt-account}
    solvers:
      - dns01: {cloudDNS: {project: p, serviceAccountSecretRef: {name: clouddns, key: key.json}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: wildcard-dev, namespace: gateway-system}
spec:
  secretName: ingress-tls
  dnsNames: ["*.dev.example.com", dev.example.com]
  privateKey: {algorithm: ECDSA}
  issuerRef: {kind: ClusterIssuer, name: letsencrypt}
"#;

#[test]
fn a_wildcard_and_its_apex_are_proven_issued_and_renewed() {
    let Some(envoy) = envoy("e2e acme") else { return };
    let dir = first_steps();
    std::fs::write(dir.path().join("certificates.yaml"), CERTIFICATES).unwrap();
    let mut instance = Instance::start(dir, envoy);
    let entry = instance.reach("app1.dev.example.com", "live");
    let certificate = &entry["certificate"];
    assert_eq!(certificate["secret"], "gateway-system/ingress-tls");
    assert!(certificate["issuer"].as_str().unwrap().contains("evelopment"), "{certificate}");
    // The chain is valid for a client that trusts ca.pem alone.
    let client = instance.client(&entry);
    assert_eq!(client.get(entry["url"].as_str().unwrap()).send().unwrap().status(), 200);
    let status = instance.status();
    let said = status["substitutions"].to_string();
    assert!(
        said.contains(
            "letsencrypt.org/directory of ClusterIssuer/letsencrypt is the embedded development CA"
        ),
        "{said}"
    );
    assert!(said.contains("cloudDNS"), "{said}");

    let output = instance.run(&["renew", "gateway-system/wildcard-dev"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let serial = certificate["serial"].clone();
    let renewed = instance.wait("the renewed certificate", || {
        instance
            .entry("app1.dev.example.com")
            .filter(|e| e["state"] == "live" && e["certificate"]["serial"] != serial)
    });
    // Once is enough: a wish is met by the certificate that was made after it.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let again = instance.entry("app1.dev.example.com").unwrap();
    assert_eq!(again["certificate"]["serial"], renewed["certificate"]["serial"]);

    // The CA, the account and the certificate survive a restart: the same root still vouches.
    instance.kill_nine();
    instance.up();
    let entry = instance.reach("app1.dev.example.com", "live");
    assert_eq!(entry["certificate"]["serial"], renewed["certificate"]["serial"]);
    assert_eq!(client.get(entry["url"].as_str().unwrap()).send().unwrap().status(), 200);
}

/// What an ACME server cannot serve is one finding with the place, and the others' hosts go live.
#[test]
fn orders_that_cannot_be_made_are_findings() {
    let Some(envoy) = envoy("e2e acme findings") else { return };
    let dir = first_steps();
    let http01 = CERTIFICATES
        .replace(
            "dns01: {cloudDNS: {project: p, serviceAccountSecretRef: {name: clouddns, key: key.json}}}",
            "http01: {ingress: {}}",
        )
        .replace("gateway-system", "team-a")
        .replace("ingress-tls", "other-tls");
    std::fs::write(dir.path().join("acme.yaml"), http01).unwrap();
    let instance = Instance::start(dir, envoy);
    instance.reach("app1.dev.example.com", "live");
    let finding = instance.wait("finding", || {
        instance.status()["findings"].as_array()?.iter().find(|f| f["code"] == "PTL-0353").cloned()
    });
    assert_eq!(finding["object"], "Certificate/team-a/wildcard-dev");
    assert_eq!(finding["file"], "acme.yaml");
    assert!(finding["line"].as_u64().is_some_and(|line| line > 10), "{finding}");
}
