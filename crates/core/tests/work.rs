//! One change does the same work however many hosts there are, in the real rules: the runs are counted, not timed.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use portolan_core::{
    World, engine,
    gateway::rows::{
        Cluster, GatewayAddress, Hold, VirtualHost, WireKey, WirePending, WireType, virtual_host_name,
    },
    simulate,
    status::rows::{EntryPoint, Probe, State},
    world,
};
use portolan_engine::{Changes, Engine};
use portolan_model::{
    Instant, Name, NamespacedName, Object, Origin,
    input::{Maker, Secret, TlsPair},
    intake::intake,
    yaml,
};

const NOW: i64 = 1_790_000_000_000;

const BASE: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: c}
spec: {controllerName: portolan.dev/gateway-controller}
---
apiVersion: v1
kind: Namespace
metadata: {name: infra, labels: {}}
---
apiVersion: v1
kind: Namespace
metadata: {name: team, labels: {team: a}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: infra}
spec:
  gatewayClassName: c
  listeners:
    - {name: http, protocol: HTTP, port: 80, allowedRoutes: {namespaces: {from: All}}}
    - name: https
      protocol: HTTPS
      port: 443
      hostname: "*.example.com"
      tls: {certificateRefs: [{name: tls}]}
      allowedRoutes: {namespaces: {from: All}}
"#;

struct Edge(Engine<World>);

impl Edge {
    fn put(&mut self, text: &str) {
        let (documents, errors) = yaml::load(text);
        assert_eq!(errors, []);
        for document in documents {
            let object = Object::from_json(document.json, Origin::default()).unwrap();
            world::put(&mut self.0, &object.key, intake(&object));
        }
    }

    fn step(&mut self) -> Changes {
        let changes = self.0.step(NOW);
        assert!(changes.errors.is_empty() && changes.conflicts.is_empty() && changes.held.is_empty());
        changes
    }

    fn address(&mut self, address: &str) {
        let key = NamespacedName::new("infra", "edge");
        let ports = BTreeMap::from([(80, 8080), (443, 8443), (8088, 8088)]);
        self.0.put(GatewayAddress { key, address: address.into(), ports, loopback: true });
    }

    /// `hosts` routes with a Service each on one Gateway, acknowledged and probed.
    fn new(hosts: usize) -> Self {
        let mut edge = Self(engine());
        edge.put(BASE);
        edge.0.put(secret(1));
        for number in 0..hosts {
            edge.put(&service(number, 80));
            edge.put(&route(number, "a"));
        }
        edge.step();
        edge.address("127.77.0.1");
        edge.step();
        simulate::accept(&mut edge.0, |_| None);
        edge.step();
        for number in 0..hosts {
            edge.0.put(Probe { key: host(number), state: Ok(200) });
        }
        edge.step();
        let entry = edge.0.get::<EntryPoint>(&host(7)).unwrap();
        assert_eq!(entry.state, State::Live, "{entry:?}");
        edge
    }
}

fn host(number: usize) -> Name {
    format!("app-{number}.example.com").into()
}

fn virtual_host(edge: &Edge, number: usize) -> WireKey {
    let row = edge.0.rows::<VirtualHost>().find(|row| row.key.1 == host(number)).unwrap();
    WireKey { r#type: WireType::VirtualHost, name: virtual_host_name(&row.key.0, &row.key.1) }
}

fn service(number: usize, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: app-{number}, namespace: team}}\nspec: {{ports: [{{port: {port}}}]}}\n"
    )
}

fn route(number: usize, header: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: app-{number}, namespace: team}}\n\
         spec:\n  parentRefs: [{{name: edge, namespace: infra}}]\n  hostnames: [{}]\n  rules:\n\
         \x20   - backendRefs: [{{name: app-{number}, port: 80}}]\n      filters:\n\
         \x20       - {{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x, value: {header}}}]}}}}\n",
        host(number)
    )
}

