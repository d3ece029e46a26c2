//! DNS end to end, asked by a client of this file's own and by the real `dig`.

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

use portolan_testkit::suites;
use serde_json::{Value, json};

use super::instance::{Instance, envoy, first_steps};

pub(super) const A: u16 = 1;
const TXT: u16 = 16;
pub(super) const NXDOMAIN: u8 = 3;
const REFUSED: u8 = 5;
const APP: &str = "app1.dev.example.com";

/// Asks as RFC 1035 says, byte by byte: code, and the answers as text.
pub(super) fn ask(server: SocketAddr, name: &str, r#type: u16) -> (u8, Vec<String>) {
    let mut question = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).unwrap());
        question.extend(label.bytes());
    }
    question.push(0);
    question.extend(r#type.to_be_bytes());
    question.extend([0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(&question, server).unwrap();
    let mut bytes = [0; 4096];
    let (length, from) = socket.recv_from(&mut bytes).unwrap();
    assert_eq!((from, &bytes[..2]), (server, &question[..2]));
    let number = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let mut at = question.len();
    let mut found = Vec::new();
    for _ in 0..number(6) {
        // The owner: labels up to a pointer or the root.
        while bytes[at] != 0 && bytes[at] < 0xc0 {
            at += usize::from(bytes[at]) + 1;
        }
        at += if bytes[at] == 0 { 1 } else { 2 };
        let data = at + 10..at + 10 + usize::from(number(at + 8));
        assert!(data.end <= length);
        match number(at) {
            A => found.push(bytes[data.clone()].iter().map(u8::to_string).collect::<Vec<_>>().join(".")),
            TXT => {
                let mut part = data.start;
                let mut text = String::new();
                while part < data.end {
                    let end = part + 1 + usize::from(bytes[part]);
                    text.push_str(std::str::from_utf8(&bytes[part + 1..end]).unwrap());
                    part = end;
                }
                found.push(text);
            }
            _ => {}
        }
        at = data.end;
    }
    (bytes[3] & 15, found)
}

pub(super) fn server(instance: &Instance) -> SocketAddr {
    let run: Value =
        serde_json::from_slice(&std::fs::read(instance.state.path().join("run.json")).unwrap()).unwrap();
    run["dns"].as_str().unwrap().parse().unwrap()
}

fn status_of(instance: &Instance, entry: &Value) -> Option<u16> {
    let answer = instance.client(entry).get(entry["url"].as_str().unwrap()).send();
    answer.ok().map(|answer| answer.status().as_u16())
}

/// Routes `n0`, `n1`, … of team-a.
fn routes(numbers: impl IntoIterator<Item = usize>) -> String {
    let one = |n: usize| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: n{n}, namespace: team-a}}\nspec:\n  parentRefs: [{{name: shared, namespace: gateway-system, sectionName: https}}]\n  hostnames: [n{n}.dev.example.com]\n  rules: [{{backendRefs: [{{name: app1, port: 80}}]}}]\n"
        )
    };
    numbers.into_iter().map(one).collect::<Vec<_>>().join("---\n")
}

/// Writes the zone that an instance finds at its first start.
fn zone(state: &Path, sets: &Value) {
    let contents = json!({"zones": [{"zone": "example.com", "serial": 7, "sets": sets}]});
    std::fs::write(state.join("dns.json"), contents.to_string()).unwrap();
}

