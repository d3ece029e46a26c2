//! The `portolan` binary: wiring, verbs, HTTP API. A library only so that the fuzz targets (`fuzz/`) reach the API.

mod addresses;
mod age;
mod api;
mod ask;
mod charts;
mod cli;
mod client;
mod columns;
mod complete;
mod crds;
mod driver;
mod effects;
mod folder;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod host;
mod instance;
mod names;
mod objects;
mod out;
mod render;
mod rights;
mod roots;
mod seal;
mod status;
mod tools;
mod unseen;
mod wire;

use std::process::ExitCode;

/// What the binary does. Exit codes: 0 ok, 1 findings or differences, 2 error.
pub fn main() -> ExitCode {
    // Started by ourselves, between us and a program that reads a repository.
    if let Some(code) = portolan_effects::confined::asked() {
        return code;
    }
    // Started by ourselves, to become Envoy.
    if let Some(code) = portolan_effects::envoy_process::asked() {
        return code;
    }
    // A bug in a rule is a finding, and not a backtrace for each of its inputs.
    portolan_engine::quiet_rules();
    // Two crypto providers may be compiled in by features of dependencies: choose one before the first handshake.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match cli::run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            out::error(&error);
            ExitCode::from(2)
        }
    }
}
