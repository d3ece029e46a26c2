//! Which programs run, what an argument may reach, and where the verbs find an instance.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;

use crate::instance::{Instance, envoy, first_steps, names, portolan, private};

/// A program that leaves a mark when it is run.
fn trap(folder: &Path, name: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let program = folder.join(name);
    std::fs::write(&program, format!("#!/bin/sh\ntouch {}/was-run\n", folder.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A change that somebody proposes may bring programs: none of them runs.
#[test]
fn no_program_of_the_repository_runs() {
    let dir = tempfile::tempdir().unwrap();
    let chart = dir.path().join("chart");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::create_dir_all(dir.path().join(".git")).unwrap();
    std::fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: c\nversion: 1.0.0\n").unwrap();
    let bin = dir.path().join(".tools/bin");
    for name in ["helm", "envoy"] {
        trap(&bin, name);
        trap(dir.path(), name);
        trap(&chart, name);
    }
    let state = private();
    // Also where PATH leads into the repository.
    let path = format!("{}:.:/usr/bin:/bin", bin.display());
    for path in ["/usr/bin:/bin", &path] {
        for arguments in [
            vec!["render", "chart", "--root", "."],
            vec!["render", ".", "--root", "chart"],
            vec!["up", ".", "--root", "chart", "--once", "--state", state.path().to_str().unwrap()],
        ] {
            let mut command = portolan();
            command.current_dir(dir.path()).args(&arguments).env("PATH", path);
            if arguments[0] == "up" {
                // The usual ports may be another instance's.
                for listen in ["--dns-listen", "--acme-listen", "--api-listen"] {
                    command.args([listen, "127.0.0.1:0"]);
                }
            }
            let output = command.output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert_ne!(output.status.code(), Some(0), "{text}");
            let program = if arguments[0] == "up" { "envoy" } else { "helm" };
            assert!(text.contains(&format!("{program} is not in PATH")), "{arguments:?} {path}: {text}");
            assert!(text.contains(&format!("--{program} PROGRAM")), "{text}");
        }
    }
    for folder in [&bin, dir.path(), &*chart] {
        assert!(!folder.join("was-run").exists(), "a program in {} was run", folder.display());
    }
}

#[test]
fn an_argument_is_one_name_and_hosts_are_taken_as_people_write_them() {
    let Some(envoy) = envoy("e2e arguments") else { return };
    let wildcard = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: catchall, namespace: team-a}\nspec:\n  parentRefs: [{name: shared, namespace: gateway-system, sectionName: https}]\n  hostnames: [\"*.dev.example.com\"]\n  rules: [{backendRefs: [{name: app1, port: 80}]}]\n";
    let dir = first_steps();
    std::fs::write(dir.path().join("wildcard.yaml"), wildcard).unwrap();
    let mut instance = Instance::start(dir, envoy);
    instance.reach("app1.dev.example.com", "live");
    let text = |output: &std::process::Output| {
        (String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr)).into_owned()
    };
    for words in [
        &["renew", "../down"][..],
        &["renew", "..", "-n", "x"],
        &["renew", "a/../../down"],
        &["renew", "wildcard-dev"],
        &["explain", "../down"],
        &["explain", "a b"],
        &["get", "../status", "x"],
        &["get", "gateway", "../../status"],
        &["get", "gateway", "a/b/c"],
        &["get", "gateway/shared", "shared"],
        &["get", "gateway", "a/b", "-n", "c"],
    ] {
        let output = instance.run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", text(&output));
        assert!(output.stdout.is_empty() && text(&output).starts_with("portolan: "), "{}", text(&output));
    }
    assert_eq!(instance.entry("app1.dev.example.com").unwrap()["state"], "live", "it still runs");
    for host in [
        "app1.dev.example.com",
        "https://APP1.dev.example.com:8443/path?x",
        "app1.dev.example.com.",
        "app1.dev.example.com:8443",
    ] {
        let output = instance.run(&["explain", host]);
        assert_eq!(output.status.code(), Some(0), "{host}: {}", text(&output));
        assert!(text(&output).contains("app1.dev.example.com is live"), "{}", text(&output));
    }
    let gateways = [
        &["get", "gtw"][..],
        &["get", "gtw", "-A"],
        &["get", "gateway/shared", "-n", "gateway-system"],
        &["get", "Gateways", "gateway-system/shared"],
        &["get", "gtw", "shared"],
    ];
    for words in gateways {
        let output = instance.run(words);
        assert!(output.status.success() && text(&output).contains("shared"), "{words:?}: {}", text(&output));
    }
    let output = instance.run(&["get", "gtw", "-n", "team-a"]);
    assert!(!text(&output).contains("shared"), "{}", text(&output));

    let output = instance.run(&["dns", "https://App1.dev.example.com/", "a"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("app1.dev.example.com"), "{}", text(&output));
    let output = instance.run(&["dns", "a-app1.dev.example.com", "TXT"]);
    assert!(text(&output).contains("external-dns/owner="), "{}", text(&output));
    let output = instance.run(&["dns", "no-such.example.com"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));

    // A name under a wildcard that is served; one that a nearer listener owns is not.
    instance.reach("*.dev.example.com", "live");
    for host in ["foo.dev.example.com", "a.b.dev.example.com"] {
        let output = instance.run(&["explain", host, "--output", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&json["state"], &json["entryPoint"]),
            (&"live".into(), &"*.dev.example.com".into()),
            "{json}"
        );
    }
    for host in ["foo.example.com", "dev.example.com"] {
        let output = instance.run(&["explain", host]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains("no route asks for"), "{}", text(&output));
        let output = instance.run(&["explain", host, "--output", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&json["state"], output.status.code()), (&"absent".into(), Some(1)), "{json}");
    }
    instance.run(&["down"]);
    instance.ended();
}

/// The state stands wherever `--state` says; the verbs need no `--state` of their own.
#[test]
fn an_instance_is_found_wherever_its_state_is_and_what_a_killed_one_left_is_ended() {
    let Some(envoy) = envoy("e2e registry") else { return };
    let home = private();
    let verb = |words: &[&str]| {
        let output = portolan().args(words).env("XDG_STATE_HOME", home.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), text.into_owned())
    };
    for words in [&["status"][..], &["down"], &["explain", "a.example.com"], &["renew", "a/b"]] {
        let (code, text) = verb(words);
        assert!(code == 2 && text.contains("no instance runs"), "{words:?}: {text}");
    }
    let mut instance = Instance::start_in(first_steps(), envoy.clone(), home.path());
    let entry = instance.reach("app1.dev.example.com", "live");
    assert_eq!(verb(&["explain", "app1.dev.example.com"]).0, 0);
    assert!(verb(&["renew", "gateway-system/wildcard-dev"]).1.contains("is being renewed"));
    let pid = instance.envoy_pid();
    let sockets = std::fs::read_to_string(instance.state.path().join("sockets")).unwrap();

    // The state of another repository, or of another environment, is not touched.
    let other = first_steps();
    let run = std::fs::read(instance.state.path().join("run.json")).unwrap();
    instance.kill_nine();
    for (dir, env) in [(other.path(), "default"), (instance.dir.path(), "prod-01")] {
        let state = instance.state.path().to_str().unwrap();
        let (code, text) = verb(&["up", dir.to_str().unwrap(), "--env", env, "--once", "--state", state]);
        assert!(code == 2 && text.contains("holds the state of"), "{text}");
    }
    assert!(names(pid, instance.state.path()), "its Envoy serves on");
    assert!(instance.client(&entry).get(entry["url"].as_str().unwrap()).send().is_ok());
    let (code, text) = verb(&["status"]);
    assert!(code == 2 && text.contains("portolan down"), "{text}");

    let (code, text) = verb(&["down"]);
    assert!(code == 0 && text.contains(&format!("process {pid}")), "{text}");
    assert!(!names(pid, instance.state.path()), "down leaves nothing running");
    assert!(!Path::new(sockets.trim()).exists(), "and no socket");
    let (code, text) = verb(&["down"]);
    assert!(code == 2 && text.contains("nothing is to be stopped"), "{text}");

    // A process that took the number of an Envoy that has ended is not ours.
    let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    std::fs::write(instance.state.path().join("envoy.pid"), format!("{}\n", other.id())).unwrap();
    std::fs::write(instance.state.path().join("run.json"), run).unwrap();
    let (code, text) = verb(&["down", "--state", instance.state.path().to_str().unwrap()]);
    assert!(code == 0 && text.contains("no process"), "{text}");
    assert!(other.try_wait().unwrap().is_none(), "another's process was ended");
    other.kill().unwrap();
    other.wait().unwrap();

    instance.up();
    instance.reach("app1.dev.example.com", "live");
    assert!(verb(&["down"]).1.contains("stopped"));
    instance.ended();
    assert!(verb(&["down"]).1.contains("nothing is to be stopped"));
}
