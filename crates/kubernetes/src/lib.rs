//! A Kubernetes API server as a store of objects.
//!
//! ```text
//!  API server ──list, watch──► follow ──► cache ──list, get, watch──► driver
//!      ▲                                                               │
//!      ├── server-side apply, delete with preconditions ◄── write ◄────┤
//!      ├── merge patch of /status with a version ◄── status ◄──────────┤
//!      └── events.k8s.io ◄── events ◄──────────────────────────────────┘
//! ```
//!
//! The contract is `portolan_effects::store`; `design/kubernetes.md` says how it is kept here. [`kube`] brings the connection:
//! TLS, credentials, kubeconfig. Listing and watching are our own (`follow`), since what happens when a definition goes, when
//! something is not allowed, and when a server says nothing, is what this crate is about.

pub mod backoff;
mod cache;
pub mod client;
pub mod cluster;
mod content;
pub mod crds;
mod definitions;
pub mod door;
mod events;
mod failure;
mod follow;
mod mirror;
mod options;
mod pace;
mod resource;
pub mod status;
mod store;
pub mod tokens;
mod write;

pub use client::{Api, connect};
pub use failure::Failure;
pub use mirror::Mirror;
pub use options::{Content, Followed, Options};
pub use resource::Resource;
pub use store::KubernetesStore;

pub use kube::{Client, Config, config};
