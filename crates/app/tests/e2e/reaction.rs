//! What one edit costs, in counts: they do not depend on the machine, nor on how many hosts there are.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::instance::{Instance, envoy, first_steps};

/// Hosts of one file; the first answers with the number of the edit.
fn write(dir: &Path, file: usize, edit: usize) {
    write_of(dir, file, edit, 1);
}

/// Hosts of one file; the first `of` answer with the number of the edit.
fn write_of(dir: &Path, file: usize, edit: usize, of: usize) {
    let mut text = String::new();
    for n in file * 10..(file + 1) * 10 {
        write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}, namespace: team-a}}\nspec: {{ports: [{{port: 80}}]}}\n---\n\
             apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: h{n}, namespace: team-a}}\nspec:\n  \
             parentRefs: [{{name: shared, namespace: gateway-system, sectionName: https}}]\n  hostnames: [h{n}.dev.example.com]\n  \
             rules:\n    - backendRefs: [{{name: s{n}, port: 80}}]\n"
        )
        .unwrap();
        if n % 10 < of {
            write!(
                text,
                "      filters:\n        - type: ResponseHeaderModifier\n          responseHeaderModifier: {{set: [{{name: x-edit, \
                 value: \"{edit}\"}}]}}\n"
            )
            .unwrap();
        }
    }
    let made = dir.join(".new");
    std::fs::write(&made, text).unwrap();
    std::fs::rename(made, dir.join(format!("hosts-{file:04}.yaml"))).unwrap();
}

fn metrics(instance: &Instance) -> BTreeMap<String, u64> {
    let run: Value =
        serde_json::from_slice(&std::fs::read(instance.state.path().join("run.json")).unwrap()).unwrap();
    let url = format!("http://{}/metrics", run["api"].as_str().unwrap());
    let text = reqwest::blocking::get(url).unwrap().text().unwrap();
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

/// The counts of work, once they stay as they are.
fn counts(instance: &Instance, hosts: u64) -> BTreeMap<&'static str, u64> {
    let until = Instant::now() + Duration::from_mins(3);
    let mut last = BTreeMap::new();
    loop {
        let now = metrics(instance);
        let counts: BTreeMap<&'static str, u64> = [
            "portolan_read_parts_total",
            "portolan_read_objects_total",
            "portolan_judged_objects_total",
            "portolan_judged_updates_total",
            "portolan_written_objects_total",
            "portolan_published_resources_total",
            "portolan_engine_rule_runs",
            "portolan_dns_written_bytes",
        ]
        .into_iter()
        .map(|name| (name, now[name]))
        .collect();
        // app1 of the example is one more.
        if now["portolan_entry_points_live"] >= hosts && counts == last {
            return counts;
        }
        assert!(Instant::now() < until, "no rest: {now:#?}");
        last = counts;
        std::thread::sleep(Duration::from_millis(700));
    }
}

/// What an edit of a route costs, and what a new host costs.
fn work(hosts: usize, envoy: &Path) -> [BTreeMap<&'static str, u64>; 2] {
    let dir = first_steps();
    for file in 0..hosts / 10 {
        write(dir.path(), file, 0);
    }
    let instance = Instance::start(dir, envoy.to_owned());
    let before = counts(&instance, hosts as u64);
    let entry = instance.entry("h0.dev.example.com").unwrap();
    let client = instance.client(&entry);
    write(instance.dir.path(), 0, 7);
    instance.wait("the edit to be served", || {
        let answer = client.get(entry["url"].as_str()?).send().ok()?;
        (answer.headers().get("x-edit")? == "7").then_some(())
    });
    let edited = counts(&instance, hosts as u64);
    let text = std::fs::read_to_string(instance.dir.path().join("hosts-0000.yaml")).unwrap();
    let (one, _) = text.split_once("metadata: {name: s1,").unwrap();
    let (one, _) = one.rsplit_once("---").unwrap();
    instance.write("new.yaml", &one.replace("h0", "new").replace("s0", "snew"));
    instance.reach("new.dev.example.com", "live");
    let after = counts(&instance, hosts as u64 + 1);
    let less = |after: &BTreeMap<&'static str, u64>, before: &BTreeMap<&'static str, u64>| {
        after.iter().map(|(name, count)| (*name, count - before[name])).collect()
    };
    [less(&edited, &before), less(&after, &edited)]
}

