//! Any series of objects that come, change and go equals a rebuild from the objects that stand: what an object yielded before
//! it was edited leaves nothing behind, and an object of another group's kind with the same name takes nothing away.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use portolan_core::{
    World,
    certificates::rows::{Settings, ShimSettings},
    dns::rows::DnsSettings,
    engine,
    gateway::rows::GatewayAddress,
    world,
};
use portolan_engine::Engine;
use portolan_model::{
    Name, NamespacedName, Object, ObjectKey, Origin,
    input::{EndpointSlice, Gateway, Secret, Service},
    intake::intake,
    yaml,
};
use proptest::{prelude::*, test_runner::TestCaseError};

#[path = "by_object/pool.rs"]
mod pool;

const NOW: i64 = 1_790_000_000_000;

/// Names and namespaces are few, so that objects of all kinds meet under one name.
#[derive(Clone, Debug)]
enum Op {
    /// The kind, its name and namespace, and which of its contents.
    Put(usize, u8, u8, usize),
    Remove(usize, u8, u8),
    Step,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let kind = 0..pool::KINDS.len();
    let op = prop_oneof![
        10 => (kind.clone(), 0..2u8, 0..2u8, 0..8usize).prop_map(|(k, n, ns, v)| Op::Put(k, n, ns, v)),
        3 => (kind, 0..2u8, 0..2u8).prop_map(|(k, n, ns)| Op::Remove(k, n, ns)),
        1 => Just(Op::Step),
    ];
    prop::collection::vec(op, 1..160)
}

fn object(kind: usize, name: u8, namespace: u8, content: usize) -> Object {
    let (head, contents) = pool::KINDS[kind];
    let text = |number: u8, of: [&'static str; 2]| of[usize::from(number)];
    let name = text(name, ["x", "z"]);
    let metadata = match head.strip_prefix("cluster ") {
        Some(_) => format!("{{name: {name}"),
        None => format!("{{name: {name}, namespace: {}", text(namespace, ["a", "b"])),
    };
    let (version, kind) = head.trim_start_matches("cluster ").split_once(' ').unwrap();
    let content = contents[content % contents.len()];
    let (more, body) = content.split_once('|').unwrap_or(("", content));
    let body = body.strip_prefix('{').and_then(|body| body.strip_suffix('}')).unwrap_or(body);
    let text = format!("{{apiVersion: {version}, kind: {kind}, metadata: {metadata}{more}}}, {body}}}");
    let (mut documents, errors) = yaml::load(&text);
    assert!(errors.is_empty(), "{text}: {errors:?}");
    Object::from_json(documents.remove(0).json, Origin::default()).unwrap()
}

/// An engine with what effects have seen of the objects; those facts are of no object.
fn start() -> Engine<World> {
    let mut engine = engine();
    engine.put(Settings {
        key: Name::default(),
        cluster_resource_namespace: "a".into(),
        shim: ShimSettings::default(),
    });
    engine.put(DnsSettings::of_folder("dev"));
    for (namespace, name) in [("a", "x"), ("a", "z"), ("b", "x"), ("b", "z")] {
        let key = NamespacedName::new(namespace, name);
        let ports = BTreeMap::from([(80, 8080), (443, 8443)]);
        engine.put(GatewayAddress { key, address: "127.77.0.1".into(), ports, loopback: true });
    }
    engine
}

fn compare(engine: &mut Engine<World>, stand: &BTreeMap<ObjectKey, Object>) -> Result<(), TestCaseError> {
    let changes = engine.step(NOW);
    prop_assert!(changes.errors.is_empty() && changes.held.is_empty(), "{:?}", changes.held);
    prop_assert!(changes.conflicts.is_empty(), "{:?}", changes.conflicts);
    let mut built = start();
    for (key, object) in stand {
        world::put(&mut built, key, intake(object));
    }
    built.step(NOW);
    for (now, anew) in engine.dump().iter().zip(&built.dump()) {
        prop_assert_eq!(now, anew);
    }
    prop_assert_eq!(engine.dump().len(), built.dump().len());
    let [mut kept, mut new] = [engine.stats(), built.stats()];
    (kept.read_bytes, new.read_bytes) = (0, 0);
    prop_assert_eq!(kept, new, "what is recorded is that of a rebuild");
    Ok(())
}

fn play(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let (mut engine, mut stand) = (start(), BTreeMap::new());
    for op in ops {
        match op {
            Op::Put(kind, name, namespace, content) => {
                let object = object(kind, name, namespace, content);
                world::put(&mut engine, &object.key, intake(&object));
                stand.insert(object.key.clone(), object);
            }
            Op::Remove(kind, name, namespace) => {
                let key = object(kind, name, namespace, 0).key;
                world::remove(&mut engine, &key);
                stand.remove(&key);
            }
            Op::Step => compare(&mut engine, &stand)?,
        }
    }
    compare(&mut engine, &stand)?;
    for key in std::mem::take(&mut stand).into_keys() {
        world::remove(&mut engine, &key);
    }
    compare(&mut engine, &stand)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_series_of_objects_equals_a_rebuild(ops in ops()) {
        play(ops)?;
    }
}

/// The property is worth nothing if the pool yields nothing.
#[test]
fn every_kind_that_is_acted_on_yields_rows() {
    let mut yields = BTreeMap::new();
    for (kind, (head, contents)) in pool::KINDS.iter().enumerate() {
        for content in 0..contents.len() {
            let taken = intake(&object(kind, 0, 0, content));
            let of_kind: &mut usize = yields.entry(*head).or_default();
            *of_kind += usize::from(taken.fact.is_some() || taken.restriction.is_some());
        }
    }
    let none: Vec<&str> = yields.into_iter().filter(|(_, rows)| *rows == 0).map(|(head, _)| head).collect();
    assert_eq!(none, pool::ROWLESS);
}

fn put(engine: &mut Engine<World>, text: &str) -> ObjectKey {
    let (documents, errors) = yaml::load(text);
    assert!(errors.is_empty(), "{errors:?}");
    let mut last = None;
    for document in documents {
        let object = Object::from_json(document.json, Origin::default()).unwrap();
        world::put(engine, &object.key, intake(&object));
        last = Some(object.key);
    }
    engine.step(NOW);
    last.unwrap()
}

fn remove(engine: &mut Engine<World>, key: &ObjectKey) {
    world::remove(engine, key);
    engine.step(NOW);
}

#[test]
fn removing_a_namesake_of_another_group_takes_nothing_away() {
    let mut engine = start();
    let own = "apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: a}\nspec: {ports: [{port: 80}]}\n---\n\
               apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: x, namespace: a}\n\
               spec: {gatewayClassName: c, listeners: []}\n---\n\
               apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: a}\n";
    put(&mut engine, own);
    let before = engine.dump();
    let others = [("serving.knative.dev/v1", "Service"), ("networking.istio.io/v1", "Gateway")];
    for (version, kind) in others.into_iter().chain([("example.dev/v1", "Secret")]) {
        let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x, namespace: a}}\n");
        let key = put(&mut engine, &text);
        remove(&mut engine, &key);
        assert_eq!(engine.dump(), before, "{version} {kind}");
    }
    let name = NamespacedName::new("a", "x");
    assert!(engine.get::<Service>(&name).is_some() && engine.get::<Secret>(&name).is_some());
    assert!(engine.get::<Gateway>(&name).is_some());
}

