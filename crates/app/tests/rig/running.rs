//! A `portolan run` of a test.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::place::{Place, eventually};

/// One replica.
pub struct Running {
    child: Child,
    /// Its log, line by line.
    log: Arc<Mutex<Vec<Value>>>,
    pub api: SocketAddr,
    /// Where Envoys ask; empty where one is beside it.
    pub xds: String,
}

impl Running {
    /// Starts one for a place, with an Envoy beside it.
    pub fn with_envoy(place: &Place, more: &[&str]) -> Self {
        Self::start(place, &[&["--local-envoy"], more].concat(), None)
    }

    /// Starts one; `kubeconfig` is another than the administrator's.
    pub fn start(place: &Place, args: &[&str], kubeconfig: Option<&str>) -> Self {
        Self::begin(place, &[&["--gateway-addresses", &*place.network], args].concat(), kubeconfig)
    }

    /// The same without addresses for Gateways: those of their Services count.
    pub fn begin(place: &Place, args: &[&str], kubeconfig: Option<&str>) -> Self {
        // Certificates belong to no class: of tests side by side each makes its own, or none.
        let said = args.iter().any(|arg| arg.starts_with("certificates="));
        let off: &[&str] = if said { &[] } else { &["--capability", "certificates=off"] };
        Self::run(place, &[off, args].concat(), kubeconfig)
    }

    /// The same, and what certificates are to do is found out.
    pub fn undecided(place: &Place, args: &[&str]) -> Self {
        Self::run(place, args, None)
    }

    fn run(place: &Place, args: &[&str], kubeconfig: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
        command.args(["run", "--log-format", "json", "--api-listen", "127.0.0.1:0"]);
        command.args(["--controller", &place.controller()]);
        command.args(["--namespace", place.name]);
        if !args.contains(&"--lease-time") {
            command.args(["--lease-time", "6s"]);
        }
        command.args(args);
        if let Some(kubeconfig) = kubeconfig {
            command.args(["--kubeconfig", kubeconfig]);
        }
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::<Mutex<Vec<Value>>>::default();
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Kept for whoever looks why a test failed.
                eprintln!("portolan: {line}");
                let parsed = serde_json::from_str(&line).unwrap_or_else(|_| line.into());
                written.lock().unwrap().push(parsed);
            }
        });
        let begun = eventually("it runs", || {
            log.lock().unwrap().iter().find(|line| line["message"] == "portolan runs").cloned()
        });
        let api = begun["api"].as_str().unwrap().parse().unwrap();
        let xds = begun["xds"].as_str().unwrap_or_default().to_owned();
        Self { child, log, api, xds }
    }

    /// Whether a line of its log has this in it.
    pub fn said(&self, text: &str) -> bool {
        self.log.lock().unwrap().iter().any(|line| line.to_string().contains(text))
    }

    fn ask(&self, path: &str) -> reqwest::Result<reqwest::blocking::Response> {
        reqwest::blocking::Client::builder()
            .no_proxy()
            .build()?
            .get(format!("http://{}{path}", self.api))
            .send()
    }

    /// The answer to `/v1/status`.
    pub fn status(&self) -> Value {
        self.ask("/v1/status").unwrap().json().unwrap()
    }

    /// Whether it says that it is ready.
    pub fn is_ready(&self) -> bool {
        self.ask("/readyz").is_ok_and(|answer| answer.status().is_success())
    }

    /// Its numbers.
    pub fn metrics(&self) -> String {
        self.ask("/metrics").unwrap().text().unwrap()
    }

    /// Findings of a code that stand now.
    pub fn findings(&self, code: &str) -> Vec<Value> {
        let status = self.status();
        let all = status["findings"].as_array().into_iter().flatten();
        all.filter(|finding| finding["code"] == code).cloned().collect()
    }

    pub fn leads(&self) -> bool {
        self.status()["lease"]["leads"] == true
    }

    /// It is killed, and cleans up nothing.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// It is told to end, and does.
    pub fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
        }
    }
}
