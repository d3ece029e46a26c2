//! `portolan charts lock`: what it says and how it ends, and that `render` and `up` take what it fetched.

use std::{fs, path::Path, process::Output};

use portolan_testkit::{Answer, Site, suites};
use serde_json::Value;

use crate::instance::{Instance, envoy, portolan};

/// A site with the chart `web` 1.2.3, which holds a Gateway and a route, packed and indexed by the real Helm.
fn site(helm: &Path) -> Site {
    let site = Site::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("web");
    fs::create_dir_all(chart.join("templates")).unwrap();
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.2.3\n").unwrap();
    fs::write(chart.join("values.yaml"), "host: web.charts.test\n").unwrap();
    let objects = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: edge}\n\
        spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}\n---\n\
        apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge}\n\
        spec: {gatewayClassName: edge, listeners: [{name: http, port: 80, protocol: HTTP}]}\n---\n\
        apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web}\n\
        spec: {parentRefs: [{name: edge}], hostnames: ['{{ .Values.host }}'], rules: [{backendRefs: [{name: web, port: 80}]}]}\n---\n\
        apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";
    fs::write(chart.join("templates/all.yaml"), objects).unwrap();
    let run = |args: &[&str]| {
        let done = std::process::Command::new(helm).args(args).current_dir(folder.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    run(&["package", "web"]);
    fs::remove_dir_all(chart).unwrap();
    run(&["repo", "index", "."]);
    for name in ["web-1.2.3.tgz", "index.yaml"] {
        site.put(&format!("/{name}"), Answer::Content(fs::read(folder.path().join(name)).unwrap()));
    }
    site
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn charts_are_locked_once_and_served_without_the_network() {
    let (Some(envoy), Some(helm)) = (envoy("e2e charts"), suites::program("helm")) else { return };
    let (dir, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = site(&helm);
    let app = |version: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: web, namespace: argocd}}\nspec:\n  project: default\n  \
             destination: {{server: 'https://kubernetes.default.svc', namespace: shop}}\n  \
             source: {{repoURL: 'http://127.0.0.1:{}', chart: web, targetRevision: '{version}'}}\n",
            site.port()
        )
    };
    fs::write(dir.path().join("app.yaml"), app("1.x")).unwrap();
    let run = |words: &[&str]| {
        let mut command = portolan();
        command.env("PORTOLAN_CHARTS", kept.path()).env("HELM_CONFIG_HOME", kept.path().join("none"));
        command.args(words).current_dir(dir.path()).output().unwrap()
    };
    let lock = ["charts", "lock", ".", "--root", "app.yaml"];
    // A stranger's URL leads to this machine.
    let refused = run(&lock);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("PTL-0638") && site.asked().is_empty(), "{}", text(&refused));
    assert!(!dir.path().join("portolan.lock").exists());
    let unlocked = run(&["render", ".", "--root", "app.yaml"]);
    assert_eq!(unlocked.status.code(), Some(1), "{}", text(&unlocked));
    assert!(
        text(&unlocked).contains("run: portolan charts lock DIR") && text(&unlocked).contains("incomplete")
    );

    let done = run(&[&lock[..], &["--allow-loopback", "--output", "json"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let json: Value = serde_json::from_slice(&done.stdout).unwrap();
    let chart = &json["charts"][0];
    assert_eq!(
        ["state", "chart", "asked", "version"].map(|field| chart[field].as_str().unwrap()),
        ["locked", "web", "1.x", "1.2.3"]
    );
    assert_eq!(chart["by"][0], "Application/argocd/web");
    let written = fs::read_to_string(dir.path().join("portolan.lock")).unwrap();
    assert!(written.contains(chart["digest"].as_str().unwrap()), "{written}");
    let again = run(&[&lock[..], &["--allow-loopback"]].concat());
    assert_eq!(again.status.code(), Some(0));
    assert!(text(&again).contains("same") && text(&again).contains("1 chart in "), "{}", text(&again));
    // What cannot be done.
    for words in [&["charts", "lock", "nosuch"][..], &["charts", "lock", ".", "--root", "nosuch"]] {
        assert_eq!(run(words).status.code(), Some(2), "{words:?}");
    }
    let missing = run(&[&lock[..], &["--registry-config", "nosuch.json"]].concat());
    assert!(missing.status.code() == Some(2) && text(&missing).contains("nosuch.json"), "{}", text(&missing));

    let asked = site.asked().len();
    drop(site);
    let rendered = run(&["render", ".", "--root", "app.yaml"]);
    assert_eq!(rendered.status.code(), Some(0), "{}", text(&rendered));
    assert!(text(&rendered).contains("web.charts.test") && asked > 0, "{}", text(&rendered));
    let kept = kept.path().to_str().unwrap().to_owned();
    let instance = Instance::start_with(dir, envoy, &["--root", "app.yaml", "--charts", &kept]);
    instance.reach("web.charts.test", "live");
}

/// What nobody fetches is said, and so is that nothing was looked at; `there is nothing to lock` would be a lie.
#[test]
fn what_is_not_locked_is_said() {
    let Some(helm) = suites::program("helm") else { return suites::skip("e2e charts", "helm was not found") };
    let dir = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let lock = [&["charts", "lock", ".", "--charts", "kept", "--helm", helm.to_str().unwrap()], words];
        portolan().args(lock.concat()).current_dir(dir.path()).output().unwrap()
    };
    let app = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: web, namespace: argocd}\nspec:\n  project: default\n  \
         destination: {server: 'https://kubernetes.default.svc', namespace: shop}\n  \
         source: {repoURL: 'ftp://charts.example', chart: web, targetRevision: '1'}\n";
    std::fs::write(dir.path().join("app.yaml"), app).unwrap();
    let refused = run(&["--root", "app.yaml"]);
    let said = text(&refused);
    assert!(refused.status.code() == Some(1) && said.contains("ftp://charts.example"), "{said}");
    assert!(said.contains("nothing was locked; 1 error") && !said.contains("nothing to lock"), "{said}");
    std::fs::write(dir.path().join("app.yaml"), app.replace("ftp://", "http://user:hush@")).unwrap();
    let said = text(&run(&["--root", "app.yaml"]));
    assert!(said.contains("user name or password") && !said.contains("hush"), "{said}");
    std::fs::create_dir(dir.path().join("argocd-bootstrap-apps")).unwrap();
    std::fs::write(dir.path().join("argocd-bootstrap-apps/dev.yaml"), app).unwrap();
    let lost = run(&["--env", "nope"]);
    let said = text(&lost);
    assert!(lost.status.code() == Some(2) && said.contains("nothing was locked"), "{said}");
    assert!(!said.contains("portolan.lock"), "there is none: {said}");
}
