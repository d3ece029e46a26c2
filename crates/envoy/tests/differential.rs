//! Whether a real Envoy takes everything that we send: routes, listeners, clusters and endpoints at and over every limit are
//! read, judged and encoded as `portolan up` does it, and loaded in Envoy's validate mode.
//!
//! `DIFFERENTIAL` is how many objects are made (2,000 in `make test`, 20,000 and more in `make differential`),
//! `DIFFERENTIAL_SEED` from which seed; with `DIFFERENTIAL_REPORT` what is refused here and taken by Envoy is written to that
//! file, by class.
#![allow(clippy::needless_pass_by_value, clippy::format_push_string, clippy::unwrap_used, missing_docs)]

#[path = "differential/certificates.rs"]
mod certificates;
#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/limits.rs"]
mod limits;
#[path = "differential/load.rs"]
mod load;
#[path = "differential/report.rs"]
mod report;

use portolan_core::{
    World, engine,
    gateway::rows::{Cluster, Endpoints, GatewayAddress, TlsSecret, VirtualHost, WireListener},
    world,
};
use portolan_engine::Engine;
use portolan_model::{Object, Origin, input::Gateway, intake::intake};
use serde_json::Value;

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().expect("a number"))
}

#[test]
fn envoy_takes_all_that_is_sent() {
    let Some(envoy) = portolan_testkit::program("envoy") else {
        return portolan_testkit::skip("differential", "envoy is not installed");
    };
    let seed = number("DIFFERENTIAL_SEED", 8);
    let count = usize::try_from(number("DIFFERENTIAL", 2_000)).unwrap();
    println!("DIFFERENTIAL={count} DIFFERENTIAL_SEED={seed}");
    let envoy = load::Envoy::new(envoy);
    let mut totals = report::Totals::new(seed, count);
    // Each part of its own, as large as a Gateway's table may be.
    for part in 0..count.div_ceil(5_000) {
        let made =
            generate::objects(seed.wrapping_add(part as u64), count.min(5_000 * (part + 1)) - 5_000 * part);
        let engine = decided(&made);
        let hosts: Vec<VirtualHost> = engine.rows::<VirtualHost>().map(|row| (**row).clone()).collect();
        let listeners: Vec<WireListener> = engine.rows::<WireListener>().map(|row| (**row).clone()).collect();
        let clusters: Vec<Cluster> = engine.rows::<Cluster>().map(|row| (**row).clone()).collect();
        let endpoints: Vec<Endpoints> = engine.rows::<Endpoints>().map(|row| (**row).clone()).collect();
        let secrets: Vec<TlsSecret> = engine.rows::<TlsSecret>().map(|row| (**row).clone()).collect();
        assert!(secrets.len() > 5, "only {} certificates were sent", secrets.len());
        totals.sent(&engine);
        let mut refused = envoy.refused(&hosts, load::hosts);
        refused.extend(envoy.refused(&listeners, load::listeners));
        refused.extend(envoy.refused(&clusters, load::clusters));
        refused.extend(envoy.refused(&endpoints, load::endpoints));
        refused.extend(envoy.refused(&secrets, load::secrets));
        assert!(refused.is_empty(), "accepted here and refused by Envoy: {refused:#?}");
        totals.judged(&engine);
    }
    totals.enough();
    if let Ok(file) = std::env::var("DIFFERENTIAL_REPORT") {
        std::fs::write(file, totals.classes(&envoy)).unwrap();
    }
}

/// What the rooms make of the objects.
fn decided(objects: &[Value]) -> Engine<World> {
    let mut engine = engine();
    for object in objects {
        let object = Object::from_json(object.clone(), Origin::default()).unwrap();
        world::put(&mut engine, &object.key, intake(&object));
    }
    engine.step(0);
    let gateways: Vec<_> = engine.rows::<Gateway>().cloned().collect();
    for (at, gateway) in gateways.iter().enumerate() {
        engine.put(GatewayAddress {
            key: gateway.key.clone(),
            address: format!("127.77.{}.{}", at / 250, at % 250 + 1).into(),
            ports: gateway.listeners.iter().map(|l| (l.port, l.port)).collect(),
            loopback: true,
        });
    }
    let changes = engine.step(0);
    assert_eq!(changes.errors, Vec::<String>::new());
    assert!(changes.held.is_empty(), "{:?}", changes.held);
    engine
}
