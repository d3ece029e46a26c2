//! What people type, and what they are told: words of other programs, an environment with a slip, the folder above the one that is
//! meant; what a saved edit comes to; JSON of the verbs that change something.

use std::{fs, path::Path, process::Output};

use serde_json::Value;

use crate::instance::{Instance, envoy, first_steps, portolan};

fn text(output: &Output) -> String {
    (String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr)).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {}", text(output)))
}

fn render(dir: &Path, args: &[&str]) -> Output {
    portolan().arg("render").arg(dir).args(args).output().unwrap()
}

const APPLICATION: &str = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: apps, namespace: argocd}\nspec:\n  \
    project: default\n  destination: {server: 'https://kubernetes.default.svc', namespace: shop}\n  \
    source: {repoURL: 'https://git.example.com/p/p.git', path: apps}\n";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME, namespace: shop}\n";

#[test]
fn words_of_other_programs_get_a_tip() {
    for (word, tip) in [
        ("stop", "portolan down"),
        ("logs", "portolan get events"),
        ("version", "portolan --version"),
        ("diff", "portolan render DIR"),
        ("apply", "portolan up DIR"),
    ] {
        let output = portolan().arg(word).output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{word}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.contains("tip: ") && last.contains(tip), "{word}: {said}");
    }
    let other = portolan().arg("xyzzy").output().unwrap();
    assert!(other.status.code() == Some(2) && !text(&other).contains("tip: "), "{}", text(&other));
}

/// Nothing is started, taken or made for a name with a slip.
#[test]
fn an_environment_that_there_is_not_is_told_before_anything_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (roots, state) = (dir.path().join("repo/argocd-bootstrap-apps"), dir.path().join("state"));
    fs::create_dir_all(&roots).unwrap();
    fs::write(roots.join("prod-01.yaml"), APPLICATION).unwrap();
    let repo = dir.path().join("repo");
    for more in [&[][..], &["--once", "--timeout", "5m"]] {
        let up = portolan()
            .arg("up")
            .arg(&repo)
            .args(["--env", "pord-01", "--api-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0"])
            .args(["--acme-listen", "127.0.0.1:0", "--state"])
            .arg(&state)
            .args(more)
            .output()
            .unwrap();
        let said = text(&up);
        assert_eq!(up.status.code(), Some(2), "{said}");
        assert!(said.contains("PTL-0600") && said.contains("did you mean prod-01?"), "{said}");
        assert!(!state.exists(), "a state was made for it");
    }
}

#[test]
fn the_folder_above_the_one_that_is_meant_says_what_lies_below() {
    let dir = tempfile::tempdir().unwrap();
    let platform = dir.path().join("infra/platform");
    fs::create_dir_all(platform.join("argocd-bootstrap-apps")).unwrap();
    fs::create_dir_all(platform.join("apps")).unwrap();
    fs::write(platform.join("argocd-bootstrap-apps/dev.yaml"), APPLICATION).unwrap();
    fs::write(platform.join("apps/a.yaml"), MAP.replace("NAME", "a")).unwrap();
    let above = render(dir.path(), &[]);
    let said = text(&above);
    assert_eq!(above.status.code(), Some(1), "{said}");
    assert!(
        said.contains("PTL-0681") && said.contains("environments begin in infra/platform, and"),
        "{said}"
    );
    // So does a start that is found there, whose paths lead nowhere from here.
    let named = render(dir.path(), &["--root", "infra/platform/argocd-bootstrap-apps/dev.yaml"]);
    let said = text(&named);
    assert!(said.contains("PTL-0603") && said.contains("PTL-0681"), "{said}");
    let meant = render(&platform, &["--env", "dev"]);
    assert!(meant.status.code() == Some(0) && !text(&meant).contains("PTL-0681"), "{}", text(&meant));
}

#[test]
fn what_is_counted_is_worded_by_its_number_and_what_stands_twice_is_one_finding() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (MAP.replace("NAME", "first"), MAP.replace("NAME", "second"));
    fs::write(dir.path().join("a.yaml"), &one).unwrap();
    let said = text(&render(dir.path(), &[]));
    assert!(said.starts_with("default: 1 object, no errors"), "{said}");
    assert!(!said.contains("Folder/ "), "{said}");
    fs::write(dir.path().join("a.yaml"), format!("{one}---\n{two}")).unwrap();
    fs::write(dir.path().join("b.yaml"), format!("{one}---\n{two}")).unwrap();
    let said = text(&render(dir.path(), &[]));
    assert!(said.starts_with("default: 2 objects, 0 errors and 2 warnings"), "{said}");
    let told: Vec<&str> = said.lines().filter(|line| line.contains("PTL-0611")).collect();
    assert!(
        told.len() == 1 && told[0].contains("2 times") && told[0].contains("the one in b.yaml"),
        "{said}"
    );
    assert!(said.contains("ConfigMap/shop/second (a.yaml:5)"), "{said}");
}