fn secret(version: u8) -> Secret {
    let pair = TlsPair {
        dns_names: vec!["*.example.com".into()],
        common_name: String::new(),
        not_before: Instant(NOW - 1_000_000),
        not_after: Instant(NOW + 8_000_000_000),
        serial: format!("{version:02x}"),
        issuer: "CA".into(),
        public_key: String::new(),
        fingerprint: version.to_string(),
        key_matches: true,
        is_ca: false,
        key: Name::default(),
        ..TlsPair::default()
    };
    Secret {
        key: NamespacedName::new("infra", "tls"),
        r#type: "kubernetes.io/tls".into(),
        data: BTreeMap::new(),
        annotations: BTreeMap::new(),
        labels: BTreeMap::new(),
        maker: Maker::default(),
        tls: Some(Ok(pair)),
    }
}

type Change<'a> = (&'static str, &'a dyn Fn(&mut Edge, usize));

/// Plays changes one after the other, each a step.
fn play(hosts: usize, changes: &[Change<'_>]) -> Vec<Changes> {
    let mut edge = Edge::new(hosts);
    let mut step = |change: &dyn Fn(&mut Edge, usize)| {
        change(&mut edge, hosts);
        edge.step()
    };
    changes.iter().map(|(_, change)| step(change)).collect()
}

#[test]
fn one_change_does_the_same_work_at_20_and_at_300_hosts() {
    let changes: [Change<'_>; 10] = [
        ("probe", &|e, _| e.0.put(Probe { key: host(7), state: Ok(503) })),
        ("route: filter", &|e, _| e.put(&route(7, "b"))),
        ("route: the same again", &|e, _| e.put(&route(7, "b"))),
        ("virtual host under way", &|e, _| {
            let key = virtual_host(e, 7);
            e.0.put(WirePending { key, hold: Hold::Sent });
        }),
        ("virtual host in force", &|e, _| {
            let key = virtual_host(e, 7);
            e.0.remove::<WirePending>(&key);
        }),
        ("route new", &|e, hosts| e.put(&route(hosts, "a"))),
        ("Service of it", &|e, hosts| e.put(&service(hosts, 80))),
        ("Service: port gone", &|e, _| e.put(&service(7, 81))),
        ("Secret rotated", &|e, _| e.0.put(secret(2))),
        ("Namespace: label", &|e, _| {
            e.put("apiVersion: v1\nkind: Namespace\nmetadata: {name: infra, labels: {x: y}}\n");
        }),
    ];
    let (small, large) = (play(20, &changes), play(300, &changes));
    for (((what, _), small), large) in changes.iter().zip(small).zip(large) {
        assert_eq!(small.work, large.work, "{what}");
        assert!(large.runs() < 30, "{what}: {:?}", large.work);
        assert_eq!(large.runs() == 0, *what == "route: the same again", "{what} does something");
    }
}

/// 625 routes of one namespace for one host, 16 rules each (the most that a route may have), none of which can be served.
fn bad_tenant(edge: &mut Edge) {
    for number in 0..625 {
        let rules: Vec<String> = (0..16)
            .map(|rule| {
                let path = format!("{{path: {{type: PathPrefix, value: /{number}/{rule}}}}}");
                let bad = [
                    "backendRefs: [{name: nobody, port: 80}]",
                    "backendRefs: [{name: app-0, port: 9}]",
                    "filters: [{type: Unknown}]",
                    "backendRefs: [{name: app-0, namespace: infra, port: 80}]",
                ];
                format!("    - matches: [{path}]\n      {}\n", bad[rule % bad.len()])
            })
            .collect();
        edge.put(&format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: bad-{number}, namespace: team}}\n\
             spec:\n  parentRefs: [{{name: edge, namespace: infra}}]\n  hostnames: [tenant.example.com]\n  rules:\n{}",
            rules.concat()
        ));
    }
    edge.step();
}

