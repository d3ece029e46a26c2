//! What Envoy receives in each case of the gateway room, as text: `crates/core/src/gateway/testdata/<case>/envoy.txt`.
//!
//! The case becomes rows as in core's `golden.rs` (what Envoy says of them is no part of it), the rows become messages as
//! `portolan up` makes them, and these are decoded and shown without defaults. What is the same in all cases stands once,
//! in `testdata/listener.txt`. Then a real Envoy loads all cases at once. `PORTOLAN_ACCEPT=1` writes the files.
#![allow(clippy::format_collect, clippy::unwrap_used, missing_docs)]

#[path = "cases/case.rs"]
mod case;
#[allow(dead_code, reason = "certificates are loaded by the differential test alone")]
#[path = "differential/load.rs"]
mod load;
#[path = "cases/show.rs"]
mod show;
#[path = "cases/tree.rs"]
mod tree;

use std::path::{Path, PathBuf};

use envoy_types::pb::envoy::config::bootstrap::v3::Bootstrap;
use portolan_core::gateway::rows::{Cluster, Endpoints, VirtualHost, WireListener};

use case::{Case, cases, rows};

fn compare(path: &Path, shown: &str) -> Option<String> {
    if portolan_testkit::accepting() {
        std::fs::write(path, shown).unwrap();
        return None;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    let differs = |at: &usize| expected.lines().nth(*at) != shown.lines().nth(*at);
    let line = (0..expected.lines().count().max(shown.lines().count())).find(differs);
    line.map(|at| {
        let of = |text: &str| text.lines().nth(at).unwrap_or("(end)").to_owned();
        format!("{}:{}\n- {}\n+ {}", path.display(), at + 1, of(&expected), of(shown))
    })
}

#[test]
fn every_case_is_sent_as_expected() {
    let common = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/listener.txt");
    let mut wrong: Vec<String> = compare(&common, &show::common()).into_iter().collect();
    let cases = cases();
    assert!(cases.len() >= 60, "only {} cases were found", cases.len());
    for case in &cases {
        wrong.extend(compare(&case.folder.join("envoy.txt"), &show::case(&case.engine)));
    }
    assert!(wrong.is_empty(), "not as expected (make golden-accept rewrites):\n{}", wrong.join("\n"));
}

/// All that the cases send, by names that no two cases share.
#[derive(Default)]
struct Sent {
    hosts: Vec<VirtualHost>,
    listeners: Vec<WireListener>,
    clusters: Vec<Cluster>,
    endpoints: Vec<Endpoints>,
}

impl Sent {
    fn add(&mut self, at: usize, case: &Case) {
        let engine = &case.engine;
        let name = |name: &str| format!("{at}/{name}").into();
        self.hosts.extend(rows::<VirtualHost>(engine).into_iter().map(|mut row| {
            row.key.0 = name(&row.key.0);
            row
        }));
        self.clusters.extend(rows::<Cluster>(engine).into_iter().map(|mut row| {
            row.key = name(&row.key);
            row
        }));
        self.endpoints.extend(rows::<Endpoints>(engine).into_iter().map(|mut row| {
            row.key = name(&format!("endpoints/{}", row.key));
            row
        }));
        for mut row in rows::<WireListener>(engine) {
            row.name = name(&row.name);
            // Two cases listen at the same address.
            row.port = 10_000 + u16::try_from(self.listeners.len()).unwrap();
            self.listeners.push(row);
        }
    }

    fn bootstrap(&self) -> Bootstrap {
        let mut made = load::hosts(&self.hosts);
        let all = made.static_resources.as_mut().unwrap();
        all.listeners.extend(load::listeners(&self.listeners).static_resources.unwrap().listeners);
        for more in [load::clusters(&self.clusters), load::endpoints(&self.endpoints)] {
            let clusters = more.static_resources.unwrap().clusters.into_iter();
            // The one of the control plane is there once.
            all.clusters.extend(clusters.filter(|cluster| cluster.name != "portolan_xds"));
        }
        made
    }
}

/// Certificates are not among it: the facts of the cases hold names and no keys.
#[test]
fn a_real_envoy_loads_every_case() {
    let Some(envoy) = portolan_testkit::program("envoy") else {
        return portolan_testkit::skip("cases in Envoy", "envoy is not installed");
    };
    let mut sent = Sent::default();
    for (at, case) in cases().iter().enumerate() {
        sent.add(at, case);
    }
    let counts = [sent.hosts.len(), sent.listeners.len(), sent.clusters.len(), sent.endpoints.len()];
    assert!(counts.iter().all(|count| *count >= 50), "hosts, listeners, clusters, endpoints: {counts:?}");
    let envoy = load::Envoy::new(envoy);
    let Some(why) = envoy.refuses(&sent.bootstrap()) else { return };
    let mut refused = envoy.refused(&sent.hosts, load::hosts);
    refused.extend(envoy.refused(&sent.listeners, load::listeners));
    refused.extend(envoy.refused(&sent.clusters, load::clusters));
    refused.extend(envoy.refused(&sent.endpoints, load::endpoints));
    panic!("Envoy refuses the cases: {why}\n{refused:#?}");
}
