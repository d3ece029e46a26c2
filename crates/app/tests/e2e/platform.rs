//! The example platform repository, dev-01, whole: app of apps through the real Helm, SealedSecrets, ACME over the
//! embedded DNS, reflector, policies, records, and Envoy.

use std::process::{Command, Stdio};

use portolan_testkit::suites;
use serde_json::Value;

use crate::instance::{Instance, envoy, portolan, private};

const HOSTS: [&str; 7] = [
    "app1.dev.example.com",
    "app2.dev.example.com",
    "app3.dev.example.com",
    "app4.dev.example.com",
    "app5.dev.example.com",
    "grpc.dev.example.com",
    "reports.internal.dev.example.com",
];
const PLATFORM: &str = "examples/platform";
const KEY: &str = "examples/platform/demo-sealing-key/PUBLIC-DEMO-ONLY.key";

fn helm(suite: &str) -> bool {
    let found = suites::program("helm").is_some();
    if !found {
        suites::skip(suite, "Helm is missing; run scripts/setup demo");
    }
    found
}

pub fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn dev_01_comes_up_whole() {
    let Some(envoy) = envoy("e2e platform") else { return };
    if !helm("e2e platform") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    copy(&suites::repository().join(PLATFORM), dir.path());
    let key = suites::repository().join(KEY);
    let instance =
        Instance::start_with(dir, envoy, &["--env", "dev-01", "--sealing-key", key.to_str().unwrap()]);
    for host in HOSTS {
        let entry = instance.reach(host, "live");
        let client = instance.client(&entry);
        assert!(client.get(entry["url"].as_str().unwrap()).send().is_ok(), "{entry}");
        assert_eq!(entry["dns"]["managed"], true, "{entry}");
        assert!(!entry["dns"]["records"].as_array().unwrap().is_empty(), "{entry}");
    }
    let status = instance.status();
    let errors: Vec<&Value> =
        status["findings"].as_array().unwrap().iter().filter(|f| f["severity"] == "error").collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let wildcard = instance.entry("app1.dev.example.com").unwrap()["certificate"].clone();
    assert!(wildcard["issuer"].as_str().unwrap().contains("evelopment"), "{wildcard}");

    let explained = instance.run(&["explain", "app1.dev.example.com"]);
    assert_eq!(explained.status.code(), Some(0));
    let explained = String::from_utf8(explained.stdout).unwrap();
    for step in
        ["declared", "policy", "attached", "certificate", "mirrored", "acked by Envoy", "probe", "DNS answer"]
    {
        assert!(
            explained.lines().any(|line| line.starts_with(&format!("ok   {step}"))),
            "{step}: {explained}"
        );
    }

    // A host outside the environment's domain is refused by the policy and appears nowhere else.
    let routes = instance.dir.path().join("charts/team-apps/templates/outside.yaml");
    std::fs::write(
        routes,
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: outside, namespace: team-a}\nspec:\n  \
         parentRefs: [{name: eg-infra-shared-01, namespace: envoy-gateway-system, sectionName: https}]\n  hostnames: \
         [evil.prod.example.com]\n  rules: [{backendRefs: [{name: app1, port: 80}]}]\n",
    )
    .unwrap();
    let entry = instance.reach("evil.prod.example.com", "refused");
    assert_eq!(entry["dns"]["records"].as_array().map_or(0, Vec::len), 0, "{entry}");
    instance.reach("app1.dev.example.com", "live");
}

