//! From a changed file to the first correct answer, with the real binary and a real Envoy, on loopback.
//!
//! `cargo bench -p portolan --bench edge`; `PORTOLAN_BENCH_HOSTS` (1000) and `PORTOLAN_BENCH_EDITS` (50) change the
//! size. It prints figures and asserts none: these machines are shared.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, missing_docs)]

use std::{
    fmt::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use portolan_testkit::suites;
use serde_json::Value;

/// Hosts in one file: a team's share of a large repository.
const PER_FILE: usize = 10;
const PATIENCE: Duration = Duration::from_mins(5);

fn main() {
    let number = |name: &str, or: usize| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(or);
    let (hosts, edits) = (number("PORTOLAN_BENCH_HOSTS", 1000), number("PORTOLAN_BENCH_EDITS", 50));
    let Some(envoy) = suites::program("envoy") else {
        println!("Envoy is missing; run scripts/setup demo");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let state = {
        use std::os::unix::fs::PermissionsExt as _;
        tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap()
    };
    for entry in std::fs::read_dir(suites::repository().join("examples/first-steps")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    for file in 0..hosts.div_ceil(PER_FILE) {
        write(dir.path(), file, 0, hosts);
    }

    let begun = Instant::now();
    let edge = Edge(
        Command::new(env!("CARGO_BIN_EXE_portolan"))
            .arg("up")
            .arg(dir.path())
            .args([
                "--api-listen",
                "127.0.0.1:0",
                "--dns-listen",
                "127.0.0.1:0",
                "--acme-listen",
                "127.0.0.1:0",
            ])
            .arg("--state")
            .arg(state.path())
            .arg("--envoy")
            .arg(envoy)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let run = until("run.json", || {
        serde_json::from_slice::<Value>(&std::fs::read(state.path().join("run.json")).ok()?).ok()
    });
    let api = format!("http://{}", run["api"].as_str().unwrap());
    let plain = reqwest::blocking::Client::new();
    let live = || {
        let text = plain.get(format!("{api}/metrics")).send().ok()?.text().ok()?;
        let count = text.lines().find_map(|l| l.strip_prefix("portolan_entry_points_live "))?;
        (count.trim().parse::<usize>().ok()? >= hosts).then_some(())
    };
    until("every host to be live", live);
    println!("hosts {hosts}, files {}, edits {edits}", hosts.div_ceil(PER_FILE));
    println!("start to every host live: {:.2} s", begun.elapsed().as_secs_f64());

    std::thread::sleep(Duration::from_secs(5));
    let idle = cpu(edge.0.id());
    std::thread::sleep(Duration::from_secs(2));
    println!("memory when idle: {:.1} MB resident", resident(edge.0.id()) as f64 / 1e6);
    println!("CPU when idle: {:.1} ms/s", (cpu(edge.0.id()) - idle) * 1000.0 / 2.0);

    let status: Value = plain.get(format!("{api}/v1/status")).send().unwrap().json().unwrap();
    let host = "h0.dev.example.com";
    let entry = status["entryPoints"].as_array().unwrap().iter().find(|e| e["hostname"] == host).unwrap();
    let roots = std::fs::read(state.path().join("ca.pem")).unwrap();
    let client = reqwest::blocking::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(&roots).unwrap())
        .resolve(host, format!("{}:{}", entry["address"].as_str().unwrap(), entry["port"]).parse().unwrap())
        .build()
        .unwrap();
    let url = entry["url"].as_str().unwrap();
    let before = cpu(edge.0.id());
    let mut took: Vec<f64> = (1..=edits)
        .map(|edit| {
            write(dir.path(), 0, edit, hosts);
            let begun = Instant::now();
            let want = edit.to_string();
            until("the edit to be served", || {
                let answer = client.get(url).send().ok()?;
                (answer.headers().get("x-edit")?.to_str().ok()? == want).then_some(())
            });
            let took = begun.elapsed().as_secs_f64() * 1000.0;
            // Apart from each other, as a person's edits are.
            std::thread::sleep(Duration::from_millis(150));
            took
        })
        .collect();
    took.sort_by(f64::total_cmp);
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    println!(
        "file written to first correct answer: median {:.1} ms, p90 {:.1} ms, longest {:.1} ms",
        at(50),
        at(90),
        at(100)
    );
    println!("CPU an edit: {:.1} ms", (cpu(edge.0.id()) - before) * 1000.0 / edits as f64);
    let down =
        Command::new(env!("CARGO_BIN_EXE_portolan")).args(["down", "--state"]).arg(state.path()).status();
    assert!(down.unwrap().success());
}

/// The instance; ended with the harness, whatever happens.
struct Edge(Child);

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Hosts of one file. The answer to `h0` names the edit.
fn write(dir: &Path, file: usize, edit: usize, hosts: usize) {
    let mut text = String::new();
    for n in file * PER_FILE..((file + 1) * PER_FILE).min(hosts) {
        write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}, namespace: team-a}}\nspec:\n  ports:\n    - port: 80\n\
             ---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: h{n}, namespace: team-a}}\nspec:\n  \
             parentRefs:\n    - name: shared\n      namespace: gateway-system\n      sectionName: https\n  hostnames:\n    - \
             h{n}.dev.example.com\n  rules:\n    - filters:\n        - type: ResponseHeaderModifier\n          \
             responseHeaderModifier:\n            set: [{{name: x-edit, value: \"{edit}\"}}]\n      backendRefs:\n        - name: \
             s{n}\n          port: 80\n"
        )
        .unwrap();
    }
    // As editors and Git do it: beside the file, then in its place.
    let made = dir.join(format!(".hosts-{file:04}.new"));
    std::fs::write(&made, text).unwrap();
    std::fs::rename(made, dir.join(format!("hosts-{file:04}.yaml"))).unwrap();
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {} s for {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_micros(300));
    }
}

fn resident(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Seconds of CPU time so far. The kernel counts in ticks of 10 ms.
fn cpu(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<u64> = text
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|f| f.parse().unwrap())
        .collect();
    (fields[0] + fields[1]) as f64 / 100.0
}
