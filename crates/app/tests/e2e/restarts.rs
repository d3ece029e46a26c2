//! Restarts: nothing that is served goes, nothing that Envoy has is sent again, and a copy of a state speaks for nobody.

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::instance::{Instance, envoy, first_steps, names, portolan, private};

/// A backend of the test's own: the stand-in would end with the Portolan that is killed.
fn backend() -> u16 {
    answering("200 OK", "ok")
}

/// A backend that answers everything with this.
fn answering(status: &'static str, body: &'static str) -> u16 {
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let answer = answer.clone();
            std::thread::spawn(move || {
                let (mut buffer, mut seen) = ([0; 4096], Vec::new());
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    seen.extend_from_slice(&buffer[..read]);
                    while let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
                        seen.drain(..end + 4);
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    port
}

/// Ten hosts, all of them with endpoints that outlive Portolan.
pub fn ten_hosts() -> tempfile::TempDir {
    let dir = first_steps();
    let port = backend();
    let mut text = String::new();
    for service in ["app1", "app1-canary", "greeter"] {
        text += &format!(
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {service}\n  namespace: team-a\n  \
             labels: {{kubernetes.io/service-name: {service}}}\naddressType: IPv4\nports: [{{name: {}, port: {port}}}]\n\
             endpoints: [{{addresses: [127.0.0.1]}}]\n",
            if service == "greeter" { "grpc" } else { "http" }
        );
    }
    for n in 0..8 {
        text += &format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: h{n}, namespace: team-a}}\nspec:\n  \
             parentRefs: [{{name: shared, namespace: gateway-system, sectionName: https}}]\n  hostnames: [h{n}.dev.example.com]\n  \
             rules: [{{backendRefs: [{{name: app1, port: 80}}]}}]\n"
        );
    }
    std::fs::write(dir.path().join("more.yaml"), text).unwrap();
    dir
}

pub fn metric(instance: &Instance, name: &str) -> Option<f64> {
    let run = std::fs::read(instance.state.path().join("run.json")).ok()?;
    let run: Value = serde_json::from_slice(&run).ok()?;
    let text =
        reqwest::blocking::get(format!("http://{}/metrics", run["api"].as_str()?)).ok()?.text().ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[test]
fn kills_under_traffic_fail_no_request_and_send_nothing_again() {
    let Some(envoy) = envoy("e2e kills") else { return };
    let mut instance = Instance::start(ten_hosts(), envoy);
    let live = |instance: &Instance| {
        instance.wait("11 hosts to be live", || {
            (metric(instance, "portolan_entry_points_live")? >= 11.0).then_some(())
        });
    };
    live(&instance);
    let entry = instance.reach("h0.dev.example.com", "live");
    let (pid, url) = (instance.envoy_pid(), entry["url"].as_str().unwrap().to_owned());
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let (client, url) = (instance.client(&entry), url.clone());
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            std::thread::spawn(move || {
                let mut failed = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    asked.fetch_add(1, Ordering::Relaxed);
                    match client.get(&url).send() {
                        Ok(answer) if answer.status() == 200 => {}
                        other => failed.push(format!("{other:?}")),
                    }
                    std::thread::sleep(Duration::from_millis(3));
                }
                failed
            })
        })
        .collect();
    for _ in 0..10 {
        instance.kill_nine();
        instance.up();
        live(&instance);
        assert_eq!(metric(&instance, "portolan_sent_resources"), Some(0.0), "what Envoy has is sent again");
    }
    // Killed at any point of its start.
    for pause in [0, 20, 50, 90, 140, 200, 300, 500] {
        instance.kill_nine();
        instance.up();
        std::thread::sleep(Duration::from_millis(pause));
    }
    live(&instance);
    assert_eq!(metric(&instance, "portolan_sent_resources"), Some(0.0));
    stop.store(true, Ordering::Relaxed);
    let failed: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), asked.load(Ordering::Relaxed));
    assert!(asked.load(Ordering::Relaxed) > 200);
    assert_eq!(instance.envoy_pid(), pid, "the same Envoy");
}

/// The range of loopback addresses that a state has.
fn range(state: &Path) -> u64 {
    let saved = std::fs::read(state.join("addresses.json")).unwrap();
    serde_json::from_slice::<Value>(&saved).unwrap()["range"].as_u64().unwrap()
}

