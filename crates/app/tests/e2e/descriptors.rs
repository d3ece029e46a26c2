//! Want of descriptors: connections that others hold leave enough for all other work, and what finds none is tried again.

use std::{
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use portolan_testkit::suites;
use serde_json::Value;

use crate::{
    instance::{envoy, portolan, private},
    restarts::ten_hosts,
};

/// Files that the instance may have open.
const FILES: usize = 256;

struct Running {
    child: Child,
    state: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = portolan().arg("down").arg("--state").arg(self.state.path()).output();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn status(&self) -> Value {
        let mut command = portolan();
        let output =
            command.args(["status", "-o", "json", "--state"]).arg(self.state.path()).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn entry(&self, host: &str) -> Option<Value> {
        self.status()["entryPoints"].as_array()?.iter().find(|entry| entry["hostname"] == host).cloned()
    }

    fn reach(&self, host: &str) -> Value {
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            match self.entry(host) {
                Some(entry) if entry["state"] == "live" => return entry,
                other => assert!(
                    Instant::now() < until,
                    "{host} is not live: {other:?} {}",
                    self.status()["findings"]
                ),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sets how many files it may have open from now on; it keeps what it has.
    fn limit(&self, files: usize) {
        let limit = format!("--nofile={files}:{FILES}");
        let done = Command::new("prlimit").arg("--pid").arg(self.child.id().to_string()).arg(limit).status();
        assert!(done.unwrap().success());
    }

    fn open(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }
}

#[test]
fn want_of_descriptors_harms_nobody_for_longer_than_it_lasts() {
    let Some(envoy) = envoy("e2e descriptors") else { return };
    if Command::new("prlimit").arg("--version").output().is_err() {
        return suites::skip_optional("e2e descriptors", "prlimit is missing (util-linux)");
    }
    let (dir, state) = (ten_hosts(), private());
    let bare = "apiVersion: v1\nkind: Service\nmetadata: {name: bare, namespace: team-a}\nspec: {ports: [{port: 80}]}\n---\n\
                apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: bare, namespace: team-a}\nspec:\n  \
                parentRefs: [{name: shared, namespace: gateway-system, sectionName: https}]\n  hostnames: [bare.dev.example.com]\n  \
                rules: [{backendRefs: [{name: bare, port: 80}]}]\n";
    std::fs::write(dir.path().join("bare.yaml"), bare).unwrap();
    let child = Command::new("prlimit")
        .arg(format!("--nofile={FILES}:{FILES}"))
        .arg(portolan().get_program())
        .arg("up")
        .arg(dir.path())
        .args([
            "--dns-listen",
            "127.0.0.1:0",
            "--acme-listen",
            "127.0.0.1:0",
            "--api-listen",
            "127.0.0.1:0",
            "--state",
        ])
        .arg(state.path())
        .arg("--envoy")
        .arg(envoy)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running { child, state };
    let entry = running.reach("h0.dev.example.com");
    running.reach("bare.dev.example.com");
    let route = |name: &str| {
        let text = std::fs::read_to_string(dir.path().join("more.yaml")).unwrap();
        let of_h7 = text.split("---\n").find(|document| document.contains("h7.dev.example.com")).unwrap();
        let text =
            of_h7.replace("name: h7,", &format!("name: {name},")).replace("h7.dev", &format!("{name}.dev"));
        std::fs::write(dir.path().join(format!("{name}.yaml")), text).unwrap();
    };

    // Whoever holds connections to the API and to a stand-in, and asks nothing.
    let run = std::fs::read(running.state.path().join("run.json")).unwrap();
    let run: Value = serde_json::from_slice(&run).unwrap();
    let api: std::net::SocketAddr = run["api"].as_str().unwrap().parse().unwrap();
    let folder = std::fs::read_dir(run["sockets"]["directory"].as_str().unwrap()).unwrap().flatten();
    let stand_in = folder.map(|file| file.path()).find(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.len() == 11 && name.starts_with('s'))
    });
    let asked: Vec<std::net::TcpStream> =
        (0..120).map_while(|_| std::net::TcpStream::connect(api).ok()).collect();
    let held: Vec<UnixStream> = stand_in
        .iter()
        .flat_map(|path| (0..200).map_while(move |_| UnixStream::connect(path).ok()))
        .collect();
    route("held");
    running.reach("held.dev.example.com");
    assert!((FILES / 2 + 64..FILES).contains(&running.open()), "{} are open", running.open());
    drop((asked, held));

    // None at all: what is served is served, and what changed is read when there are some again.
    running.limit(running.open().min(FILES));
    route("late");
    let address = format!("{}:{}", entry["address"].as_str().unwrap(), entry["port"]).parse().unwrap();
    let roots = std::fs::read(running.state.path().join("ca.pem")).unwrap();
    let client = reqwest::blocking::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(&roots).unwrap())
        .resolve("h0.dev.example.com", address)
        .build()
        .unwrap();
    for _ in 0..30 {
        let answer = client.get(entry["url"].as_str().unwrap()).send().unwrap();
        assert_eq!(answer.status(), 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    running.limit(FILES);
    running.reach("late.dev.example.com");
    for n in 0..8 {
        running.reach(&format!("h{n}.dev.example.com"));
    }
}