#[test]
fn a_slice_follows_its_label_and_goes_with_it() {
    let mut engine = start();
    let slice = |labels: &str| {
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: x, namespace: a, labels: {{{labels}}}}}\n\
             addressType: IPv4\nports: [{{port: 80}}]\nendpoints: [{{addresses: [127.0.0.1]}}]\n"
        )
    };
    let of = |engine: &Engine<World>, service: &str| {
        let service = NamespacedName::new("a", service);
        engine.find::<world::SlicesByService>(&service).len()
    };
    put(&mut engine, &slice("kubernetes.io/service-name: old"));
    assert_eq!((of(&engine, "old"), of(&engine, "new")), (1, 0));
    put(&mut engine, &slice("kubernetes.io/service-name: new"));
    assert_eq!((of(&engine, "old"), of(&engine, "new")), (0, 1));
    put(&mut engine, &slice("other: label"));
    assert_eq!((of(&engine, "new"), engine.rows::<EndpointSlice>().len()), (0, 0), "it is of no Service");
}

/// One that Kubernetes would not mirror is no list of endpoints any more.
#[test]
fn endpoints_that_are_not_mirrored_any_more_go() {
    let mut engine = start();
    let endpoints = |labels: &str| {
        format!(
            "apiVersion: v1\nkind: Endpoints\nmetadata: {{name: x, namespace: a, labels: {{{labels}}}}}\n\
             subsets: [{{addresses: [{{ip: 127.0.0.1}}], ports: [{{port: 80}}]}}]\n"
        )
    };
    let rows = |engine: &Engine<World>| engine.rows::<portolan_model::input::EndpointsObject>().len();
    put(&mut engine, &endpoints(""));
    assert_eq!(rows(&engine), 1);
    put(&mut engine, &endpoints("endpointslice.kubernetes.io/skip-mirror: \"true\""));
    assert_eq!(rows(&engine), 0);
}

/// A mark that says who made a Secret is read with the owner's group.
#[test]
fn an_owner_of_another_group_is_another_owner() {
    use portolan_model::input::Maker;
    let maker = |version: &str| {
        let mut engine = start();
        put(
            &mut engine,
            &format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: x, namespace: a, \
                 labels: {{app.kubernetes.io/managed-by: portolan}}, \
                 ownerReferences: [{{apiVersion: {version}, kind: SealedSecret, name: x, uid: u}}]}}\n"
            ),
        );
        engine.get::<Secret>(&NamespacedName::new("a", "x")).unwrap().maker
    };
    assert_eq!((maker("bitnami.com/v1alpha1"), maker("example.dev/v1")), (Maker::Unsealed, Maker::Account));
}
