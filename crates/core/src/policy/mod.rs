//! Room: which objects are let in. ValidatingAdmissionPolicies, as Kubernetes has them, over every kind that is stored.
//!
//! ```text
//!  AdmissionPolicy --compile once--> CompiledPolicy <- AdmissionBinding -> ActiveBinding
//!  Judged x ActiveBinding -> Case -> Judgement -> Denied
//!  SubmittedRoute, SubmittedGateway, SubmittedGrant, … --(Denied?)--> Route, Gateway, ReferenceGrant, …, or refused claims
//! ```
//!
//! Three kinds are in their tables also when they are denied. A Secret: whoever would use it asks for the denial, since one
//! that Portolan makes and does not find would be made again and again. A policy that restricts: a denial opens nothing; and a
//! ConfigMap: nothing is served by it. What stands in a Namespace that is denied is denied with it.
//!
//! What Portolan makes before it is stored (CertificateRequests, Orders, Challenges) is asked about by whoever would make it ([`made`]).
//!
//! Invariants: a denied object stands in no table of another room, since the tables that the other rooms read hold only
//! what this room has let through. An edit of an object runs the policies that are bound to its kind over that object;
//! an edit of a policy runs that policy over the objects that it matches. A verdict depends on nothing but the rows, and
//! an evaluation ends (`portolan_cel`, budget and depth).
//!
//! What stands is judged as if it were created now: `request.operation` is CREATE and `oldObject` null. An edit is judged as an UPDATE, with
//! what stands as `oldObject`, by policies that match updates; by those that match creations alone as a creation, since that is what a new
//! cluster would see. Deletions are not judged, which is said of each policy that names them (PTL-0511). `request` has `kind`,
//! `resource`, `name`, `namespace`, `operation`, `dryRun`, `options` and `userInfo` (username `portolan`: PTL-0511 of each policy that looks
//! at it); there is no `authorizer`.

mod admit;
mod defaults;
pub mod edit;
pub mod made;
pub mod matching;
mod params;
mod problems;
pub mod program;
pub mod rows;
mod rules;
#[cfg(test)]
mod tests;
pub mod verdict;

pub use admit::{absence, denial};

use portolan_engine::Engine;
use portolan_model::input::{
    AdmissionBinding, AdmissionPolicy, Certificate, EndpointSlice, EndpointsObject, Gateway, GatewayClass,
    Issuer, Judged, ListenerSet, Namespace, ReferenceGrant, Route, SealedSecret, Service,
};
use rows::{ActiveBinding, Case, CompiledPolicy, CutSecret, Denied, Judgement};

use crate::{
    World,
    status::rows::HostClaim,
    world::{
        BindingsByPolicy, BindingsByResource, DefinitionsByKind, Finding, JudgedByKind, JudgementsByObject,
    },
};

pub(crate) fn register(engine: &mut Engine<World>) {
    engine
        .map("compiled_policies", rules::compiled_policies)
        .reads::<(BindingsByPolicy,)>()
        .writes::<(CompiledPolicy, Finding)>();
    engine
        .map("active_bindings", rules::active_bindings)
        .reads::<(CompiledPolicy, AdmissionPolicy)>()
        .writes::<(ActiveBinding, Finding)>();
    engine
        .map("policy_cases", rules::cases)
        .reads::<(BindingsByResource, DefinitionsByKind)>()
        .writes::<(Case,)>();
    engine
        .map("policy_judgements", rules::judgements)
        .reads::<(Judged, JudgedByKind, DefinitionsByKind, AdmissionBinding, CompiledPolicy)>()
        .writes::<(Judgement,)>();
    engine.group::<JudgementsByObject>("denied", rules::denied).writes::<(Denied, Finding)>();
    engine.map("routes", admit::routes).reads::<(Judged, Denied)>().writes::<(Route, HostClaim)>();
    engine.map("gateways", admit::gateways).reads::<(Judged, Denied)>().writes::<(Gateway,)>();
    engine.map("namespaces", admit::namespaces).reads::<(Denied,)>().writes::<(Namespace,)>();
    engine.map("gateway_classes", admit::classes).reads::<(Denied,)>().writes::<(GatewayClass,)>();
    engine.map("reference_grants", admit::grants).reads::<(Denied,)>().writes::<(ReferenceGrant,)>();
    engine.map("listener_sets", admit::listener_sets).reads::<(Denied,)>().writes::<(ListenerSet,)>();
    engine.map("services", admit::services).reads::<(Denied,)>().writes::<(Service,)>();
    engine.map("endpoint_slices", admit::slices).reads::<(Denied,)>().writes::<(EndpointSlice,)>();
    engine.map("endpoints_objects", admit::endpoints).reads::<(Denied,)>().writes::<(EndpointsObject,)>();
    engine.map("sealed_secrets", admit::sealed_secrets).reads::<(Denied,)>().writes::<(SealedSecret,)>();
    engine.map("issuers", admit::issuers).reads::<(Denied,)>().writes::<(Issuer,)>();
    engine
        .map("certificates", admit::certificates)
        .reads::<(Judged, Denied)>()
        .writes::<(Certificate, CutSecret)>();
}
