//! State directories that cannot be written: a small file system in a mount namespace of the test's own.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use portolan_testkit::suites;
use serde_json::Value;

use crate::instance::{Instance, envoy, first_steps, portolan, private};

/// `up` in a mount namespace in which the state directory is a file system of this size.
fn up(dir: &Path, state: &Path, envoy: &Path, mount: &str, more: &str) -> Command {
    let script = format!(
        "{mount} && exec {} up {} --api-listen 127.0.0.1:0 --dns-listen 127.0.0.1:0 --acme-listen 127.0.0.1:0 --state {} \
         --envoy {} {more}",
        portolan().get_program().display(),
        dir.display(),
        state.display(),
        envoy.display()
    );
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script]).stdin(Stdio::null()).env_remove("PORTOLAN_ENVOY");
    command
}

fn mount(state: &Path, options: &str) -> String {
    format!("mount -t tmpfs -o mode=0700,{options} tmpfs {}", state.display())
}

/// Envoy, if file systems can be mounted here.
fn ready(suite: &str) -> Option<PathBuf> {
    let envoy = envoy(suite)?;
    let probe = private();
    let script = mount(probe.path(), "size=64k");
    let able = Command::new("unshare").args(["-rm", "sh", "-c", &script]).output();
    if able.is_ok_and(|o| o.status.success()) {
        return Some(envoy);
    }
    suites::skip_optional(suite, "no mount namespace can be made (unshare -rm)");
    None
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_full_or_read_only_state_is_refused_at_the_start() {
    let Some(envoy) = ready("e2e state refused") else { return };
    let (dir, state) = (first_steps(), private());
    let full =
        up(dir.path(), state.path(), &envoy, &mount(state.path(), "size=16k"), "--once").output().unwrap();
    assert_eq!(full.status.code(), Some(2), "{full:?}");
    assert!(text(&full).contains(state.path().to_str().unwrap()), "{}", text(&full));
    assert!(text(&full).contains("No space left"), "{}", text(&full));

    let read_only = mount(state.path(), "size=8m,ro");
    let read_only = up(dir.path(), state.path(), &envoy, &read_only, "--once").output().unwrap();
    assert_eq!(read_only.status.code(), Some(2), "{read_only:?}");
    assert!(text(&read_only).contains("--state"), "{}", text(&read_only));
}

/// Ends the process whatever the test says.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let until = Instant::now() + Duration::from_secs(15);
        while Instant::now() < until {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_state_that_fills_up_keeps_what_is_served() {
    let Some(envoy) = ready("e2e state full") else { return };
    let (dir, state) = (first_steps(), private());
    let child = up(dir.path(), state.path(), &envoy, &mount(state.path(), "size=12m"), "")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // `unshare` and `sh` are replaced by the program: the child's view of the file system is its own.
    let inside = Path::new("/proc")
        .join(child.id().to_string())
        .join("root")
        .join(state.path().strip_prefix("/").unwrap());
    let running = Running(child);
    let client = reqwest::blocking::Client::new();
    let wait = |what: &str, mut found: Box<dyn FnMut() -> bool>| {
        let until = Instant::now() + Duration::from_secs(40);
        while !found() {
            assert!(Instant::now() < until, "waited 40 s for {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let run = inside.join("run.json");
    wait("run.json", Box::new(move || run.exists()));
    let run: Value = serde_json::from_slice(&std::fs::read(inside.join("run.json")).unwrap()).unwrap();
    let url = format!("http://{}/v1/status", run["api"].as_str().unwrap());
    let status =
        move || client.get(&url).send().ok().and_then(|r| r.json::<Value>().ok()).unwrap_or_default();
    let is_live = |status: &Value, host: &str| {
        status["entryPoints"]
            .as_array()
            .is_some_and(|all| all.iter().any(|e| e["hostname"] == host && e["state"] == "live"))
    };
    let ask = status.clone();
    wait("app1 to be live", Box::new(move || is_live(&ask(), "app1.dev.example.com")));

    let fill = inside.join("fill");
    {
        let mut file = std::fs::File::create(&fill).unwrap();
        let block = vec![0_u8; 4096];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }
    // More than what the store's file still has room for.
    let text = std::fs::read_to_string(dir.path().join("team-a.yaml")).unwrap();
    let large = "x".repeat(200_000);
    let mut more = text.replace("app1.dev.example.com", "app9.dev.example.com");
    for n in 0..20 {
        write!(
            more,
            "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: large-{n}, namespace: team-a}}\ndata: {{text: {large}}}\n"
        )
        .unwrap();
    }
    std::fs::write(dir.path().join("more.yaml"), more.replace("name: app1\n", "name: app9\n")).unwrap();
    let ask = status.clone();
    wait(
        "the finding",
        Box::new(move || {
            ask()["findings"].as_array().is_some_and(|all| all.iter().any(|f| f["code"] == "PTL-0102"))
        }),
    );
    assert!(is_live(&status(), "app1.dev.example.com"), "{}", status());

    // Space again: what was not taken is taken without anybody's doing.
    std::fs::remove_file(&fill).unwrap();
    std::fs::remove_file(dir.path().join("more.yaml")).unwrap();
    wait(
        "the finding to go",
        Box::new(move || {
            status()["findings"].as_array().is_some_and(|all| !all.iter().any(|f| f["code"] == "PTL-0102"))
        }),
    );
    drop(running);
}

/// A file of the state that cannot be replaced is a finding that names it, stops nobody, and is written once it can be.
#[test]
fn a_file_of_the_state_that_cannot_be_written_is_tried_again() {
    let Some(envoy) = envoy("e2e state file") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.reach("app1.dev.example.com", "live");
    let file = instance.state.path().join("addresses.json");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir_all(file.join("in the way")).unwrap();
    let gateway = std::fs::read_to_string(instance.dir.path().join("gateway.yaml")).unwrap();
    let second = gateway.split("---").find(|document| document.contains("kind: Gateway\n")).unwrap();
    instance.write("second.yaml", &second.replace("name: shared", "name: second"));
    let about = |status: &Value| {
        let named =
            |f: &&Value| f["object"].as_str().is_some_and(|object| object.ends_with("/addresses.json"));
        status["findings"].as_array().and_then(|all| all.iter().find(named).cloned())
    };
    let finding = instance.wait("the finding", || about(&instance.status()));
    assert_eq!((&finding["code"], &finding["severity"]), (&"PTL-0102".into(), &"error".into()));
    instance.wait("the second Gateway to be served all the same", || {
        let status = instance.status();
        let listeners = status["listeners"].as_array()?;
        listeners
            .iter()
            .any(|l| l["gateway"] == "gateway-system/second" && l["programmed"] == true)
            .then_some(())
    });
    std::fs::remove_dir_all(&file).unwrap();
    instance.wait("the finding to go", || about(&instance.status()).is_none().then_some(()));
    assert!(std::fs::read_to_string(&file).unwrap().contains("gateway-system/second"));
}