/// What others pay for a tenant with 10,000 rules that cannot be served: nothing, neither in runs nor in what is sent.
#[test]
fn one_tenant_with_10_000_bad_rules_costs_the_others_nothing() {
    const HOSTS: usize = 20;
    let (mut alone, mut beside) = (Edge::new(HOSTS), Edge::new(HOSTS));
    bad_tenant(&mut beside);
    let entries = |edge: &Edge| edge.0.rows::<VirtualHost>().map(|host| host.entries.len()).sum::<usize>();
    assert!(entries(&beside) >= entries(&alone) + 10_000, "the tenant is there: {}", entries(&beside));
    let changes: [Change<'_>; 5] = [
        ("probe", &|e, _| e.0.put(Probe { key: host(7), state: Ok(503) })),
        ("route: filter", &|e, _| e.put(&route(7, "b"))),
        ("route new", &|e, hosts| e.put(&route(hosts, "a"))),
        ("Service of it", &|e, hosts| e.put(&service(hosts, 80))),
        ("Service: port gone", &|e, _| e.put(&service(7, 81))),
    ];
    for (what, change) in changes {
        let [alone, beside] = [&mut alone, &mut beside].map(|edge| {
            change(edge, HOSTS);
            edge.step()
        });
        assert_eq!(alone.work, beside.work, "{what}");
        let sent = |done: &Changes| {
            let hosts = done.of::<VirtualHost>().iter().map(|change| format!("{:?}", change.after));
            hosts
                .chain(done.of::<Cluster>().iter().map(|change| format!("{:?}", change.after)))
                .collect::<Vec<_>>()
        };
        assert_eq!(sent(&alone), sent(&beside), "{what}");
    }
}

/// A listener that comes or goes changes its own route table; of others on its port at most the row with its own name.
#[test]
fn a_listener_changes_its_own_table() {
    let listener =
        |text: &str| BASE.replace("    - name: https\n", &format!("    - {text}\n    - name: https\n"));
    let from = "allowedRoutes: {namespaces: {from: All}}";
    let plain = listener(&format!("{{name: third, protocol: HTTP, port: 8088, {from}}}"));
    let secure = listener(&format!(
        "{{name: third, protocol: HTTPS, port: 443, hostname: closed.example.com, tls: {{certificateRefs: [{{name: tls}}]}}, {from}}}"
    ));
    let all: [Change<'_>; 4] = [
        ("plain", &|e, _| e.put(&plain)),
        ("plain gone", &|e, _| e.put(BASE)),
        ("secure", &|e, _| e.put(&secure)),
        ("secure gone", &|e, _| e.put(BASE)),
    ];
    for ((what, _), done) in all.iter().zip(play(50, &all)) {
        let keys: Vec<_> = done.of::<VirtualHost>().iter().map(|change| change.key.clone()).collect();
        let own = if what.starts_with("plain") { "rc/infra/edge/8088" } else { "rc/infra/edge/443/third" };
        let others: Vec<_> = keys.iter().filter(|(table, _)| **table != *own).collect();
        assert!(keys.len() > others.len(), "{what}: {keys:?}");
        let expected = if what.starts_with("plain") { vec![] } else { vec!["closed.example.com"] };
        assert_eq!(others.iter().map(|(_, host)| &**host).collect::<Vec<_>>(), expected, "{what}");
    }
}

/// Rules that must look at each route or host when a listener comes or goes, and mostly find that nothing follows: the
/// listener takes the route, so it has to be weighed. Rows for each route and listener would end it (design/engine.md §4.3).
const MUST_LOOK: [&str; 3] = ["contenders", "unenforced", "entry_points"];

/// A change that many hosts follow runs what really changes: thousands of runs that come out equal are a row that is too
/// wide (design/engine.md §4.3).
#[test]
fn fan_outs_change_what_they_run() {
    const HOSTS: usize = 300;
    let changes: [Change<'_>; 4] = [
        ("address", &|e, _| e.address("127.77.0.2")),
        ("listener added", &|e, _| {
            e.put(&BASE.replace("    - name: https\n", "    - {name: third, protocol: HTTP, port: 8088, allowedRoutes: {namespaces: {from: All}}}\n    - name: https\n"));
        }),
        ("listener removed", &|e, _| e.put(BASE)),
        ("Secret lost", &|e, _| e.0.remove::<Secret>(&NamespacedName::new("infra", "tls"))),
    ];
    let mut wide = Vec::new();
    for ((what, _), done) in changes.iter().zip(play(HOSTS, &changes)) {
        println!("{what}: {} runs {:?}, equal {:?}", done.runs(), done.work, done.equal);
        let equal = done.equal.iter().filter(|(_, runs)| *runs >= HOSTS / 2);
        let equal = equal.filter(|(rule, _)| !(what.starts_with("listener") && MUST_LOOK.contains(rule)));
        wide.extend(equal.map(|(rule, runs)| format!("{what}: {runs} runs of {rule} changed nothing")));
    }
    assert!(wide.is_empty(), "{wide:#?}");
}