#[test]
fn records_come_once_the_listener_answers_and_say_whose_they_are() {
    let Some(envoy) = envoy("e2e dns records") else { return };
    let dir = first_steps();
    let certificates = dir.path().join("certificates.yaml");
    let good = std::fs::read_to_string(&certificates).unwrap();
    std::fs::write(&certificates, good.replace("    name: internal\n", "    name: nobody\n")).unwrap();
    let instance = Instance::start(dir, envoy);
    let dns = server(&instance);
    let entry = instance.wait("the listener to wait for its certificate", || {
        let entry = instance.entry(APP)?;
        entry["message"].as_str()?.contains("ingress-tls").then_some(entry)
    });
    assert_eq!((entry["state"].as_str(), &entry["dns"]["managed"]), (Some("pending"), &json!(true)));
    assert_eq!(entry["dns"]["records"], json!([]));
    assert_eq!(ask(dns, APP, A), (NXDOMAIN, vec![]), "its zone is served, the name is not");
    assert_eq!(ask(dns, "app1.example.org", A), (REFUSED, vec![]));
    let explained = instance.run(&["explain", APP]);
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(explained.contains("NO   DNS gate") && explained.contains("ingress-tls"), "{explained}");

    std::fs::write(certificates, &good).unwrap();
    let address = instance.wait("the record", || ask(dns, APP, A).1.pop());
    // The name is there, so the host must be: at once, with a chain that is valid for it.
    let entry = instance.entry(APP).unwrap();
    assert_eq!(entry["address"], *address);
    assert_eq!(status_of(&instance, &entry), Some(200));
    let owner =
        "heritage=external-dns,external-dns/owner=portolan,external-dns/resource=httproute/team-a/app1";
    assert_eq!(ask(dns, "a-app1.dev.example.com", TXT).1, [owner]);
    let entry = instance.reach(APP, "live");
    let records = entry["dns"]["records"].as_array().unwrap();
    assert_eq!(records[0], json!({"name": APP, "type": "A", "ttl": 300, "values": [*address]}));
    assert_eq!(records[1]["values"], json!([owner]));
    let greeter =
        "heritage=external-dns,external-dns/owner=portolan,external-dns/resource=grpcroute/team-a/greeter";
    instance.reach("greeter.dev.example.com", "live");
    assert_eq!(ask(dns, "a-greeter.dev.example.com", TXT).1, [greeter]);
    let redirect = instance.reach("*", "live");
    assert_eq!(redirect["dns"], json!({"managed": false, "outside": null, "records": []}));
    let explained = String::from_utf8(instance.run(&["explain", APP]).stdout).unwrap();
    for step in ["ok   DNS desired", "ok   DNS gate", "ok   DNS record", "owner portolan", "ok   DNS answer"]
    {
        assert!(explained.contains(step), "{step} is not in\n{explained}");
    }
    let Some(dig) = suites::program("dig") else {
        return suites::skip("e2e dig", "dig is missing; scripts/setup test brings it");
    };
    // What a user types.
    let owner = format!("\"{owner}\"");
    for (name, kind, wanted) in [(APP, "A", &address), ("a-app1.dev.example.com", "TXT", &owner)] {
        let output = std::process::Command::new(&dig)
            .args([&format!("@{}", dns.ip()), "-p", &dns.port().to_string(), name, kind, "+short"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), wanted, "{name} {kind}");
    }
}

#[test]
fn records_of_others_stay_as_they_are() {
    let Some(envoy) = envoy("e2e dns foreign") else { return };
    let instance = Instance::prepare(first_steps(), envoy, |state| {
        zone(
            state,
            &json!([
                {"name": APP, "type": "A", "ttl": 60, "values": ["192.0.2.1"]},
                {"name": "example.com", "type": "TXT", "ttl": 60, "values": ["v=spf1 -all"]},
            ]),
        );
    });
    instance.reach("greeter.dev.example.com", "live");
    let entry = instance.reach(APP, "refused");
    assert!(entry["message"].as_str().unwrap().contains("without a registry entry"), "{entry}");
    assert_eq!(entry["findings"][0]["code"], "PTL-0410");
    assert_eq!(entry["dns"]["records"][0]["values"], json!(["192.0.2.1"]));
    let dns = server(&instance);
    assert_eq!(ask(dns, APP, A).1, ["192.0.2.1"]);
    assert_eq!(ask(dns, "a-app1.dev.example.com", TXT).0, NXDOMAIN);
    assert_eq!(ask(dns, "example.com", TXT).1, ["v=spf1 -all"]);
}

#[test]
fn a_removed_route_and_a_removed_hostname_go_after_their_records() {
    let Some(envoy) = envoy("e2e dns removal") else { return };
    let dir = first_steps();
    let two = routes([0]).replace("[n0.dev.example.com]", "[n0.dev.example.com, m0.dev.example.com]");
    std::fs::write(dir.path().join("new.yaml"), &two).unwrap();
    let instance = Instance::start(dir, envoy);
    let dns = server(&instance);
    let n0 = instance.reach("n0.dev.example.com", "live");
    let m0 = instance.reach("m0.dev.example.com", "live");
    let gone = |entry: &Value| {
        let host = entry["hostname"].as_str().unwrap().to_owned();
        instance.wait(&format!("{host} to go"), || match status_of(&instance, entry) {
            Some(200) => None,
            status => {
                // No longer served: then its records are gone already.
                assert_eq!(status, Some(404), "never an error of the edge");
                assert_eq!(ask(dns, &host, A).0, NXDOMAIN);
                Some(())
            }
        });
        instance.wait("its entry to go", || instance.entry(&host).is_none().then_some(()));
    };
    instance.write("new.yaml", &routes([0]));
    gone(&m0);
    assert_eq!(instance.entry("n0.dev.example.com").unwrap()["state"], "live");
    std::fs::remove_file(instance.dir.path().join("new.yaml")).unwrap();
    gone(&n0);
    let left: Vec<Value> = instance.status()["entryPoints"].as_array().unwrap().clone();
    assert!(left.iter().all(|entry| !entry["route"].as_str().unwrap().contains('~')), "{left:?}");
}

