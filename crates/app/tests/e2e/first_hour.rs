//! What a new user tries: exit codes, an Envoy that does not work, what is shown where.

use std::{os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use serde_json::Value;

use crate::instance::{Instance, envoy, first_steps, portolan, private};

const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: NAME, namespace: team-a}\nspec:\n  parentRefs: [{name: shared, namespace: gateway-system, sectionName: https}]\n  hostnames: [HOST]\n  rules: [{matches: [{path: {type: PathPrefix, value: PATH}}], backendRefs: [{name: SERVICE, port: 80}]}]\n";

fn route(name: &str, host: &str, path: &str, service: &str) -> String {
    ROUTE.replace("NAME", name).replace("HOST", host).replace("PATH", path).replace("SERVICE", service)
}

fn text(output: &Output) -> String {
    (String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr)).into_owned()
}

fn render(dir: &Path) -> Output {
    portolan().arg("render").arg(dir).output().unwrap()
}

/// `render` is a check before a merge: it ends with 0 only where every host would be served.
#[test]
fn render_tells_by_its_exit_code() {
    let dir = first_steps();
    assert_eq!(render(dir.path()).status.code(), Some(0));

    let missing = render(&dir.path().join("nowhere"));
    assert!(missing.status.code() == Some(2) && text(&missing).contains("there is no folder"), "{missing:?}");
    let file = render(&dir.path().join("team-a.yaml"));
    assert!(file.status.code() == Some(2) && text(&file).contains("is a file"), "{file:?}");
    let empty = tempfile::tempdir().unwrap();
    let output = render(empty.path());
    assert!(output.status.code() == Some(1) && text(&output).contains("PTL-0613"), "{output:?}");
    std::fs::write(empty.path().join("notes.txt"), "kind: Gateway\n").unwrap();
    assert_eq!(render(empty.path()).status.code(), Some(1));

    let good = std::fs::read_to_string(dir.path().join("team-a.yaml")).unwrap();
    let gateway = std::fs::read_to_string(dir.path().join("gateway.yaml")).unwrap();
    let bad = [
        (
            "an unknown kind that routes",
            "team-a.yaml",
            good.replace("kind: HTTPRoute", "kind: HttpRoute"),
            "did you mean HTTPRoute",
        ),
        (
            "a listener that is not served",
            "gateway.yaml",
            gateway.replace("protocol: HTTPS", "protocol: TLS"),
            "listener",
        ),
        (
            "a Secret that nobody makes",
            "gateway.yaml",
            gateway.replace("name: ingress-tls", "name: no-such"),
            "no-such",
        ),
    ];
    for (what, name, broken, said) in bad {
        let before = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_ne!(before, broken, "{what} changes nothing");
        std::fs::write(dir.path().join(name), &broken).unwrap();
        let output = render(dir.path());
        assert_eq!(output.status.code(), Some(1), "{what}: {}", text(&output));
        assert!(text(&output).contains(said), "{what}: {}", text(&output));
        std::fs::write(dir.path().join(name), before).unwrap();
    }
}

