//! Rows of the store that the disk has damaged: what is served stays until they come back, and no CA becomes another one.

use std::{path::PathBuf, time::Duration};

use portolan_effects::store::Store;
use portolan_testkit::suites;

use crate::{
    acme::CERTIFICATES,
    instance::{Instance, envoy, first_steps},
    replaced::Traffic,
    restarts::ten_hosts,
    slow::{ENDLESS, application},
};

/// Another byte in each row of the store that has one of these texts.
fn damage(instance: &Instance, marks: &[&str]) {
    // Closed in order: otherwise the database sees it before we do, and takes nothing or the state before.
    drop(Store::open(instance.state.path()).unwrap());
    let file = instance.state.path().join("store.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    for mark in marks {
        let begins = |at: &usize| bytes[*at..].starts_with(mark.as_bytes());
        let at: Vec<usize> = (0..bytes.len() - mark.len()).filter(begins).collect();
        assert!(!at.is_empty(), "{mark}");
        for at in at {
            bytes[at + 3] ^= 1;
        }
    }
    std::fs::write(&file, bytes).unwrap();
    let store = Store::open(instance.state.path()).unwrap();
    assert_eq!(store.damaged().len(), marks.len(), "{:?}", store.damaged());
}

/// Ten hosts of a repository that takes two seconds to read: for so long a reading waits for a chart.
fn slowly_read(envoy: PathBuf, certificates: Option<&str>) -> Instance {
    let dir = ten_hosts();
    let at = |path: &str| dir.path().join(path);
    std::fs::create_dir_all(at("base")).unwrap();
    for file in ["gateway.yaml", "team-a.yaml", "certificates.yaml", "more.yaml"] {
        std::fs::rename(at(file), at("base").join(file)).unwrap();
    }
    if let Some(text) = certificates {
        std::fs::write(at("base/certificates.yaml"), text).unwrap();
    }
    std::fs::create_dir_all(at("slow/templates")).unwrap();
    std::fs::write(at("slow/Chart.yaml"), "apiVersion: v2\nname: slow\nversion: 0.1.0\n").unwrap();
    std::fs::write(at("slow/templates/endless.yaml"), ENDLESS).unwrap();
    std::fs::write(at("apps.yaml"), application("base", "base") + &application("slow", "slow")).unwrap();
    Instance::start_with(dir, envoy, &["--root", "apps.yaml"])
}

/// All that the certificate is made from is damaged with it. It is issued anew, and what Envoy shows stays until then; what has left
/// the repository meanwhile leaves Envoy nevertheless.
fn is_served_until_it_is_issued_anew(suite: &str, certificates: Option<&str>, issuer: &str) {
    let Some(envoy) = envoy(suite) else { return };
    if suites::program("helm").is_none() {
        return suites::skip(suite, "Helm is missing; run scripts/setup test");
    }
    let mut instance = slowly_read(envoy, certificates);
    let entry = instance.reach("h0.dev.example.com", "live");
    let leaves = instance.reach("h7.dev.example.com", "live");
    let traffic = Traffic::start(&instance, &entry);
    instance.kill_nine();
    let secret = "\"cert-manager.io/certificate-name\":\"wildcard-dev\"";
    damage(&instance, &[secret, "\"dnsNames\":[\"*.dev.example.com\"", issuer]);
    instance.edit("base/more.yaml", "hostnames: [h7.dev.example.com]", "hostnames: [h9.dev.example.com]");
    instance.up();
    let anew = instance.wait("another certificate", || {
        let now = instance.entry("h0.dev.example.com")?;
        let serial = &now["certificate"]["serial"];
        (now["state"] == "live" && serial.is_string() && *serial != entry["certificate"]["serial"])
            .then_some(now)
    });
    assert_eq!(anew["certificate"]["secret"], entry["certificate"]["secret"]);
    instance.wait("the host to be gone from Envoy", || {
        let answer = instance.client(&leaves).get(leaves["url"].as_str()?).send().ok()?;
        (answer.status() == 404).then_some(())
    });
    std::thread::sleep(Duration::from_secs(1));
    traffic.end();
}

#[test]
fn a_damaged_certificate_is_served_until_it_is_issued_anew() {
    let issuer = "\"spec\":{\"ca\":{\"secretName\":\"internal-ca\"}}";
    is_served_until_it_is_issued_anew("e2e damaged certificate", None, issuer);
}

/// An account is registered and names are proven before.
#[test]
fn a_damaged_certificate_of_an_acme_issuer_is_served_until_it_is_issued_anew() {
    is_served_until_it_is_issued_anew("e2e damaged ACME certificate", Some(CERTIFICATES), "\"solvers\":[");
}

/// A byte of a CA's row is another one: it is told with its key, what it signed is served on, and no other CA takes its
/// place before somebody says so.
#[test]
fn a_damaged_ca_is_never_another_ca_in_silence() {
    let Some(envoy) = envoy("e2e damaged CA") else { return };
    let mut instance = Instance::start(first_steps(), envoy);
    let before = instance.reach("app1.dev.example.com", "live");
    assert!(instance.run(&["down"]).status.success());
    instance.ended();
    damage(&instance, &["\"cert-manager.io/certificate-name\":\"internal-ca\""]);
    instance.up();
    let found = |code: &str| {
        let status = instance.status();
        let finding = status["findings"].as_array()?.iter().find(|f| f["code"] == code)?;
        Some(finding.clone())
    };
    let finding = instance.wait("the damaged row to be told", || found("PTL-0103"));
    assert_eq!(finding["object"], "Secret/cert-manager/internal-ca");
    let refused = instance.wait("the CA not to be issued", || found("PTL-0312"));
    assert_eq!(refused["object"], "Certificate/cert-manager/internal-ca");
    assert!(
        refused["message"].as_str().unwrap().contains("portolan renew cert-manager/internal-ca"),
        "{refused}"
    );
    let entry = instance.reach("app1.dev.example.com", "live");
    assert_eq!(entry["certificate"], before["certificate"], "what it signed is served on");
    assert!(!instance.run(&["get", "secret", "cert-manager/internal-ca"]).status.success());
    // It is still so after a restart.
    instance.kill_nine();
    instance.up();
    let found = |code: &str| {
        let status = instance.status();
        Some(status["findings"].as_array()?.iter().any(|f| f["code"] == code))
    };
    instance.wait("the damaged row to be told again", || found("PTL-0103")?.then_some(()));
    assert!(instance.run(&["renew", "cert-manager/internal-ca"]).status.success());
    instance.wait("the new CA", || {
        instance.run(&["get", "secret", "cert-manager/internal-ca"]).status.success().then_some(())
    });
    instance.wait("the findings to go", || (!found("PTL-0103")? && !found("PTL-0312")?).then_some(()));
}
