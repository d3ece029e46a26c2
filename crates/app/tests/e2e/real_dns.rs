//! `up --real-dns`: records in a real BIND on loopback, and none without it. `docs/guides/real-dns.md` is run as it is printed.

use portolan_testkit::{Bind, BindZone, repository as checkout, skip, suites};
use tempfile::TempDir;

use super::{
    dns::{A, NXDOMAIN, ask},
    instance::{Instance, envoy},
    sync::{CASCADES, PRUNED, host, put, repository},
};

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const TXT: u16 = 16;
const OPTIONS: &str = "allow-update { key edge; }; allow-transfer { key edge; };";
const RECORDS: &str = "by-hand A 192.0.2.9\nby-hand MX 10 by-hand";

/// BIND with `lab.test`, which a key may change and transfer.
fn bind(folder: &TempDir) -> Option<Bind> {
    let zone = BindZone { name: "lab.test", options: OPTIONS, records: RECORDS };
    let server = Bind::start(folder.path(), &[("edge", "hmac-sha256", SECRET)], &[zone]);
    if server.is_none() {
        skip("e2e real dns", "named is missing; scripts/setup test brings it");
    }
    server
}

fn guide() -> String {
    std::fs::read_to_string(checkout().join("docs/guides/real-dns.md")).unwrap()
}

/// The arguments of `up` that the guide prints.
fn arguments() -> Vec<String> {
    let guide = guide();
    let line = guide.lines().find_map(|line| line.strip_prefix("    portolan up DIR ")).unwrap();
    line.split(' ').map(ToOwned::to_owned).collect()
}

/// The values of the guide, for this server.
fn external_dns(port: u16) -> String {
    let guide = guide();
    let (_, rest) = guide.split_once("```yaml\n").unwrap();
    let (values, _) = rest.split_once("```").unwrap();
    let values =
        values.replace("192.0.2.53", "127.0.0.1").replace("rfc2136-port=53", &format!("rfc2136-port={port}"));
    let values = values.replace("example.com", "lab.test");
    let values: String = values.lines().map(|line| format!("        {line}\n")).collect();
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: dns, namespace: argocd}}\nspec:\n  project: default\n  source:\n    repoURL: 'https://kubernetes-sigs.github.io/external-dns/'\n    chart: external-dns\n    targetRevision: 1.20.0\n    helm:\n      valuesObject:\n{values}  destination: {{server: 'https://kubernetes.default.svc', namespace: dns}}\n"
    )
}

fn tsig(secret: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: tsig, namespace: dns}}\nstringData: {{secret: {secret}}}\n"
    )
}

fn finding(instance: &Instance, code: &str, word: &str) {
    instance.wait(&format!("{code} with {word}"), || {
        let status = instance.status();
        let all = status["findings"].as_array()?;
        all.iter()
            .any(|one| one["code"] == code && one["message"].as_str().unwrap().contains(word))
            .then_some(())
    });
}

