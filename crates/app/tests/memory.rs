//! What one host takes in memory, by part, counted by the allocator. A process of its own, with one test: nothing else
//! allocates. `cargo test -p portolan --test memory -- --nocapture` prints the table.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::disallowed_macros, missing_docs)]

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    hint::black_box,
};

use portolan_core::{
    World, dns, engine,
    gateway::rows::{self, GatewayAddress},
    policy::rows as policy,
    simulate,
    status::rows::{EntryPoint, HostClaim, Probe, State},
    world,
};
use portolan_effects::store::{Store, Write};
use portolan_engine::{Engine, Row};
use portolan_model::{
    Instant, Lines, Name, NamespacedName, Object, Origin, Source,
    dns::{RecordSet, RecordType},
    input::{self, Maker, Secret, TlsPair},
    intake::intake,
    yaml,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const HOSTS: usize = 2000;
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
    - name: https
      protocol: HTTPS
      port: 443
      hostname: "*.example.com"
      tls: {certificateRefs: [{name: tls}]}
      allowedRoutes: {namespaces: {from: All}}
"#;

fn in_use() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// What `make` allocates and keeps, in bytes for each host.
fn bytes<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let before = in_use();
    let made = black_box(make());
    (made, in_use().saturating_sub(before) / HOSTS)
}

/// The rows of a table for themselves, shared parts left out, and how many there are for each host.
fn table<R: Row + Clone>(engine: &Engine<World>, lines: &mut Vec<(&'static str, usize, usize)>)
where
    World: portolan_engine::Has<R>,
{
    let (rows, size) = bytes(|| engine.rows::<R>().map(|row| Box::new((**row).clone())).collect::<Vec<_>>());
    let pointers = rows.capacity() * size_of::<usize>() / HOSTS;
    lines.push((R::NAME, rows.len(), size.saturating_sub(pointers)));
}

fn host(number: usize) -> Name {
    format!("app-{number}.example.com").into()
}

fn text() -> String {
    let mut text = String::new();
    for n in 0..HOSTS {
        write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}, namespace: team}}\nspec:\n  ports:\n    - port: 80\n\
             ---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: h{n}, namespace: team}}\nspec:\n  \
             parentRefs:\n    - name: edge\n      namespace: infra\n      sectionName: https\n  hostnames:\n    - {}\n  \
             rules:\n    - filters:\n        - type: ResponseHeaderModifier\n          responseHeaderModifier:\n            \
             set: [{{name: x-edit, value: \"1\"}}]\n      backendRefs:\n        - name: s{n}\n          port: 80\n",
            host(n)
        )
        .unwrap();
    }
    text
}

fn objects(text: &str) -> Vec<Object> {
    let (documents, errors) = yaml::load(text);
    assert_eq!(errors, []);
    // One map of lines for all documents of one layout, as when files are read.
    let mut maps = HashSet::new();
    let mut share = |lines: Lines| {
        maps.insert(lines.clone());
        maps.get(&lines).cloned().unwrap_or(lines)
    };
    let object = |document: yaml::Document| {
        let source = Some(Source { file: "hosts.yaml".into(), line: document.line });
        let lines = share(document.lines.counted_from(document.line));
        let origin = Origin { source, lines, ..Origin::default() };
        Object::from_json(document.json, origin).unwrap()
    };
    documents.into_iter().map(object).collect()
}

