//! A port of a Gateway that another program has: it is told, holds back nobody else, and is taken once it is free.

use std::{net::TcpListener, path::Path, process::Stdio};

use serde_json::Value;

use crate::instance::{Instance, envoy, first_steps, portolan};

/// Two Gateways, each with HTTPS on 443; `lonely` is on the second one. With `alone` nothing else is served.
fn two_gateways(alone: bool) -> tempfile::TempDir {
    let dir = first_steps();
    let gateway = std::fs::read_to_string(dir.path().join("gateway.yaml")).unwrap();
    let https = gateway.find("    - name: https").unwrap();
    let second = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: second, namespace: gateway-system}}\nspec:\n  \
         gatewayClassName: infra-shared-01\n  listeners:\n{}",
        gateway[https..].split("---").next().unwrap()
    );
    let route = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: lonely, namespace: team-a}\nspec:\n  \
                 parentRefs: [{name: second, namespace: gateway-system}]\n  hostnames: [lonely.dev.example.com]\n  rules: [{backendRefs: \
                 [{name: app1, port: 80}]}]\n";
    std::fs::write(dir.path().join("second.yaml"), second + route).unwrap();
    if alone {
        let class = gateway.split("---").next().unwrap();
        std::fs::write(dir.path().join("gateway.yaml"), class).unwrap();
    }
    dir
}

/// The address and port of a Gateway's HTTPS listener.
fn place(state: &Path, gateway: &str) -> (String, u16) {
    let saved: Value = serde_json::from_slice(&std::fs::read(state.join("addresses.json")).unwrap()).unwrap();
    let (number, range) = (&saved["numbers"][gateway], &saved["range"]);
    let port = saved["ports"][gateway]["443"].as_u64().unwrap();
    (format!("127.77.{range}.{number}"), u16::try_from(port).unwrap())
}

#[test]
fn a_taken_port_holds_back_nobody_else_and_is_taken_once_it_is_free() {
    let Some(envoy) = envoy("e2e taken port") else { return };
    let mut instance = Instance::start(two_gateways(false), envoy);
    let host = "app1.dev.example.com";
    instance.reach(host, "live");
    assert!(instance.run(&["down"]).status.success());
    instance.ended();
    let held = place(instance.state.path(), "gateway-system/shared");
    let held = TcpListener::bind((held.0.as_str(), held.1)).unwrap();
    instance.up();
    let refused = instance.reach(host, "refused");
    assert!(refused["message"].as_str().unwrap().contains("Address already in use"), "{refused}");
    // The other port of the same Gateway, and the other Gateway.
    instance.reach("*", "live");
    let lonely = instance.reach("lonely.dev.example.com", "live");
    let answer = instance.client(&lonely).get(lonely["url"].as_str().unwrap()).send().unwrap();
    assert_eq!(answer.status(), 200);
    let (other, _) = self::place(instance.state.path(), "gateway-system/second");
    instance.wait("its record", || {
        let entry = instance.entry("lonely.dev.example.com")?;
        entry["dns"].to_string().contains(&other).then_some(())
    });
    // An edit goes on too.
    instance.edit("second.yaml", "lonely.dev", "moved.dev");
    instance.reach("moved.dev.example.com", "live");
    assert_eq!(instance.entry(host).unwrap()["state"], "refused");
    drop(held);
    let entry = instance.reach(host, "live");
    let answer = instance.client(&entry).get(entry["url"].as_str().unwrap()).send().unwrap();
    assert_eq!(answer.status(), 200);
    let findings = instance.status()["findings"].to_string();
    assert!(!findings.contains("PTL-0231"), "{findings}");
}

#[test]
fn up_once_ends_when_a_whole_listener_is_refused() {
    let Some(envoy) = envoy("e2e refused listener") else { return };
    // While an instance is down another test's may take its range of addresses, and the next run another one: then nothing was
    // held, and it is tried again.
    for alone in [false, true] {
        assert!((0..3).any(|_| a_held_port_ends_up_once(&envoy, alone)), "the addresses moved each time");
    }
}

/// False where the addresses moved, and nothing was seen.
fn a_held_port_ends_up_once(envoy: &Path, alone: bool) -> bool {
    let mut instance = Instance::start(two_gateways(alone), envoy.to_path_buf());
    instance.reach("lonely.dev.example.com", "live");
    assert!(instance.run(&["down"]).status.success());
    instance.ended();
    let held = place(instance.state.path(), "gateway-system/second");
    let _held = TcpListener::bind((held.0.as_str(), held.1)).unwrap();
    let mut once = portolan()
        .arg("up")
        .arg(instance.dir.path())
        .args(["--once", "--timeout", "600s", "--dns-listen", "127.0.0.1:0", "--acme-listen", "127.0.0.1:0"])
        .args(["--api-listen", "127.0.0.1:0", "--state"])
        .arg(instance.state.path())
        .arg("--envoy")
        .arg(envoy)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Well before its own timeout.
    let code = instance.wait("up --once to end", || once.try_wait().unwrap());
    let text = std::io::read_to_string(once.stdout.take().unwrap()).unwrap();
    if place(instance.state.path(), "gateway-system/second") != held {
        return false;
    }
    assert_eq!(code.code(), Some(1), "{text}");
    assert!(text.contains("PTL-0231") && text.contains("Address already in use"), "{text}");
    true
}
