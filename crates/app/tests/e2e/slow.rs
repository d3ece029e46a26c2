//! A chart that takes for ever delays what it brings, and nothing else: neither the start nor an edit of another Application.

use portolan_testkit::suites;

use super::instance::{Instance, envoy, first_steps};

/// Takes minutes and little memory: one loop over a list as long would reach the limit of memory first on a fast machine.
pub const ENDLESS: &str =
    "{{ range until 10000 }}{{ range until 10000 }}{{ $x := sha256sum \"a\" }}{{ end }}{{ end }}\n";

pub fn application(name: &str, path: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\nspec:\n  project: default\n  destination: {{server: 'https://kubernetes.default.svc', namespace: team-a}}\n  syncPolicy: {{automated: {{prune: true, allowEmpty: true}}}}\n  \
         source: {{repoURL: https://git.example.com/r.git, path: {path}}}\n---\n"
    )
}

fn route(name: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: team-a}}\nspec:\n  \
         parentRefs: [{{name: shared, namespace: gateway-system, sectionName: https}}]\n  hostnames: [{name}.dev.example.com]\n  \
         rules: [{{backendRefs: [{{name: app1, port: 80}}]}}]\n"
    )
}

#[test]
fn a_slow_chart_delays_only_itself() {
    let Some(envoy) = envoy("e2e slow chart") else { return };
    if suites::program("helm").is_none() {
        return suites::skip("e2e slow chart", "Helm is missing; run scripts/setup test");
    }
    let dir = first_steps();
    let at = |path: &str| dir.path().join(path);
    std::fs::create_dir_all(at("base")).unwrap();
    for file in ["gateway.yaml", "team-a.yaml", "certificates.yaml"] {
        std::fs::rename(at(file), at("base").join(file)).unwrap();
    }
    for chart in ["slow", "other"] {
        std::fs::create_dir_all(at(chart).join("templates")).unwrap();
        let text = format!("apiVersion: v2\nname: {chart}\nversion: 0.1.0\n");
        std::fs::write(at(chart).join("Chart.yaml"), text).unwrap();
        std::fs::write(at(chart).join("templates/route.yaml"), route(chart)).unwrap();
    }
    let apps = [("base", "base"), ("other", "other"), ("slow", "slow")];
    let apps: String = apps.iter().map(|(name, path)| application(name, path)).collect();
    std::fs::write(at("apps.yaml"), apps).unwrap();
    let mut instance = Instance::start_with(dir, envoy, &["--root", "apps.yaml"]);
    for host in ["app1", "other", "slow"] {
        instance.reach(&format!("{host}.dev.example.com"), "live");
    }

    // An edit of the one that gets slow, and while it is rendered edits of a chart and of a folder.
    instance.write("slow/templates/endless.yaml", ENDLESS);
    let finding = |instance: &Instance| {
        let status = instance.status();
        let findings = status["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["code"] == "PTL-0627").cloned()
    };
    let told = instance.wait("the slow one to be told", || finding(&instance));
    assert_eq!(told["object"], "Application/argocd/slow");
    assert!(told["message"].as_str().unwrap().contains("is being rendered"), "{told}");
    // What it may bring is not known not to be there.
    let asked = instance.run(&["explain", "nowhere.lab.test", "-o", "json"]);
    let asked_json: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!((&asked_json["state"], asked.status.code()), (&"unknown".into(), Some(1)), "{asked_json:#}");
    assert!(asked_json["message"].as_str().unwrap().contains("Application/argocd/slow"), "{asked_json:#}");
    assert!(
        asked_json["steps"][0]["evidence"].as_str().unwrap().contains("is being rendered"),
        "{asked_json:#}"
    );
    // Nor is the edit said to change nothing.
    let log = || std::fs::read_to_string(instance.dir.path().join("up.log")).unwrap();
    assert!(!log().contains("no object is other"), "{}", log());
    instance.write("other/templates/second.yaml", &route("second"));
    instance.write("base/third.yaml", &route("third"));
    for host in ["second", "third", "slow"] {
        instance.reach(&format!("{host}.dev.example.com"), "live");
    }
    assert!(finding(&instance).is_some(), "it is not rendered yet");
    let status = instance.status();
    let apps = status["applications"].as_array().unwrap();
    let health = |name: &str| {
        let key = format!("Application/argocd/{name}");
        apps.iter().find(|app| app["application"] == *key).unwrap()["health"].clone()
    };
    assert_eq!((health("slow"), health("other")), ("Unknown".into(), "Healthy".into()));

    // A new start with it: the others do not wait, and what it brought before still stands.
    instance.kill_nine();
    instance.write("base/fourth.yaml", &route("fourth"));
    instance.up();
    for host in ["fourth", "second", "slow"] {
        instance.reach(&format!("{host}.dev.example.com"), "live");
    }
    instance.wait("the slow one to be told again", || finding(&instance));

    // Mended before its time is over: what was begun is ended, and what it brings now is taken.
    std::fs::remove_file(instance.dir.path().join("slow/templates/endless.yaml")).unwrap();
    instance.write("slow/templates/route.yaml", &route("quick"));
    instance.reach("quick.dev.example.com", "live");
    instance.wait("the old host to go", || instance.entry("slow.dev.example.com").is_none().then_some(()));
    assert!(finding(&instance).is_none());
    let log = std::fs::read_to_string(instance.dir.path().join("up.log")).unwrap();
    assert!(log.contains("changed  HTTPRoute/team-a/quick"), "{log}");
    let asked = instance.run(&["explain", "nowhere.lab.test", "-o", "json"]);
    let asked_json: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!((&asked_json["state"], asked.status.code()), (&"absent".into(), Some(1)), "{asked_json:#}");
}
