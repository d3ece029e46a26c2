//! `portolan render`: what each environment of the example wants, room by room, with the real Helm.

use portolan_testkit::suites;
use serde_json::{Value, json};

use crate::{
    instance::{first_steps, portolan},
    platform::copy,
};

#[test]
fn every_environment_of_the_example_is_wanted_as_expected() {
    if suites::program("helm").is_none() {
        suites::skip("e2e render goldens", "Helm is missing; run scripts/setup demo");
        return;
    }
    let goldens = suites::repository().join("crates/app/tests/render");
    let mut wrong = Vec::new();
    for env in ["dev-01", "stag-01", "prod-01", "ops-01"] {
        let output = portolan()
            .current_dir(suites::repository())
            .args(["render", "examples/platform", "--env", env])
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{env}: {shown}");
        assert!(!shown.contains("AgB") && !shown.contains("PRIVATE KEY"), "{env} shows a value");
        let path = goldens.join(format!("{env}.txt"));
        if portolan_testkit::accepting() {
            std::fs::create_dir_all(&goldens).unwrap();
            std::fs::write(&path, &shown).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != shown {
            wrong.push(format!("{}:\n{shown}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected (make golden-accept rewrites):\n{}", wrong.join("\n"));
}

/// One platform, said in four ways: as a chart of Applications, as one ApplicationSet, as overlays of Kustomize, and by Flux. All
/// come to the rows of one golden.
#[test]
fn the_example_in_all_four_forms_comes_to_the_same_rows() {
    if suites::program("helm").is_none() || suites::program("kustomize").is_none() {
        suites::skip("e2e render forms", "Helm or Kustomize is missing; run scripts/setup demo");
        return;
    }
    let goldens = suites::repository().join("crates/app/tests/render");
    for env in ["dev-01", "stag-01", "prod-01", "ops-01"] {
        let wanted = |root: Option<String>| {
            let output = portolan()
                .current_dir(suites::repository())
                .args(["render", "examples/platform", "--env", env, "--output", "json"])
                .args(root.iter().flat_map(|root| ["--root", root]))
                .output()
                .unwrap();
            assert_eq!(
                output.status.code(),
                Some(0),
                "{env} {root:?}: {}",
                String::from_utf8_lossy(&output.stdout)
            );
            serde_json::from_slice::<Value>(&output.stdout).unwrap()
        };
        let forms = [
            None,
            Some("applicationsets/platform.yaml".to_owned()),
            Some(format!("kustomize/clusters/{env}.yaml")),
            Some(format!("clusters/{env}/flux-system/gotk-sync.yaml")),
        ];
        let all = forms.clone().map(wanted);
        let rows = |wanted: &Value| {
            ["policy", "secrets", "certificates", "gateway", "dns", "hooks", "verdict"]
                .map(|room| (room.to_owned(), wanted[room].clone()))
                .into_iter()
                .collect::<serde_json::Map<_, _>>()
        };
        let path = goldens.join(format!("{env}.rows.json"));
        if portolan_testkit::accepting() {
            let text = serde_json::to_string_pretty(&rows(&all[0])).unwrap() + "\n";
            std::fs::write(&path, text).unwrap();
        }
        let golden: Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap_or_default()).unwrap_or_default();
        let told = |wanted: &Value, list: &str, fields: &[&str]| {
            let row = |row: &Value| {
                fields.iter().map(|field| row[*field].to_string()).collect::<Vec<_>>().join(" ")
            };
            let mut rows: Vec<String> = wanted[list].as_array().unwrap().iter().map(row).collect();
            // What brings the others has its own form, and is called by it in findings.
            rows.retain(|row| {
                !["Application", "HelmRelease", "Kustomization", "GitRepository"]
                    .iter()
                    .any(|kind| row.contains(kind))
            });
            rows.sort();
            rows
        };
        for (form, wanted) in forms.iter().zip(&all) {
            for (room, rows) in rows(wanted) {
                assert_eq!(rows, golden[&room], "{env} {form:?}: {room} (make golden-accept rewrites)");
            }
            for (list, fields) in [("objects", &["object"][..]), ("findings", &["code", "object", "message"])]
            {
                assert_eq!(told(wanted, list, fields), told(&all[0], list, fields), "{env} {form:?}: {list}");
            }
        }
        // Those of Argo CD bring objects in the same waves.
        for wanted in &all[1..3] {
            assert_eq!(
                told(wanted, "objects", &["object", "wave"]),
                told(&all[0], "objects", &["object", "wave"])
            );
        }
    }
}

/// An environment that there is not is no verdict about another one.
#[test]
fn a_misspelt_environment_names_the_nearest() {
    let repository = suites::repository();
    let output = portolan()
        .current_dir(repository)
        .args(["render", "examples/platform", "--env", "dev-1"])
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(shown.contains("PTL-0600") && shown.contains("did you mean dev-01?"), "{shown}");
}

/// What was not looked at is named, and the exit code says so unless that is asked for.
#[test]
fn what_is_not_looked_at_makes_the_verdict_incomplete() {
    let dir = first_steps();
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: old, namespace: team-a}\nspec: {rules: [{host: old.example.com}]}\n";
    std::fs::write(dir.path().join("ingress.yaml"), ingress).unwrap();
    let run = |more: &[&str]| {
        let output = portolan().arg("render").arg(dir.path()).args(more).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, shown) = run(&[]);
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("The verdict is incomplete") && shown.contains("Ingress/team-a/old"), "{shown}");
    assert_eq!(run(&["--allow-incomplete"]).0, Some(0));
    let (_, json) = run(&["--output", "json"]);
    let verdict = &serde_json::from_str::<Value>(&json).unwrap()["verdict"];
    assert_eq!(
        (&verdict["complete"], &verdict["notLookedAt"][0]["code"]),
        (&json!(false), &json!("PTL-0004"))
    );
    std::fs::remove_file(dir.path().join("ingress.yaml")).unwrap();
    assert_eq!(run(&[]).0, Some(0));
}

/// What a component's values ask for and cannot be done is the same finding before anything runs.
#[test]
fn a_filter_that_external_dns_refuses_is_found_before_a_merge() {
    if suites::program("helm").is_none() {
        suites::skip("e2e render filter", "Helm is missing; run scripts/setup demo");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    copy(&suites::repository().join("examples/platform"), dir.path());
    let file = dir.path().join("charts/external-dns/values.dev-01.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}  labelFilter: 'team in'\n")).unwrap();
    let output = portolan()
        .arg("render")
        .arg(dir.path())
        .args(["--env", "dev-01", "--output", "json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let wanted: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = wanted["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["code"] == "PTL-0436").unwrap();
    assert_eq!(
        (finding["severity"].as_str(), finding["field"].as_str()),
        (Some("error"), Some("labelFilter"))
    );
    assert!(finding["object"].as_str().unwrap().ends_with("dev-01-external-dns"), "{finding}");
    assert_eq!((&wanted["dns"]["managed"], &wanted["dns"]["names"]), (&Value::Bool(false), &json!([])));
}

/// A mistake is seen before anything runs: what of the host does not work, with the place to mend.
#[test]
fn a_mistake_is_found_before_a_merge() {
    let dir = first_steps();
    let file = dir.path().join("team-a.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("- name: app1\n", "- name: app-one\n", 1)).unwrap();
    let output = portolan().arg("render").arg(dir.path()).args(["--output", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let wanted: Value = serde_json::from_slice(&output.stdout).unwrap();
    let find = |list: &Value, key: &str, value: &str| {
        list.as_array().unwrap().iter().find(|row| row[key] == value).cloned().unwrap_or(Value::Null)
    };
    let finding = find(&wanted["findings"], "code", "PTL-0223");
    assert_eq!(finding["file"], "team-a.yaml", "{}", wanted["findings"]);
    assert!(finding["line"].as_u64().is_some_and(|line| line > 10), "{finding}");
    let broken = find(&wanted["gateway"]["hosts"], "hostname", "app1.dev.example.com");
    // Its other rules work.
    assert_eq!(broken["state"], "live", "{broken}");
    assert!(
        broken["message"].as_str().unwrap().contains("Service team-a/app-one does not exist"),
        "{broken}"
    );
    let other = find(&wanted["gateway"]["hosts"], "hostname", "greeter.dev.example.com");
    assert_eq!(other["state"], "live", "{other}");
    let name = find(&wanted["dns"]["names"], "name", "greeter.dev.example.com");
    assert_eq!(name["targets"][0], "Gateway gateway-system/shared", "{name}");
}

/// Fresh eyes, 2026-11-30: without a chart an external-dns was not seen, and a plain folder published all names as if there were none.
#[test]
fn an_external_dns_that_stands_as_a_deployment_is_followed() {
    let dir = first_steps();
    let file = dir.path().join("external-dns.yaml");
    let run = |replicas: u32, container: &str| {
        let text = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: external-dns, namespace: external-dns}}\nspec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{a: b}}}}\n  template:\n    metadata: {{labels: {{a: b}}}}\n    spec:\n      containers:\n        - name: external-dns\n          image: registry.k8s.io/external-dns/external-dns:v0.21.0\n{container}"
        );
        std::fs::write(&file, text).unwrap();
        let output = portolan().arg("render").arg(dir.path()).args(["--output", "json"]).output().unwrap();
        let wanted: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), wanted)
    };
    let names = |wanted: &Value| {
        let names = wanted["dns"]["names"].as_array().unwrap();
        let published = names.iter().filter(|name| name["outside"].is_null());
        published.map(|name| name["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let args = "          args:\n            - --source=gateway-httproute\n            - --provider=google\n            - --txt-owner-id=me\n            - --policy=sync\n";
    let (code, all) = run(1, args);
    assert_eq!(code, Some(0), "{all}");
    assert!(names(&all).contains(&"app1.dev.example.com".to_owned()), "{}", all["dns"]);
    assert_eq!(all["dns"]["components"][0]["owner"], "me", "{}", all["dns"]);
    let (code, filtered) = run(1, &format!("{args}            - --domain-filter=other.org\n"));
    assert_eq!((code, names(&filtered)), (Some(0), vec![]), "{}", filtered["dns"]);
    // What is not known closes, and is told where it stands.
    let (code, unknown) = run(1, &format!("{args}            - --domain-filtr=other.org\n"));
    assert_eq!((code, names(&unknown)), (Some(1), vec![]), "{}", unknown["dns"]);
    let findings = unknown["findings"].as_array().unwrap();
    let told = findings.iter().find(|finding| finding["code"] == "PTL-0645").unwrap();
    assert_eq!((&told["file"], &told["line"]), (&json!("external-dns.yaml"), &json!(18)), "{told}");
    let (_, idle) = run(0, args);
    assert_eq!(names(&idle), Vec::<String>::new(), "{}", idle["dns"]);
    // Without any, a folder publishes what it serves.
    let (_, none) = run(1, "");
    assert_eq!(names(&none), Vec::<String>::new(), "it would not start: {}", none["dns"]);
    std::fs::remove_file(&file).unwrap();
    let output = portolan().arg("render").arg(dir.path()).args(["--output", "json"]).output().unwrap();
    let wanted: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(names(&wanted).contains(&"greeter.dev.example.com".to_owned()), "{}", wanted["dns"]);
}

/// Argo CD and `kubectl apply -f` leave the last of two in force.
#[test]
fn of_two_documents_of_one_name_the_last_is_served() {
    let dir = first_steps();
    let route = |host: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: twice, namespace: team-a}}\nspec:\n  parentRefs: [{{name: shared, namespace: gateway-system}}]\n  hostnames: [{host}.dev.example.com]\n  rules: [{{backendRefs: [{{name: greeter, port: 80}}]}}]\n"
        )
    };
    std::fs::write(dir.path().join("twice.yaml"), format!("{}---\n{}", route("first"), route("second")))
        .unwrap();
    let output = portolan().arg("render").arg(dir.path()).args(["--output", "json"]).output().unwrap();
    let wanted: Value = serde_json::from_slice(&output.stdout).unwrap();
    let hosts: Vec<&str> = wanted["gateway"]["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|host| host["hostname"].as_str())
        .collect();
    assert!(
        hosts.contains(&"second.dev.example.com") && !hosts.contains(&"first.dev.example.com"),
        "{hosts:?}"
    );
    let findings = wanted["findings"].as_array().unwrap();
    let told = findings.iter().find(|finding| finding["code"] == "PTL-0611").unwrap();
    assert_eq!(told["line"], json!(9), "{told}");
    assert!(told["message"].as_str().unwrap().contains("the one in twice.yaml:1 is left out"), "{told}");
}
