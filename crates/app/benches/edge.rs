//! From a changed file to the first correct answer, with the real binary and a real Envoy, on loopback.
//!
//! `cargo bench -p portolan --bench edge`; `PORTOLAN_BENCH_HOSTS` ("100 1000") and `PORTOLAN_BENCH_EDITS` (50) change the
//! sizes. It prints figures and asserts none: these machines are shared. The counts of work an edit are what does not
//! depend on the machine.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, missing_docs)]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use portolan_testkit::suites;
use serde_json::Value;

/// Hosts in one file: a team's share of a large repository.
const PER_FILE: usize = 10;
const PATIENCE: Duration = Duration::from_mins(5);
/// Spent between noticing an edit and Envoy's verdict.
const STAGES: [&str; 5] = ["wait", "read", "write", "derive", "envoy"];
/// Counted for each edit.
const COUNTS: [(&str, &str); 8] = [
    ("files read", "portolan_read_parts_total"),
    ("objects handed on", "portolan_read_objects_total"),
    ("objects written", "portolan_written_objects_total"),
    ("readings", "portolan_readings_total"),
    ("engine steps", "portolan_engine_steps"),
    ("rule runs", "portolan_engine_rule_runs"),
    ("resources to Envoy", "portolan_published_resources_total"),
    ("bytes to Envoy", "portolan_published_bytes_total"),
];

/// What was measured, in the order in which it is printed.
type Figures = Vec<(String, String)>;

fn main() {
    let text = |name: &str, or: &str| std::env::var(name).unwrap_or_else(|_| or.to_owned());
    let edits: usize = text("PORTOLAN_BENCH_EDITS", "50").parse().unwrap();
    let sizes = text("PORTOLAN_BENCH_HOSTS", "100 1000");
    let sizes: Vec<usize> = sizes.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let Some(envoy) = suites::program("envoy") else {
        println!("Envoy is missing; run scripts/setup demo");
        return;
    };
    let columns: Vec<Figures> = sizes.iter().map(|hosts| measure(*hosts, edits, &envoy)).collect();
    let row = |name: &str, values: Vec<String>| {
        println!(
            "{name:44}{}",
            values.iter().fold(String::new(), |line, value| format!("{line}{value:>14}"))
        );
    };
    row(&format!("hosts ({edits} edits)"), sizes.iter().map(ToString::to_string).collect());
    for (n, (name, _)) in columns[0].iter().enumerate() {
        row(name, columns.iter().map(|column| column[n].1.clone()).collect());
    }
}

fn measure(hosts: usize, edits: usize, envoy: &Path) -> Figures {
    let mut figures = Figures::new();
    let mut note = |name: &str, value: String| figures.push((name.to_owned(), value));
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
    let metrics = || -> Option<BTreeMap<String, f64>> {
        let text = plain.get(format!("{api}/metrics")).send().ok()?.text().ok()?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Some(
            lines
                .filter_map(|l| l.rsplit_once(' '))
                .map(|(k, v)| (k.to_owned(), v.parse().unwrap()))
                .collect(),
        )
    };
    until("every host to be live", || {
        (metrics()?["portolan_entry_points_live"] >= hosts as f64).then_some(())
    });
    note("start to every host live, s", format!("{:.2}", begun.elapsed().as_secs_f64()));

    std::thread::sleep(Duration::from_secs(5));
    let idle = cpu(edge.0.id());
    std::thread::sleep(Duration::from_secs(2));
    note("memory when idle, MB", format!("{:.1}", resident(edge.0.id()) as f64 / 1e6));
    note("CPU when idle, ms/s", format!("{:.1}", (cpu(edge.0.id()) - idle) * 1000.0 / 2.0));

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
    let envoy: u32 = std::fs::read_to_string(state.path().join("envoy.pid")).unwrap().trim().parse().unwrap();
    let (before, counted) = (cpu(edge.0.id()), metrics().unwrap());
    let envoy_before = cpu(envoy);
    let (mut written, mut noticed) = (Vec::new(), Vec::new());
    for edit in 1..=edits {
        let begun = Instant::now();
        write(dir.path(), 0, edit, hosts);
        let want = edit.to_string();
        until("the edit to be served", || {
            let answer = client.get(url).send().ok()?;
            (answer.headers().get("x-edit")?.to_str().ok()? == want).then_some(())
        });
        written.push(begun.elapsed().as_secs_f64() * 1000.0);
        let answered = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        // Apart from each other, as a person's edits are.
        std::thread::sleep(Duration::from_millis(150));
        let at = metrics().unwrap()["portolan_reaction_noticed_timestamp_seconds"];
        noticed.push((answered - at) * 1000.0);
    }
    for (name, took) in [("file written", &mut written), ("change noticed", &mut noticed)] {
        took.sort_by(f64::total_cmp);
        let at = |share: usize| took[(took.len() - 1) * share / 100];
        note(&format!("{name} to first correct answer, median ms"), format!("{:.1}", at(50)));
        note("    p90, longest", format!("{:.1}, {:.1}", at(90), at(100)));
    }
    let with_metrics = cpu(edge.0.id());
    let after = metrics().unwrap();
    for _ in 1..edits {
        metrics().unwrap();
    }
    let asking = cpu(edge.0.id()) - with_metrics;
    let spent = (with_metrics - before - asking) * 1000.0 / edits as f64;
    note("CPU of Portolan an edit, ms", format!("{spent:.1}"));
    // The questions that are asked until the answer is the new one are in it.
    let spent = (cpu(envoy) - envoy_before) * 1000.0 / edits as f64;
    note("CPU of Envoy an edit, ms", format!("{spent:.1}"));
    let each = |name: &str| (after[name] - counted[name]) / edits as f64;
    for stage in STAGES {
        let name = format!("portolan_reaction_spent_seconds{{stage=\"{stage}\"}}");
        note(&format!("    {stage}, mean ms"), format!("{:.2}", each(&name) * 1000.0));
    }
    for (name, metric) in COUNTS {
        note(&format!("{name} an edit"), format!("{:.1}", each(metric)));
    }
    let down =
        Command::new(env!("CARGO_BIN_EXE_portolan")).args(["down", "--state"]).arg(state.path()).status();
    assert!(down.unwrap().success());
    figures
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

/// Seconds of CPU time so far, in steps of 10 ms.
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
