//! An Envoy of another start configuration or program is replaced under traffic, and stays where that cannot be done.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::{
    instance::{Instance, envoy, names, private},
    restarts::{metric, ten_hosts},
};

/// A program that says another version than Envoy does, and then is Envoy: an upgrade is another such version. `start` is how it
/// becomes Envoy, with its path in `$ENVOY`.
fn program(at: &Path, envoy: &Path, version: &str, start: &str) {
    let script = format!(
        "#!/bin/sh\nENVOY={}\ncase \"$1\" in --version) echo 'envoy  version: {version}/1.40.0/Clean/RELEASE/BoringSSL'; exit 0;; esac\n\
         {start}\n",
        envoy.display()
    );
    let made = at.with_extension("new");
    std::fs::write(&made, script).unwrap();
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(made, at).unwrap();
}

/// An Envoy that was replaced ends its connections for ten seconds and then itself; several replacements may follow each other.
const DRAINED: Duration = Duration::from_mins(2);

const AS_IT_IS: &str = "exec \"$ENVOY\" \"$@\"";

/// Clients that keep their connections, and clients that make one for each request.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    clients: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Traffic {
    pub fn start(instance: &Instance, entry: &Value) -> Self {
        let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let url = entry["url"].as_str().unwrap().to_owned();
        let clients = [true, true, false, false].map(|keeps| {
            let (client, url) = (instance.client(entry), url.clone());
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            std::thread::spawn(move || {
                let mut failed = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    asked.fetch_add(1, Ordering::Relaxed);
                    let request = client.get(&url);
                    let request = if keeps { request } else { request.header("connection", "close") };
                    match request
                        .version(reqwest::Version::HTTP_11)
                        .send()
                        .and_then(|a| Ok((a.status(), a.text()?)))
                    {
                        Ok((status, _)) if status == 200 => {}
                        other => failed.push(format!("{other:?}")),
                    }
                    std::thread::sleep(Duration::from_millis(3));
                }
                failed
            })
        });
        Self { stop, asked, clients: clients.into() }
    }

    /// No request has failed.
    pub fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let failed: Vec<String> =
            self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        let asked = self.asked.load(Ordering::Relaxed);
        assert!(failed.is_empty(), "{} of {asked}: {:?}", failed.len(), failed.first());
        assert!(asked > 200, "{asked}");
    }
}

fn live(instance: &Instance) {
    instance.wait("11 hosts to be live", || {
        (metric(instance, "portolan_entry_points_live")? >= 11.0).then_some(())
    });
}

fn finding(instance: &Instance, code: &str) -> Option<Value> {
    instance.status()["findings"].as_array()?.iter().find(|f| f["code"] == code).cloned()
}

fn again(instance: &mut Instance) {
    instance.kill_nine();
    instance.up();
}

#[test]
fn an_envoy_of_another_generation_is_replaced_under_traffic() {
    let Some(envoy) = envoy("e2e replaced") else { return };
    let programs = private();
    let at = programs.path().join("envoy");
    program(&at, &envoy, "one", AS_IT_IS);
    let mut instance = Instance::start(ten_hosts(), at.clone());
    live(&instance);
    let entry = instance.reach("h0.dev.example.com", "live");
    let mut pid = instance.envoy_pid();
    let traffic = Traffic::start(&instance, &entry);
    for version in ["two", "three"] {
        program(&at, &envoy, version, AS_IT_IS);
        again(&mut instance);
        instance.wait_within(DRAINED, "the one before to end", || {
            (!names(pid, instance.state.path())).then_some(())
        });
        live(&instance);
        assert_ne!(instance.envoy_pid(), pid);
        pid = instance.envoy_pid();
        // It is the state's own now: the next start adopts it, and sends nothing.
        again(&mut instance);
        live(&instance);
        assert_eq!((instance.envoy_pid(), metric(&instance, "portolan_sent_resources")), (pid, Some(0.0)));
        // What is edited reaches it.
        instance.write(&format!("{version}.yaml"), &route(version));
        instance.reach(&format!("{version}.dev.example.com"), "live");
    }
    // Killed while one takes over.
    program(&at, &envoy, "four", AS_IT_IS);
    for pause in [0, 50, 200, 600] {
        again(&mut instance);
        std::thread::sleep(Duration::from_millis(pause));
    }
    instance
        .wait_within(DRAINED, "the one before to end", || (!names(pid, instance.state.path())).then_some(()));
    live(&instance);
    traffic.end();
    let shared = |state: &Path| {
        let line = std::fs::read(format!("/proc/{}/cmdline", instance.envoy_pid())).unwrap_or_default();
        let words: Vec<String> =
            line.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
        assert!(words.iter().any(|word| Path::new(word) == state.join("envoy.json")));
        let base = words.iter().position(|word| word == "--base-id").map(|at| words[at + 1].clone());
        base.map(|base| Path::new("/dev/shm").join(format!("envoy_shared_memory_{base}0")))
    };
    let shared = shared(instance.state.path()).unwrap();
    assert!(shared.exists());
    assert!(instance.run(&["down"]).status.success());
    instance.ended();
    assert!(!shared.exists(), "down leaves nothing");
}