/// The breaker holds records back: a route waits for them, over kill -9 too, and goes when they go.
#[test]
fn a_leaving_route_survives_kill_nine_and_ends_with_its_records() {
    let Some(envoy) = envoy("e2e dns kill -9") else { return };
    let dir = first_steps();
    std::fs::write(dir.path().join("new.yaml"), routes(0..12)).unwrap();
    let mut instance = Instance::start_with(dir, envoy, &["--drain", "3600s"]);
    let entry = instance.reach("n0.dev.example.com", "live");
    for n in 1..12 {
        instance.reach(&format!("n{n}.dev.example.com"), "live");
    }
    std::fs::remove_file(instance.dir.path().join("new.yaml")).unwrap();
    let leaving = |instance: &Instance| {
        instance.wait("n0 to be leaving", || {
            let entry = instance.entry("n0.dev.example.com")?;
            entry["message"].as_str()?.contains("leaving").then_some(entry)
        });
        instance.wait("the breaker", || {
            let status = instance.status();
            status["findings"].as_array()?.iter().any(|f| f["code"] == "PTL-0420").then_some(())
        });
    };
    leaving(&instance);
    let (address, before) = (entry["address"].as_str().unwrap(), server(&instance));
    assert_eq!(ask(before, "n0.dev.example.com", A).1, [address]);
    assert_eq!(status_of(&instance, &entry), Some(200), "served, with its backend");
    instance.kill_nine();
    instance.up();
    let dns = server(&instance);
    assert_eq!(ask(dns, "n0.dev.example.com", A).1, [address], "the first answer after kill -9");
    assert_eq!(ask(dns, APP, A).1, [address]);
    leaving(&instance);
    instance.wait("n0 to be served", || (status_of(&instance, &entry) == Some(200)).then_some(()));
    // Ten of the twelve come back: what is left to delete is little enough.
    instance.write("new.yaml", &routes(2..12));
    instance.wait("n0 to go", || instance.entry("n0.dev.example.com").is_none().then_some(()));
    instance.wait("n1 to go", || instance.entry("n1.dev.example.com").is_none().then_some(()));
    assert_eq!(ask(dns, "n0.dev.example.com", A).0, NXDOMAIN);
    for n in 2..12 {
        instance.reach(&format!("n{n}.dev.example.com"), "live");
    }
    assert_eq!(ask(dns, "n2.dev.example.com", A).1, [address]);
}

/// While a mass deletion is held back, what the held records point to is served, whatever the time and over a kill; once it is
/// approved, all goes in order.
#[test]
fn what_the_breaker_holds_is_served() {
    let Some(envoy) = envoy("e2e dns breaker") else { return };
    let dir = first_steps();
    std::fs::write(dir.path().join("new.yaml"), routes(0..12)).unwrap();
    let mut instance = Instance::start_with(dir, envoy, &["--drain", "1s"]);
    let entry = instance.reach("n0.dev.example.com", "live");
    for n in 1..12 {
        instance.reach(&format!("n{n}.dev.example.com"), "live");
    }
    std::fs::remove_file(instance.dir.path().join("new.yaml")).unwrap();
    for _ in 0..2 {
        instance.wait("the breaker", || {
            let status = instance.status();
            status["findings"].as_array()?.iter().any(|f| f["code"] == "PTL-0420").then_some(())
        });
        // Longer than the drain.
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert_eq!(
            ask(server(&instance), "n0.dev.example.com", A).1.len(),
            1,
            "the breaker holds its record"
        );
        assert_eq!(status_of(&instance, &entry), Some(200), "and what answers for it");
        let listed = instance.entry("n0.dev.example.com").expect("it is listed");
        assert!(listed["message"].as_str().unwrap().contains("leaving"), "{listed}");
        instance.kill_nine();
        instance.up();
    }
    assert!(instance.run(&["down"]).status.success());
    instance.ended();
    instance.arguments.push("--allow-mass-deletion".to_owned());
    instance.up();
    instance
        .wait("n0 to go", || (ask(server(&instance), "n0.dev.example.com", A).0 == NXDOMAIN).then_some(()));
    instance.wait("the entry to go", || instance.entry("n0.dev.example.com").is_none().then_some(()));
    assert_eq!(status_of(&instance, &entry), Some(404));
}