/// Of two states that come to one range the later has the next, also while the first is down and only its Envoy serves: that one
/// would move, and meanwhile each Envoy would get connections of the other.
#[test]
fn who_starts_after_a_kill_does_not_get_the_addresses_that_envoy_serves() {
    let Some(envoy) = envoy("e2e addresses of a killed one") else { return };
    let mut instance = Instance::start(ten_hosts(), envoy.clone());
    let entry = instance.reach("h0.dev.example.com", "live");
    let (client, url) = (instance.client(&entry), entry["url"].as_str().unwrap().to_owned());
    instance.wait("11 hosts to be live", || {
        (metric(&instance, "portolan_entry_points_live")? >= 11.0).then_some(())
    });
    let own = range(instance.state.path());
    instance.kill_nine();
    let other = Instance::prepare(first_steps(), envoy, |state| {
        let saved = format!("{{\"numbers\": {{}}, \"range\": {own}}}");
        std::fs::write(state.join("addresses.json"), saved).unwrap();
    });
    other.reach("app1.dev.example.com", "live");
    assert_ne!(range(other.state.path()), own);
    instance.up();
    instance.wait("11 hosts to be live", || {
        (metric(&instance, "portolan_entry_points_live")? >= 11.0).then_some(())
    });
    assert_eq!(range(instance.state.path()), own);
    assert_eq!(metric(&instance, "portolan_sent_resources"), Some(0.0), "what Envoy has is sent again");
    assert_eq!(client.get(&url).send().unwrap().status(), 200);
}

/// Processes that were started on a state.
fn envoys(state: &Path) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| names(*pid, &state.join("envoy.json"))).collect()
}