/// Edits that policies deny are said where somebody looks for them; and what leaves and comes back as it was, while the
/// domain of everything else moves, is in force.
#[test]
fn a_domain_that_moves() {
    let Some(envoy) = envoy("e2e moved domain") else { return };
    if !helm("e2e moved domain") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    copy(&suites::repository().join(PLATFORM), dir.path());
    let key = suites::repository().join(KEY);
    let instance =
        Instance::start_with(dir, envoy, &["--env", "dev-01", "--sealing-key", key.to_str().unwrap()]);
    instance.reach("app1.dev.example.com", "live");
    instance.reach("*", "live");

    let values = "charts/team-apps/values.dev-01.yaml";
    instance.edit(values, "dev.example.com", "dev2.example.com");
    let explain = |host: &str| {
        let output = instance.run(&["explain", host]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = instance.wait("the denied edit", || {
        Some(explain("app1.dev2.example.com"))
            .filter(|(code, text)| *code == Some(1) && text.contains("edit"))
    });
    assert!(
        text.contains("NO   edit") && text.contains("denied by ValidatingAdmissionPolicy"),
        "{code:?} {text}"
    );
    let (code, text) = explain("app1.dev.example.com");
    assert!(code == Some(1) && text.contains("is live") && text.contains("NO   edit"), "{code:?} {text}");
    assert_eq!(explain("nobody.dev2.example.com").0, Some(1));
    let apps = instance.status()["applications"].clone();
    let is_team = |app: &&Value| app["sources"].to_string().contains("team-apps");
    let team = apps.as_array().unwrap().iter().find(is_team);
    let Some(team) = team else { panic!("{apps:#}") };
    let out = team["outOfSync"].as_array().unwrap();
    assert!(out.iter().any(|object| object == "HTTPRoute/team-a/app1"), "{out:?}");
    instance.edit(values, "dev2.example.com", "dev.example.com");
    instance.wait("the edit undone", || (explain("app1.dev.example.com").0 == Some(0)).then_some(()));

    for (from, to) in [("dev.", "dev3."), ("dev3.", "dev.")] {
        for chart in ["policies", "envoy-gateway"] {
            let values = format!("charts/{chart}/values.dev-01.yaml");
            instance.edit(&values, &format!("domain: {from}"), &format!("domain: {to}"));
        }
        instance.wait("the listeners to move", || {
            let status = instance.status();
            let hostname = format!("*.{to}example.com");
            status["listeners"]
                .as_array()?
                .iter()
                .any(|listener| listener["hostname"] == *hostname)
                .then_some(())
        });
        instance.reach("*", "live");
    }
    instance.reach("app1.dev.example.com", "live");
}

/// No socket leaves loopback: everything goes live where there is nothing but `lo`.
#[test]
fn loopback_is_all_it_needs() {
    let Some(envoy) = envoy("e2e lo only") else { return };
    if !helm("e2e lo only") {
        return;
    }
    let only_lo = |command: &str| {
        let mut made = Command::new("unshare");
        made.args(["-rn", "sh", "-c", command]).stdin(Stdio::null());
        made
    };
    if !only_lo("ip link set lo up").output().is_ok_and(|o| o.status.success()) {
        suites::skip_optional("e2e lo only", "no network namespace can be made (unshare -rn, iproute2)");
        return;
    }
    let state = private();
    let root = suites::repository();
    let command = format!(
        "ip link set lo up && test -z \"$(ip route show)\" && exec {} up {} --env dev-01 --sealing-key {} --state {} --envoy {} \
         --once --timeout 60s",
        portolan().get_program().display(),
        root.join(PLATFORM).display(),
        root.join(KEY).display(),
        state.path().display(),
        envoy.display()
    );
    let output = only_lo(&command).env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for host in HOSTS {
        assert!(text.lines().any(|l| l.contains(host) && l.contains("live")), "{host}: {text}");
    }
}

/// A chart that Helm refuses and a values file that is not there: one finding each with Helm's words, chart and
/// environment; every other Application goes live.
#[test]
fn broken_charts_harm_only_their_own_application() {
    let Some(envoy) = envoy("e2e broken charts") else { return };
    if !helm("e2e broken charts") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    copy(&suites::repository().join(PLATFORM), dir.path());
    let broken = dir.path().join("charts/external-dns/templates/broken.yaml");
    std::fs::write(&broken, "a: {{ fail \"the zone is not decided yet\" }}\n").unwrap();
    let values = dir.path().join("charts/policies/values.dev-01.yaml");
    let kept = std::fs::read(&values).unwrap();
    std::fs::remove_file(&values).unwrap();
    let key = suites::repository().join(KEY);
    let instance =
        Instance::start_with(dir, envoy, &["--env", "dev-01", "--sealing-key", key.to_str().unwrap()]);
    instance.reach("app1.dev.example.com", "live");
    instance.reach("reports.internal.dev.example.com", "live");
    let errors = || -> Vec<Value> {
        let status = instance.status();
        let findings = status["findings"].as_array().cloned().unwrap_or_default();
        findings.into_iter().filter(|finding| finding["severity"] == "error").collect()
    };
    let found = errors();
    let find = |code: &str| found.iter().find(|f| f["code"] == code).unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!(found.len(), 2, "one each: {found:#?}");
    let chart = find("PTL-0605");
    let message = chart["message"].as_str().unwrap();
    assert!(message.contains("the zone is not decided yet"), "Helm's own words: {message}");
    assert!(message.contains("charts/external-dns") && message.contains("dev-01"), "{message}");
    let missing = find("PTL-0604");
    assert!(missing["message"].as_str().unwrap().contains("values.dev-01.yaml"), "{missing}");
    for finding in &found {
        assert!(!finding["hint"].as_str().unwrap().is_empty() && finding["file"].is_string(), "{finding}");
    }

    // Mended, both are taken up without a restart.
    std::fs::remove_file(&broken).unwrap();
    std::fs::write(&values, kept).unwrap();
    instance.wait("both to be mended", || errors().is_empty().then_some(()));
    instance.wait("the record", || {
        let entry = instance.entry("app1.dev.example.com")?;
        (entry["state"] == "live" && entry["dns"]["managed"] == true).then_some(())
    });
}

/// Two external-dns components, as for a public and a private zone: each publishes its own names under its own owner.
#[test]
fn each_external_dns_publishes_its_own_names() {
    let Some(envoy) = envoy("e2e platform components") else { return };
    if !helm("e2e platform components") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    copy(&suites::repository().join(PLATFORM), dir.path());
    let charts = dir.path().join("charts");
    let private_chart = charts.join("external-dns-private");
    copy(&charts.join("external-dns"), &private_chart);
    std::fs::remove_dir_all(private_chart.join("templates")).unwrap();
    let filters = "external-dns:\n  domainFilters: [internal.dev.example.com]\n  extraArgs: [--txt-owner-id=private, --txt-prefix=p-]\n";
    std::fs::write(private_chart.join("values.dev-01.yaml"), filters).unwrap();
    let public = charts.join("external-dns/values.dev-01.yaml");
    let text = std::fs::read_to_string(&public).unwrap();
    std::fs::write(&public, format!("{text}  excludeDomains: [internal.dev.example.com]\n")).unwrap();
    let templates = charts.join("app-of-apps/templates/traffic-management");
    let template = std::fs::read_to_string(templates.join("external-dns.yaml")).unwrap();
    let template = template.replace("\"external-dns\"", "\"external-dns-private\"");
    let template = template.replace(".Values.externalDNS", ".Values.externalDNSPrivate");
    std::fs::write(templates.join("external-dns-private.yaml"), template).unwrap();
    let values = charts.join("app-of-apps/values.yaml");
    let text = std::fs::read_to_string(&values).unwrap();
    let second = "externalDNSPrivate:\n  enable: true\n  project: default\n  namespace: external-dns\n  source:\n    path: charts/external-dns-private\n    helm: {releaseName: private}\n";
    std::fs::write(&values, format!("{text}\n{second}")).unwrap();
    let key = suites::repository().join(KEY);
    let instance =
        Instance::start_with(dir, envoy, &["--env", "dev-01", "--sealing-key", key.to_str().unwrap()]);
    let owner = |host: &str| {
        instance.reach(host, "live");
        instance.wait(&format!("the records of {host}"), || {
            let entry = instance.entry(host)?;
            let txt = entry["dns"]["records"].as_array()?.iter().find(|r| r["type"] == "TXT")?.clone();
            Some((txt["name"].as_str()?.to_owned(), txt["values"][0].as_str()?.to_owned()))
        })
    };
    let (name, value) = owner("reports.internal.dev.example.com");
    assert_eq!(name, "p-a-reports.internal.dev.example.com");
    assert!(value.contains("external-dns/owner=private,"), "{value}");
    let (name, value) = owner("app1.dev.example.com");
    assert_eq!(name, "a-app1.dev.example.com");
    assert!(value.contains("external-dns/owner=dev-01,"), "{value}");
    let findings = instance.status()["findings"].clone();
    let of_dns = |f: &Value| f["code"].as_str().is_some_and(|code| code.starts_with("PTL-04"));
    assert!(!findings.as_array().unwrap().iter().any(of_dns), "{findings}");
}