/// Where a policy is bound, edits are judged before they are stored: hostnames that they take away are served until their records
/// are gone, as without one, and what was changed is said.
#[test]
fn what_an_edit_takes_away_under_a_policy_is_served_until_its_records_are_gone() {
    let Some(envoy) = envoy("e2e dns policy") else { return };
    let dir = first_steps();
    let policy = "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: maps}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [''], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}
      - {apiGroups: [gateway.networking.k8s.io], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [httproutes]}
  validations: [{expression: \"object.metadata.name != 'nobody'\"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: maps}
spec: {policyName: maps, validationActions: [Deny]}
";
    std::fs::write(dir.path().join("policy.yaml"), policy).unwrap();
    std::fs::write(dir.path().join("new.yaml"), routes(0..12)).unwrap();
    let instance = Instance::start_with(dir, envoy, &["--drain", "1s"]);
    let entry = instance.reach("n0.dev.example.com", "live");
    for n in 1..12 {
        instance.reach(&format!("n{n}.dev.example.com"), "live");
    }
    let mut renamed = routes(0..12);
    for n in 0..12 {
        renamed = renamed.replace(&format!("[n{n}.dev"), &format!("[m{n}.dev"));
    }
    assert!(renamed.contains("[m0.dev.example.com]") && !renamed.contains("[n0."), "{renamed}");
    instance.write("new.yaml", &renamed);
    instance.wait("the breaker", || {
        let status = instance.status();
        status["findings"].as_array()?.iter().any(|f| f["code"] == "PTL-0420").then_some(())
    });
    instance.reach("m0.dev.example.com", "live");
    // Longer than the drain.
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(ask(server(&instance), "n0.dev.example.com", A).1.len(), 1, "its record stands");
    assert_eq!(status_of(&instance, &entry), Some(200), "and what answers for it");
    let listed = instance.entry("n0.dev.example.com").expect("it is listed");
    assert!(listed["message"].as_str().unwrap().contains("leaving"), "{listed}");
    let printed = std::fs::read_to_string(instance.dir.path().join("up.log")).unwrap();
    let changed = printed.lines().filter(|line| line.starts_with("changed ")).collect::<Vec<_>>();
    assert!(matches!(&*changed, [line] if line.contains("HTTPRoute/team-a/n0")), "{printed}");
    assert!(!printed.contains("no object is other than before"), "{printed}");
}

/// What was removed while nothing ran is removed in order at the next start; nothing else is withdrawn.
#[test]
fn a_restart_withdraws_nothing_and_loses_no_removal() {
    let Some(envoy) = envoy("e2e dns restart") else { return };
    let dir = first_steps();
    std::fs::write(dir.path().join("new.yaml"), routes([0])).unwrap();
    let mut instance = Instance::start(dir, envoy);
    instance.reach("n0.dev.example.com", "live");
    let entry = instance.reach(APP, "live");
    assert!(instance.run(&["down"]).status.success());
    instance.ended();
    std::fs::remove_file(instance.dir.path().join("new.yaml")).unwrap();
    instance.up();
    let dns = server(&instance);
    instance.wait("n0 to go", || {
        // From the first answer on, and all the time.
        assert_eq!(ask(dns, APP, A).1, [entry["address"].as_str().unwrap()]);
        (ask(dns, "n0.dev.example.com", A).0 == NXDOMAIN).then_some(())
    });
    instance.reach(APP, "live");
    assert!(instance.entry("n0.dev.example.com").is_none());
}

/// A second Gateway beside the example's, with the same certificate.
const OTHER: &str = "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: other, namespace: gateway-system}
spec:
  gatewayClassName: infra-shared-01
  listeners:
    - name: https
      port: 443
      protocol: HTTPS
      hostname: '*.dev.example.com'
      tls: {certificateRefs: [{name: ingress-tls}]}
      allowedRoutes: {namespaces: {from: All}}
";

/// Follows the name until `end`: wherever DNS says, the host answers.
fn follow(instance: &Instance, dns: SocketAddr, entry: &Value, end: impl Fn(&[String]) -> bool) {
    let host = entry["hostname"].as_str().unwrap();
    instance.wait(&format!("{host} to move"), || {
        let answers = ask(dns, host, A).1;
        for address in &answers {
            let mut there = entry.clone();
            there["address"] = address.as_str().into();
            if status_of(instance, &there) != Some(200) {
                // Unless it has moved between the two questions.
                assert!(
                    !ask(dns, host, A).1.contains(address),
                    "{host} is at {address} and not served there"
                );
            }
        }
        end(&answers).then_some(())
    });
}

#[test]
fn a_route_that_moves_to_another_gateway_is_served_wherever_its_name_points() {
    let Some(envoy) = envoy("e2e dns move") else { return };
    let dir = first_steps();
    std::fs::write(dir.path().join("other.yaml"), OTHER).unwrap();
    std::fs::write(dir.path().join("new.yaml"), routes([0])).unwrap();
    let instance = Instance::start(dir, envoy);
    let dns = server(&instance);
    let before = instance.reach("n0.dev.example.com", "live");
    let old = before["address"].as_str().unwrap();
    instance.write("new.yaml", &routes([0]).replace("{name: shared,", "{name: other,"));
    follow(&instance, dns, &before, |answers| answers.len() == 1 && answers[0] != old);
    instance
        .wait("the old Gateway to forget it", || (status_of(&instance, &before) == Some(404)).then_some(()));
    instance.wait("the entry at the new Gateway", || {
        let entry = instance.entry("n0.dev.example.com")?;
        (entry["state"] == "live" && entry["address"] != old).then_some(())
    });
    assert_eq!(instance.status()["findings"], json!([]));
}

#[test]
fn a_removed_gateway_is_served_until_its_records_are_gone() {
    let Some(envoy) = envoy("e2e dns gateway removal") else { return };
    let dir = first_steps();
    std::fs::write(dir.path().join("other.yaml"), OTHER).unwrap();
    std::fs::write(dir.path().join("new.yaml"), routes([0]).replace("{name: shared,", "{name: other,"))
        .unwrap();
    let instance = Instance::start(dir, envoy);
    let dns = server(&instance);
    let before = instance.reach("n0.dev.example.com", "live");
    std::fs::remove_file(instance.dir.path().join("other.yaml")).unwrap();
    follow(&instance, dns, &before, <[String]>::is_empty);
    instance.wait("the Gateway to go", || status_of(&instance, &before).is_none().then_some(()));
    let entry = instance.reach("n0.dev.example.com", "refused");
    assert!(entry["message"].as_str().unwrap().contains("gateway-system/other does not exist"), "{entry}");
    // It comes back: so do its names.
    instance.write("other.yaml", OTHER);
    instance.reach("n0.dev.example.com", "live");
    assert_eq!(ask(dns, "n0.dev.example.com", A).1, [before["address"].as_str().unwrap()]);
    instance.reach(APP, "live");
}

#[test]
fn a_removed_listener_is_served_until_the_records_of_its_names_are_gone() {
    let Some(envoy) = envoy("e2e dns listener removal") else { return };
    let dir = first_steps();
    let plain = "    - {name: plain, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}\n";
    let both = OTHER.replace("  listeners:\n", &format!("  listeners:\n{plain}"));
    assert!(both.contains(plain));
    std::fs::write(dir.path().join("other.yaml"), &both).unwrap();
    std::fs::write(dir.path().join("new.yaml"), routes([0]).replace("{name: shared,", "{name: other,"))
        .unwrap();
    let instance = Instance::start(dir, envoy);
    let dns = server(&instance);
    let before = instance.reach("n0.dev.example.com", "live");
    let (head, _) = both.split_once("    - name: https").unwrap();
    instance.write("other.yaml", head);
    follow(&instance, dns, &before, <[String]>::is_empty);
    instance.wait("the listener to go", || status_of(&instance, &before).is_none().then_some(()));
    let entry = instance.reach("n0.dev.example.com", "refused");
    assert!(entry["message"].as_str().unwrap().contains("has no listener https"), "{entry}");
    let gateway = instance.run(&["get", "gateway", "gateway-system/other", "-o", "yaml"]);
    let gateway = String::from_utf8(gateway.stdout).unwrap();
    assert!(gateway.contains("plain") && !gateway.contains("leaving"), "{gateway}");
    // It comes back: so do its names.
    instance.write("other.yaml", &both);
    instance.reach("n0.dev.example.com", "live");
    assert_eq!(ask(dns, "n0.dev.example.com", A).1, [before["address"].as_str().unwrap()]);
}

#[test]
fn a_removed_class_is_served_until_the_records_of_its_gateways_are_gone() {
    let Some(envoy) = envoy("e2e dns class removal") else { return };
    let dir = first_steps();
    let class = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: second}\nspec: {controllerName: portolan.dev/gateway-controller}\n";
    std::fs::write(dir.path().join("class.yaml"), class).unwrap();
    let other = OTHER.replace("gatewayClassName: infra-shared-01", "gatewayClassName: second");
    assert_ne!(other, OTHER);
    std::fs::write(dir.path().join("other.yaml"), other).unwrap();
    std::fs::write(dir.path().join("new.yaml"), routes([0]).replace("{name: shared,", "{name: other,"))
        .unwrap();
    let instance = Instance::start(dir, envoy);
    let dns = server(&instance);
    let before = instance.reach("n0.dev.example.com", "live");
    std::fs::remove_file(instance.dir.path().join("class.yaml")).unwrap();
    follow(&instance, dns, &before, <[String]>::is_empty);
    instance.wait("the Gateway to go", || status_of(&instance, &before).is_none().then_some(()));
    let entry = instance.entry("n0.dev.example.com").unwrap();
    assert!(entry["message"].as_str().unwrap().contains("GatewayClass"), "{entry}");
    instance.write("class.yaml", class);
    instance.reach("n0.dev.example.com", "live");
    instance.reach(APP, "live");
}

/// A Gateway whose class is misspelt, and one that is given to another controller: as if it were removed.
#[test]
fn what_is_given_to_another_controller_is_served_until_its_records_are_gone() {
    let Some(envoy) = envoy("e2e dns class change") else { return };
    let dir = first_steps();
    let class = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: second}\nspec: {controllerName: portolan.dev/gateway-controller}\n";
    std::fs::write(dir.path().join("class.yaml"), class).unwrap();
    let other = OTHER.replace("gatewayClassName: infra-shared-01", "gatewayClassName: second");
    std::fs::write(dir.path().join("other.yaml"), &other).unwrap();
    std::fs::write(dir.path().join("new.yaml"), routes([0]).replace("{name: shared,", "{name: other,"))
        .unwrap();
    let instance = Instance::start(dir, envoy);
    let dns = server(&instance);
    let before = instance.reach("n0.dev.example.com", "live");
    let theirs = class
        .replace("name: second", "name: theirs")
        .replace("portolan.dev/gateway-controller", "example.com/theirs");
    let misspelt = other.replace("Name: second", "Name: secnod");
    let given = format!("{}\n---\n{theirs}", other.replace("Name: second", "Name: theirs"));
    for wrong in [misspelt, given] {
        instance.write("other.yaml", &wrong);
        follow(&instance, dns, &before, <[String]>::is_empty);
        instance.wait("the Gateway to go", || status_of(&instance, &before).is_none().then_some(()));
        let stored = instance.run(&["get", "gateway", "gateway-system/other", "-o", "json"]);
        let stored = String::from_utf8_lossy(&stored.stdout).into_owned();
        assert!(
            stored.contains("gatewayClassName") && !stored.contains("leaving-"),
            "no mark is left: {stored}"
        );
        instance.write("other.yaml", &other);
        let entry = instance.reach("n0.dev.example.com", "live");
        assert_eq!(entry["address"], before["address"]);
    }
    // A class under another name in the same edit moves nothing.
    let renamed = class.replace("name: second", "name: third");
    instance
        .write("other.yaml", &format!("{}\n---\n{renamed}", other.replace("Name: second", "Name: third")));
    instance.wait("the Gateway to have the class", || {
        let output = instance.run(&["get", "gateway", "gateway-system/other", "-o", "json"]);
        String::from_utf8_lossy(&output.stdout).contains("\"third\"").then_some(())
    });
    assert_eq!(ask(dns, "n0.dev.example.com", A).1, [before["address"].as_str().unwrap()]);
    assert_eq!(status_of(&instance, &before), Some(200));
    instance.reach(APP, "live");
}

