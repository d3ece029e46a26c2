//! `portolan run` against a real API server and a real Envoy: `make rig-test` runs this inside the rig. Anywhere else there is
//! none, and this says so.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_macros,
    missing_docs,
    reason = "a test that cannot go on has failed"
)]

#[path = "rig/certificates.rs"]
mod certificates;
#[path = "rig/chart.rs"]
mod chart;
#[path = "rig/fleets.rs"]
mod fleets;
#[path = "gate/grpc.rs"]
mod grpc;
#[path = "rig/kinds.rs"]
mod kinds;
#[path = "rig/place.rs"]
mod place;
#[path = "rig/replicas.rs"]
mod replicas;
#[path = "rig/routes.rs"]
mod routes;
#[path = "rig/running.rs"]
mod running;
#[path = "rig/tokens.rs"]
mod tokens;
