//! Bad input: one clear finding each, and everything else goes live.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::instance::{Instance, envoy, first_steps, portolan, private};

/// Brings up the example with one change; gives the status once the untouched host is live and the code is there.
fn broken(instance: &Instance, code: &str) -> Value {
    instance.reach("app1.dev.example.com", "live");
    instance.wait(&format!("finding {code}"), || {
        let status = instance.status();
        let finding = status["findings"].as_array()?.iter().find(|f| f["code"] == code)?.clone();
        assert!(
            !finding["message"].as_str().unwrap().is_empty() && !finding["hint"].as_str().unwrap().is_empty()
        );
        Some(finding)
    })
}

fn route(name: &str, host: &str, backend: &str, more: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: {name}\n  namespace: team-a\nspec:\n  parentRefs:\n    - name: shared\n      namespace: gateway-system\n      sectionName: https\n  hostnames:\n    - {host}\n  rules:\n    - backendRefs:\n        - name: {backend}\n          port: 80\n{more}"
    )
}

/// One instance, one change after the other: each finding comes, names its place, and goes with the change.
#[test]
fn each_mistake_is_one_finding_and_harms_only_itself() {
    let Some(envoy) = envoy("e2e bad input") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let good = route("good", "good.dev.example.com", "app1", "");
    let issuer = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: c, namespace: team-a}\nspec:\n  secretName: c-tls\n  dnsNames: [c.dev.example.com]\n  issuerRef: {name: nobody}\n";
    let security = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: p, namespace: team-a}\nspec:\n  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: app1}]\n";
    let grpc = "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: z, namespace: team-a}\nspec:\n  parentRefs: [{name: shared, namespace: gateway-system, sectionName: https}]\n  hostnames: [app1.dev.example.com]\n  rules: [{backendRefs: [{name: app1, port: 80}]}]\n";
    let cases: [(&str, String, &str, &str); 10] = [
        ("a YAML error", format!("{good}---\na: [1\n"), "PTL-0011", "File/bad.yaml"),
        ("a misspelt kind", good.replace("HTTPRoute", "HttpRoute"), "PTL-0002", "HttpRoute/team-a/good"),
        ("a misspelt field", good.replace("backendRefs", "backendrefs"), "PTL-0005", "HTTPRoute/team-a/good"),
        (
            "a Service that is not there",
            route("bad", "bad.dev.example.com", "nobody", ""),
            "PTL-0223",
            "HTTPRoute/team-a/bad",
        ),
        (
            "a host that no listener takes",
            route("bad", "bad.prod.example.com", "app1", ""),
            "PTL-0220",
            "HTTPRoute/team-a/bad",
        ),
        (
            "two routes, one host",
            route("rival", "app1.dev.example.com", "app1", ""),
            "PTL-0225",
            "HTTPRoute/team-a/rival",
        ),
        ("two kinds of routes, one host", grpc.to_owned(), "PTL-0227", "GRPCRoute/team-a/z"),
        ("an issuer that is not there", issuer.to_owned(), "PTL-0314", "Certificate/team-a/c"),
        ("a restriction that is not enforced", security.to_owned(), "PTL-0206", "SecurityPolicy/team-a/p"),
        ("a namespace that is no text", good.replace("team-a", "n"), "PTL-0610", "File/bad.yaml"),
    ];
    for (what, text, code, object) in cases {
        instance.write("bad.yaml", &text);
        let finding = broken(&instance, code);
        assert_eq!(finding["object"], object, "{what}");
        assert_eq!(finding["file"], "bad.yaml", "{what}");
        assert!(finding["line"].as_u64().is_some_and(|l| l > 0), "{what}: {finding}");
        if object == "HTTPRoute/team-a/bad" {
            let host = if code == "PTL-0220" { "bad.prod.example.com" } else { "bad.dev.example.com" };
            let refused = instance.reach(host, "refused");
            assert_eq!(refused["findings"][0]["code"], code, "{what}");
        }
        let same =
            instance.status()["findings"].as_array().unwrap().iter().filter(|f| f["code"] == code).count();
        assert_eq!(same, 1, "{what}: one finding");
        std::fs::remove_file(instance.dir.path().join("bad.yaml")).unwrap();
        instance.wait(&format!("{what} to be forgotten"), || {
            instance.status()["findings"].as_array().filter(|f| f.is_empty()).map(|_| ())
        });
    }
}

#[test]
fn a_broken_file_removes_nothing_that_stood_in_it() {
    let Some(envoy) = envoy("e2e broken file") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.reach("app1.dev.example.com", "live");
    instance.edit("team-a.yaml", "kind: Namespace", "kind: [Namespace");
    broken(&instance, "PTL-0011");
    assert_eq!(instance.entry("app1.dev.example.com").unwrap()["state"], "live");
    assert_eq!(instance.entry("greeter.dev.example.com").unwrap()["state"], "live");
}

#[test]
fn a_certificate_that_does_not_cover_its_listener() {
    let Some(envoy) = envoy("e2e certificate coverage") else { return };
    let dir = first_steps();
    let instance = Instance::start(dir, envoy);
    instance.reach("app1.dev.example.com", "live");
    instance.edit("certificates.yaml", "\"*.dev.example.com\"", "app1.dev.example.com");
    let finding = broken(&instance, "PTL-0211");
    assert_eq!(finding["file"], "gateway.yaml");
    let refused = instance.reach("greeter.dev.example.com", "refused");
    assert!(refused["message"].as_str().unwrap().contains("covers app1.dev.example.com"), "{refused}");
}

