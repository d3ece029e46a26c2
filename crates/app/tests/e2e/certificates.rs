//! Certificates of ca issuers.

use serde_json::Value;

use crate::instance::{Instance, envoy, first_steps};

fn finding(instance: &Instance, code: &str) -> Option<Value> {
    instance.status()["findings"].as_array()?.iter().find(|f| f["code"] == code).cloned()
}

/// A CA with another key does not re-issue its leaves, as in cert-manager: what is served stays valid for who trusts
/// `ca.pem`, and a warning says what to do.
#[test]
fn a_rotated_ca_leaves_the_served_chain_valid_and_is_a_warning() {
    let Some(envoy) = envoy("e2e rotated CA") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let before = instance.reach("app1.dev.example.com", "live");
    assert_eq!(finding(&instance, "PTL-0316"), None);
    // Both are signed in one go: their requests show it all the same.
    for request in ["cert-manager/internal-ca-1", "gateway-system/wildcard-dev-1"] {
        let output = instance.run(&["get", "certificaterequest", request, "--output", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let conditions = json["status"]["conditions"].as_array().unwrap();
        let ready = conditions.iter().find(|c| c["type"] == "Ready").unwrap();
        assert_eq!((&ready["status"], &ready["reason"]), (&"True".into(), &"Issued".into()), "{json:#}");
        assert!(json["status"]["ca"].is_string(), "{json:#}");
    }
    assert!(instance.run(&["renew", "cert-manager/internal-ca"]).status.success());
    let warning = instance.wait("the warning", || finding(&instance, "PTL-0316"));
    assert_eq!(warning["object"], "Certificate/gateway-system/wildcard-dev");
    assert_eq!(warning["severity"], "warning");
    assert_eq!(warning["file"], "certificates.yaml");
    let now = instance.reach("app1.dev.example.com", "live");
    assert_eq!(now["certificate"]["serial"], before["certificate"]["serial"], "not re-issued");
    // A new client with the ca.pem of now.
    let answer = instance.client(&now).get(now["url"].as_str().unwrap()).send().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(instance.run(&["renew", "gateway-system/wildcard-dev"]).status.success());
    instance.wait("the warning to go", || finding(&instance, "PTL-0316").is_none().then_some(()));
    let renewed = instance.reach("app1.dev.example.com", "live");
    assert_eq!(instance.client(&renewed).get(renewed["url"].as_str().unwrap()).send().unwrap().status(), 200);
}

/// What the user changes in a Certificate is made anew, also what the certificate itself would not show.
#[test]
fn an_edit_of_the_request_or_the_key_makes_another_certificate() {
    let Some(envoy) = envoy("e2e edited certificate") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let mut serial = instance.reach("app1.dev.example.com", "live")["certificate"]["serial"].clone();
    for (from, to) in [
        ("renewBefore: 168h", "renewBefore: 100h\n  duration: 2000h"),
        ("duration: 2000h", "duration: 2000h\n  usages: [server auth, digital signature]"),
        (
            "usages: [server auth, digital signature]",
            "usages: [server auth, digital signature]\n  subject: {organizations: [Example]}",
        ),
    ] {
        instance.edit("certificates.yaml", from, to);
        let now = instance.wait("another certificate", || {
            instance
                .entry("app1.dev.example.com")
                .filter(|e| e["state"] == "live" && e["certificate"]["serial"] != serial)
        });
        serial = now["certificate"]["serial"].clone();
    }
    // What does not change the request does not.
    instance.edit("certificates.yaml", "renewBefore: 100h", "renewBefore: 90h");
    instance.wait("the edit to be taken", || {
        let output = instance.run(&["get", "certificate", "gateway-system/wildcard-dev", "--output", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        (json["spec"]["renewBefore"] == "90h" && json["status"]["revision"] == 4).then_some(())
    });
    assert_eq!(instance.reach("app1.dev.example.com", "live")["certificate"]["serial"], serial);
}