/// A removed Gateway under the mass-deletion breaker.
#[test]
fn a_removed_gateway_answers_while_the_breaker_holds_its_records() {
    let Some(envoy) = envoy("e2e dns breaker of a gateway") else { return };
    let dir = first_steps();
    std::fs::write(dir.path().join("other.yaml"), OTHER).unwrap();
    std::fs::write(dir.path().join("new.yaml"), routes(0..12).replace("{name: shared,", "{name: other,"))
        .unwrap();
    let mut instance = Instance::start_with(dir, envoy, &["--drain", "1s"]);
    let entry = instance.reach("n0.dev.example.com", "live");
    for n in 1..12 {
        instance.reach(&format!("n{n}.dev.example.com"), "live");
    }
    std::fs::remove_file(instance.dir.path().join("other.yaml")).unwrap();
    for _ in 0..2 {
        instance.wait("the breaker", || {
            let status = instance.status();
            status["findings"].as_array()?.iter().any(|f| f["code"] == "PTL-0420").then_some(())
        });
        // Longer than the drain.
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert_eq!(ask(server(&instance), "n0.dev.example.com", A).1.len(), 1, "its record is held");
        assert_eq!(status_of(&instance, &entry), Some(200), "and the Gateway answers");
        instance.kill_nine();
        instance.up();
    }
}

