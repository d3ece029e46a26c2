//! What `up` promises about sockets, addresses and its API. Other addresses than loopback are used only inside a network
//! namespace of the test's own, without any route.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use portolan_testkit::suites;
use serde_json::Value;

use crate::instance::{Instance, envoy, first_steps, portolan, private};

/// One request as written, over TCP; the whole answer.
fn http(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_tcp_api_only_reads_only_for_local_hosts_and_shows_no_secret() {
    let Some(envoy) = envoy("e2e API") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.write(
        "secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: team-a}\nstringData: {password: hunter2-in-the-clear}\n",
    );
    instance.reach("app1.dev.example.com", "live");
    instance
        .wait("the Secret", || instance.run(&["get", "secret", "team-a/s"]).status.success().then_some(()));
    let run: Value =
        serde_json::from_slice(&std::fs::read(instance.state.path().join("run.json")).unwrap()).unwrap();
    let api = run["api"].as_str().unwrap();
    let get = |path: &str, host: &str| {
        http(
            api,
            &format!(
                "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\norigin: http://evil.example\r\n\r\n"
            ),
        )
    };
    for path in [
        "/v1/status",
        "/v1/explain/app1.dev.example.com",
        "/v1/objects/secret",
        "/v1/objects/secret/team-a/s",
        "/v1/objects/certificate",
        "/metrics",
    ] {
        let answer = get(path, "localhost");
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control-allow"), "{path}: no CORS");
        assert!(!answer.contains("hunter2"), "{path} shows a value");
        assert!(!answer.contains("PRIVATE KEY"), "{path} shows a key");
        // A web page that rebinds its own name to this machine sends that name.
        assert!(get(path, "evil.example").starts_with("HTTP/1.1 403"), "{path}");
    }
    for change in ["/v1/down", "/v1/renew/gateway-system/wildcard-dev"] {
        let answer = http(
            api,
            &format!(
                "POST {change} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            ),
        );
        assert!(answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 405"), "{answer}");
    }
    assert_eq!(instance.entry("app1.dev.example.com").unwrap()["state"], "live", "nothing was stopped");
}

#[test]
fn files_and_sockets_are_private() {
    let Some(envoy) = envoy("e2e modes") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.reach("app1.dev.example.com", "live");
    let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    let mut files = 0;
    for entry in std::fs::read_dir(instance.state.path()).unwrap() {
        let (path, kind) = entry.map(|e| (e.path(), e.file_type().unwrap())).unwrap();
        if kind.is_file() && path.file_name().unwrap() != "ca.pem" {
            files += 1;
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        } else if kind.is_dir() {
            assert_eq!(mode(&path), 0o700, "{}", path.display());
        }
    }
    assert!(files > 3, "{files} files");
    assert_eq!(mode(instance.state.path()), 0o700);
    let run: Value =
        serde_json::from_slice(&std::fs::read(instance.state.path().join("run.json")).unwrap()).unwrap();
    let sockets = Path::new(run["sockets"]["directory"].as_str().unwrap());
    assert_eq!(mode(sockets), 0o700);
    let mut seen = 0;
    for entry in std::fs::read_dir(sockets).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        assert!(path.as_os_str().len() < 108, "a Unix socket's path has at most 107 bytes");
        seen += 1;
    }
    assert!(seen >= 3, "xDS, Envoy's admin and control: {seen}");
}

/// The keys of the status, as docs/reference/status-json.md promises them.
#[test]
fn the_status_has_the_documented_fields_and_no_others() {
    let Some(envoy) = envoy("e2e status schema") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.write("bad.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: bad, namespace: team-a}\nspec: {parentRefs: [{name: shared, namespace: gateway-system}], hostnames: [x.other.example]}\n");
    instance.reach("app1.dev.example.com", "live");
    instance.reach("x.other.example", "refused");
    let status = instance.status();
    let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let documented =
        std::fs::read_to_string(suites::repository().join("docs/reference/status-json.md")).unwrap();
    let check = |value: &Value, expected: &[&str]| {
        let mut expected: Vec<&str> = expected.to_vec();
        expected.sort_unstable();
        let mut found = keys(value);
        found.sort_unstable();
        assert_eq!(found, expected);
        for key in expected {
            assert!(documented.contains(&format!("`{key}`")), "{key} is not in status-json.md");
        }
    };
    check(
        &status,
        &[
            "entryPoints",
            "listeners",
            "applications",
            "kept",
            "otherGateways",
            "substitutions",
            "ledger",
            "verdict",
            "findings",
            "run",
        ],
    );
    check(&status["ledger"][0], &["of", "fate", "why", "items", "count"]);
    for (fate, count) in [("used", 0), ("refused", 1)] {
        assert!(documented.contains(&format!("`{fate}`")));
        let entries = status["ledger"].as_array().unwrap().iter().filter(|entry| entry["fate"] == fate);
        let sum: u64 = entries.map(|entry| entry["count"].as_u64().unwrap()).sum();
        assert!(if fate == "used" { sum > count } else { sum == count }, "{fate}: {}", status["ledger"]);
    }
    check(&status["verdict"], &["complete", "notLookedAt"]);
    let entry = instance.entry("app1.dev.example.com").unwrap();
    check(
        &entry,
        &[
            "hostname",
            "url",
            "address",
            "port",
            "state",
            "message",
            "route",
            "certificate",
            "dns",
            "broken",
            "unenforced",
            "findings",
        ],
    );
    check(&entry["certificate"], &["secret", "issuer", "notAfter", "serial"]);
    check(&entry["dns"], &["managed", "outside", "records"]);
    check(&entry["dns"]["records"][0], &["name", "type", "ttl", "values"]);
    check(
        &status["listeners"][0],
        &[
            "gateway",
            "name",
            "hostname",
            "port",
            "protocol",
            "attachedRoutes",
            "accepted",
            "resolvedRefs",
            "programmed",
            "message",
        ],
    );
    check(
        &status["applications"][0],
        &[
            "application",
            "parent",
            "namespace",
            "wave",
            "sources",
            "objects",
            "health",
            "message",
            "unhealthy",
            "outOfSync",
        ],
    );
    let finding = &status["findings"][0];
    check(finding, &["code", "severity", "object", "field", "file", "line", "place", "message", "hint"]);
    let unhealthy = &status["applications"][0]["unhealthy"];
    assert!(
        unhealthy.as_array().unwrap().iter().any(|o| o["object"] == "HTTPRoute/team-a/bad"),
        "{unhealthy}"
    );
    assert_eq!(status["applications"][0]["health"], "Degraded");
}

/// `up --once` in a network namespace that `network` sets up; nothing there has a route to anywhere.
fn alone(network: &str, dir: &Path, state: &Path, envoy: &Path, more: &str) -> Output {
    let script = format!(
        "{network} && test -z \"$(ip route show)\" && test -z \"$(ip -6 route show default)\" && exec {} up {} --state {} \
         --envoy {} --once --timeout 60s {more}",
        portolan().get_program().display(),
        dir.display(),
        state.display(),
        envoy.display()
    );
    Command::new("unshare")
        .args(["-rn", "sh", "-c", &script])
        .stdin(Stdio::null())
        .env_remove("PORTOLAN_ENVOY")
        .output()
        .unwrap()
}

/// Envoy, if network namespaces can be made here.
fn namespace(suite: &str) -> Option<std::path::PathBuf> {
    let envoy = envoy(suite)?;
    let able = Command::new("unshare").args(["-rn", "ip", "link", "set", "lo", "up"]).output();
    if able.is_ok_and(|o| o.status.success()) {
        return Some(envoy);
    }
    suites::skip_optional(suite, "no network namespace can be made (unshare -rn, iproute2)");
    None
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_restriction_that_is_not_enforced_is_served_on_loopback_only() {
    let Some(envoy) = namespace("e2e bind") else { return };
    let dir = first_steps();
    std::fs::write(
        dir.path().join("restricted.yaml"),
        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: p, namespace: team-a}\nspec:\n  \
         targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: app1}]\n",
    )
    .unwrap();
    let lo = "ip link set lo up && ip addr add 10.99.0.1/32 dev lo";
    let state = private();
    let output = alone(lo, dir.path(), state.path(), &envoy, "--bind 10.99.0.1");
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line =
        |host: &str| text.lines().find(|l| l.contains(host)).unwrap_or_else(|| panic!("{text}")).to_owned();
    assert!(line("app1.dev.example.com").contains("refused"), "{text}");
    assert!(text.contains("PTL-0230"), "{text}");
    assert!(line("greeter.dev.example.com").contains("live"), "{text}");

    let state = private();
    let output = alone(lo, dir.path(), state.path(), &envoy, "");
    let text = shown(&output);
    assert!(text.lines().any(|l| l.contains("app1.dev.example.com") && l.contains("live")), "{text}");
    assert!(text.contains("PTL-0206"), "the warning stays: {text}");
}

