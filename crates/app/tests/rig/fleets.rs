//! Envoys that are made for Gateways, and who may make them.

use std::{collections::BTreeSet, net::IpAddr, process::Command};

use serde_json::Value;

use crate::{
    place::{Backend, Place, answers, ask, eventually, holds},
    replicas::free,
    running::Running,
};

/// Kinds of what is made for a Gateway.
const MADE: [&str; 5] = ["deployment", "service", "serviceaccount", "configmap", "poddisruptionbudget"];

/// A replica that makes Envoys, which find it at the node's address.
fn start(place: &Place, kubeconfig: Option<&str>) -> Running {
    let at = format!("{}:{}", std::env::var("RIG_NODE_IP").unwrap(), free().port());
    Running::begin(place, &["--xds-listen", &at, "--xds-address", &at], kubeconfig)
}

/// The address of a ready Pod of a Gateway.
fn pod(place: &Place, gateway: &str) -> Option<IpAddr> {
    let label = format!("gateway.networking.k8s.io/gateway-name={gateway}");
    let pods = place.kubectl(&["get", "pods", "-l", &label, "-o", "json"], "").ok()?;
    let pods: Value = serde_json::from_str(&pods).ok()?;
    let ready = |pod: &&Value| {
        let conditions = pod["status"]["conditions"].as_array();
        let going = pod["metadata"].get("deletionTimestamp").is_some();
        !going
            && conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    pods["items"].as_array()?.iter().find(ready)?["status"]["podIP"].as_str()?.parse().ok()
}

/// What a cloud's load balancer does.
fn balance(place: &Place, service: &str, ip: &str) {
    let status = format!(r#"{{"status":{{"loadBalancer":{{"ingress":[{{"ip":"{ip}"}}]}}}}}}"#);
    let service = format!("service/{service}");
    eventually("the Service is there", || {
        place.kubectl(&["patch", &service, "--subresource=status", "--type=merge", "-p", &status], "").ok()
    });
}

fn condition(object: &Value, kind: &str) -> Option<Value> {
    object["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == kind).cloned()
}

#[test]
fn a_gateway_gets_envoys_and_an_address_and_all_of_it_goes_with_it() {
    let Some(place) = Place::new("fleet") else { return };
    let one = Backend::start("one");
    place.service(&one);
    place.gateway();
    place.route("r", "app.example.com", "one");
    let portolan = start(&place, None);
    let gateway = place.get("gateway/gw").unwrap();
    for kind in MADE {
        let object = eventually("it is made", || place.get(&format!("{kind}/gw")));
        let owner = &object["metadata"]["ownerReferences"][0];
        assert_eq!(
            (&owner["kind"], &owner["uid"]),
            (&"Gateway".into(), &gateway["metadata"]["uid"]),
            "{kind}"
        );
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/managed-by"], "portolan", "{kind}");
    }
    // Two Pods, each with a real Envoy that has shown its token; they are ready once they have been told all.
    let address = eventually("an Envoy is ready", || pod(&place, "gw"));
    answers(address, "app.example.com", 200, Some("one"));
    assert_eq!(ask(address, "nobody.example.com").map(|(status, _)| status), Some(404));
    eventually("both are connected", || portolan.metrics().contains("portolan_envoys 2").then_some(()));
    // No address yet: a load balancer is to come.
    let programmed =
        eventually("it says what is missing", || condition(&place.get("gateway/gw")?, "Programmed"));
    assert_eq!(
        (&programmed["status"], &programmed["reason"]),
        (&"False".into(), &"AddressNotAssigned".into())
    );
    balance(&place, "gw", "192.0.2.7");
    assert_eq!(place.address().to_string(), "192.0.2.7");
    // One that is lost is not withdrawn.
    let none = r#"{"status":{"loadBalancer":{"ingress":null}}}"#;
    place.kubectl(&["patch", "service/gw", "--subresource=status", "--type=merge", "-p", none], "").unwrap();
    place.route("r2", "more.example.com", "one");
    answers(address, "more.example.com", 200, Some("one"));
    let gateway = place.get("gateway/gw").unwrap();
    assert_eq!(gateway["status"]["addresses"][0]["value"], "192.0.2.7");
    holds(&gateway["status"]["conditions"], "Programmed", &gateway).expect("it stays programmed");
    // It goes, and what it owns is collected.
    place.kubectl(&["delete", "gateway/gw"], "").unwrap();
    for kind in MADE {
        eventually("it is gone", || place.get(&format!("{kind}/gw")).is_none().then_some(()));
    }
    assert!(place.get("service/one").is_some(), "nothing else goes");
}

#[test]
fn an_envoy_is_told_of_its_own_gateway_alone() {
    let Some(place) = Place::new("apart") else { return };
    let (one, two) = (Backend::start("one"), Backend::start("two"));
    for backend in [&one, &two] {
        place.service(backend);
    }
    place.gateway();
    place.apply(&format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: other}}, spec: {{gatewayClassName: {}, \
         listeners: [{{name: http, port: 80, protocol: HTTP}}, {{name: more, port: 8081, protocol: HTTP}}]}}}}\n---\n\
         {{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: theirs}}, spec: {{parentRefs: [{{name: other}}], \
         hostnames: [theirs.example.com], rules: [{{backendRefs: [{{name: two, port: 80}}]}}]}}}}\n",
        place.name
    ));
    place.route("r", "app.example.com", "one");
    let _portolan = start(&place, None);
    let (ours, theirs) =
        (eventually("ours", || pod(&place, "gw")), eventually("theirs", || pod(&place, "other")));
    answers(ours, "app.example.com", 200, Some("one"));
    answers(theirs, "theirs.example.com", 200, Some("two"));
    answers(ours, "theirs.example.com", 404, None);
    answers(theirs, "app.example.com", 404, None);
    assert!(std::net::TcpStream::connect((ours, 8081)).is_err(), "a port of the other Gateway");
    // What they count names what they have.
    let numbers = |at: IpAddr| {
        reqwest::blocking::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .get(format!("http://{at}:19001/stats/prometheus"))
            .send()
            .unwrap()
            .text()
            .unwrap()
    };
    assert!(!numbers(ours).is_empty());
}

