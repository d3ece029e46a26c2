//! Kinds that may not be read, and definitions that go and come back.

use std::{path::Path, process::Command};

use crate::{
    place::{Backend, Place, Traffic, answers, ask, eventually, holds, parent},
    replicas::{Envoy, free},
    running::Running,
};

/// Lets the service account of a place do all that `run` needs, as it says itself, but for reading these routes.
fn allow(place: &Place, but: &str) {
    let name = place.name;
    let printed = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(["rbac", "--name", name, "--namespace", name, "--account", "portolan"])
        .output()
        .unwrap();
    assert!(printed.status.success());
    // A resource stands on a line of its own; that of its status is another.
    let roles = String::from_utf8(printed.stdout).unwrap();
    let roles: Vec<&str> = roles.lines().filter(|line| line.trim() != format!("- {but}")).collect();
    place.apply(&roles.join("\n"));
    place.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: portolan}}\n");
}

/// A kubeconfig of that account.
fn account(place: &Place, dir: &Path) -> String {
    let minted = Command::new(std::env::var("RIG").unwrap())
        .args(["mint", "--service-account", &format!("{}/portolan", place.name)])
        .output()
        .unwrap();
    assert!(minted.status.success(), "{}", String::from_utf8_lossy(&minted.stderr));
    let kubeconfig = dir.join("kubeconfig");
    std::fs::write(&kubeconfig, minted.stdout).unwrap();
    kubeconfig.to_str().unwrap().to_owned()
}

#[test]
fn a_kind_that_may_not_be_read_is_said_and_the_others_go_on() {
    let Some(place) = Place::new("limited") else { return };
    let one = Backend::start("one");
    place.service(&one);
    place.gateway();
    place.route("r", "app.example.com", "one");
    allow(&place, "grpcroutes");
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = account(&place, dir.path());
    let portolan = Running::start(&place, &["--local-envoy"], Some(&kubeconfig));
    eventually("it is ready all the same", || portolan.is_ready().then_some(()));
    let refused = portolan.findings("PTL-0096");
    assert_eq!(refused.len(), 1, "{refused:?}");
    let message = refused[0]["message"].as_str().unwrap();
    assert!(message.contains("GRPCRoute") && message.contains("forbidden"), "{message}");
    let address = place.address();
    answers(address, "app.example.com", 200, Some("one"));
    // Once it may be read it is, without a restart.
    allow(&place, "none");
    eventually("it is read", || portolan.findings("PTL-0096").is_empty().then_some(()));
}

#[test]
fn a_definition_goes_and_comes_back_and_traffic_goes_on() {
    let Some(place) = Place::alone("ebb") else { return };
    let (one, two) = (Backend::start("one"), Backend::start("two"));
    for backend in [&one, &two] {
        place.service(backend);
    }
    place.gateway();
    place.route("r", "app.example.com", "one");
    let portolan = Running::with_envoy(&place, &[]);
    let address = place.address();
    answers(address, "app.example.com", 200, Some("one"));
    let traffic = Traffic::start(address, "app.example.com");
    let name = "customresourcedefinition/httproutes.gateway.networking.k8s.io";
    let definition = place.kubectl(&["get", name, "-o", "json"], "").unwrap();
    // With the definition every route of the cluster is removed.
    place.kubectl(&["delete", name], "").unwrap();
    eventually("it is said", || (!portolan.findings("PTL-0097").is_empty()).then_some(()));
    answers(address, "app.example.com", 200, Some("one"));
    let mut json: serde_json::Value = serde_json::from_str(&definition).unwrap();
    json.as_object_mut().unwrap().remove("status");
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
        json["metadata"].as_object_mut().unwrap().remove(field);
    }
    place.kubectl(&["create", "-f", "-"], &json.to_string()).unwrap();
    eventually("the kind is served again", || place.kubectl(&["get", "httproutes"], "").ok());
    place.route("r", "app.example.com", "two");
    answers(address, "app.example.com", 200, Some("two"));
    eventually("its status is written again", || {
        let route = place.get("httproute/r")?;
        holds(&parent(&route, &place.controller())?["conditions"], "Accepted", &route)
    });
    eventually("it is seen whole", || portolan.findings("PTL-0097").is_empty().then_some(()));
    let (failed, all) = traffic.end();
    assert!(failed == 0 && all > 10, "{failed} of {all} requests failed");
}

#[test]
fn routes_that_may_not_be_read_at_a_start_are_taken_from_no_envoy() {
    let Some(place) = Place::new("kept") else { return };
    let (one, two) = (Backend::start("one"), Backend::start("two"));
    for backend in [&one, &two] {
        place.service(backend);
    }
    place.gateway();
    place.route("r", "app.example.com", "one");
    allow(&place, "none");
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = account(&place, dir.path());
    let xds = free();
    let start = || Running::start(&place, &["--xds-listen", &xds.to_string()], Some(&kubeconfig));
    let first = start();
    let _envoy = Envoy::start(dir.path(), &[xds]);
    let address = place.address();
    answers(address, "app.example.com", 200, Some("one"));
    // It is killed, and what comes after may not read what Envoy serves.
    first.kill();
    allow(&place, "httproutes");
    let second = start();
    eventually("it is ready", || second.is_ready().then_some(()));
    eventually("Envoy asks it", || second.metrics().contains("portolan_envoys 1").then_some(()));
    assert_eq!(second.findings("PTL-0096").len(), 1);
    for _ in 0..300 {
        let (status, body) = ask(address, "app.example.com").expect("it answers");
        assert_eq!((status, &*body), (200, "one"), "what was not seen is not taken away");
    }
    // Once it is seen, what changed meanwhile is served.
    place.route("r", "app.example.com", "two");
    allow(&place, "none");
    answers(address, "app.example.com", 200, Some("two"));
}
