//! One broken object after the other under a running Portolan and a real Envoy: no other host's answer changes.
//! `PORTOLAN_BAD_INPUT` (`make bad-input`) makes it 300; the rows behind it are looked at by `core/tests/golden/bad_input.rs`.

use std::collections::BTreeMap;

use portolan_testkit::mistakes;
use serde_json::{Value, json};

use super::{
    boundaries::{CLASS, address, ask, folder, gateway, http, route, route_at},
    instance::{Instance, envoy},
};

/// File, object, and the hosts that depend on it.
type Part = (String, String, Vec<&'static str>);

/// Hosts of the Gateway `front`, with their routes; the last two belong to `second`.
const HOSTS: [(&str, &str, &str); 7] = [
    ("a.lab.test", "any", "front"),
    ("b.lab.test", "any", "front"),
    ("c.iso.lab.test", "wild", "front"),
    ("d.iso.lab.test", "wild", "front"),
    ("exact.iso.lab.test", "exact", "front"),
    ("s.lab.test", "web", "second"),
    ("t.lab.test", "web", "second"),
];

fn parts() -> Vec<Part> {
    let front: Vec<&str> = HOSTS.iter().filter(|host| host.2 == "front").map(|host| host.0).collect();
    let listeners = [
        http("any", 80, None),
        http("wild", 80, Some("*.iso.lab.test")),
        http("exact", 80, Some("exact.iso.lab.test")),
    ];
    let mut parts: Vec<Part> = vec![
        ("front.yaml".into(), gateway("front", &listeners), front),
        ("second.yaml".into(), gateway("second", &[http("web", 80, None)]), vec!["s.lab.test", "t.lab.test"]),
    ];
    for (host, section, gateway) in HOSTS {
        let name = host.replace('.', "-");
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "team"},
            "spec": {"ports": [{"name": "http", "port": 80}]}});
        parts.push((
            format!("{name}-route.yaml"),
            route_at(gateway, &name, section, &[host], &name),
            vec![host],
        ));
        parts.push((format!("{name}-service.yaml"), service.to_string(), vec![host]));
    }
    parts
}

/// A route of a Gateway, class, namespace and Service of its own, whose answer shows that a change has arrived.
fn marker(number: usize) -> String {
    let mut route: Value =
        serde_json::from_str(&route("marker", "web", &["m.marker.test"], "marker")).unwrap();
    route["spec"]["parentRefs"][0] = json!({"name": "marker", "namespace": "marker"});
    route["metadata"]["namespace"] = "marker".into();
    route["spec"]["rules"][0]["filters"] = json!([{"type": "URLRewrite",
        "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": format!("/{number}")}}}]);
    let mut gateway: Value = serde_json::from_str(&gateway("marker", &[http("web", 80, None)])).unwrap();
    gateway["metadata"]["namespace"] = "marker".into();
    gateway["spec"]["gatewayClassName"] = "marker".into();
    let class = CLASS.split("---").next().unwrap().replace("name: edge", "name: marker");
    let rest = "apiVersion: v1\nkind: Namespace\nmetadata: {name: marker}\n---\napiVersion: v1\nkind: Service\n\
                metadata: {name: marker, namespace: marker}\nspec: {ports: [{port: 80}]}\n";
    format!("{class}---\n{rest}---\n{route}\n---\n{gateway}\n")
}

#[test]
fn one_broken_object_changes_no_other_hosts_answer() {
    let Some(envoy) = envoy("e2e broken objects") else { return };
    let runs = if std::env::var_os("PORTOLAN_BAD_INPUT").is_some() { 300 } else { 12 };
    let (dir, parts) = (folder(&[http("any", 80, None)]), parts());
    for (file, text, _) in &parts {
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    std::fs::write(dir.path().join("marker.yaml"), marker(0)).unwrap();
    let instance = Instance::start(dir, envoy);
    let places: BTreeMap<&str, String> = HOSTS
        .iter()
        .map(|(host, ..)| (*host, format!("http://{}/", address(&instance.reach(host, "live")))))
        .collect();
    let marked = format!("http://{}/", address(&instance.reach("m.marker.test", "live")));
    let client =
        reqwest::blocking::Client::builder().timeout(std::time::Duration::from_secs(10)).build().unwrap();
    let answers = |host: &str| ask(&client, &places[host], host);
    let good: BTreeMap<&str, (u16, String)> = HOSTS.iter().map(|(host, ..)| (*host, answers(host))).collect();
    assert!(good.values().all(|answer| answer.0 == 200), "{good:?}");
    let arrived = |number: usize| {
        instance.write("marker.yaml", &marker(number));
        instance.wait(&format!("change {number} to arrive"), || {
            let answer = client.get(&marked).header("host", "m.marker.test").send().ok()?;
            let json: Value = answer.json().ok()?;
            (json["path"] == format!("/{number}")).then_some(())
        });
    };
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for run in 0..runs {
        // xorshift: the same sample on every machine
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let number = usize::try_from(random >> 1).unwrap();
        let (file, text, depends) = &parts[number % parts.len()];
        let all = mistakes(&serde_json::from_str(text).unwrap());
        let (what, bad) = &all[number / parts.len() % all.len()];
        instance.write(file, &bad.to_string());
        arrived(2 * run + 1);
        for (host, answer) in good.iter().filter(|(host, _)| !depends.contains(host)) {
            assert_eq!(answers(host), *answer, "run {run}: {host} while {file} has {what}");
        }
        instance.write(file, text);
        arrived(2 * run + 2);
        instance.wait(&format!("all to be whole after {file} had {what}"), || {
            good.iter().all(|(host, answer)| answers(host) == *answer).then_some(())
        });
    }
}