/// A host with a route that does not work is not all well, and says which of its routes it is (cases/first-hour/01).
#[test]
fn a_broken_route_of_a_served_host_is_said() {
    let Some(envoy) = envoy("e2e two routes") else { return };
    let dir = first_steps();
    std::fs::write(
        dir.path().join("second.yaml"),
        route("zz-second", "app1.dev.example.com", "/v2", "nowhere"),
    )
    .unwrap();
    std::fs::write(dir.path().join("third.yaml"), route("lost", "lost.dev.example.com", "/", "nowhere"))
        .unwrap();
    let instance = Instance::start(dir, envoy);
    let entry = instance.reach("app1.dev.example.com", "live");
    let found = entry["findings"].as_array().unwrap();
    assert!(found.iter().any(|f| f["object"] == "HTTPRoute/team-a/zz-second"), "{entry}");
    let explained = instance.run(&["explain", "app1.dev.example.com"]);
    assert_eq!(explained.status.code(), Some(1), "{}", text(&explained));
    assert!(text(&explained).contains("team-a/zz-second"), "{}", text(&explained));
    let status = instance.run(&["status"]);
    assert_eq!(status.status.code(), Some(1), "{}", text(&status));
    let shown = text(&status);
    let (first, _) = shown.split_once("app1.dev.example.com").unwrap();
    assert!(first.contains("refused   lost.dev.example.com"), "what is wrong comes first: {shown}");
    // A refused host that is served is shown with its certificate.
    // Of one namespace only, with the exit code of what is shown.
    let team = instance.run(&["status", "-n", "team-a"]);
    assert!(team.status.code() == Some(1) && text(&team).contains("lost.dev.example.com"), "{}", text(&team));
    let infra = instance.run(&["status", "-n", "gateway-system"]);
    assert!(infra.status.code() == Some(0) && !text(&infra).contains("lost.dev"), "{}", text(&infra));
    let nowhere = instance.run(&["status", "-n", "team-b"]);
    assert!(nowhere.status.code() == Some(2) && text(&nowhere).contains("there are"), "{}", text(&nowhere));
    let lost = instance.reach("lost.dev.example.com", "refused");
    assert_eq!(lost["certificate"]["secret"], "gateway-system/ingress-tls", "{lost}");
    std::fs::remove_file(instance.dir.path().join("second.yaml")).unwrap();
    std::fs::remove_file(instance.dir.path().join("third.yaml")).unwrap();
    instance.wait("all well", || {
        let output = instance.run(&["status"]);
        (output.status.code() == Some(0)).then_some(())
    });
    assert_eq!(instance.run(&["explain", "app1.dev.example.com"]).status.code(), Some(0));
    let log = std::fs::read_to_string(instance.dir.path().join("up.log")).unwrap();
    assert!(log.contains("resolved PTL-0223 HTTPRoute/team-a/zz-second"), "{log}");
    assert!(!log.contains('\u{1b}'), "no colours in a file: {log}");
}

/// What `up --once` had no time for is said, and is never all well.
#[test]
fn a_time_that_ran_out_is_said() {
    let Some(envoy) = envoy("e2e no time") else { return };
    let dir = first_steps();
    let state = private();
    let once = |more: &[&str]| {
        let mut command = portolan();
        command.arg("up").arg(dir.path()).args(["--once", "--timeout", "0s", "--state"]).arg(state.path());
        command.args(["--dns-listen", "127.0.0.1:0", "--envoy"]).arg(&envoy).args(more).output().unwrap()
    };
    let output = once(&[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the repository was not read within the 0 s of --timeout"), "{said}");
    assert!(said.contains("The verdict is incomplete") && !said.contains("no route asks"), "{said}");
    let output = once(&["-o", "json", "--allow-incomplete"]);
    assert_eq!(output.status.code(), Some(1), "what was not read is an error");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["verdict"]["complete"], &json["findings"][0]["code"]),
        (&false.into(), &"PTL-0094".into())
    );
}

/// A refused route without hostnames has its row too, and what is said of it is what is wrong.
#[test]
fn a_refused_route_without_hostnames_is_shown() {
    let Some(envoy) = envoy("e2e no class") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.reach("*", "live");
    instance.edit("gateway.yaml", "gatewayClassName: infra-shared-01", "gatewayClassName: nope");
    let entry = instance.reach("*", "refused");
    assert_eq!(entry["route"], "HTTPRoute/gateway-system/to-https", "{entry}");
    let hint = entry["findings"][0]["hint"].as_str().unwrap();
    assert!(hint.contains("gatewayClassName"), "{entry}");
    let explained = instance.run(&["explain", "*"]);
    assert_eq!(explained.status.code(), Some(1), "{}", text(&explained));
    assert!(text(&explained).contains("GatewayClass"), "{}", text(&explained));
    let shown = text(&instance.run(&["status", "-n", "gateway-system"]));
    assert!(shown.contains("refused"), "{shown}");
    instance.reach("app1.dev.example.com", "refused");
    let explained = text(&instance.run(&["explain", "app1.dev.example.com"]));
    assert!(!explained.contains("only hostnames of routes"), "{explained}");
}

