//! Two replicas and one Envoy that may ask either.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    place::{Backend, Place, Traffic, answers, eventually, holds, parent},
    running::Running,
};

/// An Envoy that asks at any of these addresses; it goes with the test.
pub struct Envoy(Child);

impl Envoy {
    pub fn start(dir: &std::path::Path, xds: &[SocketAddr]) -> Self {
        let printed = Command::new(env!("CARGO_BIN_EXE_portolan"))
            .args(["run", "--print-bootstrap", "--xds-listen", &xds[0].to_string()])
            .output()
            .unwrap();
        let mut bootstrap: Value = serde_json::from_slice(&printed.stdout).unwrap();
        let endpoints =
            bootstrap.pointer_mut("/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints");
        *endpoints.unwrap() = xds
            .iter()
            .map(|at| json!({"endpoint": {"address": {"socket_address": {"address": at.ip(), "port_value": at.port()}}}}))
            .collect();
        bootstrap["admin"]["address"]["pipe"]["path"] = json!(dir.join("admin"));
        let file = dir.join("envoy.json");
        std::fs::write(&file, bootstrap.to_string()).unwrap();
        let child = Command::new("envoy")
            .args([
                "--service-node",
                "edge-1",
                "--service-cluster",
                "edge",
                "--use-dynamic-base-id",
                "--disable-hot-restart",
            ])
            .args(["--log-level", "warning", "--concurrency", "1", "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody has at present.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn the_leader_is_killed_and_the_other_leads_while_traffic_goes_on() {
    let Some(place) = Place::new("replicas") else { return };
    let (one, two) = (Backend::start("one"), Backend::start("two"));
    for backend in [&one, &two] {
        place.service(backend);
    }
    place.gateway();
    place.route("r", "app.example.com", "one");
    let xds = [free(), free()];
    let replica = |at: SocketAddr| Running::start(&place, &["--xds-listen", &at.to_string()], None);
    let (first, second) = (replica(xds[0]), replica(xds[1]));
    let leader = eventually("one of them leads", || [&first, &second].into_iter().position(Running::leads));
    let dir = tempfile::tempdir().unwrap();
    let _envoy = Envoy::start(dir.path(), &xds);
    // Both translate, whoever leads.
    for one in [&first, &second] {
        eventually("it is ready", || one.is_ready().then_some(()));
    }
    assert_eq!([&first, &second].into_iter().filter(|one| one.leads()).count(), 1);
    let address = eventually("the Gateway has an address", || {
        place.get("gateway/gw")?["status"]["addresses"][0]["value"].as_str()?.parse().ok()
    });
    answers(address, "app.example.com", 200, Some("one"));
    let traffic = Traffic::start(address, "app.example.com");
    let (dead, alive) = if leader == 0 { (first, second) } else { (second, first) };
    dead.kill();
    // Before anybody leads again: what is edited is served.
    place.route("r", "app.example.com", "two");
    answers(address, "app.example.com", 200, Some("two"));
    eventually("the other leads", || alive.leads().then_some(()));
    eventually("and writes statuses", || {
        let route = place.get("httproute/r")?;
        holds(&parent(&route, &place.controller())?["conditions"], "Accepted", &route)
    });
    assert_eq!(place.address(), address, "the Gateway keeps its address");
    assert!(alive.metrics().contains("portolan_leader 1"));
    let (failed, all) = traffic.end();
    assert!(failed == 0 && all > 10, "{failed} of {all} requests failed");
}

#[test]
fn one_that_ends_in_order_hands_over_at_once_and_a_stolen_lease_is_let_go() {
    let Some(place) = Place::new("handover") else { return };
    place.gateway();
    // A lease that lasts for minutes: whoever waited for its end would be seen.
    let long = |at: SocketAddr| {
        let at = at.to_string();
        Running::start(&place, &["--xds-listen", &at, "--lease-time", "300s"], None)
    };
    let mut first = long(free());
    eventually("it leads", || first.leads().then_some(()));
    let second = long(free());
    first.stop();
    eventually("the other leads", || second.leads().then_some(()));
    // Somebody takes the Lease away by hand.
    let thief = r#"{"spec":{"holderIdentity":"thief"}}"#;
    place.kubectl(&["patch", "lease/portolan", "--type=merge", "-p", thief], "").unwrap();
    eventually("it lets go", || (!second.leads()).then_some(()));
    assert_eq!(second.status()["lease"]["holder"], "thief");
}

/// The rig's API server, which stands still until this goes.
struct Still(rustix::process::Pid);

impl Still {
    fn stand() -> Self {
        let pids = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let is = |pid: &i32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.trim() == "kube-apiserver")
        };
        let found = pids.filter(is).find_map(rustix::process::Pid::from_raw).expect("the rig's API server");
        rustix::process::kill_process(found, rustix::process::Signal::STOP).unwrap();
        Self(found)
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(self.0, rustix::process::Signal::CONT);
    }
}

#[test]
fn an_api_server_that_does_not_answer_takes_nothing_away_and_all_heals() {
    let Some(place) = Place::alone("still") else { return };
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
    let still = Still::stand();
    // It cannot renew the Lease, so it writes nothing any more, whoever else may.
    eventually("it does not lead any more", || (!portolan.leads()).then_some(()));
    assert!(portolan.is_ready(), "what is translated is served");
    assert_eq!(portolan.findings("PTL-0098").len(), 1);
    answers(address, "app.example.com", 200, Some("one"));
    drop(still);
    eventually("it leads again", || portolan.leads().then_some(()));
    place.route("r", "app.example.com", "two");
    answers(address, "app.example.com", 200, Some("two"));
    eventually("and nothing is said any more", || portolan.findings("PTL-0098").is_empty().then_some(()));
    let (failed, all) = traffic.end();
    assert!(failed == 0 && all > 10, "{failed} of {all} requests failed");
}