fn secret() -> Secret {
    let pair = TlsPair {
        dns_names: vec!["*.example.com".into()],
        common_name: String::new(),
        not_before: Instant(NOW - 1_000_000),
        not_after: Instant(NOW + 8_000_000_000),
        serial: "01".into(),
        issuer: "CA".into(),
        public_key: String::new(),
        fingerprint: "1".into(),
        key_matches: true,
        is_ca: false,
        key: Name::default(),
        subject_key_id: Name::default(),
        authority_key_id: Name::default(),
        authority: None,
        temporary: false,
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

fn step(engine: &mut Engine<World>) {
    let changes = engine.step(NOW);
    assert!(changes.errors.is_empty() && changes.conflicts.is_empty() && changes.held.is_empty());
}

/// Records of a host as they stand, and answered.
fn publish(engine: &mut Engine<World>, number: usize) {
    let name = host(number);
    let set = RecordSet::new(name.clone(), RecordType::A, Some(300), ["127.77.0.1"]);
    let owner =
        format!("heritage=external-dns,external-dns/owner=me,external-dns/resource=httproute/team/h{number}");
    let registry = RecordSet::new(format!("a-{name}"), RecordType::Txt, Some(300), [owner]);
    let key =
        dns::rows::PublishedKey { zone: "example.com".into(), name: name.clone(), r#type: RecordType::A };
    engine.put(dns::rows::PublishedRecord {
        key,
        set,
        registry: Some(registry),
        ours: true,
        components: vec![Name::default()],
    });
    engine.put(dns::rows::DnsAnswer { key: name, state: Ok(()) });
}

#[test]
fn a_host_takes_little_memory() {
    let text = text();
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut engine = engine();
    let put = |engine: &mut Engine<World>, object: &Object| world::put(engine, &object.key, intake(object));
    for object in objects(BASE) {
        put(&mut engine, &object);
    }
    world::amend_secret(&mut engine, secret());
    let key = NamespacedName::new("infra", "edge");
    let ports = BTreeMap::from([(443, 8443)]);
    engine.put(GatewayAddress { key, address: "127.77.0.1".into(), ports, loopback: true });
    engine.put(dns::rows::DnsSettings {
        sources: vec![portolan_model::RouteKind::Http],
        plan: dns::Settings { types: vec![RecordType::A], ..dns::Settings::default() },
        ..dns::rows::DnsSettings::of_folder("")
    });
    step(&mut engine);
    let start = in_use();
    let parsed = {
        let (objects, parsed) = bytes(|| objects(&text));
        let writes = objects.into_iter().map(|object| Write::Apply(Box::new(object), "git")).collect();
        store.write(writes, Instant(NOW)).unwrap();
        parsed
    };
    store.pack();
    let stored = (in_use() - start) / HOSTS;
    let ((), facts) = bytes(|| {
        for stored in store.list() {
            put(&mut engine, &stored.object.clone());
        }
    });
    let ((), derived) = bytes(|| {
        step(&mut engine);
        simulate::accept(&mut engine, |_| None);
        step(&mut engine);
    });
    let ((), live) = bytes(|| {
        for number in 0..HOSTS {
            engine.put(Probe { key: host(number), state: Ok(200) });
            publish(&mut engine, number);
        }
        step(&mut engine);
    });
    let entry = engine.get::<EntryPoint>(&host(7)).unwrap();
    assert_eq!(entry.state, State::Live, "{entry:?}");
    drop(entry);
    let total = (in_use() - start) / HOSTS;
    let mut lines = Vec::new();
    table::<input::Service>(&engine, &mut lines);
    table::<input::Judged>(&engine, &mut lines);
    table::<policy::SubmittedRoute>(&engine, &mut lines);
    table::<input::Route>(&engine, &mut lines);
    table::<rows::Offer>(&engine, &mut lines);
    table::<rows::Contender>(&engine, &mut lines);
    table::<rows::Attachment>(&engine, &mut lines);
    table::<rows::ParentVerdict>(&engine, &mut lines);
    table::<rows::HostRule>(&engine, &mut lines);
    table::<rows::VirtualHost>(&engine, &mut lines);
    table::<rows::ClusterUse>(&engine, &mut lines);
    table::<rows::Cluster>(&engine, &mut lines);
    table::<rows::HostForce>(&engine, &mut lines);
    table::<rows::WireAck>(&engine, &mut lines);
    table::<rows::Endpoints>(&engine, &mut lines);
    table::<HostClaim>(&engine, &mut lines);
    table::<EntryPoint>(&engine, &mut lines);
    table::<Probe>(&engine, &mut lines);
    table::<dns::rows::DesiredRecord>(&engine, &mut lines);
    table::<dns::rows::WantedName>(&engine, &mut lines);
    table::<dns::rows::DnsState>(&engine, &mut lines);
    table::<dns::rows::PublishedRecord>(&engine, &mut lines);
    table::<dns::rows::DnsAnswer>(&engine, &mut lines);
    table::<portolan_core::conditions::rows::ObjectStatus>(&engine, &mut lines);
    println!("bytes a host, {HOSTS} hosts: total {total}");
    // 14.5 kB; docs/results/engine.md says what each step brought.
    assert!(total < 15_000, "a host takes {total} bytes");
    println!("  parsed {parsed}, parsed and stored {stored}");
    println!("  facts put {facts}, derived {derived}, probes and records {live}");
    let mut rows = 0;
    for (name, count, size) in &lines {
        println!("    {name:24} {:>5.1} rows {size:>6} bytes", *count as f64 / HOSTS as f64);
        rows += size;
    }
    let stats = engine.stats();
    let each = |count: usize| count as f64 / HOSTS as f64;
    println!(
        "    the engine has {:.1} rows, {:.1} places, {:.1} runs, {:.1} nodes, {:.1} reads",
        each(stats.rows),
        each(stats.places),
        each(stats.instances),
        each(stats.nodes),
        each(stats.reads)
    );
    println!(
        "    rows together {rows}; the engine's slots, keys, indexes and reads {}",
        (facts + derived + live).saturating_sub(rows)
    );
}
