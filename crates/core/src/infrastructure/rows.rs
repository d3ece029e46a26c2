//! Rows of this room.

use portolan_model::{GatewayKey, Kind, Name, ObjectKey, row};
use serde_json::Value;

/// Fact: Envoys of Gateways are made in the cluster, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetSettings {
    /// There is one row, without a key.
    pub key: Name,
    /// Image of Envoy; best by digest.
    pub image: Name,
    /// Start configuration, the same for all, without what follows from a Gateway's own memory.
    pub bootstrap: Value,
    /// Further files beside it by name, which Envoy reads again when they change: what it trusts, where its token is.
    pub files: Vec<(Name, Value)>,
}
row!(FleetSettings, Name, "fleet_settings");

/// Wanted: the objects that serve a Gateway, without their owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetWanted {
    /// The Gateway.
    pub key: GatewayKey,
    /// As they are applied, in that order.
    pub objects: Vec<Value>,
    /// What is not wanted of a Gateway that has the others.
    pub unwanted: Vec<Kind>,
}
row!(FleetWanted, GatewayKey, "fleets");

/// Fact: not all of what serves a Gateway is there as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetFailure {
    /// The Gateway.
    pub key: GatewayKey,
    /// An object that somebody else has made under the name.
    pub taken: Option<ObjectKey>,
    /// Why the API server did not take one.
    pub failed: Option<String>,
}
row!(FleetFailure, GatewayKey, "fleet_failures");

impl FleetFailure {
    /// In a sentence.
    pub fn words(&self) -> String {
        let taken =
            self.taken.as_ref().map(|object| format!("{object} is there already and is somebody else's"));
        taken.or_else(|| self.failed.clone()).unwrap_or_default()
    }
}
