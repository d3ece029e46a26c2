//! What `docs/reference/cli.md` promises and no other test looks at, sentence by sentence.

use std::{path::Path, process::Output};

use portolan_testkit::suites;

use crate::instance::{Instance, envoy, first_steps, portolan};

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn all(output: &Output) -> String {
    out(output) + &String::from_utf8_lossy(&output.stderr)
}

const NOT_ACTED_ON: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: team-a, labels: {team: a}}\nspec:\n  \
    selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      \
    containers: [{name: web, image: web, env: [{name: TOKEN, value: canary-of-a-deployment}]}]\n";

/// A route of the name of another one, in another namespace.
const SAME_NAME: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team-b}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
    metadata: {name: app1, namespace: team-b}\nspec:\n  parentRefs: [{name: shared, namespace: gateway-system, sectionName: https}]\n  \
    hostnames: [b.dev.example.com]\n  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: a.example.com}}]}]\n";

#[test]
fn get_takes_every_form_of_a_kind_and_a_name() {
    let Some(envoy) = envoy("e2e promised") else { return };
    let dir = first_steps();
    std::fs::write(dir.path().join("b.yaml"), format!("{SAME_NAME}---\n{NOT_ACTED_ON}")).unwrap();
    let instance = Instance::start(dir, envoy);
    instance.reach("app1.dev.example.com", "live");
    instance.reach("b.dev.example.com", "live");
    let get = |words: &[&str]| {
        let output = instance.run(&[&["get"], words].concat());
        (output.status.code(), all(&output))
    };
    let whole = get(&["gateway"]);
    assert!(whole.0 == Some(0) && whole.1.contains("shared"), "{whole:?}");
    for kind in ["gateways", "gtw", "Gateway", "GATEWAYS", "gateways.gateway.networking.k8s.io"] {
        let found = get(&[kind]);
        // Ages pass meanwhile.
        assert!(found.0 == Some(0) && found.1.contains("shared"), "{kind}: {found:?}");
    }
    for words in [
        &["gateway", "gateway-system/shared"][..],
        &["gateway/gateway-system/shared"],
        &["gateway/shared", "-n", "gateway-system"],
        &["gtw", "shared", "--namespace", "gateway-system"],
        &["gateway", "shared"],
    ] {
        let found = get(&[words, &["-o", "json"]].concat());
        let object: serde_json::Value =
            serde_json::from_str(&found.1).unwrap_or_else(|_| panic!("{words:?}: {found:?}"));
        assert_eq!(object["metadata"]["name"], "shared", "{words:?}: {found:?}");
    }
    // NAME alone only where it is the only one.
    let two = get(&["httproute", "app1"]);
    assert!(two.0 == Some(2) && two.1.contains("team-a") && two.1.contains("team-b"), "{two:?}");
    for words in [&["httproutes"][..], &["httproutes", "-A"], &["httproutes", "--all-namespaces"]] {
        let found = get(words);
        assert!(
            found.0 == Some(0) && found.1.contains("team-b") && found.1.contains("to-https"),
            "{words:?}: {found:?}"
        );
    }
    let one = get(&["httproutes", "-n", "team-a"]);
    assert!(one.0 == Some(0) && one.1.contains("app1") && !one.1.contains("to-https"), "{one:?}");
    // Of kinds that are not acted on nobody knows which values are secret.
    for form in ["yaml", "json"] {
        let other = get(&["deployments", "-o", form]);
        assert!(other.0 == Some(0) && other.1.contains("team"), "{other:?}");
        assert!(!other.1.contains("canary-of-a-deployment") && !other.1.contains("containers"), "{other:?}");
    }
    let (code, secret) = get(&["secret", "gateway-system/ingress-tls", "-o", "yaml"]);
    let redacted =
        regex::Regex::new(r"tls\.key: .?\[redacted [0-9]+ bytes, fingerprint [0-9a-f]{8}\]").unwrap();
    assert!(code == Some(0) && redacted.is_match(&secret), "{secret}");
    let (code, secret) = get(&["events", "team-a/app1"]);
    assert_eq!(code, Some(0), "{secret}");

    let alone = |words: &[&str]| {
        let output = instance.run(words);
        (output.status.code(), all(&output))
    };
    assert_eq!(alone(&["prune", "--all"]).0, Some(0), "nothing stays");
    let of_one = alone(&["status", "-n", "team-b"]);
    assert!(of_one.0 == Some(0) && of_one.1.contains("b.dev.example.com"), "{of_one:?}");
    assert!(!of_one.1.contains("app1.dev.example.com"), "{of_one:?}");
    assert_eq!(alone(&["status", "-n", "nowhere"]).0, Some(2));
}

