//! What is encoded, served by a real Envoy: configuration in a file, requests over loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "edge/harness.rs"]
mod harness;
#[path = "edge/hosts.rs"]
mod hosts;
#[path = "edge/index.rs"]
mod index;
#[path = "edge/validate.rs"]
mod validate;