#[test]
fn what_somebody_else_has_made_is_not_touched() {
    let Some(place) = Place::new("taken") else { return };
    place.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: gw}, data: {theirs: 'yes'}}\n");
    place.gateway();
    let portolan = start(&place, None);
    let said = eventually("the Gateway says so", || {
        let programmed = condition(&place.get("gateway/gw")?, "Programmed")?;
        programmed["message"].as_str().filter(|text| text.contains("ConfigMap")).map(ToOwned::to_owned)
    });
    assert!(said.contains("somebody else's"), "{said}");
    assert_eq!(portolan.findings("PTL-0272").len(), 1);
    let theirs = place.kubectl(&["get", "configmap/gw", "-o", "json", "--show-managed-fields"], "").unwrap();
    let theirs: Value = serde_json::from_str(&theirs).unwrap();
    assert_eq!(theirs["data"], serde_json::json!({"theirs": "yes"}));
    let managers = theirs["metadata"]["managedFields"].as_array().unwrap();
    assert!(managers.iter().all(|one| one["manager"] != "portolan"), "{theirs}");
    // Once it is out of the way everything is made.
    place.kubectl(&["delete", "configmap/gw"], "").unwrap();
    eventually("an Envoy is ready", || pod(&place, "gw"));
    eventually("nothing is found", || portolan.findings("PTL-0272").is_empty().then_some(()));
}

