//! A root that is gone or half-written: what its components said is not known, so nothing is published or changed by it.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{
    dns::{A, NXDOMAIN, ask, server},
    instance::{Instance, envoy},
    sync::{CASCADES, PRUNED, host, put, repository},
};

const ROOT: &str = "argocd-bootstrap-apps/dev.yaml";

/// What befalls a file.
type Damage<'a> = &'a dyn Fn(&Path);

/// Hosts `fresh` and `shop.other.test` under an app of apps, and an external-dns for `other.test` only.
fn filtered() -> TempDir {
    let dir = repository(PRUNED, &[("shop", PRUNED, CASCADES)]);
    put(dir.path(), "shop/fresh.yaml", &host("fresh", ""));
    let shop = host("shop", "").replace("shop.lab.test", "shop.other.test");
    put(dir.path(), "shop/shop.yaml", &shop);
    let dns = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: dns, namespace: argocd}\nspec:\n  project: default\n  source: {repoURL: 'https://kubernetes-sigs.github.io/external-dns/', chart: external-dns, targetRevision: 1.20.0, helm: {valuesObject: {sources: [gateway-httproute], policy: sync, domainFilters: [other.test], txtOwnerId: own1}}}\n  destination: {server: 'https://kubernetes.default.svc', namespace: dns}\n";
    put(dir.path(), "apps/dns.yaml", dns);
    dir
}

/// The finding that names the missing root.
fn missing(instance: &Instance, file: &str) {
    instance.wait(&format!("the finding that {file} is missing"), || {
        let status = instance.status();
        let all = status["findings"].as_array()?;
        let one = all.iter().find(|one| one["code"] == "PTL-0600")?;
        let said = format!("{} {}", one["object"].as_str()?, one["message"].as_str()?);
        said.contains(file).then_some(())
    });
}

fn published(instance: &Instance, host: &str) -> bool {
    let (code, values) = ask(server(instance), host, A);
    assert!(code != NXDOMAIN || values.is_empty());
    !values.is_empty()
}

/// A host that is live has a record at once where names are published.
fn nothing_is_published(instance: &Instance) {
    instance.reach("fresh.lab.test", "live");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let entry = instance.entry("fresh.lab.test").unwrap();
    assert!(!published(instance, "fresh.lab.test"), "{entry}");
    assert_eq!((&entry["state"], &entry["dns"]["managed"]), (&"live".into(), &false.into()), "{entry}");
}

#[test]
fn a_root_that_is_gone_at_a_start_publishes_nothing_and_changes_no_settings() {
    let Some(envoy) = envoy("e2e roots restart") else { return };
    let dir = filtered();
    let root = dir.path().to_owned();
    let whole = fs::read(root.join(ROOT)).unwrap();
    let mut instance = Instance::start_with(dir, envoy, &["--env", "dev", "--bind", "127.77.93.1"]);
    let record = |instance: &Instance| {
        instance.wait("the record of shop", || published(instance, "shop.other.test").then_some(()));
        assert!(!published(instance, "fresh.lab.test"));
    };
    record(&instance);
    let damages: [(&str, Damage<'_>); 3] = [
        ("removed", &|file| fs::remove_file(file).unwrap()),
        ("cut", &|file| fs::write(file, &whole[..60]).unwrap()),
        // The folder is gone with it, as Git leaves it: what is left would be a plain folder.
        ("gone", &|file| fs::remove_dir_all(file.parent().unwrap()).unwrap()),
    ];
    for (how, damage) in damages {
        instance.kill_nine();
        damage(&root.join(ROOT));
        instance.up();
        missing(&instance, "dev");
        std::thread::sleep(std::time::Duration::from_secs(2));
        record(&instance);
        let entry = instance.entry("fresh.lab.test").unwrap();
        assert_eq!(entry["dns"]["records"], serde_json::json!([]), "{how}: {entry}");
        // Settings are as they were: records that they ask for are made, and others are not.
        fs::create_dir_all(root.join(ROOT).parent().unwrap()).unwrap();
        fs::write(root.join(ROOT), &whole).unwrap();
        instance.wait("the root to be read", || {
            let status = instance.status();
            let told = status["findings"].as_array()?.iter().any(|one| one["code"] == "PTL-0600");
            (!told).then_some(())
        });
        record(&instance);
    }
}

#[test]
fn a_root_that_goes_while_it_runs_makes_no_plain_folder_of_an_app_of_apps() {
    let Some(envoy) = envoy("e2e roots running") else { return };
    let dir = repository(PRUNED, &[("shop", PRUNED, CASCADES)]);
    let root = dir.path().to_owned();
    put(&root, "shop/fresh.yaml", &host("fresh", ""));
    let mut instance = Instance::start_with(dir, envoy, &["--env", "dev", "--bind", "127.77.93.2"]);
    let entry = instance.reach("fresh.lab.test", "live");
    assert_eq!(entry["dns"]["managed"], false, "{entry}");
    fs::rename(root.join(ROOT), root.join("away.yaml")).unwrap();
    missing(&instance, "dev");
    nothing_is_published(&instance);
    // With its folder it could be taken for a plain one.
    fs::remove_dir(root.join("argocd-bootstrap-apps")).unwrap();
    missing(&instance, ROOT);
    nothing_is_published(&instance);
    instance.kill_nine();
    instance.up();
    missing(&instance, ROOT);
    nothing_is_published(&instance);
    // Who means the folder says so, once.
    instance.kill_nine();
    instance.arguments.extend(["--root".to_owned(), "shop".to_owned()]);
    instance.up();
    instance.wait("a record", || published(&instance, "fresh.lab.test").then_some(()));
}
