//! Room: what serves a Gateway in a cluster.
//!
//! ```text
//!  Gateway, its listeners, EnvoyProxy, FleetSettings (fact) -> FleetWanted: Deployment, Service, ServiceAccount, ConfigMap,
//!                                                              PodDisruptionBudget, HorizontalPodAutoscaler
//!  a Service of ours -> address (pure): GatewayAddress (fact)
//! ```
//!
//! Invariants: everything of one Gateway stands in its namespace under [`names::name`] and is owned by it, so that it goes with it and with
//! nothing else; what a user asks for is laid over what is made, and never over a label that something is selected by.

mod address;
pub mod names;
mod objects;
mod parameters;
mod plan;
pub mod rows;

use portolan_engine::Engine;
use portolan_model::input::Judged;

use crate::{
    World,
    gateway::rows::GatewayOwner,
    world::{Finding, ListenersByGateway},
};

pub use address::address;
pub use objects::{ADMIN, DRAIN, READY, STATS};
use rows::{FleetSettings, FleetWanted};

/// Audience of the tokens that Envoys show.
pub const AUDIENCE: &str = "portolan-xds";

pub(crate) fn register(engine: &mut Engine<World>) {
    engine
        .map("fleets", plan::fleets)
        .reads::<(FleetSettings, GatewayOwner, ListenersByGateway, Judged)>()
        .writes::<(FleetWanted, Finding)>();
    engine.map("fleet_failures", plan::failures).writes::<(Finding,)>();
}