#[test]
fn an_edit_costs_the_same_among_few_and_among_many_hosts() {
    let Some(envoy) = envoy("e2e reaction") else { return };
    let [few, few_new] = work(50, &envoy);
    assert_eq!(few["portolan_read_parts_total"], 1);
    assert_eq!(few["portolan_read_objects_total"], 20);
    // Each document by itself once, and the one that is another beside what is stored.
    assert_eq!(few["portolan_judged_objects_total"], 20);
    assert_eq!(few["portolan_judged_updates_total"], 1);
    assert_eq!(few["portolan_written_objects_total"], 1);
    assert_eq!(few["portolan_published_resources_total"], 1);
    assert_eq!(few["portolan_dns_written_bytes"], 0);
    assert!((1..100).contains(&few["portolan_engine_rule_runs"]), "{few:?}");
    let [many, many_new] = work(500, &envoy);
    assert_eq!(many, few);
    assert_eq!((few_new["portolan_read_objects_total"], few_new["portolan_written_objects_total"]), (2, 2));
    // In how many steps Envoy's answers and those of the probe and of DNS come in varies; the serial has more digits.
    for (name, spread) in [
        ("portolan_read_parts_total", 0),
        ("portolan_read_objects_total", 0),
        ("portolan_judged_objects_total", 0),
        ("portolan_judged_updates_total", 0),
        ("portolan_written_objects_total", 0),
        ("portolan_published_resources_total", 0),
        ("portolan_engine_rule_runs", 30),
        ("portolan_dns_written_bytes", 10),
    ] {
        assert!(many_new[name].abs_diff(few_new[name]) <= spread, "{name}: {few_new:?}, {many_new:?}");
    }
    assert!(few_new["portolan_dns_written_bytes"] > 100);
}

/// Hosts that change together are one response and one verdict, so few steps of the engine: what is wanted, that it waits for
/// Envoy, what Envoy says, and what the probes see. A slow machine may read a burst in two, which is a step more each, or cut what
/// is seen in two, so the least of some edits counts.
#[test]
fn an_edit_of_ten_hosts_is_few_steps() {
    let Some(envoy) = envoy("e2e steps") else { return };
    let dir = first_steps();
    for file in 0..10 {
        write_of(dir.path(), file, 0, 10);
    }
    let instance = Instance::start(dir, envoy);
    counts(&instance, 100);
    let entry = instance.entry("h9.dev.example.com").unwrap();
    let client = instance.client(&entry);
    let steps = |edit: usize| {
        let before = metrics(&instance);
        write_of(instance.dir.path(), 0, edit, 10);
        instance.wait("the edit to be served", || {
            let answer = client.get(entry["url"].as_str()?).send().ok()?;
            (answer.headers().get("x-edit")? == &*edit.to_string()).then_some(())
        });
        let after = counts(&instance, 100);
        assert_eq!(
            after["portolan_published_resources_total"] - before["portolan_published_resources_total"],
            10
        );
        let now = metrics(&instance);
        let more = |name: &str| now[name] - before[name];
        more("portolan_engine_steps") - (more("portolan_readings_total") - 1)
    };
    let steps: Vec<u64> = (1..=8).map(steps).collect();
    assert!(steps.iter().min() <= Some(&4), "{steps:?}");
    // Who asks causes none.
    let before = metrics(&instance);
    instance.status();
    assert_eq!(metrics(&instance)["portolan_engine_steps"], before["portolan_engine_steps"]);
}

/// A namespace of the repository is made by Portolan while it is missing, and handed over when it comes back.
#[test]
fn a_namespace_outlives_its_file_while_it_is_used() {
    let Some(envoy) = envoy("e2e namespaces") else { return };
    let dir = first_steps();
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team-a, labels: {from: git}}\n";
    // Of two in one folder the last counts.
    std::fs::write(dir.path().join("web-namespace.yaml"), namespace).unwrap();
    let instance = Instance::start(dir, envoy);
    let labels = || {
        let output = instance.run(&["get", "Namespace", "team-a", "--output", "json"]);
        let object: Value = serde_json::from_slice(&output.stdout).ok()?;
        Some(object["metadata"]["labels"].clone())
    };
    let is_from_git = |wanted: bool| {
        instance.wait("the namespace", || (labels()?.get("from").is_some() == wanted).then_some(()));
    };
    instance.reach("app1.dev.example.com", "live");
    is_from_git(true);
    std::fs::remove_file(instance.dir.path().join("web-namespace.yaml")).unwrap();
    is_from_git(false);
    instance.reach("app1.dev.example.com", "live");
    instance.write("web-namespace.yaml", namespace);
    is_from_git(true);
    let findings = instance.status()["findings"].clone();
    assert!(findings.as_array().unwrap().iter().all(|f| f["code"] != "PTL-0101"), "{findings}");
}
