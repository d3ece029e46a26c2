//! Everything that waits: the store, the work tree, signing, ACME, DNS, the echo backend, Envoy as a child process, probes.
//! Effects decide nothing: they make the outside match wanted rows and report what they saw.

pub mod acme;
pub mod acme_ca;
pub mod charts;
pub mod confined;
pub mod converge;
pub mod dns;
pub mod echo;
pub mod envoy_process;
pub mod folder;
// In tests too, so that what only fuzz targets use is compiled with every change.
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
pub mod issue;
mod keystore;
pub mod mirror;
pub mod private_ca;
pub mod probe;
pub mod render;
pub mod sealed;
pub mod sign;
pub mod state_dir;
pub mod store;
mod typed;