/// A Secret that nobody wrote is looked for in the Certificate that makes it.
#[test]
fn what_is_wrong_with_the_secret_of_a_certificate_stands_in_its_template() {
    let dir = first_steps();
    let path = dir.path().join("certificates.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let secret = text.lines().find(|line| line.trim_start().starts_with("secretName:")).unwrap();
    let indent = &secret[..secret.len() - secret.trim_start().len()];
    let template = format!(
        "{secret}\n{indent}secretTemplate:\n{indent}  annotations:\n\
         {indent}    reflector.v1.k8s.emberstack.com/reflection-allowed: \"true\"\n\
         {indent}    reflector.v1.k8s.emberstack.com/reflection-auto-enabled: \"true\"\n\
         {indent}    reflector.v1.k8s.emberstack.com/reflection-allowed-namespaces: nowhere\n"
    );
    let edited = text.replacen(&format!("{secret}\n"), &template, 1);
    fs::write(&path, &edited).unwrap();
    let line = edited.lines().position(|line| line.ends_with(": nowhere")).unwrap() + 1;
    let wanted = json(&render(dir.path(), &["-o", "json"]));
    let is_it = |one: &&Value| {
        let field = one["field"].as_str().unwrap_or_default();
        one["code"] == "PTL-0164" && field.ends_with("reflection-allowed-namespaces")
    };
    let found: Vec<&Value> = wanted["findings"].as_array().unwrap().iter().filter(is_it).collect();
    assert!(!found.is_empty(), "{:#}", wanted["findings"]);
    for finding in found {
        assert!(finding["object"].as_str().unwrap().starts_with("Secret/"), "{finding:#}");
        assert_eq!(
            (&finding["file"], &finding["line"]),
            (&"certificates.yaml".into(), &line.into()),
            "{finding:#}"
        );
    }
}

#[test]
fn definitions_are_printed_as_json_and_applied_by_the_kubeconfig_that_is_named() {
    let output = portolan().args(["crds", "print", "--only", "gateway-api", "-o", "json"]).output().unwrap();
    let list = json(&output);
    assert_eq!((&list["kind"], output.status.code()), (&"List".into(), Some(0)));
    let names: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"httproutes.gateway.networking.k8s.io"), "{names:?}");
    let missing = portolan().args(["crds", "apply", "--kubeconfig", "/nowhere/config"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing).contains("/nowhere/config"), "{}", text(&missing));
}

#[test]
fn an_edit_is_said_to_be_taken_and_verbs_answer_in_json() {
    let Some(envoy) = envoy("e2e typed") else { return };
    let dir = first_steps();
    fs::write(dir.path().join("map.yaml"), MAP.replace("NAME", "settings")).unwrap();
    let mut instance = Instance::start(dir, envoy);
    let host = "app1.dev.example.com";
    instance.reach(host, "live");
    let said = |what: &str| {
        instance.wait(what, || {
            let printed = fs::read_to_string(instance.dir.path().join("up.log")).ok()?;
            printed.lines().any(|line| line == what).then_some(())
        });
    };
    let run = |args: &[&str]| instance.run(args);
    instance.write("map.yaml", &(MAP.replace("NAME", "settings") + "data: {a: b}\n"));
    said("changed  ConfigMap/shop/settings");
    instance.write("map.yaml", &(MAP.replace("NAME", "settings") + "# a word\ndata: {a: b}\n"));
    said("saved    no object is other than before");
    fs::remove_file(instance.dir.path().join("map.yaml")).unwrap();
    said("removed  ConfigMap/shop/settings");

    let events = run(&["get", "events", "shop/settings"]);
    assert!(text(&events).contains("it had no finding"), "{}", text(&events));
    let dns = json(&run(&["dns", host, "a", "-o", "json"]));
    assert_eq!((&dns["name"], &dns["code"]), (&host.into(), &"NOERROR".into()), "{dns:#}");
    assert_eq!(dns["records"][0]["type"], "A", "{dns:#}");
    let none = run(&["dns", "nowhere.dev.example.com", "a", "-o", "json"]);
    assert_eq!((none.status.code(), &json(&none)["records"]), (Some(1), &serde_json::json!([])));
    let certificates = json(&run(&["get", "certificates", "-o", "json"]));
    let metadata = &certificates["items"][0]["metadata"];
    let name = format!("{}/{}", metadata["namespace"].as_str().unwrap(), metadata["name"].as_str().unwrap());
    let renewed = json(&run(&["renew", &name, "-o", "json"]));
    assert_eq!(renewed["certificate"], *name, "{renewed:#}");
    assert!(!renewed["message"].as_str().unwrap().is_empty(), "{renewed:#}");
    let pruned = json(&run(&["prune", "--all", "-o", "json"]));
    assert_eq!(pruned["pruned"], serde_json::json!([]), "{pruned:#}");
    let down = json(&run(&["down", "-o", "json"]));
    assert_eq!((&down["stopped"], &down["endedEnvoy"]), (&true.into(), &Value::Null), "{down:#}");
    instance.ended();
}