#[test]
fn metrics_are_there_under_both_names_and_zones_answer_for_their_own_alone() {
    let Some(envoy) = envoy("e2e promised") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.reach("app1.dev.example.com", "live");
    let run: serde_json::Value =
        serde_json::from_slice(&std::fs::read(instance.state.path().join("run.json")).unwrap()).unwrap();
    let metrics = reqwest::blocking::get(format!("http://{}/metrics", run["api"].as_str().unwrap())).unwrap();
    let metrics = metrics.text().unwrap();
    for name in [
        "portolan_certificate_ready",
        "portolan_certificate_expiration_timestamp_seconds",
        "portolan_certificate_renewal_timestamp_seconds",
        "certmanager_certificate_ready_status",
        "certmanager_certificate_expiration_timestamp_seconds",
        "certmanager_certificate_renewal_timestamp_seconds",
    ] {
        let line = metrics
            .lines()
            .find(|line| line.starts_with(&format!("{name}{{")) && line.contains("wildcard-dev"));
        let line = line.unwrap_or_else(|| panic!("{name}: {metrics}"));
        for label in [
            "name=\"wildcard-dev\"",
            "namespace=\"gateway-system\"",
            "issuer_name=\"internal\"",
            "issuer_kind=\"ClusterIssuer\"",
            "issuer_group=\"cert-manager.io\"",
        ] {
            assert!(line.contains(label), "{label}: {line}");
        }
    }
    // Without filters and solvers the zone is that of a wanted name's last two labels.
    let dns = |words: &[&str]| {
        let output = instance.run(&[&["dns"], words].concat());
        (output.status.code(), all(&output))
    };
    let found = instance
        .wait("the record", || Some(dns(&["app1.dev.example.com", "a"])).filter(|found| found.0 == Some(0)));
    assert!(found.1.contains("127.77."), "{found:?}");
    let (code, text) = dns(&["nothing.example.com"]);
    assert!(code == Some(1) && text.contains("no such name in the zone"), "{text}");
    for other in ["example.org", "app1.dev.example.net", "com"] {
        let (code, text) = dns(&[other]);
        assert!(code == Some(1) && text.contains("REFUSED"), "{other}: {text}");
    }
    // Owned by `portolan`, as no environment has a name.
    let (code, text) = dns(&["a-app1.dev.example.com", "txt"]);
    assert!(code == Some(0) && text.contains("external-dns/owner=portolan"), "{text}");
    for file in ["addresses.json", "fingerprint.key", "dns.log"] {
        assert!(instance.state.path().join(file).is_file(), "{file}");
    }
}

