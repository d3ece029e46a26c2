//! End to end with the real binary and a real Envoy (`.tools/bin/envoy`, from `scripts/setup demo`).
//! All traffic is loopback: the Gateways get addresses in 127.77.0.0/16.
#![allow(clippy::format_push_string, clippy::format_collect, clippy::unwrap_used, missing_docs)]

#[path = "e2e/absent.rs"]
mod absent;
#[path = "e2e/acme.rs"]
mod acme;
#[path = "e2e/backends.rs"]
mod backends;
#[path = "e2e/bad_input.rs"]
mod bad_input;
#[path = "e2e/boundaries.rs"]
mod boundaries;
#[path = "e2e/broken.rs"]
mod broken;
#[path = "e2e/by_object.rs"]
mod by_object;
#[path = "e2e/certificates.rs"]
mod certificates;
#[path = "e2e/charts.rs"]
mod charts;
#[path = "e2e/claims.rs"]
mod claims;
#[path = "e2e/conditions.rs"]
mod conditions;
#[path = "e2e/contract.rs"]
mod contract;
#[path = "e2e/crds.rs"]
mod crds;
#[path = "e2e/damaged.rs"]
mod damaged;
#[path = "e2e/descriptors.rs"]
mod descriptors;
#[path = "e2e/dns.rs"]
mod dns;
#[path = "e2e/door.rs"]
mod door;
#[path = "e2e/findings.rs"]
mod findings;
#[path = "e2e/first_hour.rs"]
mod first_hour;
#[path = "e2e/gateway_servers.rs"]
mod gateway_servers;
#[path = "e2e/gateway_tls.rs"]
mod gateway_tls;
#[path = "e2e/gateway_traffic.rs"]
mod gateway_traffic;
#[path = "e2e/health.rs"]
mod health;
#[path = "e2e/hostile.rs"]
mod hostile;
#[path = "e2e/instance.rs"]
mod instance;
#[path = "e2e/isolation.rs"]
mod isolation;
#[path = "e2e/killed.rs"]
mod killed;
#[path = "e2e/kustomize.rs"]
mod kustomize;
#[path = "e2e/live.rs"]
mod live;
#[path = "e2e/output.rs"]
mod output;
#[path = "e2e/planted.rs"]
mod planted;
#[path = "e2e/platform.rs"]
mod platform;
#[path = "e2e/policy.rs"]
mod policy;
#[path = "e2e/printed.rs"]
mod printed;
#[path = "e2e/promised.rs"]
mod promised;
#[path = "e2e/reaction.rs"]
mod reaction;
#[path = "e2e/real_acme.rs"]
mod real_acme;
#[path = "e2e/real_dns.rs"]
mod real_dns;
#[path = "e2e/refused.rs"]
mod refused;
#[path = "e2e/render.rs"]
mod render;
#[path = "e2e/replaced.rs"]
mod replaced;
#[path = "e2e/restarts.rs"]
mod restarts;
#[path = "e2e/roots.rs"]
mod roots;
#[path = "e2e/seal.rs"]
mod seal;
#[path = "e2e/secrets.rs"]
mod secrets;
#[path = "e2e/slow.rs"]
mod slow;
#[path = "e2e/state.rs"]
mod state;
#[path = "e2e/sync.rs"]
mod sync;
#[path = "e2e/taken.rs"]
mod taken;
#[path = "e2e/trusted.rs"]
mod trusted;
#[path = "e2e/typed.rs"]
mod typed;
#[path = "e2e/writing.rs"]
mod writing;