/// Two Gateways on one address: their ports are moved apart, and what is below 1024 stays with --low-ports.
#[test]
fn ports_are_moved_apart_where_there_is_one_address() {
    let Some(envoy) = namespace("e2e one address") else { return };
    let dir = first_steps();
    let gateway = std::fs::read_to_string(dir.path().join("gateway.yaml")).unwrap();
    let second = gateway.split("---").find(|document| document.contains("kind: Gateway\n")).unwrap();
    let second =
        second.replace("name: shared", "name: second").replace("*.dev.example.com", "*.two.example.com");
    std::fs::write(dir.path().join("second.yaml"), second).unwrap();
    let route = std::fs::read_to_string(dir.path().join("team-a.yaml")).unwrap();
    let route = route.split("---").find(|d| d.contains("kind: HTTPRoute") && d.contains("app1.dev")).unwrap();
    let route = route
        .replace("name: shared", "name: second")
        .replace("app1.dev.example.com", "app1.two.example.com")
        .replacen("name: app1", "name: two", 1);
    std::fs::write(dir.path().join("two.yaml"), route).unwrap();
    let certificates = std::fs::read_to_string(dir.path().join("certificates.yaml")).unwrap();
    let certificates = certificates.replace("    - dev.example.com", "    - \"*.two.example.com\"");
    std::fs::write(dir.path().join("certificates.yaml"), certificates).unwrap();
    let ports = |network: &str, more: &str| {
        let state = private();
        let output = alone(network, dir.path(), state.path(), &envoy, more);
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        let find = |host: &str| {
            let url = text.split_whitespace().find(|word| word.contains(&format!("https://{host}")));
            url.unwrap_or_else(|| panic!("{text}")).to_owned()
        };
        [find("app1.dev.example.com"), find("app1.two.example.com")]
    };
    let one =
        ports("ip link set lo up && ip addr del 127.0.0.1/8 dev lo && ip addr add 127.0.0.1/32 dev lo", "");
    let mut moved = one.clone();
    moved.sort();
    assert_eq!(moved, ["https://app1.dev.example.com:8453/", "https://app1.two.example.com:8443/"]);
    let bound = ports("ip link set lo up", "--bind 127.0.0.7");
    assert_eq!(bound, one);
    let low = ports("ip link set lo up", "--low-ports");
    assert_eq!(low, ["https://app1.dev.example.com/", "https://app1.two.example.com/"]);
}
