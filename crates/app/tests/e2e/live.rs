//! What works: entry points, edits, renewal, restarts.

use portolan_testkit::suites;

use super::instance::{Instance, envoy, first_steps, names, portolan};

#[test]
fn a_folder_becomes_https_entry_points() {
    let Some(envoy) = envoy("e2e first steps") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let entry = instance.reach("app1.dev.example.com", "live");
    assert_eq!(entry["url"], "https://app1.dev.example.com:8443/");
    assert_eq!(entry["certificate"]["issuer"], "First steps internal CA");
    let client = instance.client(&entry);
    let url = entry["url"].as_str().unwrap();
    let get = |path: &str, canary: bool| {
        let mut request = client.get(format!("{url}{path}"));
        if canary {
            request = request.header("x-canary", "yes");
        }
        let text = request.send().unwrap().text().unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    assert_eq!(get("", true)["service"], "team-a/app1-canary", "header match");
    assert_eq!(get("api/x?y=1", false)["path"], "/x?y=1", "rewrite");
    assert_eq!(get("api", false)["path"], "/");
    assert_eq!(get("apiary", false)["path"], "/apiary", "a prefix matches whole path elements");
    let canary = (0..200).filter(|_| get("", false)["service"] == "team-a/app1-canary").count();
    assert!((2..60).contains(&canary), "weight 10 of 100, got {canary} of 200");

    let redirect = instance.reach("*", "live");
    let http = format!("http://{}:{}/x", redirect["address"].as_str().unwrap(), redirect["port"]);
    let plain = instance.client(&entry).get(http).header("host", "app1.dev.example.com").send().unwrap();
    assert_eq!(plain.status(), 301);
    assert_eq!(plain.headers()["location"], "https://app1.dev.example.com:8443/x", "the moved port is used");

    let grpc = instance.reach("greeter.dev.example.com", "live");
    let answer = instance
        .client(&grpc)
        .post(format!("{}helloworld.Greeter/SayHello", grpc["url"].as_str().unwrap()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(vec![0_u8; 5])
        .send()
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "application/grpc");
}

#[test]
fn edits_are_live_without_a_restart() {
    let Some(envoy) = envoy("e2e edits") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.reach("app1.dev.example.com", "live");
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: app2, namespace: team-a}\nspec:\n  parentRefs: [{name: shared, namespace: gateway-system, sectionName: https}]\n  hostnames: [app2.dev.example.com]\n  rules: [{backendRefs: [{name: app1, port: 80}]}]\n";
    instance.write("new.yaml", route);
    let entry = instance.reach("app2.dev.example.com", "live");
    let client = instance.client(&entry);
    assert_eq!(client.get(entry["url"].as_str().unwrap()).send().unwrap().status(), 200);
    std::fs::remove_file(instance.dir.path().join("new.yaml")).unwrap();
    instance.wait("app2 to go", || instance.entry("app2.dev.example.com").is_none().then_some(()));
    instance.wait("Envoy to forget app2", || {
        (client.get(entry["url"].as_str().unwrap()).send().unwrap().status() == 404).then_some(())
    });
    assert_eq!(instance.entry("app1.dev.example.com").unwrap()["state"], "live");
}

#[test]
fn a_renewal_drops_no_connection() {
    let Some(envoy) = envoy("e2e renewal") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let before = instance.reach("app1.dev.example.com", "live");
    // One client keeps its connection alive between the two requests.
    let client = instance.client(&before);
    let connection = || {
        let response = client.get(before["url"].as_str().unwrap()).send().unwrap();
        assert_eq!(response.status(), 200);
        assert_ne!(
            response.headers().get("connection").map(reqwest::header::HeaderValue::as_bytes),
            Some(&b"close"[..])
        );
        response.text().unwrap()
    };
    connection();
    let output = instance.run(&["renew", "gateway-system/wildcard-dev"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    instance.wait("a new serial", || {
        let now = instance.reach("app1.dev.example.com", "live");
        (now["certificate"]["serial"] != before["certificate"]["serial"]).then_some(())
    });
    connection();
    let output = instance.run(&["renew", "gateway-system/nothing"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("Certificate gateway-system/nothing does not exist")
    );
}

/// A backend of the test's own: the stand-in would end with the Portolan that is killed.
fn backend() -> u16 {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(100) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
        }
    });
    port
}

#[test]
fn a_killed_portolan_leaves_envoy_serving_and_the_next_adopts_it() {
    let Some(envoy) = envoy("e2e adoption") else { return };
    let dir = first_steps();
    let slice = ["app1", "app1-canary"].map(|service| {
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {service}\n  namespace: team-a\n  labels: {{kubernetes.io/service-name: {service}}}\naddressType: IPv4\nports: [{{name: http, port: {}}}]\nendpoints: [{{addresses: [127.0.0.1]}}]\n",
            backend()
        )
    });
    std::fs::write(dir.path().join("endpoints.yaml"), slice.join("---\n")).unwrap();
    let mut instance = Instance::start(dir, envoy);
    let entry = instance.reach("app1.dev.example.com", "live");
    let (pid, url) = (instance.envoy_pid(), entry["url"].as_str().unwrap().to_owned());
    instance.kill_nine();
    assert_eq!(instance.client(&entry).get(&url).send().unwrap().status(), 200, "Envoy serves on");
    instance.up();
    let again = instance.reach("app1.dev.example.com", "live");
    assert_eq!(instance.envoy_pid(), pid, "the same Envoy");
    assert_eq!(again["certificate"], entry["certificate"], "the certificate was kept, not issued again");
    assert_eq!(again["address"], entry["address"]);

    let output = instance.run(&["down"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!names(pid, instance.state.path()), "down leaves nothing running");
}

#[test]
fn a_dead_envoy_is_restarted() {
    let Some(envoy) = envoy("e2e envoy restart") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let entry = instance.reach("app1.dev.example.com", "live");
    let pid = instance.envoy_pid();
    assert!(names(pid, instance.state.path()));
    std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    instance.wait("another Envoy", || (instance.envoy_pid() != pid).then_some(()));
    instance.wait("an answer", || instance.client(&entry).get(entry["url"].as_str().unwrap()).send().ok());
}

#[test]
fn render_lists_what_an_environment_wants_and_no_values() {
    if suites::program("helm").is_none() {
        suites::skip("e2e render", "Helm is missing; run scripts/setup demo");
        return;
    }
    let render = |env: &str| {
        let example = suites::repository().join("examples/platform");
        portolan()
            .current_dir(suites::repository())
            .arg("render")
            .arg(example)
            .args(["--env", env, "--output", "json"])
            .output()
            .unwrap()
    };
    let output = render("prod-01");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // The ledger names fields; no object is shown with them.
    assert!(!text.contains("AgB") && !text.contains("\"encryptedData\":"), "no values are shown");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let app1 =
        json["objects"].as_array().unwrap().iter().find(|o| o["object"] == "HTTPRoute/team-a/app1").unwrap();
    assert_eq!(app1["application"], "prod-01-team-apps");
    let output = render("nowhere-01");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// On a terminal the lower lines show what waits for what; `script` is the terminal.
#[test]
fn a_terminal_shows_what_waits() {
    let Some(envoy) = envoy("e2e terminal") else { return };
    let Some(script) = portolan_testkit::suites::program("script") else {
        portolan_testkit::suites::skip("e2e terminal", "script is missing; install bsdutils");
        return;
    };
    let (dir, state) = (first_steps(), crate::instance::private());
    let command = format!(
        "{} up {} --once --timeout 60s --api-listen 127.0.0.1:0 --dns-listen 127.0.0.1:0 --acme-listen 127.0.0.1:0 --state {} --envoy {}",
        env!("CARGO_BIN_EXE_portolan"),
        dir.path().display(),
        state.path().display(),
        envoy.display()
    );
    let output = std::process::Command::new(script)
        .args(["-qec", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("3 pending, 0 refused"), "{text}");
    assert!(text.contains(": waiting for "), "{text}");
    assert!(text.contains("HOSTNAME"), "the table comes at the end: {text}");
}