/// An Envoy that ends, and one that never asks for its configuration, are findings with what they said
/// (cases/first-hour/dead-envoy and fake-envoy).
#[test]
fn an_envoy_that_does_not_work_is_a_finding() {
    let (dir, programs) = (first_steps(), tempfile::tempdir().unwrap());
    for (name, code, end, said) in [
        ("dead", "PTL-0091", "echo 'boom: cannot allocate' >&2; exit 1", "boom: cannot allocate"),
        ("fake", "PTL-0092", "echo 'waiting' >&2; exec sleep 60", "waiting"),
    ] {
        let program = programs.path().join(name);
        let script = format!(
            "#!/bin/sh\ncase \"$1\" in --version) echo 'envoy  version: 0/1.40.0/Clean/RELEASE/BoringSSL'; exit 0;; esac\n{end}\n"
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let state = private();
        let output = portolan()
            .arg("up")
            .arg(dir.path())
            .args(["--once", "--timeout", "13s", "--output", "json", "--envoy"])
            .arg(&program)
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
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = status["findings"].as_array().unwrap();
        let finding = findings.iter().find(|finding| finding["code"] == code);
        let finding = finding.unwrap_or_else(|| panic!("{name}: {findings:?}"));
        assert!(finding["message"].as_str().unwrap().contains(said), "{finding}");
        assert!(finding["hint"].as_str().unwrap().contains("envoy.log"), "{finding}");
    }
}

/// Completion and manual pages come from what `--help` shows.
#[test]
fn completion_and_manual_pages_know_every_verb() {
    let help = portolan().arg("--help").output().unwrap();
    let help = text(&help);
    let verbs: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?.split(' ').next())
        .collect();
    assert!(verbs.contains(&"up") && verbs.contains(&"dns"), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        let output = portolan().args(["completion", shell]).output().unwrap();
        for verb in &verbs {
            assert!(text(&output).contains(verb), "{shell} does not know {verb}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(portolan().arg("man").arg(dir.path()).status().unwrap().success());
    for verb in verbs.iter().filter(|verb| **verb != "help") {
        let page = std::fs::read_to_string(dir.path().join(format!("portolan-{verb}.1"))).unwrap();
        assert!(page.contains(".SH OPTIONS") || page.contains(".SH \"OPTIONS\""), "{verb}: {page}");
    }
    assert!(text(&portolan().arg("man").output().unwrap()).contains(".TH"));
}

/// What people type by mistake: one clear sentence, with the next step.
#[test]
fn mistakes_say_what_to_do() {
    let dir = first_steps();
    let (state, open) = (private(), tempfile::tempdir().unwrap());
    std::fs::set_permissions(open.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(open.path().join("mine"), "").unwrap();
    let held = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = held.local_addr().unwrap().to_string();
    let folder = dir.path().to_str().unwrap();
    let (file, missing) = (format!("{folder}/team-a.yaml"), format!("{folder}/missing"));
    let (open, state) = (open.path().to_str().unwrap(), state.path().to_str().unwrap());
    let up = |more: &[&str]| -> Vec<String> {
        let free =
            ["--api-listen", "--dns-listen", "--acme-listen"].into_iter().filter(|flag| !more.contains(flag));
        let free = free.flat_map(|flag| [flag, "127.0.0.1:0"]);
        let state = if more.contains(&"--state") { vec![] } else { vec!["--state", state] };
        let all = ["up", folder, "--once"].into_iter().chain(free).chain(state).chain(more.iter().copied());
        all.map(str::to_owned).collect()
    };
    let plain = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    for (words, said) in [
        (plain(&["up", &file]), "is a file; name the folder"),
        (plain(&["up", &missing]), "there is no folder"),
        (plain(&["render", &missing]), "there is no folder"),
        (up(&["--state", &file]), "is a file"),
        (up(&["--state", open]), "no state of Portolan"),
        (up(&["--bind", "198.51.100.7"]), "no address of this machine"),
        (up(&["--dns-listen", &udp]), "--dns-listen"),
        (plain(&["up", folder, "--api-listen", "9470"]), "write ADDRESS:PORT"),
        (plain(&["up", folder, "--timeout", "2x"]), "such as 120s"),
        (plain(&["up", folder, "--output", "json"]), "--once"),
        (plain(&["status", "--state", &missing]), "there is no state directory"),
        (plain(&["status", "--state", &file]), "is a file"),
        (plain(&["down", "--state", state]), "nothing is to be stopped"),
        (plain(&["rneder", folder]), "render"),
        (plain(&["completion", "tcsh"]), "possible values: bash"),
        // Words that are missing, too many or misspelt.
        (plain(&["up"]), "<DIR>"),
        (plain(&["up", ""]), "'<DIR>'"),
        (plain(&["up", folder, folder]), "unexpected argument"),
        (plain(&["up", "--dir", folder]), "Usage: portolan up [OPTIONS] <DIR>"),
        (plain(&["up", folder, "--low-port"]), "--low-ports"),
        (plain(&["up", folder, "--env"]), "a value is required for '--env"),
        (plain(&["render"]), "<DIR>"),
        (plain(&["render", folder, "-o", "yaml"]), "possible values: table, json"),
        (plain(&["statsu"]), "'status'"),
        (plain(&["status", "now"]), "unexpected argument 'now'"),
        (plain(&["get"]), "<KIND>"),
        (plain(&["get", "gateway", "-o", "wide"]), "possible values: table, yaml, json"),
        (plain(&["get", "gateway", "a/b/c"]), "write NAME or NAMESPACE/NAME"),
        (plain(&["get", "secret", "x", "-n"]), "a value is required for '--namespace"),
        (plain(&["explain"]), "<HOST>"),
        (plain(&["explain", "a b"]), "names no host; write a name such as"),
        (plain(&["explain", "https://"]), "names no host; write a name such as"),
        (plain(&["dns", "a b"]), "names no host; write a name such as"),
        (plain(&["dns", "a.example.com", "MX"]), "possible values: a, aaaa, cname, txt"),
        (plain(&["renew"]), "<CERTIFICATE>"),
        (plain(&["renew", "web"]), "portolan get certificates"),
        (plain(&["renew", "a/b/c"]), "a is no Certificate: write NAMESPACE/NAME of one"),
        (plain(&["down", "now"]), "unexpected argument 'now'"),
        (plain(&["completion"]), "<SHELL>"),
        (plain(&["man", &file]), "manual pages cannot be written"),
        // Values that are none.
        (up(&["--bind", "localhost"]), "write an IP address of this machine"),
        (up(&["--bind", "10.0.0.0/8"]), "write an IP address of this machine"),
        (plain(&["up", folder, "--api-listen", "localhost:9470"]), "write ADDRESS:PORT"),
        (plain(&["up", folder, "--dns-listen", "53"]), "write ADDRESS:PORT"),
        (up(&["--drain", "1d"]), "write a length of time, such as 120s"),
        (up(&["--drain", "-1s"]), "write a length of time, such as 120s"),
        (up(&["--timeout", "-5s"]), "write a length of time, such as 120s"),
        (up(&["--envoy", &missing]), "name it with --envoy PROGRAM"),
        (up(&["--helm", &missing]), "there is no such program"),
        (up(&["--kustomize", &file]), "it is no program that can be run"),
        (plain(&["render", folder, "--helm", &missing]), "there is no such program"),
        (plain(&["render", folder, "--helm", "no-such-helm"]), "no-such-helm is not in PATH"),
        (plain(&["render", folder, "--root", "../.."]), "leads outside the repository"),
        (up(&["--sealing-key", &missing]), "cannot be read"),
        (up(&["--sealing-key", &file]), "give a PEM private key, or the key Secrets"),
        // What another verb needs.
        (plain(&["seal"]), "--cert CERT, or --sealing-key FILE"),
        (plain(&["prune"]), "or all that stay with --all"),
        (plain(&["seal", "--cert", &file, &file]), "it holds no PEM certificate"),
        (plain(&["seal", "--cert", &missing, &file]), "cannot be read"),
        (plain(&["explain", "a.example.com", "--state", &missing]), "there is no state directory"),
        (plain(&["renew", "a/b", "--state", &missing]), "there is no state directory"),
        (plain(&["get", "routes", "--state", &missing]), "there is no state directory"),
        (plain(&["dns", "a.example.com", "--state", &missing]), "there is no state directory"),
        (plain(&["status", "-n", "shop", "--state", &missing]), "there is no state directory"),
    ] {
        let output = portolan().args(&words).output().unwrap();
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {text}");
        assert!(text.contains(said), "{words:?}: {text}");
        assert!(!text.contains("panicked") && text.lines().count() < 12, "{words:?}: {text}");
    }
    // A chart is a folder too, and an environment that is not there is answered with those that are.
    let platform = portolan_testkit::suites::repository().join("examples/platform");
    let output = portolan().arg("render").arg(&platform).args(["--env", "dev-1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output).contains("environments here: dev-01"), "{}", text(&output));
    if portolan_testkit::suites::program("helm").is_some() {
        let chart = platform.join("charts/team-apps");
        let output = portolan().arg("render").arg(&chart).args(["--env", "dev-01"]).output().unwrap();
        assert!(text(&output).contains("app1.dev.example.com"), "it is rendered: {}", text(&output));
        assert!(!text(&output).contains("PTL-0011"), "its templates are not read as YAML: {}", text(&output));
    }
}
