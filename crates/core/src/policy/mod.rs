//! Room: which routes, Gateways and Certificates are let in. ValidatingAdmissionPolicies, as Kubernetes has them.
//!
//! ```text
//!  SubmittedRoute, SubmittedGateway, SubmittedCertificate --(Denied?)--> Route, Gateway, Certificate, or refused claims
//! ```
//!
//! Invariant: a denied object stands in no table of another room, since the tables that the other rooms read hold only
//! what this room has let through.

mod admit;
pub mod rows;
#[cfg(test)]
mod tests;

use portolan_engine::Engine;
use portolan_model::input::{Certificate, Gateway, Judged, Route};
use rows::Denied;

use crate::{World, status::rows::HostClaim};

pub(crate) fn register(engine: &mut Engine<World>) {
    engine.map("routes", admit::routes).reads::<(Judged, Denied)>().writes::<(Route, HostClaim)>();
    engine.map("gateways", admit::gateways).reads::<(Judged, Denied)>().writes::<(Gateway,)>();
    engine.map("certificates", admit::certificates).reads::<(Judged, Denied)>().writes::<(Certificate,)>();
}
