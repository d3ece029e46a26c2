//! Gateway rows to Envoy.
//!
//! ```text
//!  wire rows --encode--> resources --session--> responses --serve--> Envoy
//!                                      ^------ acks, nacks ---------'
//! ```
//!
//! `encode` and `session` are pure; `serve` is the only part that waits. The choice of route design (one
//! RouteConfiguration a listener, pushed whole) lives in here alone; rooms do not know it.

pub mod bootstrap;
pub mod encode;
pub mod resources;
pub mod serve;
pub mod session;
pub mod shards;
