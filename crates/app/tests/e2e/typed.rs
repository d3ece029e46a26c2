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
/// Names that no API server takes are refused, and what is said leads on.
#[test]
fn words_that_are_no_names_are_refused_and_help_has_help() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.md"), "x").unwrap();
    for (words, code, said) in [
        (&["rbac", "--namespace", "Foo Bar"][..], 2, "a lowercase RFC 1123 label must consist of"),
        (&["rbac", "--name", ""], 2, "a lowercase RFC 1123 subdomain must consist of"),
        (&["seal", "--raw", "--name", ""], 2, "a lowercase RFC 1123 subdomain must consist of"),
        (
            &["render", ".", "--helm", "notes.md"],
            2,
            "notes.md is not in PATH; for the file of this folder write ./notes.md",
        ),
        (&["render", ".", "--root", "/etc"], 2, "--root /etc leads outside the repository"),
        (&["render", ".", "--sealing-key", "x"], 2, "unexpected argument '--sealing-key'"),
        (&["help", "--help"], 0, "Usage: portolan"),
    ] {
        let output = portolan().args(words).current_dir(dir.path()).output().unwrap();
        let told = text(&output);
        assert!(output.status.code() == Some(code) && told.contains(said), "{words:?}: {told}");
        assert!(!told.contains("as a value"), "{words:?}: {told}");
    }
}

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
        told.len() == 1 && told[0].contains("2 times") && told[0].contains("the one in a.yaml"),
        "{said}"
    );
    assert!(said.contains("ConfigMap/shop/second (b.yaml:5)"), "{said}");
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

    names_with_a_slip_lead_on(&instance);
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

/// What is typed for an object that there is or is not: each form that is printed elsewhere, and what to do next.
fn names_with_a_slip_lead_on(instance: &Instance) {
    let route = "team-a.yaml";
    let told = fs::read_to_string(instance.dir.path().join(route)).unwrap();
    let (at, _) = told.match_indices("kind: GRPCRoute").next().unwrap();
    let broken = told[at..].replacen("- name: greeter\n", "- name: greetr\n", 1);
    instance.write(route, &format!("{}{broken}", &told[..at]));
    instance.wait("the event", || {
        text(&instance.run(&["get", "events"])).contains("GRPCRoute/team-a/greeter").then_some(())
    });
    for object in
        ["greeter", "team-a/greeter", "GRPCRoute/greeter", "GRPCRoute/team-a/greeter", "grpcroutes/greeter"]
    {
        let events = instance.run(&["get", "events", object]);
        assert!(events.status.success() && text(&events).contains("PTL-0223"), "{object}: {}", text(&events));
    }
    instance.write(route, &told);
    let namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: quiet}\n";
    instance.write("quiet.yaml", &(MAP.replace("NAME", "calm").replace("shop", "quiet") + namespace));
    instance.wait("its namespace", || {
        instance.run(&["get", "configmap", "quiet/calm"]).status.success().then_some(())
    });
    for (words, code, said) in [
        (&["get", "events", "Gateway/gateway-system/shared"][..], 0, "it had no finding since the start"),
        (&["get", "events", "nosuch/x"], 2, "there is no object nosuch/x"),
        (&["get", "events", "HTTPRoute/team-a/ap1"], 2, "does not exist; did you mean team-a/app1?"),
        (&["get", "events", "-n", "nosuch"], 2, "there is no namespace nosuch"),
        (&["get", "httproute", "team-a/ap1"], 2, "does not exist; did you mean team-a/app1?"),
        (&["get", "httproute", "nothing-like-it"], 2, "they are listed by: portolan get httproute"),
        (&["get", "httproute", "-n", "team-x"], 2, "did you mean team-a?"),
        (
            &["get", "gateways", "-n", "team-a"],
            0,
            "kind gateways in namespace team-a; there are some in gateway-system",
        ),
        (&["get", "certificates", "-n", "nope"], 2, "there is no namespace nope"),
        (&["get", "challenges"], 0, "there are no objects of kind challenges"),
        (&["get", "tlsroutes", "-n", "team-a"], 0, "there are no objects of kind tlsroutes"),
        (&["get", "certificats"], 2, "did you mean certificate?"),
        (&["get", "nosuch"], 2, "there is no kind nosuch; stored are: "),
        (&["get", "challenge", "team-a/x"], 2, "no object of kind challenge is stored"),
        // An object without a finding, and a namespace that only a key's path seems to name.
        (&["status", "-n", "quiet", "--allow-incomplete"], 0, ""),
        (&["get", "events", "-n", "quiet"], 0, "no object of namespace quiet had a finding"),
        (&["status", "-n", "queit"], 2, "did you mean quiet?"),
        (&["status", "-n", "examples"], 2, "there is no namespace examples"),
        (&["explain", "team-a/app1"], 2, "portolan explain app1.dev.example.com"),
        (&["explain", "team-a/nothing"], 2, "nor a route that has one"),
        (&["explain", "app1.dev.example.co"], 1, "did you mean app1.dev.example.com?"),
        (&["get", "namespaces", "quiet/quiet", "-o", "json"], 0, "\"kind\": \"Namespace\""),
        (&["renew", "gateway-system/wildcrd-dev"], 2, "did you mean gateway-system/wildcard-dev?"),
        (&["renew", "gateway-system/nothing"], 2, "they are listed by: portolan get certificate"),
        (&["explain", "HTTPRoute/team-a/app1"], 2, "portolan get HTTPRoute/team-a/app1"),
    ] {
        let output = instance.run(words);
        assert!(
            output.status.code() == Some(code) && text(&output).contains(said),
            "{words:?}: {}",
            text(&output)
        );
    }
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
        ("PTL-0218", "Gateway/gateway-system/shared", "did you mean gateway-system/ingress-tls? "),
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

