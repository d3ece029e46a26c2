//! A route from kubectl to an answer, and back to its status.

use crate::{
    place::{Backend, Place, answers, eventually, holds, parent},
    running::Running,
};

#[test]
fn a_route_is_served_edited_and_removed_and_its_status_is_written() {
    let Some(place) = Place::new("served") else { return };
    let (one, two) = (Backend::start("one"), Backend::start("two"));
    for backend in [&one, &two] {
        place.service(backend);
    }
    place.gateway();
    place.route("r", "app.example.com", "one");
    // Another controller has an entry of its own.
    let foreign = r#"{"status":{"parents":[{"parentRef":{"name":"other"},"controllerName":"other.example/controller","conditions":[
        {"type":"Accepted","status":"True","reason":"Accepted","message":"theirs","lastTransitionTime":"2026-11-30T10:00:00Z","observedGeneration":1}]}]}}"#;
    place
        .kubectl(&["patch", "httproute/r", "--subresource=status", "--type=merge", "-p", foreign], "")
        .unwrap();
    let mut portolan = Running::with_envoy(&place, &[]);
    eventually("it is ready", || portolan.is_ready().then_some(()));
    let address = place.address();
    assert!(place.network.starts_with(address.to_string().rsplit_once('.').unwrap().0), "{address}");
    answers(address, "app.example.com", 200, Some("one"));
    answers(address, "nobody.example.com", 404, None);
    let written = |what: &str| {
        eventually(what, || {
            let route = place.get("httproute/r")?;
            let ours = parent(&route, &place.controller())?;
            holds(&ours["conditions"], "Accepted", &route)?;
            holds(&ours["conditions"], "ResolvedRefs", &route)?;
            Some(route)
        })
    };
    let route = written("its status is written");
    let theirs = parent(&route, "other.example/controller").expect("the foreign entry stays");
    assert_eq!(theirs["conditions"][0]["message"], "theirs");
    let gateway = place.get("gateway/gw").unwrap();
    assert_eq!(gateway["status"]["listeners"][0]["attachedRoutes"], 1);
    let class = place.get(&format!("gatewayclass/{}", place.name)).unwrap();
    holds(&class["status"]["conditions"], "Accepted", &class).expect("the class is accepted");

    place.route("r", "app.example.com", "two");
    answers(address, "app.example.com", 200, Some("two"));
    let route = written("its status follows the edit");
    assert_eq!(route["metadata"]["generation"], 2);
    assert!(parent(&route, "other.example/controller").is_some(), "still");

    // Who takes our entry away finds it there again, and nobody else's is touched.
    let theirs = &foreign.replace("theirs", "theirs alone");
    place
        .kubectl(&["patch", "httproute/r", "--subresource=status", "--type=merge", "-p", theirs], "")
        .unwrap();
    let route = written("it is written again");
    let theirs = parent(&route, "other.example/controller").expect("the foreign entry stays");
    assert_eq!(theirs["conditions"][0]["message"], "theirs alone");

    // A Service that is not there is said in the status, and as an event on the route.
    place.route("r", "app.example.com", "missing");
    answers(address, "app.example.com", 500, None);
    eventually("the reference is said not to resolve", || {
        let route = place.get("httproute/r")?;
        let ours = parent(&route, &place.controller())?;
        let resolved = ours["conditions"].as_array()?.iter().find(|one| one["type"] == "ResolvedRefs")?;
        (resolved["status"] == "False" && resolved["reason"] == "BackendNotFound").then_some(())
    });
    eventually("there is an event", || {
        let events = place.kubectl(&["get", "events.events.k8s.io", "-o", "json"], "").ok()?;
        events.contains("PTL-0223").then_some(())
    });

    place.kubectl(&["delete", "httproute/r"], "").unwrap();
    answers(address, "app.example.com", 404, None);
    // It keeps its address over a restart, and what it did not write is as it was.
    portolan.stop();
    place.route("r", "app.example.com", "one");
    let _portolan = Running::with_envoy(&place, &[]);
    answers(address, "app.example.com", 200, Some("one"));
    assert_eq!(place.address(), address);
}

#[test]
fn who_only_observes_writes_nothing() {
    let Some(place) = Place::new("observed") else { return };
    let one = Backend::start("one");
    place.service(&one);
    place.gateway();
    place.route("r", "app.example.com", "one");
    let portolan =
        Running::with_envoy(&place, &["--capability", "gateway=observe", "--capability", "dns=act"]);
    eventually("it is ready", || portolan.is_ready().then_some(()));
    let status = portolan.status();
    let mode = |name: &str| {
        let all = status["capabilities"].as_array().into_iter().flatten();
        all.filter(|one| one["name"] == name).map(|one| one["mode"].clone()).next()
    };
    assert_eq!(mode("gateway"), Some("observe".into()), "{status}");
    assert_eq!(mode("dns"), Some("not built".into()), "{status}");
    assert_eq!(portolan.findings("PTL-0095").len(), 1, "who asks for what is not built is told");
    // It has decided: what it would say is there to be asked for.
    let hosts = status["entryPoints"].as_array().unwrap();
    assert!(hosts.iter().any(|host| host["hostname"] == "app.example.com"), "{status}");
    let leases = place.kubectl(&["get", "leases", "-o", "name"], "").unwrap();
    assert_eq!(leases.trim(), "", "no Lease either");
    for object in ["httproute/r", "gateway/gw"] {
        let object = place.get(object).unwrap();
        let managers = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        assert!(managers.iter().all(|one| one["manager"] != "portolan"), "{object}");
    }
}

#[test]
fn one_that_runs_beside_us_is_seen_and_we_stand_back() {
    let Some(place) = Place::alone("beside") else { return };
    place.gateway();
    // By its Lease: nothing else of Envoy Gateway is needed to see it.
    let held = |seconds_ago: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds_ago);
        format!(
            "{{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {{name: 5b9825d2.gateway.envoyproxy.io}}, \
             spec: {{holderIdentity: eg, leaseDurationSeconds: 15, renewTime: '{at:.6}'}}}}\n"
        )
    };
    place.apply(&held(0));
    let mut portolan = Running::with_envoy(&place, &[]);
    assert!(portolan.said("Envoy Gateway runs in the cluster"), "said in the log");
    eventually("it is ready", || portolan.is_ready().then_some(()));
    let found = portolan.findings("PTL-0095");
    assert!(found.len() == 1 && found[0]["message"].as_str().unwrap().contains("Lease beside/"), "{found:?}");
    portolan.stop();
    // What was left behind by one that is gone is nobody.
    place.apply(&held(86_400));
    let portolan = Running::with_envoy(&place, &[]);
    eventually("it leads", || portolan.leads().then_some(()));
    assert_eq!(portolan.findings("PTL-0095").len(), 0);
    place.kubectl(&["delete", "lease/5b9825d2.gateway.envoyproxy.io"], "").unwrap();
}
