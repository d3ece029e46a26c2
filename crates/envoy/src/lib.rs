//! Gateway rows to Envoy.
//!
//! ```text
//!  wire rows --translate, encode--> Board: resources, tables of virtual hosts --session--> responses --serve--> Envoy
//!                                                                             ^------ acks, nacks ---------'
//! ```
//!
//! `translate`, `encode` and `session` are pure; `serve` is the only part that waits. The choice of route design (scopes
//! by a hash of the host) lives in here alone; rooms do not know it.

pub mod board;
pub mod bootstrap;
pub mod encode;
mod fault;
pub mod gate;
pub mod parts;
pub mod resources;
pub mod serve;
pub mod session;
pub mod shards;
pub mod tables;
pub mod translate;
