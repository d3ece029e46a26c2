//! Cases of the gateway room, and those in `tests/testdata` here, as rows. Steps after the first are core's: here every state is encoded the same way.

use std::path::{Path, PathBuf};

use portolan_core::{
    World,
    door::{self, Definitions, Door},
    engine,
    gateway::rows::{DialledBackends, GatewayAddress, InCluster, MergedListeners, SystemRoots},
    world,
};
use portolan_engine::{Engine, Has, Row};
use portolan_model::{
    Instant, Name, NamespacedName, Origin, Redacted,
    input::{Maker, Secret, TlsPair},
    intake::intake,
    yaml,
};
use serde_json::Value;

/// When core's golden cases happen.
const NOW: &str = "2026-11-24T00:00:00Z";

pub struct Case {
    pub folder: PathBuf,
    pub engine: Engine<World>,
}

pub fn cases() -> Vec<Case> {
    let room = portolan_testkit::repository().join("crates/core/src/gateway/testdata");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata");
    let inside = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = inside(&room).chain(inside(&own)).collect();
    folders.sort();
    folders.retain(|folder| folder.join("input.yaml").is_file());
    let base = documents(&room.join("base.yaml"));
    let case = |folder: PathBuf| {
        let objects = base.iter().cloned().chain(documents(&folder.join("input.yaml")));
        let facts = documents(&folder.join("facts.yaml")).pop().unwrap_or(Value::Null);
        Case { engine: decided(objects, &facts), folder }
    };
    folders.into_iter().map(case).collect()
}

pub fn rows<R: Row + Clone>(engine: &Engine<World>) -> Vec<R>
where
    World: Has<R>,
{
    engine.rows::<R>().map(|row| (**row).clone()).collect()
}

fn documents(path: &Path) -> Vec<Value> {
    let Ok(text) = std::fs::read_to_string(path) else { return vec![] };
    let (documents, errors) = yaml::load(&text);
    assert_eq!(errors, [], "{}", path.display());
    documents.into_iter().map(|document| document.json).collect()
}

fn decided(objects: impl Iterator<Item = Value>, facts: &Value) -> Engine<World> {
    let now = Instant::parse(facts["now"].as_str().unwrap_or(NOW)).unwrap();
    let mut engine = engine();
    for json in objects {
        // What the door refuses is not sent.
        let object = match door::enter(&Definitions::default(), json, Origin::default()).unwrap() {
            Door::Taken(object) | Door::Restricts(object, _) => object,
            Door::Refused(..) => continue,
        };
        world::put(&mut engine, &object.key, intake(&object));
    }
    for (secret, names) in facts["certificates"].as_object().into_iter().flatten() {
        let (namespace, name) = secret.split_once('/').unwrap();
        let certificate = certificate(NamespacedName::new(namespace, name), names);
        world::amend_secret(&mut engine, certificate);
    }
    let cluster = facts["cluster"].as_array();
    if let Some(controllers) = cluster {
        let controllers = controllers.iter().map(|name| Name::new(name.as_str().unwrap())).collect();
        engine.put(InCluster { key: Name::default(), controllers });
    }
    let alone = cluster.is_some();
    let real = alone || facts["realBackends"] == true;
    engine.put(DialledBackends { key: Name::default(), real, alone });
    if let Some(path) = facts["systemRoots"].as_str() {
        engine.put(SystemRoots { key: Name::default(), path: path.into() });
    }
    step(&mut engine, now);
    let gateways: Vec<_> = engine.rows::<MergedListeners>().cloned().collect();
    for (at, gateway) in gateways.iter().enumerate().filter(|_| facts["addresses"] != false) {
        let public = facts["addresses"] == "public";
        let address = if public { format!("192.0.2.{}", at + 1) } else { format!("127.77.0.{}", at + 1) };
        engine.put(GatewayAddress {
            key: gateway.key.clone(),
            address: address.into(),
            ports: gateway.all.iter().map(|one| (one.listener.port, one.listener.port)).collect(),
            loopback: !public,
        });
    }
    step(&mut engine, now);
    engine
}

fn step(engine: &mut Engine<World>, now: Instant) {
    let changes = engine.step(now.0);
    assert_eq!(changes.errors, Vec::<String>::new());
    assert!(changes.held.is_empty(), "{:?}", changes.held);
}

fn certificate(key: NamespacedName, names: &Value) -> Secret {
    let mut dns_names: Vec<Name> =
        names.as_array().unwrap().iter().map(|name| Name::new(name.as_str().unwrap())).collect();
    dns_names.sort();
    let pair = TlsPair {
        dns_names,
        common_name: String::new(),
        not_before: Instant::parse("2026-11-01T00:00:00Z").unwrap(),
        not_after: Instant::parse("2027-01-30T00:00:00Z").unwrap(),
        serial: "01".into(),
        issuer: "Golden CA".into(),
        public_key: String::new(),
        fingerprint: key.to_string(),
        key_matches: true,
        is_ca: false,
        key: Name::default(),
        subject_key_id: Name::default(),
        authority_key_id: Name::default(),
        authority: None,
        temporary: false,
    };
    // No certificate, but a chain and a key that differ from each other and from those of other Secrets.
    let data = ["tls.crt", "tls.key"]
        .map(|field| (Name::new(field), Redacted::new(format!("{field} of {key}").into_bytes())));
    Secret {
        key,
        r#type: "kubernetes.io/tls".into(),
        data: data.into(),
        annotations: [].into(),
        labels: [].into(),
        maker: Maker::default(),
        tls: Some(Ok(pair)),
    }
}