/// A domain filter that is a host itself: names below it came first, so that it was a zone of its own. The host is published all
/// the same, and nothing of what stood is lost, also not by a restart.
#[test]
fn a_filters_own_host_is_published_after_names_below_it() {
    let Some(envoy) = envoy("e2e dns filter's own host") else { return };
    let dir = first_steps();
    let at = |path: &str| dir.path().join(path);
    std::fs::create_dir_all(at("base")).unwrap();
    for file in ["gateway.yaml", "team-a.yaml", "certificates.yaml"] {
        std::fs::rename(at(file), at("base").join(file)).unwrap();
    }
    let route = |name: &str, host: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: team-a}}\nspec:\n  parentRefs: [{{name: plain, namespace: gateway-system}}]\n  hostnames: [{host}]\n  rules: [{{backendRefs: [{{name: app1, port: 80}}]}}]\n"
        )
    };
    let plain = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: plain, namespace: gateway-system}\nspec:\n  gatewayClassName: infra-shared-01\n  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]\n---\n";
    std::fs::write(at("base/below.yaml"), format!("{plain}{}", route("below", "a.shop.example.com")))
        .unwrap();
    let application = |name: &str, source: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\nspec:\n  project: default\n  destination: {{namespace: team-a, server: https://kubernetes.default.svc}}\n  source: {source}\n---\n"
        )
    };
    let dns = "{repoURL: https://kubernetes-sigs.github.io/external-dns/, chart: external-dns, targetRevision: 1.20.0, helm: {valuesObject: {sources: [gateway-httproute], policy: sync, domainFilters: [shop.example.com], txtOwnerId: me}}}";
    let base = "{repoURL: https://git.example.com/r.git, path: base}";
    std::fs::write(at("apps.yaml"), application("base", base) + &application("dns", dns)).unwrap();
    let mut instance = Instance::start_with(dir, envoy, &["--root", "apps.yaml"]);
    let answered = |instance: &Instance, host: &str| {
        let what = format!("{host} to be answered");
        instance.wait(&what, || Some(ask(server(instance), host, A).1).filter(|found| !found.is_empty()))
    };
    let first = answered(&instance, "a.shop.example.com");
    instance.write("base/host.yaml", &route("host", "shop.example.com"));
    assert_eq!(answered(&instance, "shop.example.com"), first, "one Gateway");
    assert_eq!(answered(&instance, "a.shop.example.com"), first);
    let entry = instance.reach("shop.example.com", "live");
    let txt = entry["dns"]["records"].as_array().unwrap().iter().find(|r| r["type"] == "TXT").unwrap();
    assert_eq!(txt["name"], "a-shop.example.com");
    let findings = instance.status()["findings"].clone();
    assert!(!findings.to_string().contains("PTL-0412"), "{findings:#}");
    instance.kill_nine();
    instance.up();
    for host in ["shop.example.com", "a.shop.example.com"] {
        assert_eq!(answered(&instance, host), first);
    }
}
