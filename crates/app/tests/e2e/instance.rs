//! A folder, a state directory and a running `portolan up`.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use portolan_testkit::suites;
use serde_json::Value;
use tempfile::TempDir;

/// The example, which every test starts from.
pub fn first_steps() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(suites::repository().join("examples/first-steps")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

/// A folder that a state directory may be.
pub fn private() -> TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap()
}

pub fn portolan() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
    // Marked rows are encoded as what Envoy refuses (envoy/src/fault.rs).
    command.stdin(Stdio::null()).env_remove("PORTOLAN_ENVOY").env("PORTOLAN_PLANT_FAULTS", "1");
    // Helm is taken from PATH alone; instances of tests are not found by a user's verbs.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tools = suites::repository().join(".tools/bin");
    let path = std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path))).unwrap();
    command.env("PATH", path).env("XDG_STATE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("states"));
    command
}

/// Envoy, or `None` after saying that the suite is skipped.
pub fn envoy(suite: &str) -> Option<PathBuf> {
    let found = suites::program("envoy");
    if found.is_none() {
        suites::skip(suite, "Envoy is missing; run scripts/setup demo");
    }
    found
}

pub struct Instance {
    pub dir: TempDir,
    pub state: TempDir,
    child: Option<Child>,
    envoy: PathBuf,
    /// Further arguments of `up`.
    pub arguments: Vec<String>,
    /// `XDG_STATE_HOME` of `up`, if it is not that of all tests.
    home: Option<PathBuf>,
    /// `up` may not read what its user may not, also if that is root.
    ordinary: bool,
}

impl Instance {
    pub fn start(dir: TempDir, envoy: PathBuf) -> Self {
        Self::start_with(dir, envoy, &[])
    }

    /// With further arguments of `up`.
    pub fn start_with(dir: TempDir, envoy: PathBuf, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
        let mut made =
            Self { dir, state: private(), child: None, envoy, arguments, home: None, ordinary: false };
        made.up();
        made
    }

    /// With a state home of its own.
    pub fn start_in(dir: TempDir, envoy: PathBuf, home: &Path) -> Self {
        let home = Some(home.to_owned());
        let mut made =
            Self { dir, state: private(), child: None, envoy, arguments: vec![], home, ordinary: false };
        made.up();
        made
    }

    /// As an ordinary user: modes of files hold for it.
    pub fn start_without_override(dir: TempDir, envoy: PathBuf) -> Self {
        let mut made =
            Self { dir, state: private(), child: None, envoy, arguments: vec![], home: None, ordinary: true };
        made.up();
        made
    }

    /// Lets `prepare` put something into the state directory before the first start.
    pub fn prepare(dir: TempDir, envoy: PathBuf, prepare: impl FnOnce(&Path)) -> Self {
        let mut made = Self {
            dir,
            state: private(),
            child: None,
            envoy,
            arguments: vec![],
            home: None,
            ordinary: false,
        };
        prepare(made.state.path());
        made.up();
        made
    }

    /// Waits for the end of an instance that was told to stop.
    pub fn ended(&mut self) {
        self.child.take().unwrap().wait().unwrap();
    }

    /// Starts `portolan up` on the folder and state; waits until it serves.
    pub fn up(&mut self) {
        let log = std::fs::File::create(self.dir.path().join("up.log")).unwrap();
        let mut command = portolan();
        if self.ordinary {
            let program = command.get_program().to_owned();
            let variables: Vec<_> =
                command.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
            command = Command::new("setpriv");
            command
                .args(["--bounding-set", "-dac_override,-dac_read_search"])
                .arg(program)
                .stdin(Stdio::null());
            for (name, value) in variables {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
        }
        let child = command
            .arg("up")
            .arg(self.dir.path())
            .args([
                "--api-listen",
                "127.0.0.1:0",
                "--dns-listen",
                "127.0.0.1:0",
                "--acme-listen",
                "127.0.0.1:0",
            ])
            .arg("--state")
            .arg(self.state.path())
            .arg("--envoy")
            .arg(&self.envoy)
            .args(&self.arguments)
            .envs(self.home.iter().map(|home| ("XDG_STATE_HOME", home)))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        self.wait("run.json", || self.state.path().join("run.json").exists().then_some(()));
    }

    /// Ends it without any chance to tidy up.
    pub fn kill_nine(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        std::fs::remove_file(self.state.path().join("run.json")).unwrap();
    }

    pub fn run(&self, args: &[&str]) -> Output {
        portolan().args(args).arg("--state").arg(self.state.path()).output().unwrap()
    }

    pub fn status(&self) -> Value {
        let output = self.run(&["status", "--output", "json"]);
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    pub fn entry(&self, host: &str) -> Option<Value> {
        self.status()["entryPoints"].as_array()?.iter().find(|e| e["hostname"] == host).cloned()
    }

    /// Waits until a hostname has the state; gives the entry point.
    pub fn reach(&self, host: &str, state: &str) -> Value {
        self.wait(&format!("{host} to be {state}"), || self.entry(host).filter(|e| e["state"] == state))
    }

    pub fn wait<T>(&self, what: &str, found: impl FnMut() -> Option<T>) -> T {
        self.wait_within(Duration::from_secs(30), what, found)
    }

    /// For what has a time of its own to take.
    pub fn wait_within<T>(&self, most: Duration, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let until = Instant::now() + most;
        loop {
            if let Some(found) = found() {
                return found;
            }
            if Instant::now() > until {
                let log = std::fs::read_to_string(self.dir.path().join("up.log")).unwrap_or_default();
                panic!("waited {most:?} for {what}\n{}\n{log}", self.status());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// An HTTPS client that trusts only `ca.pem` of the state and finds the host at its Gateway.
    pub fn client(&self, entry: &Value) -> reqwest::blocking::Client {
        let address = format!("{}:{}", entry["address"].as_str().unwrap(), entry["port"]).parse().unwrap();
        let roots = std::fs::read(self.state.path().join("ca.pem")).unwrap();
        reqwest::blocking::Client::builder()
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&roots).unwrap())
            .resolve(entry["hostname"].as_str().unwrap(), address)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap()
    }

    pub fn envoy_pid(&self) -> i32 {
        std::fs::read_to_string(self.state.path().join("envoy.pid"))
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }

    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.dir.path().join(file), text).unwrap();
    }

    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.dir.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} does not stand in {file}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.state.path().join("envoy.pid"))
            .ok()
            .and_then(|p| p.lines().next()?.parse().ok());
        if let Some(mut child) = self.child.take() {
            let _ = self.run(&["down"]);
            let _ = child.kill();
            let _ = child.wait();
        }
        // A test that failed between two runs leaves an Envoy: end the one that this state started.
        if let Some(pid) = pid.filter(|pid| names(*pid, self.state.path())) {
            let _ = Command::new("kill").arg(pid.to_string()).status();
        }
    }
}

/// Whether the process runs on this state: never end somebody else's.
pub fn names(pid: i32, state: &Path) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).contains(state.to_str().unwrap()))
}