#[test]
fn colours_are_for_terminals_without_no_color() {
    let Some(envoy) = envoy("e2e promised") else { return };
    let Some(script) = suites::program("script") else {
        suites::skip("e2e promised", "script is missing; install bsdutils");
        return;
    };
    let instance = Instance::start(first_steps(), envoy);
    instance.reach("app1.dev.example.com", "live");
    let command =
        format!("{} status --state {}", env!("CARGO_BIN_EXE_portolan"), instance.state.path().display());
    let terminal = |variables: &[(&str, &str)]| {
        let mut asked = std::process::Command::new(&script);
        asked.args(["-qec", &command, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
        let output =
            asked.envs(variables.iter().copied()).stdin(std::process::Stdio::null()).output().unwrap();
        assert!(out(&output).contains("app1.dev.example.com"), "{}", all(&output));
        out(&output)
    };
    assert!(terminal(&[]).contains("\u{1b}["));
    assert!(!terminal(&[("NO_COLOR", "1")]).contains("\u{1b}["));
    let pipe = out(&instance.run(&["status"]));
    assert!(pipe.contains("app1.dev.example.com") && !pipe.contains('\u{1b}'), "{pipe}");
}

#[test]
fn a_certificate_is_renewed_when_its_annotation_says() {
    let Some(envoy) = envoy("e2e promised") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let before = instance.reach("app1.dev.example.com", "live");
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let at = at.strftime("%Y-%m-%dT%H:%M:%SZ");
    instance.edit(
        "certificates.yaml",
        "name: wildcard-dev\n",
        &format!("name: wildcard-dev\n  annotations: {{portolan.dev/renew-at: '{at}'}}\n"),
    );
    instance.wait("a new serial", || {
        let now = instance.entry("app1.dev.example.com")?;
        (now["certificate"]["serial"] != before["certificate"]["serial"] && now["state"] == "live")
            .then_some(())
    });
}

#[test]
fn secrets_of_cluster_issuers_stand_where_the_flag_says_and_fingerprints_are_of_one_state() {
    let Some(envoy) = envoy("e2e promised") else { return };
    let start = || {
        let dir = first_steps();
        let path = dir.path().join("certificates.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("namespace: cert-manager", "namespace: issuers")).unwrap();
        std::fs::write(
            dir.path().join("secret.yaml"),
            "apiVersion: v1\nkind: Secret\nmetadata: {name: known, namespace: team-a}\nstringData: {word: guessable}\n",
        )
        .unwrap();
        let instance = Instance::start_with(dir, envoy.clone(), &["--cluster-resource-namespace", "issuers"]);
        instance.reach("app1.dev.example.com", "live");
        instance
    };
    let (one, two) = (start(), start());
    let secret = |instance: &Instance| {
        let shown = out(&instance.run(&["get", "secret", "team-a/known", "-o", "json"]));
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        shown["data"]["word"].as_str().unwrap().to_owned()
    };
    assert!(secret(&one).starts_with("[redacted 9 bytes, fingerprint "), "{}", secret(&one));
    assert_eq!(secret(&one), secret(&one));
    assert_ne!(secret(&one), secret(&two), "nobody else can confirm a guess");
}

#[test]
fn programs_that_the_environment_names_have_to_be_there() {
    let dir = first_steps();
    let state = crate::instance::private();
    for variable in ["PORTOLAN_ENVOY", "PORTOLAN_HELM", "PORTOLAN_KUSTOMIZE"] {
        let mut up = portolan();
        up.arg("up").arg(dir.path()).args(["--once", "--timeout", "5s", "--api-listen", "127.0.0.1:0"]);
        up.args(["--dns-listen", "127.0.0.1:0", "--acme-listen", "127.0.0.1:0", "--state"]).arg(state.path());
        let output = up.env(variable, "/nonexistent/program").output().unwrap();
        let text = all(&output);
        assert_eq!(output.status.code(), Some(2), "{variable}: {text}");
        assert!(text.contains("/nonexistent/program"), "{variable}: {text}");
    }
}

fn file(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn labels_and_annotations_of_the_cluster_come_from_the_command_line() {
    if suites::program("helm").is_none() {
        suites::skip("e2e promised", "helm is missing; run scripts/setup demo");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let source = "repoURL: https://git.example.com/p/edge.git";
    let to = "destination: {server: 'https://kubernetes.default.svc', namespace: ns}";
    file(
        dir.path(),
        "argocd-bootstrap-apps/dev.yaml",
        &format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: root, namespace: argocd}}\n\
             spec:\n  project: default\n  {to}\n  source: {{{source}, path: sets}}\n"
        ),
    );
    file(
        dir.path(),
        "sets/set.yaml",
        &format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{name: s, namespace: argocd}}\nspec:\n  goTemplate: true\n  \
             generators: [{{clusters: {{selector: {{matchLabels: {{tier: edge}}}}}}}}]\n  template:\n    \
             metadata: {{name: 'of-{{{{index .metadata.annotations \"domain\"}}}}'}}\n    spec:\n      project: default\n      {to}\n      \
             source: {{{source}, path: app}}\n"
        ),
    );
    file(dir.path(), "app/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n");
    let render = |more: &[&str]| {
        let output = portolan()
            .arg("render")
            .arg(dir.path())
            .args(["--env", "dev", "-o", "json"])
            .args(more)
            .output()
            .unwrap();
        let json: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", all(&output)));
        json["applications"].to_string()
    };
    let annotation = ["--cluster-annotation", "domain=inner"];
    assert!(render(&[&["--cluster-label", "tier=edge"][..], &annotation].concat()).contains("of-inner"));
    assert!(!render(&[&["--cluster-label", "tier=core"][..], &annotation].concat()).contains("of-inner"));
}