#[test]
fn what_cannot_run_says_why_and_exits_with_2() {
    let Some(envoy) = envoy("e2e refusals") else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (free, taken) = ("127.0.0.1:0".to_owned(), listener.local_addr().unwrap().to_string());
    let fails = |api: &str, change: &mut dyn FnMut(&mut std::process::Command)| {
        let dir = first_steps();
        let mut command = portolan();
        command.arg("up").arg(dir.path()).args([
            "--once",
            "--dns-listen",
            "127.0.0.1:0",
            "--acme-listen",
            "127.0.0.1:0",
            "--api-listen",
            api,
        ]);
        change(&mut command);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let state = private();
    let text = fails(&free, &mut |c| {
        c.arg("--state").arg(state.path()).args(["--envoy", "/nonexistent/envoy"]);
    });
    assert!(text.contains("--envoy PROGRAM"), "{text}");
    let text = fails(&free, &mut |c| {
        c.arg("--state").arg(state.path()).args(["--envoy", "/bin/true"]);
    });
    assert!(text.contains("1.36 or newer"), "{text}");
    // No registry holds an Envoy that is too old: one that only says so.
    let old = tempfile::tempdir().unwrap();
    let program = old.path().join("envoy");
    std::fs::write(&program, "#!/bin/sh\necho\necho 'envoy  version: 0000/1.35.9/Clean/RELEASE/BoringSSL'\n")
        .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let text = fails(&free, &mut |c| {
        c.arg("--state").arg(state.path()).arg("--envoy").arg(&program);
    });
    assert!(text.contains("1.35.9") && text.contains("1.36 or newer"), "{text}");

    let text = fails(&taken, &mut |c| {
        c.arg("--state").arg(state.path()).arg("--envoy").arg(&envoy);
    });
    assert!(text.contains("--api-listen"), "{text}");

    // The DNS port is tried before Envoy is started: nothing is left running.
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken_dns = udp.local_addr().unwrap().to_string();
    let dir = first_steps();
    let output = portolan()
        .arg("up")
        .arg(dir.path())
        .args(["--once", "--api-listen", "127.0.0.1:0", "--acme-listen", "127.0.0.1:0"])
        .args(["--dns-listen", &taken_dns, "--state"])
        .arg(state.path())
        .arg("--envoy")
        .arg(&envoy)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--dns-listen"), "{output:?}");
    assert!(!state.path().join("envoy.pid").exists(), "an Envoy was started and left behind");

    let open = tempfile::tempdir().unwrap();
    std::fs::set_permissions(open.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let text = fails(&free, &mut |c| {
        c.arg("--state").arg(open.path()).arg("--envoy").arg(&envoy);
    });
    assert!(text.contains("chmod 700"), "{text}");

    let instance = Instance::start(first_steps(), envoy.clone());
    let text = fails(&free, &mut |c| {
        c.arg("--state").arg(instance.state.path()).arg("--envoy").arg(&envoy);
    });
    assert!(text.contains("in use by another"), "{text}");
}

#[test]
fn once_tells_by_its_exit_code() {
    let Some(envoy) = envoy("e2e once") else { return };
    let dir = first_steps();
    let once = || {
        let state = private();
        portolan()
            .arg("up")
            .arg(dir.path())
            .args([
                "--once",
                "--timeout",
                "30s",
                "--api-listen",
                "127.0.0.1:0",
                "--dns-listen",
                "127.0.0.1:0",
                "--acme-listen",
                "127.0.0.1:0",
                "--state",
            ])
            .arg(state.path())
            .arg("--envoy")
            .arg(&envoy)
            .output()
            .unwrap()
    };
    let output = once();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    std::fs::write(dir.path().join("bad.yaml"), route("bad", "bad.dev.example.com", "nobody", "")).unwrap();
    let output = once();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("PTL-0223"));
}

/// Backends of a GRPCRoute that do not resolve answer UNAVAILABLE, in the way of gRPC: HTTP 200 and trailers only.
#[test]
fn a_grpc_route_to_a_missing_service_answers_unavailable() {
    let Some(envoy) = envoy("e2e gRPC unavailable") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let live = instance.reach("greeter.dev.example.com", "live");
    let text = std::fs::read_to_string(instance.dir.path().join("team-a.yaml")).unwrap();
    let at = text.find("kind: GRPCRoute").unwrap();
    let backend =
        text[at..].lines().find(|line| line.contains("name: greeter") && line.contains("- ")).unwrap();
    let broken = text[at..].replacen(backend, &backend.replace("greeter", "nobody"), 1);
    instance.write("team-a.yaml", &format!("{}{broken}", &text[..at]));
    broken_finding(&instance);
    let call = || {
        let url = format!("{}helloworld.Greeter/SayHello", live["url"].as_str().unwrap());
        let request = instance.client(&live).post(url).header("content-type", "application/grpc");
        request.header("te", "trailers").body(vec![0_u8; 5]).send().unwrap()
    };
    let answer = instance.wait("UNAVAILABLE", || {
        let answer = call();
        answer.headers().get("grpc-status").is_some_and(|status| status == "14").then_some(answer)
    });
    assert_eq!(answer.status(), 200);
    instance.reach("app1.dev.example.com", "live");
}

fn broken_finding(instance: &Instance) {
    let finding = broken(instance, "PTL-0223");
    assert_eq!(
        (&finding["object"], &finding["file"]),
        (&"GRPCRoute/team-a/greeter".into(), &"team-a.yaml".into())
    );
}