fn route(name: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: team-a}}\nspec:\n  \
         parentRefs: [{{name: shared, namespace: gateway-system, sectionName: https}}]\n  hostnames: [{name}.dev.example.com]\n  \
         rules: [{{backendRefs: [{{name: app1, port: 80}}]}}]\n"
    )
}

/// The next one cannot start, or the one that runs hands nothing over: what is served is served on, and it is said.
#[test]
fn an_envoy_that_cannot_be_replaced_serves_on() {
    let Some(envoy) = envoy("e2e not replaced") else { return };
    let programs = private();
    let at = programs.path().join("envoy");
    // As earlier releases started it, and this one does without /dev/shm.
    let earlier = "exec \"$ENVOY\" -c \"$2\" --use-dynamic-base-id --disable-hot-restart --service-node \"$6\" --service-cluster \
                   portolan --log-level warning --concurrency 2";
    for (first, then) in [(AS_IT_IS, "echo no such option >&2; exit 1"), (earlier, AS_IT_IS)] {
        program(&at, &envoy, "one", first);
        let mut instance = Instance::start(ten_hosts(), at.clone());
        live(&instance);
        let entry = instance.reach("h0.dev.example.com", "live");
        let pid = instance.envoy_pid();
        let traffic = Traffic::start(&instance, &entry);
        program(&at, &envoy, "two", then);
        again(&mut instance);
        let said = instance.wait("the finding", || finding(&instance, "PTL-0093"));
        assert_eq!(said["severity"], "warning");
        if first == AS_IT_IS {
            assert!(said["message"].as_str().unwrap().contains("no such option"), "{said}");
        }
        live(&instance);
        assert_eq!(instance.envoy_pid(), pid);
        instance.write("more-yet.yaml", &route("edited"));
        instance.reach("edited.dev.example.com", "live");
        traffic.end();
    }
}

/// The next one runs and does nothing: it is ended, and edits reach the one that serves again.
#[test]
fn an_envoy_that_hangs_before_it_takes_over_is_given_up() {
    let Some(envoy) = envoy("e2e hanging") else { return };
    let programs = private();
    let at = programs.path().join("envoy");
    program(&at, &envoy, "one", AS_IT_IS);
    let mut instance = Instance::start(ten_hosts(), at.clone());
    live(&instance);
    let entry = instance.reach("h0.dev.example.com", "live");
    let pid = instance.envoy_pid();
    let traffic = Traffic::start(&instance, &entry);
    // It has to be killed: a shell that waits for what it started ends at once otherwise.
    let hangs = "trap '' TERM\nwhile :; do sleep 1; done";
    program(&at, &envoy, "two", hangs);
    again(&mut instance);
    let next = instance.wait("the next one", || Some(instance.envoy_pid()).filter(|next| *next != pid));
    let said = instance.wait_within(Duration::from_mins(2), "the finding", || finding(&instance, "PTL-0093"));
    assert!(said["message"].as_str().unwrap().contains("has said nothing to Portolan"), "{said}");
    assert_eq!(instance.envoy_pid(), pid);
    assert!(!names(next, instance.state.path()), "it was ended");
    live(&instance);
    instance.write("more-yet.yaml", &route("edited"));
    instance.reach("edited.dev.example.com", "live");
    traffic.end();
}
