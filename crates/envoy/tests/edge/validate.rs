//! Everything that is encoded is loaded by a real Envoy.

use portolan_core::gateway::rows::{Carries, Cluster, Endpoints, FilterChain, VirtualHost, WeightedCluster};
use portolan_envoy::{bootstrap::bootstrap as start_configuration, encode};
use portolan_model::{
    NamespacedName,
    input::{Filter, HeaderChange, PathChange, PathMatch, Traffic, ValueMatch},
};

use super::{
    harness::{TABLE, bootstrap, inline, scopes, validate, with_control_plane},
    hosts::{entry, host, listener},
};

fn loads(bootstrap: &envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap) {
    if let Some(output) = validate(bootstrap) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

/// Routes with all that a rule can say.
fn everything() -> VirtualHost {
    let change = HeaderChange {
        set: vec![("x-set".into(), "100% %REQ(x)%".into())],
        add: vec![("x-add".into(), "b".into())],
        remove: vec!["x-gone".into()],
    };
    let mut rule = entry(PathMatch::Prefix("/a".into()), "/");
    rule.filters = vec![
        Filter::RequestHeaders(change.clone()),
        Filter::ResponseHeaders(change),
        Filter::Rewrite { hostname: Some("other.test".into()), path: Some(PathChange::Prefix("/b".into())) },
    ];
    rule.clusters = ["one", "two"].map(|name| WeightedCluster::new(name.into(), 3)).to_vec();
    rule.invalid_weight = 1;
    rule.mirrors = vec![("one".into(), 250_000)];
    let traffic = Traffic { request_timeout: Some(1_500), ..Default::default() };
    rule.traffic = Some(std::sync::Arc::new(traffic));
    rule.r#match.method = Some("GET".into());
    let value = |regex| ValueMatch { name: "x".into(), value: "a.*".into(), regex };
    rule.r#match.headers = vec![value(true), value(false)];
    rule.r#match.query = vec![value(true), value(false)];
    let mut closed = rule.clone();
    closed.filters = vec![Filter::Unsupported("Cors".into())];
    let redirect = entry(PathMatch::Regex("/r/[a-z]+".into()), "/to");
    host("all.test", vec![rule, closed, redirect])
}

#[test]
fn listeners_routes_clusters_and_endpoints_are_loaded() {
    let many = (0..300).map(|n| entry(PathMatch::Exact(format!("/p/{n}").into()), "/x")).collect();
    let hosts = [everything(), host("many.test", many), host("*.test", vec![]), host("*", vec![])];
    let clusters = ["one", "two"].map(|name| {
        let cluster = Cluster {
            key: name.into(),
            service: NamespacedName::new("ns", name),
            port: 80,
            http2: name == "two",
            tls: None,
            carries: Carries::Requests,
            blend: None,
        };
        let addresses = vec![("127.0.0.1".into(), 80), ("::1".into(), 81)];
        let service = NamespacedName::new("ns", name);
        let endpoints =
            Endpoints { key: name.into(), service, addresses, stand_in: None, tls: false, blend: None };
        (encode::cluster(&cluster), endpoints)
    });
    let closed = hosts.each_ref().map(|host| encode::closed(host, 503));
    let scope = encode::scope(TABLE, 0, closed.iter());
    loads(&bootstrap(vec![inline(&listener(10_080), &[scope])], clusters.to_vec()));
    loads(&bootstrap(vec![inline(&listener(10_080), &scopes(TABLE, &hosts))], clusters.to_vec()));
}

/// Listeners as they are sent, whose scopes and certificates come from the control plane.
#[test]
fn listeners_that_take_all_from_the_control_plane_are_loaded() {
    let mut tls = listener(10_443);
    tls.name = "gw/ns/front/443".into();
    tls.chains = ["a.test", "*.b.test"]
        .map(|name| FilterChain {
            server_names: vec![name.into()],
            secrets: Some(vec![format!("secret/ns/{name}").into()]),
            clients: None,
            routes: format!("gw/ns/front/443/{name}").into(),
            stream: None,
        })
        .to_vec();
    let listeners = [listener(10_080), tls].map(|row| encode::listener(&row));
    loads(&with_control_plane(bootstrap(listeners.to_vec(), vec![])));
}

#[test]
fn the_start_configuration_is_loaded() {
    let Some(program) = portolan_testkit::program("envoy") else {
        portolan_testkit::skip("envoy: start configuration", "no envoy in .tools/bin or PATH");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("start.json");
    let start = start_configuration(&folder.path().join("xds"), &folder.path().join("admin"));
    std::fs::write(&file, start.to_string()).unwrap();
    let mut run = std::process::Command::new(program);
    run.arg("-c").arg(&file).args(["--service-node", "node", "--service-cluster", "portolan"]);
    let run = run.args(["--mode", "validate", "--log-level", "error"]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
