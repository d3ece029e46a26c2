//! One running edge: a work tree, a state, the program that is measured, and its Envoy.

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::tree::Tree;

const PATIENCE: Duration = Duration::from_mins(10);

/// Ended with the harness, whatever happens.
pub struct Edge {
    program: PathBuf,
    envoy: PathBuf,
    pub hosts: usize,
    backends: [u16; 2],
    dir: TempDir,
    state: TempDir,
    child: Child,
    plain: reqwest::blocking::Client,
    /// How long the first start took, and how much of that after Envoy was up.
    pub start: (Duration, Duration),
}

impl Edge {
    /// Starts it and waits until every host is live.
    pub fn start(program: &Path, envoy: &Path, hosts: usize, backends: [u16; 2]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let private = std::fs::Permissions::from_mode(0o700);
        let state = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        Tree { dir: dir.path(), hosts, backends }.make();
        let begun = Instant::now();
        let child = up(program, envoy, dir.path(), state.path());
        let plain = reqwest::blocking::Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
        let (program, envoy) = (program.to_owned(), envoy.to_owned());
        let mut edge =
            Self { program, envoy, hosts, backends, dir, state, child, plain, start: Default::default() };
        // It listens for its administrator before it asks for configuration.
        let envoy_up = until("Envoy", || {
            let sockets = std::fs::read_to_string(edge.state.path().join("sockets")).ok()?;
            Path::new(sockets.trim()).join("envoy-admin").exists().then(Instant::now)
        });
        edge.live();
        edge.start = (begun.elapsed(), envoy_up.elapsed());
        edge
    }

    /// Its work tree.
    pub fn tree(&self) -> Tree<'_> {
        Tree { dir: self.dir.path(), hosts: self.hosts, backends: self.backends }
    }

    /// Waits until every host is live. Asked seldom: an answer is work for the instance.
    pub fn live(&self) {
        until("every host to be live", || {
            let live = self.metrics()?["portolan_entry_points_live"];
            if live < self.hosts as f64 {
                std::thread::sleep(Duration::from_millis(50));
                return None;
            }
            Some(())
        });
    }

    /// Ends Portolan without any chance to tidy up, and starts it again; its Envoy serves on.
    pub fn restart(&mut self) {
        self.kill();
        self.child = up(&self.program, &self.envoy, self.dir.path(), self.state.path());
        until("run.json", || self.run());
    }

    /// Ends Portolan without any chance to tidy up.
    #[allow(dead_code, reason = "`benches/faults` uses it apart")]
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(self.state.path().join("run.json"));
    }

    /// Starts it after a kill; false if it has ended instead of serving.
    #[allow(dead_code, reason = "`benches/faults` uses it")]
    pub fn try_start(&mut self) -> bool {
        self.child = up(&self.program, &self.envoy, self.dir.path(), self.state.path());
        until("run.json, or an end", || {
            if self.run().is_some() {
                return Some(true);
            }
            self.child.try_wait().unwrap().map(|_| false)
        })
    }

    /// The folder of its work tree.
    #[allow(dead_code, reason = "`benches/faults` uses it")]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The folder of its state.
    #[allow(dead_code, reason = "`benches/faults` uses it")]
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Has a Certificate renewed.
    pub fn renew(&self, certificate: &str) {
        let done = self.verb(&["renew", certificate]);
        assert!(done, "{certificate} is renewed");
    }

    fn verb(&self, arguments: &[&str]) -> bool {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--state").arg(self.state.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    fn run(&self) -> Option<Value> {
        serde_json::from_slice(&std::fs::read(self.state.path().join("run.json")).ok()?).ok()
    }

    fn get(&self, path: &str) -> Option<reqwest::blocking::Response> {
        self.plain.get(format!("http://{}{path}", self.run()?["api"].as_str()?)).send().ok()
    }

    /// What `/metrics` says; `None` while it does not answer.
    pub fn metrics(&self) -> Option<BTreeMap<String, f64>> {
        let text = self.get("/metrics")?.text().ok()?;
        let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|l| l.rsplit_once(' '));
        Some(lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    /// Where a host of the HTTPS listener is served, and the roots to trust.
    pub fn entry(&self) -> (std::net::SocketAddr, Vec<u8>) {
        let status: Value = self.get("/v1/status").unwrap().json().unwrap();
        let entries = status["entryPoints"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["hostname"] == crate::tree::EDITED).unwrap();
        let address = format!("{}:{}", entry["address"].as_str().unwrap(), entry["port"]);
        (address.parse().unwrap(), std::fs::read(self.state.path().join("ca.pem")).unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn envoy_pid(&self) -> u32 {
        std::fs::read_to_string(self.state.path().join("envoy.pid"))
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.verb(&["down"]);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn up(program: &Path, envoy: &Path, dir: &Path, state: &Path) -> Child {
    let local = "127.0.0.1:0";
    let mut command = Command::new(program);
    command.arg("up").arg(dir).arg("--state").arg(state).arg("--envoy").arg(envoy);
    command.args(["--api-listen", local, "--dns-listen", local, "--acme-listen", local]);
    let log = std::fs::File::create(state.join("up.log")).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// Waits for something.
pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {} s for {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_micros(300));
    }
}