#[test]
fn records_go_to_a_real_server_and_only_when_asked() {
    let Some(envoy) = envoy("e2e real dns") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(bind) = bind(&folder) else { return };
    let at = bind.address();
    let dir = repository(PRUNED, &[("shop", PRUNED, CASCADES)]);
    put(dir.path(), "shop/shop.yaml", &host("shop", ""));
    put(dir.path(), "shop/more.yaml", &host("more", ""));
    put(dir.path(), "apps/dns.yaml", &external_dns(at.port()));
    let mut instance = Instance::start_with(dir, envoy, &["--env", "dev"]);
    instance.reach("shop.lab.test", "live");
    assert_eq!(ask(at, "shop.lab.test", A).0, NXDOMAIN, "nothing is written without --real-dns");
    instance.kill_nine();

    // Its key is not there yet: one finding, and nothing is written.
    instance.arguments = arguments();
    assert!(instance.arguments.iter().any(|argument| argument == "--real-dns"));
    instance.up();
    finding(&instance, "PTL-0441", "Secret dns/tsig");
    assert_eq!(ask(at, "shop.lab.test", A).0, NXDOMAIN);
    // A wrong one says so, and is shown nowhere.
    let wrong = "QUJDREVGR0hJSktMTU5PUA==";
    instance.write("shop/tsig.yaml", &tsig(wrong));
    finding(&instance, "PTL-0441", "BADSIG");
    assert!(!instance.status().to_string().contains(wrong));
    instance.write("shop/tsig.yaml", &tsig(SECRET));
    let entry = instance.reach("shop.lab.test", "live");
    let address = entry["address"].as_str().unwrap().to_owned();
    instance.wait("the record", || (ask(at, "shop.lab.test", A).1 == [&*address]).then_some(()));
    let owner = ask(at, "a-shop.lab.test", TXT).1;
    assert!(owner[0].contains("external-dns/owner=edge-dev"), "{owner:?}");

    // A restart withdraws nothing, and what is removed goes in order.
    instance.kill_nine();
    instance.up();
    assert_eq!(ask(at, "shop.lab.test", A).1, [&*address]);
    instance.reach("shop.lab.test", "live");
    std::fs::remove_file(instance.dir.path().join("shop/more.yaml")).unwrap();
    instance.wait("the record to go", || (ask(at, "more.lab.test", A).0 == NXDOMAIN).then_some(()));
    assert_eq!(ask(at, "shop.lab.test", A).1, [&*address]);
    assert_eq!(ask(at, "by-hand.lab.test", A).1, ["192.0.2.9"], "what is nobody's stays");
    let Some(dig) = suites::program("dig") else {
        return skip("e2e real dns dig", "dig is missing; scripts/setup test brings it");
    };
    let output = std::process::Command::new(dig)
        .args(["@127.0.0.1", "-p", &at.port().to_string(), "shop.lab.test", "A", "+short"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), address);
}

#[test]
fn what_was_removed_is_served_while_its_records_cannot_be_seen() {
    let Some(envoy) = envoy("e2e real dns order") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = bind(&folder) else { return };
    let at = server.address();
    let dir = repository(PRUNED, &[("shop", PRUNED, CASCADES)]);
    put(dir.path(), "shop/shop.yaml", &host("shop", ""));
    put(dir.path(), "shop/more.yaml", &host("more", ""));
    put(dir.path(), "shop/tsig.yaml", &tsig(SECRET));
    // As one writes a zone; it is the same zone.
    let values = external_dns(at.port()).replace("rfc2136-zone=lab.test", "rfc2136-zone=Lab.test.");
    put(dir.path(), "apps/dns.yaml", &values);
    let mut arguments = arguments();
    arguments.extend(["--drain".to_owned(), "900s".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut instance = Instance::start_with(dir, envoy, &arguments);
    instance.wait("the record", || (!ask(at, "more.lab.test", A).1.is_empty()).then_some(()));

    instance.kill_nine();
    drop(server);
    std::fs::remove_file(instance.dir.path().join("shop/more.yaml")).unwrap();
    instance.up();
    finding(&instance, "PTL-0441", "cannot be reached");
    instance.reach("more.lab.test", "live");
    let zone = BindZone { name: "lab.test", options: OPTIONS, records: RECORDS };
    let _again = Bind::start_at(at, folder.path(), &[("edge", "hmac-sha256", SECRET)], &[zone]).unwrap();
    instance.wait("the record to go", || (ask(at, "more.lab.test", A).0 == NXDOMAIN).then_some(()));
    instance.wait("the host to go after it", || instance.entry("more.lab.test").is_none().then_some(()));
    assert!(!ask(at, "shop.lab.test", A).1.is_empty(), "the others' stand");
}

#[test]
fn other_providers_write_nothing() {
    let Some(envoy) = envoy("e2e real dns other") else { return };
    let dir = repository(PRUNED, &[("shop", PRUNED, CASCADES)]);
    put(dir.path(), "shop/shop.yaml", &host("shop", ""));
    put(dir.path(), "apps/dns.yaml", &external_dns(53).replace("name: rfc2136", "name: cloudflare"));
    let instance = Instance::start_with(dir, envoy, &["--env", "dev", "--real-dns"]);
    finding(&instance, "PTL-0441", "provider cloudflare is not built");
    let entry = instance.reach("shop.lab.test", "live");
    assert_eq!(entry["dns"]["records"], serde_json::json!([]));
}
