//! Effects beside a store and an engine, without what surrounds them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use portolan_core::{
    certificates::rows::{Issuance, IssueWanted, Outcome, RecordWanted, Settings, ShimSettings},
    world,
};
use portolan_effects::{
    dns::DurableDns,
    state_dir::StateDir,
    store::{Store, Write},
};
use portolan_model::{Name, NamespacedName, Object, ObjectKey, Origin, intake::intake};
use serde_json::{Value, json};

use super::{Context, Effect, GIT, ca::Ca, now, records::Records};

async fn context(dir: &tempfile::TempDir) -> Context {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let state = StateDir::open(&dir.path().join("state")).expect("it is made");
    let dns = Arc::new(DurableDns::start(loopback, state.path()).await.expect("a port is free"));
    let ca = Ca::start(loopback, dns, &state).await.expect("a port is free");
    let store = Store::open(state.path()).expect("it is empty");
    let mut cx = Context::new(world::engine(), store, state, ca, ());
    cx.engine.put(Settings {
        key: Name::default(),
        cluster_resource_namespace: "cert-manager".into(),
        shim: ShimSettings::default(),
    });
    cx
}

/// An object of cert-manager in the namespace `shop`.
fn object(kind: &str, name: &str, spec: &Value) -> Object {
    let metadata = json!({"name": name, "namespace": "shop"});
    let json = json!({"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata, "spec": spec});
    Object::from_json(json, Origin::default()).expect("it has kind and name")
}

/// One step, followed by the records.
fn follow(cx: &mut Context) {
    let step = cx.engine.step(now().0);
    Records::default().follow(&step, cx);
}

/// What the store refused is in no row that changes again: it is looked for when all is written again.
#[tokio::test]
async fn records_follow_a_store_that_takes_writes_again() {
    let dir = tempfile::tempdir().expect("there is room");
    let mut cx = context(&dir).await;
    let issuer = object("Issuer", "own", &json!({"selfSigned": {}}));
    let spec =
        json!({"secretName": "web-tls", "dnsNames": ["web.example.com"], "issuerRef": {"name": "own"}});
    let certificate = object("Certificate", "web", &spec);
    for object in [&issuer, &certificate] {
        world::put(&mut cx.engine, &object.key, intake(object));
    }
    follow(&mut cx);
    let key = NamespacedName::new("shop", "web");
    let wanted = cx.engine.get::<IssueWanted>(&key).expect("it is to be signed");
    let request = "a request".to_owned();
    cx.engine.put(Issuance { key: (key, wanted.revision), wanted, request, outcome: Outcome::Pending });
    follow(&mut cx);
    let record = cx.engine.rows::<RecordWanted>().next().expect("it is recorded").key.clone();
    assert!(cx.store.get(&record).is_none(), "its owner is not stored");

    cx.write_own(vec![Write::Apply(Box::new(certificate), GIT)]);
    follow(&mut cx);
    assert!(cx.store.get(&record).is_none(), "its row has not changed");
    cx.again = true;
    follow(&mut cx);
    assert!(cx.store.get(&record).is_some());

    // One whose removal was refused, and one of somebody else.
    cx.again = false;
    let left = |name| object("CertificateRequest", name, &json!({}));
    let at = |name| ObjectKey::new("cert-manager.io", "CertificateRequest", "shop", name);
    cx.write_own(vec![
        Write::Hold(Box::new(left("ours")), "portolan-certificates"),
        Write::Apply(Box::new(left("theirs")), GIT),
    ]);
    follow(&mut cx);
    assert!(cx.store.get(&at("ours")).is_some());
    cx.again = true;
    follow(&mut cx);
    assert!(cx.store.get(&at("ours")).is_none());
    assert!(cx.store.get(&at("theirs")).is_some() && cx.store.get(&record).is_some());
}