/// Who names a program by a variable reads of the variable; one that is set to nothing names none.
#[test]
fn a_variable_is_named_and_an_empty_one_is_none() {
    let dir = first_steps();
    for (variable, wrong) in
        [("PORTOLAN_HELM", "/nowhere/helm"), ("PORTOLAN_KUSTOMIZE", "/nowhere/kustomize")]
    {
        let output = portolan().arg("render").arg(dir.path()).env(variable, wrong).output().unwrap();
        let said = text(&output);
        let wanted = format!("{variable}={wrong}: there is no such program");
        assert!(output.status.code() == Some(2) && said.contains(&wanted), "{said}");
    }
    let mut all = portolan();
    for variable in ["PORTOLAN_HELM", "PORTOLAN_KUSTOMIZE", "PORTOLAN_CHARTS", "PORTOLAN_ENVOY"] {
        all.env(variable, "");
    }
    let output = all.arg("render").arg(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

/// Keys never come to lie wherever it is called from.
#[test]
fn a_home_that_is_no_full_path_is_none() {
    let (dir, here) = (first_steps(), tempfile::tempdir().unwrap());
    let output = portolan()
        .current_dir(here.path())
        .arg("up")
        .arg(dir.path())
        .args(["--once", "--timeout", "1s"])
        .env("XDG_STATE_HOME", "relative/state")
        .env("HOME", "relative")
        .output()
        .unwrap();
    let said = text(&output);
    assert!(output.status.code() == Some(2) && said.contains("HOME=relative is no full path"), "{said}");
    assert!(fs::read_dir(here.path()).unwrap().next().is_none(), "something was made");
}

/// The same without rights that root has.
fn without(rights: &str, words: &[&str]) -> Output {
    let named = portolan();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--bounding-set", rights]).arg(named.get_program()).args(words);
    command.envs(named.get_envs().filter_map(|(name, value)| Some((name, value?)))).output().unwrap()
}

#[test]
fn low_ports_that_nobody_may_bind_are_refused_before_anything_starts() {
    let (dir, state) = (first_steps(), crate::instance::private());
    let (folder, state) = (dir.path().to_str().unwrap(), state.path().to_str().unwrap());
    let others =
        ["--api-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0", "--acme-listen", "127.0.0.1:0"];
    let words =
        [&["up", folder, "--low-ports", "--once", "--timeout", "1s", "--state", state][..], &others].concat();
    let allowed = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    if allowed.trim().parse::<u16>().is_ok_and(|first| first <= 443) {
        return;
    }
    let output = without("-net_bind_service", &words);
    let said = text(&output);
    assert!(
        output.status.code() == Some(2) && said.contains("--low-ports: this user may not bind"),
        "{said}"
    );
}

/// What cannot be read may bring anything, so nothing is said to be complete beside it; a folder that cannot be read at all is one
/// sentence.
#[test]
fn what_cannot_be_read_leaves_the_verdict_incomplete() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = first_steps();
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let folder = dir.path().to_str().unwrap();
    let render = || without("-dac_override,-dac_read_search", &["render", folder, "-o", "json"]);
    mode(&dir.path().join("team-a.yaml"), 0);
    let output = render();
    let wanted = json(&output);
    assert_eq!(
        (output.status.code(), &wanted["verdict"]["complete"]),
        (Some(1), &false.into()),
        "{wanted:#}"
    );
    let cause = &wanted["verdict"]["notLookedAt"][0];
    assert_eq!((&cause["code"], &cause["objects"][0]), (&"PTL-0010".into(), &"File/team-a.yaml".into()));
    for closed in [0, 0o400, 0o100] {
        mode(dir.path(), closed);
        for verb in ["render", "up"] {
            let output = without("-dac_override,-dac_read_search", &[verb, folder]);
            let said = text(&output);
            assert!(
                output.status.code() == Some(2) && said.contains("cannot be read: Permission denied"),
                "{said}"
            );
            assert!(said.lines().count() == 1 && !said.contains("portolan.lock"), "{said}");
        }
    }
    mode(dir.path(), 0o700);
}

/// What stands in the place of Helm or Kustomize and is another program: that is said, and not blamed on the chart.
#[test]
fn another_program_in_the_place_of_helm_or_kustomize_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(helm) = portolan_testkit::suites::program("helm") else {
        return portolan_testkit::suites::skip(
            "e2e programs in the place of Helm",
            "Helm is missing; run scripts/setup test",
        );
    };
    let dir = tempfile::tempdir().unwrap();
    let map = MAP.replace("NAME", "a");
    fs::create_dir_all(dir.path().join("chart/templates")).unwrap();
    fs::create_dir_all(dir.path().join("built")).unwrap();
    fs::write(dir.path().join("chart/Chart.yaml"), "apiVersion: v2\nname: c\nversion: 0.1.0\n").unwrap();
    fs::write(dir.path().join("chart/templates/a.yaml"), &map).unwrap();
    fs::write(dir.path().join("built/kustomization.yaml"), "resources: [a.yaml]\n").unwrap();
    fs::write(dir.path().join("built/a.yaml"), &map).unwrap();
    let script = |name: &str, text: &str| {
        let path = dir.path().join("bin").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let chart = |program: &str| render(dir.path(), &["--root", "chart", "--helm", program]);
    let nothing = script("nothing", "#!/bin/sh\nexit 0\n");
    let old = script("old", "#!/bin/sh\necho v3.2.4+g0ad800e\n");
    let shims = [("shim", "/bin/bash", "exec "), ("child", "/bin/sh", "")]
        .map(|(name, shell, how)| script(name, &format!("#!{shell}\n{how}{} \"$@\"\n", helm.display())));
    for (program, said) in [
        ("/bin/true", "says nothing when asked for its version"),
        ("/bin/false", "Helm 3.18 or newer is needed"),
        (&*nothing, "says nothing when asked for its version"),
        (&*old, "says `v3.2.4+g0ad800e` when asked for its version"),
        (&*shims[0], "is a script"),
        (&*shims[1], "is a script"),
    ] {
        let output = chart(program);
        let told = text(&output);
        // Where the kernel closes nothing in, a script starts it.
        if said == "is a script" && output.status.success() {
            continue;
        }
        assert!(output.status.code() == Some(2) && told.contains(said), "{program}: {told}");
        assert!(
            told.lines().count() == 1 && told.contains(&format!("--helm {program}: it ")),
            "{program}: {told}"
        );
    }
    for program in ["/bin/true", &*nothing] {
        let output = render(dir.path(), &["--root", "built", "--kustomize", program]);
        let told = text(&output);
        assert!(
            output.status.code() == Some(2) && told.contains("Kustomize 5 is needed"),
            "{program}: {told}"
        );
    }
    // One that says what Helm says, and renders nothing.
    let silent = script("silent", "#!/bin/sh\n[ \"$1\" = version ] && echo v3.18.0\nexit 0\n");
    let told = text(&chart(&silent));
    assert!(
        told.contains("PTL-0606") && told.contains("prints nothing, not even of one ConfigMap"),
        "{told}"
    );
    // A chart may render to nothing.
    fs::write(dir.path().join("chart/templates/a.yaml"), "{{ if .Values.none }}\na: b\n{{ end }}\n").unwrap();
    let told = text(&chart(helm.to_str().unwrap()));
    assert!(!told.contains("PTL-0606"), "{told}");
    fs::write(dir.path().join("chart/templates/a.yaml"), &map).unwrap();
    // One that nobody named is asked when it is needed.
    fs::rename(&nothing, dir.path().join("bin/helm")).unwrap();
    let place = tempfile::tempdir().unwrap();
    fs::rename(dir.path().join("bin/helm"), place.path().join("helm")).unwrap();
    let path = format!("{}:/usr/bin:/bin", place.path().display());
    let with = |root: &str| {
        portolan().arg("render").arg(dir.path()).args(["--root", root]).env("PATH", &path).output()
    };
    let told = text(&with("chart").unwrap());
    assert!(told.contains("PTL-0606") && told.contains("says nothing when asked for its version"), "{told}");
    fs::create_dir_all(dir.path().join("plain")).unwrap();
    fs::write(dir.path().join("plain/a.yaml"), &map).unwrap();
    assert!(with("plain").unwrap().status.success());
}
