#![allow(clippy::unwrap_used, clippy::panic)]
mod envoy;
mod order;
mod refused;
mod restart;
