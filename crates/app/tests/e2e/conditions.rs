//! Statuses on the objects, as `portolan get` and the TCP API show them.

use serde_json::Value;

use super::instance::{Instance, envoy, first_steps};

fn get(instance: &Instance, kind: &str, name: &str) -> Value {
    let output = instance.run(&["get", kind, name, "--output", "json"]);
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn condition<'a>(conditions: &'a Value, kind: &str) -> &'a Value {
    conditions.as_array().unwrap().iter().find(|c| c["type"] == kind).unwrap()
}

#[test]
fn objects_show_their_conditions_and_no_secret() {
    let Some(envoy) = envoy("e2e conditions") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.reach("app1.dev.example.com", "live");

    let gateway = get(&instance, "gateways", "gateway-system/shared");
    let programmed = condition(&gateway["status"]["conditions"], "Programmed");
    assert_eq!(programmed["status"], "True", "{gateway:#}");
    assert_eq!(programmed["observedGeneration"], gateway["metadata"]["generation"]);
    assert_eq!(gateway["status"]["addresses"][0]["type"], "IPAddress");
    let listener = gateway["status"]["listeners"]
        .as_array()
        .unwrap()
        .iter()
        .find(|l| l["name"] == "https")
        .unwrap()
        .clone();
    assert!(listener["attachedRoutes"].as_u64().unwrap() >= 2, "{listener:#}");
    let since = programmed["lastTransitionTime"].clone();

    let route = get(&instance, "httproute", "team-a/app1");
    let parent = &route["status"]["parents"][0];
    assert_eq!(parent["parentRef"]["name"], "shared");
    assert_eq!(condition(&parent["conditions"], "ResolvedRefs")["reason"], "ResolvedRefs");

    // A route that breaks says so, with the generation of the edit; the Gateway's time stays.
    instance.edit("team-a.yaml", "- name: app1-canary", "- name: nowhere");
    instance.wait("the route to show the missing backend", || {
        let route = get(&instance, "httproute", "team-a/app1");
        let resolved = condition(&route["status"]["parents"][0]["conditions"], "ResolvedRefs").clone();
        (resolved["reason"] == "BackendNotFound"
            && resolved["observedGeneration"] == route["metadata"]["generation"])
            .then_some(())
    });
    let gateway = get(&instance, "gateways", "gateway-system/shared");
    assert_eq!(condition(&gateway["status"]["conditions"], "Programmed")["lastTransitionTime"], since);
    assert_eq!(gateway["metadata"]["generation"], 1, "a status is no new generation");

    let table = instance.run(&["get", "HTTPRoutes"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("ResolvedRefs=False(BackendNotFound)"), "{table}");
    let missing = instance.run(&["get", "gateway", "a/b"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("does not exist"));

    // The TCP API gives the same, and of a Secret no value.
    let run = std::fs::read(instance.state.path().join("run.json")).unwrap();
    let run: Value = serde_json::from_slice(&run).unwrap();
    let url = format!("http://{}/v1/objects/secrets", run["api"].as_str().unwrap());
    let secrets = reqwest::blocking::get(&url).unwrap().text().unwrap();
    assert!(secrets.contains("[redacted ") && secrets.contains("tls.key"), "{secrets}");
    assert!(!secrets.contains("LS0tLS1CRUdJTi"), "no PEM in base64");
    assert_eq!(reqwest::blocking::Client::new().post(&url).send().unwrap().status(), 405);
}