#[test]
fn an_envoy_that_was_not_recorded_is_taken_over_and_a_copy_takes_nothing() {
    let Some(envoy) = envoy("e2e identity") else { return };
    let mut instance = Instance::start(ten_hosts(), envoy.clone());
    let entry = instance.reach("h0.dev.example.com", "live");
    let (pid, url) = (instance.envoy_pid(), entry["url"].as_str().unwrap().to_owned());
    let sockets = std::fs::read_to_string(instance.state.path().join("sockets")).unwrap();
    let sockets = Path::new(sockets.trim());

    // A copy of a running state, and of one whose instance was killed.
    let copies = private();
    let copy = |to: &str| -> PathBuf {
        let to = copies.path().join(to);
        let done = std::process::Command::new("cp").arg("-a").arg(instance.state.path()).arg(&to).status();
        assert!(done.unwrap().success());
        to
    };
    let of_running = copy("of-running");
    let verb = |words: &[&str], state: &Path| {
        let output = portolan().args(words).arg("--state").arg(state).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for words in [&["status"][..], &["down"]] {
        let (code, text) = verb(words, &of_running);
        assert!(code == 2 && text.contains("no instance runs"), "{words:?}: {text}");
    }
    assert_eq!(instance.entry("h0.dev.example.com").unwrap()["state"], "live");
    let of_killed = copies.path().join("of-killed");
    instance.kill_nine();
    let done = std::process::Command::new("cp").arg("-a").arg(instance.state.path()).arg(&of_killed).status();
    assert!(done.unwrap().success());
    assert_eq!(verb(&["down"], &of_killed).0, 2);
    let output = portolan()
        .arg("up")
        .arg(instance.dir.path())
        .args(["--once", "--timeout", "20s", "--api-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0"])
        .args(["--acme-listen", "127.0.0.1:0", "--state"])
        .arg(&of_killed)
        .arg("--envoy")
        .arg(&envoy)
        .output()
        .unwrap();
    assert!(output.status.code().unwrap() < 2, "{output:?}");
    assert!(envoys(&of_killed).is_empty(), "it ends its own");
    assert!(names(pid, instance.state.path()) && sockets.is_dir(), "and leaves the original alone");
    assert_eq!(instance.client(&entry).get(&url).send().unwrap().status(), 200);

    // Killed between the start of Envoy and its record.
    std::fs::remove_file(instance.state.path().join("envoy.pid")).unwrap();
    instance.up();
    instance.reach("h0.dev.example.com", "live");
    assert_eq!(envoys(instance.state.path()), [pid], "one Envoy, the same");

    // A state that is moved stays the same one.
    instance.kill_nine();
    let moved = copies.path().join("moved");
    std::fs::rename(instance.state.path(), &moved).unwrap();
    let (code, text) = verb(&["down"], &moved);
    std::fs::rename(&moved, instance.state.path()).unwrap();
    assert_eq!(code, 0, "{text}");
    assert!(envoys(instance.state.path()).is_empty() && !sockets.exists(), "down ends and cleans");
    let left = |name: &str| instance.state.path().join(name).exists();
    assert!(!left("tmp") && !left("run.json") && !left("envoy.pid") && !left("sockets"));
}

/// What cannot start leaves nothing.
#[test]
fn a_start_that_fails_leaves_no_folder_and_no_envoy() {
    let Some(envoy) = envoy("e2e failed start") else { return };
    let (dir, state, base) = (first_steps(), private(), private());
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let nothing = base.path().join("nothing");
    for (api, program) in [(taken.as_str(), &envoy), ("127.0.0.1:0", &nothing)] {
        let output = portolan()
            .arg("up")
            .arg(dir.path())
            .args(["--once", "--dns-listen", "127.0.0.1:0", "--acme-listen", "127.0.0.1:0"])
            .args(["--api-listen", api, "--state"])
            .arg(state.path())
            .arg("--envoy")
            .arg(program)
            .env("XDG_RUNTIME_DIR", base.path())
            .env("TMPDIR", base.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(std::fs::read_dir(base.path()).unwrap().next().is_none(), "a folder is left");
        assert!(!state.path().join("sockets").exists() && !state.path().join("envoy.pid").exists());
        assert!(envoys(state.path()).is_empty());
    }
}

/// An Envoy that ends is started again ever later; one that cannot be recorded never runs, and the next is tried all the same.
#[test]
fn however_often_envoy_fails_there_is_never_more_than_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, state, programs) = (first_steps(), private(), private());
    let program = programs.path().join("envoy");
    let count = programs.path().join("count");
    // What it does it does itself: a shell that starts a program is two of its name for a moment.
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in --version) echo 'envoy  version: 0/1.40.0/Clean/RELEASE/BoringSSL'; exit 0;; esac\n\
         echo x >> {}\ni=0; while [ $i -lt 30000 ]; do i=$((i+1)); done\n",
        count.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut up = portolan()
        .arg("up")
        .arg(dir.path())
        .args(["--dns-listen", "127.0.0.1:0", "--acme-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"])
        .arg("--state")
        .arg(state.path())
        .arg("--envoy")
        .arg(&program)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = || std::fs::read_to_string(&count).unwrap_or_default().lines().count();
    let most = std::cell::Cell::new(0);
    // A minute for what takes some seconds.
    let watch = |what: &str, done: &dyn Fn() -> bool| {
        let until = Instant::now() + Duration::from_mins(1);
        while !done() {
            assert!(Instant::now() < until, "{what}, after {} starts", started());
            for _ in 0..10 {
                most.set(most.get().max(envoys(state.path()).len()));
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    };
    watch("it is not started", &|| started() > 0);
    let first = Instant::now();
    watch("it is not started again and again", &|| started() >= 5);
    // The waits before the other four are 3 s together.
    assert!(first.elapsed() > Duration::from_secs(2), "{:?}", first.elapsed());
    // From here on it cannot be recorded, so none comes to count itself.
    let file = state.path().join("envoy.pid");
    watch("nothing can be put in its way", &|| {
        let _ = std::fs::remove_file(&file);
        std::fs::create_dir_all(file.join("in the way")).is_ok()
    });
    let said = || {
        let output =
            portolan().args(["status", "--output", "json", "--state"]).arg(state.path()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).contains("its process id could not be recorded")
    };
    watch("it is not said that it cannot be recorded", &said);
    let before = started();
    std::fs::remove_dir_all(&file).unwrap();
    watch("it is not started once more", &|| started() > before);
    assert_eq!(most.get(), 1, "at once");
    let down = portolan().arg("down").arg("--state").arg(state.path()).status().unwrap();
    assert!(down.success());
    up.wait().unwrap();
    assert!(envoys(state.path()).is_empty());
}

/// An Envoy that hangs says nothing, and neither does anybody else: what is said to be live is asked again.
#[test]
fn a_host_is_live_only_as_long_as_it_answers() {
    let Some(envoy) = envoy("e2e recheck") else { return };
    let instance = Instance::start(ten_hosts(), envoy);
    instance.reach("h0.dev.example.com", "live");
    let pid = instance.envoy_pid().to_string();
    let signal = |name: &str| {
        assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    signal("-STOP");
    let all = |instance: &Instance, state: &str| {
        let status = instance.status();
        let entries = status["entryPoints"].as_array()?;
        entries.iter().all(|entry| entry["state"] == state).then_some(())
    };
    instance.wait("every host to be pending", || all(&instance, "pending"));
    signal("-CONT");
    instance.wait("every host to be live again", || all(&instance, "live"));
}

/// A kill takes the stand-ins with it: until the next start their hosts answer 503 and say why, and after it as before, with
/// nothing sent again. What another backend or Envoy says of another backend is not touched.
#[test]
fn stand_ins_are_where_they_were_after_a_kill_and_their_absence_is_said() {
    let Some(envoy) = envoy("e2e stand-ins") else { return };
    let dir = first_steps();
    // A backend that is there and answers 503 in its own words, and one that is not there.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut text = String::new();
    for (name, port) in [("sick", answering("503 Sick", "in my own words")), ("gone", gone)] {
        text += &format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: team-a}}\nspec: {{ports: [{{port: 80}}]}}\n\
             ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {name}\n  namespace: team-a\n  \
             labels: {{kubernetes.io/service-name: {name}}}\naddressType: IPv4\nports: [{{port: {port}}}]\n\
             endpoints: [{{addresses: [127.0.0.1]}}]\n\
             ---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: team-a}}\nspec:\n  \
             parentRefs: [{{name: shared, namespace: gateway-system, sectionName: https}}]\n  hostnames: [{name}.dev.example.com]\n  \
             rules: [{{backendRefs: [{{name: {name}, port: 80}}]}}]\n"
        );
    }
    std::fs::write(dir.path().join("others.yaml"), text).unwrap();
    let mut instance = Instance::start(dir, envoy);
    let asked = |instance: &Instance, host: &str| {
        let entry = instance.entry(host)?;
        Some((instance.client(&entry), entry["url"].as_str()?.to_owned()))
    };
    let entry = instance.reach("app1.dev.example.com", "live");
    let (client, url) = (instance.client(&entry), entry["url"].as_str().unwrap().to_owned());
    let ask = || {
        let answer = client.get(&url).send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    };
    let (sick, gone) = (
        instance.wait("the route to the sick backend", || asked(&instance, "sick.dev.example.com")),
        instance.wait("the route to the absent one", || asked(&instance, "gone.dev.example.com")),
    );
    let live = instance.status()["entryPoints"].as_array().unwrap().len();
    let all_live = |instance: &Instance| {
        instance.wait("all hosts to be live", || {
            (metric(instance, "portolan_entry_points_live")? >= f64::from(u32::try_from(live).ok()?))
                .then_some(())
        });
    };
    all_live(&instance);
    let other = |(client, url): &(reqwest::blocking::Client, String)| {
        let answer = client.get(url).send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    };
    for _ in 0..3 {
        instance.kill_nine();
        let (status, said) = ask();
        assert_eq!(status, 503);
        assert!(said.starts_with("the echo backend that stands in for svc/team-a/app1"), "{said}");
        assert!(said.contains("`portolan up`") && !said.contains(instance.state.path().to_str().unwrap()));
        assert_eq!(other(&sick), (503, "in my own words".to_owned()));
        let (status, said) = other(&gone);
        assert!(status == 503 && said.starts_with("upstream connect error"), "{status} {said}");
        instance.up();
        instance.wait("the stand-in", || (ask().0 == 200).then_some(()));
        all_live(&instance);
        assert_eq!(metric(&instance, "portolan_sent_resources"), Some(0.0), "what Envoy has is sent again");
    }
    let (_, said) = ask();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert!(said["service"].as_str().is_some_and(|service| service.starts_with("team-a/app1")), "{said}");
}