/// Under exactly the rights that are generated: what is asked for is granted, and what is granted is asked for.
#[test]
fn rights_are_enough_and_none_is_unused() {
    let Some(place) = Place::alone("rights") else { return };
    let name = place.name;
    let applied = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(["crds", "apply", "--only", "envoy-gateway"])
        .status();
    assert!(applied.unwrap().success());
    let printed = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(["rbac", "--name", name, "--namespace", name, "--account", "portolan"])
        .output()
        .unwrap();
    assert!(printed.status.success());
    place.apply(&String::from_utf8(printed.stdout).unwrap());
    place.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: portolan}}\n");
    crate::certificates::definitions();
    place.apply(
        "{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: own}, spec: {selfSigned: {}}}\n",
    );
    let dir = tempfile::tempdir().unwrap();
    let minted = Command::new(std::env::var("RIG").unwrap())
        .args(["mint", "--service-account", &format!("{name}/portolan")])
        .output()
        .unwrap();
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, minted.stdout).unwrap();
    let one = Backend::start("one");
    place.service(&one);
    place.apply(&format!(
        "{{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: EnvoyProxy, metadata: {{name: asked}}, \
         spec: {{provider: {{type: Kubernetes, kubernetes: {{envoyHpa: {{maxReplicas: 3}}}}}}}}}}\n---\n\
         {{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: gw, annotations: {{cert-manager.io/issuer: own}}}}, \
         spec: {{gatewayClassName: {name}, infrastructure: {{parametersRef: {{group: gateway.envoyproxy.io, kind: EnvoyProxy, name: asked}}}}, \
         listeners: [{{name: http, port: 80, protocol: HTTP}}, {{name: https, port: 443, protocol: HTTPS, hostname: app.example.com, \
         tls: {{certificateRefs: [{{name: app-tls}}]}}}}]}}}}\n"
    ));
    place.route("r", "app.example.com", "one");
    let at = format!("{}:{}", std::env::var("RIG_NODE_IP").unwrap(), free().port());
    let certificates = ["--capability", "certificates=act", "--cluster-resource-namespace", name];
    let arguments = [&["--xds-listen", &*at, "--xds-address", &at], &certificates[..]].concat();
    let mut portolan = Running::begin(&place, &arguments, kubeconfig.to_str());
    let address = eventually("an Envoy is ready", || pod(&place, "gw"));
    answers(address, "app.example.com", 200, Some("one"));
    balance(&place, "gw", "192.0.2.9");
    place.address();
    for made in ["certificate/app-tls", "certificaterequest/app-tls-1"] {
        crate::certificates::done(&place, made);
    }
    place.kubectl(&["annotate", "gateway/gw", "cert-manager.io/issuer-"], "").unwrap();
    eventually("what nobody asks for any more goes", || {
        place.get("certificate/app-tls").is_none().then_some(())
    });
    eventually("there is an autoscaler", || place.get("horizontalpodautoscaler/gw"));
    // A reference that resolves to nothing is an event; twice makes a series.
    place.route("r", "app.example.com", "missing");
    eventually("there is an event", || {
        let events = place.kubectl(&["get", "events.events.k8s.io", "-o", "json"], "").ok()?;
        events.contains("PTL-0223").then_some(())
    });
    portolan.stop();

    let log = std::path::Path::new(&std::env::var("RIG_DIR").unwrap()).join("audit.log");
    let log = std::fs::read_to_string(log).unwrap();
    let user = format!("system:serviceaccount:{name}:portolan");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut used: BTreeSet<(String, String, String)> = BTreeSet::new();
    let mut refused = BTreeSet::new();
    for line in lines.filter(|line| line["user"]["username"] == *user) {
        let object = &line["objectRef"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let resource = match text(&object["subresource"]) {
            part if part.is_empty() => text(&object["resource"]),
            part => format!("{}/{part}", text(&object["resource"])),
        };
        let what = (text(&object["apiGroup"]), resource, text(&line["verb"]));
        if line["annotations"]["authorization.k8s.io/decision"] == "forbid" {
            refused.insert((what.clone(), text(&line["requestURI"])));
        }
        used.insert(what);
    }
    assert!(refused.is_empty(), "refused: {refused:?}");
    let objects =
        place.kubectl(&["get", &format!("clusterrole/{name}"), &format!("role/{name}"), "-o", "json"], "");
    let objects: Value = serde_json::from_str(&objects.unwrap()).unwrap();
    let mut granted = BTreeSet::new();
    for rule in objects["items"].as_array().unwrap().iter().flat_map(|role| role["rules"].as_array().unwrap())
    {
        let all = |field: &str| -> Vec<String> {
            rule[field].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        for group in all("apiGroups") {
            for resource in all("resources") {
                for verb in all("verbs") {
                    granted.insert((group.clone(), resource.clone(), verb));
                }
            }
        }
    }
    // Used only in moments that this test does not bring about.
    let seldom = |(group, resource, verb): &(String, String, String)| {
        let (group, resource, verb) = (&**group, &**resource, &**verb);
        match verb {
            // One object of a kind is asked for where it is written, or read on demand: no authority is named here (`configmaps`).
            "get" => {
                let kinds = [
                    "namespaces",
                    "gatewayclasses",
                    "grpcroutes",
                    "tlsroutes",
                    "tcproutes",
                    "udproutes",
                    "referencegrants",
                    "backendtlspolicies",
                ];
                let groups = [
                    "gateway.envoyproxy.io",
                    "discovery.k8s.io",
                    "gateway.networking.k8s.io",
                    "apiextensions.k8s.io",
                    "cert-manager.io",
                    "acme.cert-manager.io",
                ];
                kinds.contains(&resource)
                    || groups.contains(&group)
                    || (group.is_empty() && ["services", "configmaps"].contains(&resource))
            }
            // What server-side apply makes is asked for as a patch, and allowed as a create too.
            "create" => [
                "configmaps",
                "serviceaccounts",
                "services",
                "deployments",
                "horizontalpodautoscalers",
                "poddisruptionbudgets",
                // Of ACME issuers, which are tested elsewhere, as is what is deleted of them.
                "certificates",
                "certificaterequests",
                "orders",
                "challenges",
                "secrets",
            ]
            .contains(&resource),
            // What is not wanted any more.
            "delete" => {
                let gone = ["services", "horizontalpodautoscalers", "secrets", "certificaterequests"];
                gone.contains(&resource) || group == "acme.cert-manager.io"
            }
            // An event that repeats; kinds without an object here.
            "patch" => {
                let kinds = [
                    "grpcroutes",
                    "tlsroutes",
                    "tcproutes",
                    "udproutes",
                    "backendtlspolicies",
                    "listenersets",
                ];
                let issued = group == "acme.cert-manager.io" || resource == "clusterissuers/status";
                issued
                    || group == "events.k8s.io"
                    || kinds.iter().any(|kind| resource == format!("{kind}/status"))
            }
            // The CA when it is renewed.
            "update" => (group, resource) == ("", "secrets"),
            // Kinds that the definitions of this test leave out.
            "list" | "watch" => ["tlsroutes", "tcproutes", "udproutes"].contains(&resource),
            _ => false,
        }
    };
    let unused: Vec<_> = granted.difference(&used).filter(|right| !seldom(right)).collect();
    assert!(unused.is_empty(), "granted and not used: {unused:?}");
    let more: Vec<_> = used.iter().filter(|right| !right.1.is_empty() && !granted.contains(*right)).collect();
    // What everybody may ask: which versions and kinds there are.
    assert!(more.is_empty(), "used by a right of somebody else: {more:?}");
}