/// A name with a slip gets the one that is meant, and a name of another namespace its namespace.
#[test]
fn what_is_missing_gets_the_name_that_may_be_meant() {
    let dir = first_steps();
    let route = |name: &str, parent: &str, backend: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: team-a}}\nspec:\n  \
             parentRefs: [{{{parent}}}]\n  hostnames: [{name}.dev.example.com]\n  rules: [{{backendRefs: [{{name: {backend}, port: 80}}]}}]\n"
        )
    };
    let (here, section) = ("namespace: gateway-system", "sectionName: https");
    let certificate = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: c, namespace: team-a}\n\
                       spec: {secretName: c, dnsNames: [c.dev.example.com], issuerRef: {name: intrnal, kind: ClusterIssuer}}\n";
    let files = [
        route("gateway", &format!("name: sharde, {here}, {section}"), "app1"),
        route("elsewhere", &format!("name: shared, {section}"), "app1"),
        route("listener", &format!("name: shared, {here}, sectionName: htps"), "app1"),
        route("service", &format!("name: shared, {here}, {section}"), "ap1"),
        certificate.to_owned(),
    ];
    fs::write(dir.path().join("slips.yaml"), files.join("---\n")).unwrap();
    let gateway = dir.path().join("gateway.yaml");
    let text = fs::read_to_string(&gateway).unwrap();
    assert!(text.contains("name: ingress-tls"));
    fs::write(&gateway, text.replace("name: ingress-tls", "name: ingres-tls")).unwrap();
    let wanted = json(&render(dir.path(), &["-o", "json"]));
    let hint = |code: &str, object: &str| {
        let all = wanted["findings"].as_array().unwrap();
        let found = all.iter().find(|one| one["code"] == code && one["object"] == object);
        found.unwrap_or_else(|| panic!("{code} {object}: {all:#?}"))["hint"].as_str().unwrap().to_owned()
    };
    for (code, object, meant) in [
        ("PTL-0220", "HTTPRoute/team-a/gateway", "did you mean gateway-system/shared? "),
        ("PTL-0220", "HTTPRoute/team-a/elsewhere", "did you mean gateway-system/shared? "),
        ("PTL-0220", "HTTPRoute/team-a/listener", "did you mean https? "),
        ("PTL-0223", "HTTPRoute/team-a/service", "did you mean team-a/app1? "),
        ("PTL-0314", "Certificate/team-a/c", "did you mean internal? "),
    ] {
        assert!(hint(code, object).starts_with(meant), "{code} {object}: {}", hint(code, object));
    }
    let listeners = wanted["gateway"]["listeners"].as_array().unwrap();
    let told = |one: &&Value| {
        one["message"].as_str().is_some_and(|why| why.ends_with("; did you mean gateway-system/ingress-tls?"))
    };
    assert!(listeners.iter().any(|one| told(&one)), "{listeners:#?}");
}

/// Nothing of an Application is applied for one broken file: what it would bring is not seen, and not missing.
#[test]
fn a_broken_file_of_an_application_holds_it_back_and_what_it_brings_is_unseen() {
    let dir = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web, namespace: shop}\nspec:\n  \
                 parentRefs: [{name: edge, namespace: shop}]\n  hostnames: [web.example.com]\n  rules: [{backendRefs: [{name: web, port: 80}]}]\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {ports: [{port: 80}]}\n";
    put(
        "argocd-bootstrap-apps/dev.yaml",
        &format!("{APPLICATION}---\n{}", APPLICATION.replace("apps", "routes")),
    );
    put("routes/route.yaml", route);
    put("apps/service.yaml", service);
    put("apps/map.yaml", &MAP.replace("NAME", "x"));
    put("apps/broken.yaml", &MAP.replace("name: NAME", "name: [NAME"));
    let output = render(dir.path(), &["--env", "dev", "-o", "json"]);
    let wanted = json(&output);
    let findings = wanted["findings"].as_array().unwrap();
    let codes: Vec<_> = findings.iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"PTL-0011") && output.status.code() == Some(1), "{findings:#?}");
    let missing = findings.iter().find(|one| one["code"] == "PTL-0220" && one["severity"] == "error");
    assert!(missing.is_none(), "the Gateway may stand in what is held back: {missing:#?}");
    let objects = wanted["objects"].to_string();
    assert!(objects.contains("HTTPRoute/shop/web") && !objects.contains("Service/shop/web"), "{objects}");
}
