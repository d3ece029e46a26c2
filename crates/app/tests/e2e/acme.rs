//! Certificates over ACME: issuer, embedded development CA, embedded DNS, Envoy, all real and on loopback.

use portolan_effects::dns::query;
use portolan_model::dns::RecordType;
use serde_json::{Value, json};

use crate::instance::{Instance, envoy, first_steps};

/// The example with a wildcard and its apex from an ACME issuer; RSA account key and ECDSA certificate key.
pub const CERTIFICATES: &str = r#"apiVersion: cert-manager.io/v1
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
    // Once is enough: a request is met by the certificate that was made after it.
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

fn get(instance: &Instance, kind: &str, name: &str) -> Value {
    let output = instance.run(&["get", kind, name, "--output", "json"]);
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn list(instance: &Instance, kind: &str) -> Vec<Value> {
    let output = instance.run(&["get", kind, "--output", "json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    json["items"].as_array().cloned().unwrap_or_default()
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array().unwrap_or_else(|| panic!("{object:#}"));
    conditions.iter().find(|c| c["type"] == kind).unwrap_or(&Value::Null)
}

/// What cert-manager's users look at, in its words.
#[test]
fn issuer_certificate_request_and_order_show_what_cert_manager_shows() {
    let Some(envoy) = envoy("e2e certificate objects") else { return };
    let dir = first_steps();
    let labelled = CERTIFICATES.replace(
        "metadata: {name: wildcard-dev, namespace: gateway-system}",
        "metadata:\n  name: wildcard-dev\n  namespace: gateway-system\n  labels: {team: edge, argocd.argoproj.io/instance: app}\n  annotations: {note: kept, kubectl.kubernetes.io/x: z}",
    );
    std::fs::write(dir.path().join("certificates.yaml"), labelled).unwrap();
    // One that a user wrote is never acted on.
    let challenge = "apiVersion: acme.cert-manager.io/v1\nkind: Challenge\nmetadata: {name: evil, namespace: team-a}\nspec:\n  type: DNS-01\n  dnsName: app1.dev.example.com\n  key: not-a-real-value\n  token: t\n  url: https://127.0.0.1/c\n  authorizationURL: https://127.0.0.1/a\n  issuerRef: {kind: ClusterIssuer, name: letsencrypt}\n  solver: {dns01: {cloudDNS: {project: p}}}\n";
    std::fs::write(dir.path().join("challenge.yaml"), challenge).unwrap();
    let instance = Instance::start(dir, envoy);
    instance.reach("app1.dev.example.com", "live");

    let issuer = get(&instance, "clusterissuer", "letsencrypt");
    let ready = condition(&issuer, "Ready");
    assert_eq!(
        (ready["status"].as_str(), ready["reason"].as_str()),
        (Some("True"), Some("ACMEAccountRegistered"))
    );
    assert_eq!(ready["message"], "The ACME account was registered with the ACME server");
    assert_eq!(ready["observedGeneration"], 1);
    let acme = &issuer["status"]["acme"];
    assert!(acme["uri"].as_str().unwrap().contains("/account/"), "{acme}");
    assert_eq!(acme["lastRegisteredEmail"], "edge@example.com");
    assert_eq!(acme["lastPrivateKeyHash"].as_str().unwrap().len(), 44, "base64 of a SHA-256");

    let certificate = get(&instance, "certificate", "gateway-system/wildcard-dev");
    let ready = condition(&certificate, "Ready");
    assert_eq!((ready["status"].as_str(), ready["reason"].as_str()), (Some("True"), Some("Ready")));
    assert_eq!(ready["message"], "Certificate is up to date and has not expired");
    assert_eq!(condition(&certificate, "Issuing"), &Value::Null);
    assert_eq!(certificate["status"]["revision"], 1);
    for field in ["notBefore", "notAfter", "renewalTime"] {
        assert!(certificate["status"][field].as_str().is_some_and(|at| at.ends_with('Z')), "{certificate:#}");
    }

    let request = get(&instance, "certificaterequests", "gateway-system/wildcard-dev-1");
    let metadata = &request["metadata"];
    assert_eq!(metadata["annotations"]["cert-manager.io/certificate-name"], "wildcard-dev");
    assert_eq!(metadata["annotations"]["cert-manager.io/certificate-revision"], "1");
    assert_eq!(metadata["annotations"]["note"], "kept");
    assert_eq!(metadata["annotations"]["kubectl.kubernetes.io/x"], Value::Null);
    assert_eq!(metadata["labels"]["team"], "edge");
    assert_eq!(metadata["labels"]["argocd.argoproj.io/instance"], Value::Null, "no mark of a GitOps tool");
    let owner = &metadata["ownerReferences"][0];
    assert_eq!(
        (owner["kind"].as_str(), &owner["uid"]),
        (Some("Certificate"), &certificate["metadata"]["uid"])
    );
    assert_eq!(condition(&request, "Approved")["reason"], "cert-manager.io");
    assert_eq!(condition(&request, "Ready")["reason"], "Issued");
    assert_eq!(condition(&request, "Ready")["message"], "Certificate fetched from issuer successfully");
    assert_eq!(condition(&request, "Ready")["observedGeneration"], Value::Null);
    assert_eq!(request["spec"]["issuerRef"]["name"], "letsencrypt");
    assert!(
        request["spec"]["request"].as_str().unwrap().starts_with("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNU")
    );
    assert!(
        request["status"]["certificate"].as_str().unwrap().starts_with("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0t")
    );

    let orders = list(&instance, "orders");
    assert_eq!(orders.len(), 1, "{orders:#?}");
    let order = &orders[0];
    assert!(order["metadata"]["name"].as_str().unwrap().starts_with("wildcard-dev-1-"));
    assert_eq!(order["metadata"]["ownerReferences"][0]["uid"], request["metadata"]["uid"]);
    assert_eq!(order["status"]["state"], "valid");
    assert!(order["status"]["finalizeURL"].as_str().unwrap().ends_with("/finalize"));
    let wildcards: Vec<bool> = order["status"]["authorizations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["wildcard"].as_bool().unwrap())
        .collect();
    assert_eq!(wildcards.iter().filter(|w| **w).count(), 1, "{order:#}");
    let challenges = list(&instance, "challenges");
    assert_eq!(
        challenges.len(),
        1,
        "those of the order went with it; the user's is left alone: {challenges:#?}"
    );
    assert_eq!(challenges[0]["status"], Value::Null);
    let finding =
        instance.status()["findings"].as_array().unwrap().iter().find(|f| f["code"] == "PTL-0303").cloned();
    assert_eq!(finding.unwrap()["object"], "Challenge/team-a/evil");
    // No private key leaves through any of them, and none of them is on disk.
    for object in [&issuer, &certificate, &request, order] {
        let text = object.to_string();
        assert!(!text.contains("PRIVATE KEY") && !text.contains("UFJJVkFURSBLRVk"), "{text}");
    }

    let output = instance.run(&["explain", "app1.dev.example.com"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = |step: &str| text.lines().find(|line| line.contains(step)).unwrap_or_default().to_owned();
    assert!(
        said(" issued ").contains("Certificate gateway-system/wildcard-dev: Certificate is up to date"),
        "{text}"
    );
    assert!(said(" request ").contains("wildcard-dev-1: Issued"), "{text}");
    assert!(said(" order ").contains(": valid"), "{text}");

    let run: Value =
        serde_json::from_slice(&std::fs::read(instance.state.path().join("run.json")).unwrap()).unwrap();
    let metrics = format!("http://{}/metrics", run["api"].as_str().unwrap());
    let metrics = reqwest::blocking::get(&metrics).unwrap().text().unwrap();
    let labels = "{name=\"wildcard-dev\",namespace=\"gateway-system\",issuer_name=\"letsencrypt\",issuer_kind=\"ClusterIssuer\",issuer_group=\"cert-manager.io\"";
    assert!(metrics.contains(&format!("portolan_certificate_ready{labels}}} 1")), "{metrics}");
    assert!(
        metrics.contains(&format!("certmanager_certificate_ready_status{labels},condition=\"True\"}} 1")),
        "{metrics}"
    );
    assert!(
        metrics.contains(&format!("certmanager_certificate_expiration_timestamp_seconds{labels}}} 1")),
        "{metrics}"
    );

    // The next revision takes the place of the first.
    assert!(instance.run(&["renew", "gateway-system/wildcard-dev"]).status.success());
    instance.wait("revision 2", || {
        let certificate = get(&instance, "certificate", "gateway-system/wildcard-dev");
        (certificate["status"]["revision"] == 2).then_some(())
    });
    let names = || -> Vec<String> {
        let of = list(&instance, "certificaterequest");
        of.iter().map(|r| r["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    instance.wait("the first request to go", || {
        let names = names();
        (names.contains(&"wildcard-dev-2".to_owned()) && !names.contains(&"wildcard-dev-1".to_owned()))
            .then_some(())
    });
    assert!(
        list(&instance, "orders")
            .iter()
            .all(|o| o["metadata"]["name"].as_str().unwrap().starts_with("wildcard-dev-2-"))
    );
}

/// An order that waits for something that does not come shows where it hangs, in each object of the chain.
#[test]
fn a_failed_order_shows_why_and_when_it_is_tried_again() {
    let Some(envoy) = envoy("e2e failed order") else { return };
    let dir = first_steps();
    // Public CAs, and the development CA, take no P-521 keys: the order fails when it is finalized.
    let odd = CERTIFICATES.replace("algorithm: ECDSA", "algorithm: ECDSA, size: 521");
    std::fs::write(dir.path().join("certificates.yaml"), odd).unwrap();
    let instance = Instance::start(dir, envoy);
    let certificate = instance.wait("the failure", || {
        let certificate = get(&instance, "certificate", "gateway-system/wildcard-dev");
        (certificate["status"]["failedIssuanceAttempts"].as_u64() >= Some(1)
            && condition(&certificate, "Issuing")["status"] == "False")
            .then_some(certificate)
    });
    let issuing = condition(&certificate, "Issuing");
    assert_eq!(issuing["reason"], "Failed");
    let message = issuing["message"].as_str().unwrap();
    assert!(
        message.starts_with("The certificate request has failed to complete and will be retried: "),
        "{message}"
    );
    assert!(message.contains("next attempt at"), "{message}");
    assert_eq!(condition(&certificate, "Ready")["reason"], "DoesNotExist");
    assert!(certificate["status"]["lastFailureTime"].is_string());
    let request = get(&instance, "certificaterequest", "gateway-system/wildcard-dev-1");
    assert_eq!(condition(&request, "Ready")["reason"], "Failed", "{request:#}");
    assert!(
        condition(&request, "Ready")["message"].as_str().unwrap().contains("order is in \"errored\" state")
    );
    assert!(request["status"]["failureTime"].is_string());
    let orders = list(&instance, "orders");
    assert_eq!(orders[0]["status"]["state"], "errored", "{orders:#?}");
    assert!(orders[0]["status"]["reason"].as_str().unwrap().contains("finalize"), "{orders:#?}");
    let table = instance.run(&["get", "orders"]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("errored"), "{table:?}");
    let explained = instance.run(&["explain", "app1.dev.example.com"]);
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(text.contains("NO   order"), "{text}");
    // A changed Certificate is tried at once, and what failed is gone.
    instance.edit("certificates.yaml", ", size: 521", "");
    instance.reach("app1.dev.example.com", "live");
    let certificate = get(&instance, "certificate", "gateway-system/wildcard-dev");
    assert_eq!(certificate["status"]["failedIssuanceAttempts"], Value::Null, "{certificate:#}");
}

/// The zones as they stand on disk: `dns.json`, and what the log says that came after it.
fn zones(instance: &Instance) -> Value {
    let read = |file: &str| std::fs::read(instance.state.path().join(file)).ok();
    let whole = read("dns.json").and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut zones: Value = whole.unwrap_or_else(|| json!({"zones": []}));
    let log = read("dns.log").unwrap_or_default();
    let lines = log.split(|byte| *byte == b'\n').filter_map(after_space);
    for entry in lines.filter_map(|line| serde_json::from_slice::<Vec<Value>>(line).ok()).flatten() {
        let zones = zones["zones"].as_array_mut().unwrap();
        if zones.iter().all(|zone| zone["zone"] != entry["zone"]) {
            zones.push(json!({"zone": entry["zone"], "sets": []}));
        }
        let zone = zones.iter_mut().find(|zone| zone["zone"] == entry["zone"]).unwrap();
        zone["serial"] = entry["serial"].clone();
        let sets = zone["sets"].as_array_mut().unwrap();
        sets.retain(|set| !entry["names"].as_array().unwrap().contains(&set["name"]));
        sets.extend(entry["sets"].as_array().unwrap().iter().cloned());
    }
    zones
}

fn after_space(line: &[u8]) -> Option<&[u8]> {
    line.iter().position(|byte| *byte == b' ').map(|at| &line[at + 1..])
}

/// The challenge values that the zones hold on disk.
fn challenge_values(zones: &Value) -> Vec<(String, String)> {
    let sets =
        zones["zones"].as_array().into_iter().flatten().flat_map(|z| z["sets"].as_array().unwrap().clone());
    sets.filter(|set| set["name"].as_str().is_some_and(|name| name.starts_with("_acme-challenge.")))
        .flat_map(|set| {
            let name = set["name"].as_str().unwrap().to_owned();
            let values: Vec<Value> = set["values"].as_array().unwrap().clone();
            values.into_iter().map(move |value| (name.clone(), value.as_str().unwrap().to_owned()))
        })
        .collect()
}

/// kill -9 while values of challenges stand in the zone: the next start takes them away, and nothing else, and issues.
#[test]
fn an_order_that_is_cut_off_leaves_no_txt_value_behind() {
    let Some(envoy) = envoy("e2e acme kill -9") else { return };
    let dir = first_steps();
    let mut instance = Instance::start(dir, envoy);
    instance.reach("app1.dev.example.com", "live");
    // Many names, so that the values stand for a while; a new set each time the moment is missed.
    let mut cut_off = Vec::new();
    for round in 0..10 {
        let names: Vec<String> = (0..12).map(|n| format!("n{n}-{round}.kill.example.com")).collect();
        let certificates = CERTIFICATES.replace("\"*.dev.example.com\", dev.example.com", &names.join(", "));
        let certificates = certificates.replace("ingress-tls", "kill-tls").replace("wildcard-dev", "kill");
        instance.write("kill.yaml", &certificates);
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while challenge_values(&zones(&instance)).is_empty() && std::time::Instant::now() < until {}
        instance.kill_nine();
        cut_off = challenge_values(&zones(&instance));
        if !cut_off.is_empty() {
            break;
        }
        instance.up();
    }
    assert!(!cut_off.is_empty(), "no order could be cut off");
    // Somebody else's value in the set of the first.
    let mut edited = zones(&instance);
    for zone in edited["zones"].as_array_mut().unwrap() {
        for set in zone["sets"].as_array_mut().unwrap() {
            if set["name"] == cut_off[0].0.as_str() {
                set["values"].as_array_mut().unwrap().push("somebody-elses-value".into());
            }
        }
    }
    std::fs::write(instance.state.path().join("dns.json"), edited.to_string()).unwrap();
    std::fs::remove_file(instance.state.path().join("dns.log")).unwrap();

    instance.up();
    let certificate = instance.wait("the certificate", || {
        let certificate = get(&instance, "certificate", "gateway-system/kill");
        (condition_of(&certificate, "Ready") == "True").then_some(certificate)
    });
    assert_eq!(certificate["status"]["revision"], 1);
    let left = instance.wait("the values of the new order to go", || {
        let left = challenge_values(&zones(&instance));
        (left.len() == 1).then_some(left)
    });
    assert_eq!(left, [(cut_off[0].0.clone(), "somebody-elses-value".to_owned())]);
    let run: Value =
        serde_json::from_slice(&std::fs::read(instance.state.path().join("run.json")).unwrap()).unwrap();
    let server = run["dns"].as_str().unwrap().parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (name, _) in &cut_off {
        let answer = runtime.block_on(query::ask(server, name, RecordType::Txt)).unwrap();
        let values: Vec<String> = answer.values(RecordType::Txt).map(ToString::to_string).collect();
        assert!(values.iter().all(|value| value == "somebody-elses-value"), "{name}: {values:?}");
    }
}

fn condition_of(object: &Value, kind: &str) -> String {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|c| c["type"] == kind).cloned().unwrap_or(Value::Null);
    found["status"].as_str().unwrap_or_default().to_owned()
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

/// A byte of the row of an account's key is another one: no other account is registered in silence.
#[test]
fn a_damaged_account_key_is_never_another_account_in_silence() {
    let Some(envoy) = envoy("e2e damaged account") else { return };
    let dir = first_steps();
    std::fs::write(dir.path().join("certificates.yaml"), CERTIFICATES).unwrap();
    let mut instance = Instance::start(dir, envoy);
    let before = instance.reach("app1.dev.example.com", "live");
    assert!(instance.run(&["down"]).status.success());
    instance.ended();
    let file = instance.state.path().join("store.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    // Secrets of certificates have a certificate before their key.
    let mark = b"\"data\":{\"tls.key\":\"";
    let at: Vec<usize> = (0..bytes.len() - mark.len()).filter(|at| bytes[*at..].starts_with(mark)).collect();
    assert!(!at.is_empty());
    for at in at {
        bytes[at + mark.len() + 9] ^= 1;
    }
    std::fs::write(&file, bytes).unwrap();
    instance.up();
    let found = |object: &str, words: &str| {
        let status = instance.status();
        let all = status["findings"].as_array().cloned().unwrap_or_default();
        all.iter().any(|f| f["object"] == object && f["message"].as_str().unwrap().contains(words))
    };
    let account = "cert-manager/letsencrypt-account";
    instance.wait("the damaged row", || {
        found(&format!("Secret/{account}"), "is damaged and left out").then_some(())
    });
    instance.wait("the issuer to say so", || {
        found("ClusterIssuer/letsencrypt", "no other account is registered").then_some(())
    });
    assert!(!instance.run(&["get", "secret", account]).status.success());
    let entry = instance.reach("app1.dev.example.com", "live");
    assert_eq!(entry["certificate"]["serial"], before["certificate"]["serial"], "what it has is served on");
    // Somebody says so.
    instance.edit("certificates.yaml", "{name: letsencrypt-account}", "{name: letsencrypt-second}");
    instance.wait("the new account", || {
        instance.run(&["get", "secret", "cert-manager/letsencrypt-second"]).status.success().then_some(())
    });
    instance.wait("the issuer to be well", || {
        (!found("ClusterIssuer/letsencrypt", "no other account is registered")).then_some(())
    });
}
