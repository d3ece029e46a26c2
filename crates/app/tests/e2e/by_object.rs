//! What an object yields goes with it and with nothing else: other groups' kinds of the same name, and labels that change.

use super::{
    backends::{Backend, ask, folder, real, route, service, slice, to},
    instance::{Instance, envoy},
};

/// Case review/remove-by-kind: objects of another group with the names of the core Service, the Gateway and the route.
#[test]
fn removing_another_groups_kind_of_the_same_name_takes_nothing_away() {
    let Some(envoy) = envoy("e2e namesakes") else { return };
    let backend = Backend::loopback();
    let dir = folder(&(real("web", &backend) + &route("web", &to("web", 80))));
    let other = |version: &str, kind: &str, namespace: &str, name: &str| {
        format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{}}\n"
        )
    };
    let namesakes = [
        other("serving.knative.dev/v1", "Service", "team", "web"),
        other("networking.istio.io/v1", "Gateway", "gw", "front"),
        other("example.dev/v1", "HTTPRoute", "team", "web"),
        other("example.dev/v1", "EndpointSlice", "team", "web-1"),
    ];
    let file = dir.path().join("other-group.yaml");
    std::fs::write(&file, namesakes.join("---\n")).unwrap();
    let instance = Instance::start(dir, envoy);
    let entry = instance.reach("web.lab.test", "live");
    let shown = |kind: &str| {
        let output = instance.run(&["get", kind, "team/web", "--output", "json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        json["apiVersion"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(shown("service"), "v1");
    assert_eq!(shown("services.serving.knative.dev"), "serving.knative.dev/v1");

    std::fs::remove_file(&file).unwrap();
    instance
        .wait("the Knative Service to go", || shown("services.serving.knative.dev").is_empty().then_some(()));
    // A change after it has gone all the way, so the removal has too.
    let more = service("late", "[{port: 80}]", "") + &route("late", &to("late", 80));
    std::fs::write(instance.dir.path().join("late.yaml"), more.trim_start_matches("---\n")).unwrap();
    instance.reach("late.lab.test", "live");
    assert_eq!(shown("service"), "v1");
    let answer = ask(&entry, "web.lab.test", "/", &[]);
    assert_eq!((answer.status, &*answer.body), (200, "backend"));
    instance.reach("web.lab.test", "live");
}

/// The slice keeps its name and changes the Service that it is of: the old one loses its endpoints at once.
#[test]
fn a_slice_whose_label_changes_serves_its_new_service_alone() {
    let Some(envoy) = envoy("e2e slice label") else { return };
    let backend = Backend::loopback();
    let ports = format!("[{{name: http, port: {}, protocol: TCP}}]", backend.address.port());
    let named = |name: &str| service(name, "[{name: http, port: 80}]", "") + &route(name, &to(name, 80));
    let dir = folder(&(named("before") + &named("after")));
    let of = |label: &str| {
        let text = slice("before", &ports, "[{addresses: [127.0.0.1]}]", "IPv4");
        let label = format!("kubernetes.io/service-name: {label}}}");
        text.replace("kubernetes.io/service-name: before}", &label).trim_start_matches("---\n").to_owned()
    };
    let file = dir.path().join("slice.yaml");
    std::fs::write(&file, of("before")).unwrap();
    let instance = Instance::start(dir, envoy);
    let entry = instance.reach("before.lab.test", "live");
    instance.reach("after.lab.test", "live");
    let body = |name: &str| ask(&entry, &format!("{name}.lab.test"), "/", &[]).body;
    let wait = |name: &str, backend: bool| {
        let what = format!("{name} to be served by {}", if backend { "the backend" } else { "the stand-in" });
        instance.wait(&what, || ((body(name) == "backend") == backend).then_some(()));
    };
    wait("before", true);
    wait("after", false);
    std::fs::write(&file, of("after")).unwrap();
    wait("after", true);
    wait("before", false);
    std::fs::write(&file, of("before").replace("kubernetes.io/service-name", "other")).unwrap();
    wait("after", false);
}
