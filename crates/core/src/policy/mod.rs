//! Room: which routes, Gateways and Certificates are let in. ValidatingAdmissionPolicies, as Kubernetes has them.
//!
//! ```text
//!  AdmissionPolicy --compile once--> CompiledPolicy <- AdmissionBinding -> ActiveBinding
//!  Judged x ActiveBinding -> Case -> Judgement -> Denied
//!  SubmittedRoute, SubmittedGateway, SubmittedCertificate --(Denied?)--> Route, Gateway, Certificate, or refused claims
//! ```
//!
//! Invariants: a denied object stands in no table of another room, since the tables that the other rooms read hold only
//! what this room has let through. An edit of an object runs the policies that are bound to its kind over that object;
//! an edit of a policy runs that policy over the objects that it matches. A verdict depends on nothing but the rows, and
//! an evaluation ends (`portolan_cel`, budget and depth).
//!
//! An object is judged as if it were created now: `request.operation` is CREATE and `oldObject` null. A policy that
//! matches UPDATE only sees it applied again unchanged: `oldObject` is the object itself. `request` has `kind`,
//! `resource`, `name`, `namespace`, `operation`, `dryRun` and `userInfo` (username `portolan`); there is no
//! `authorizer`.

mod admit;
pub mod edit;
pub mod matching;
mod problems;
pub mod program;
pub mod rows;
mod rules;
#[cfg(test)]
mod tests;
pub mod verdict;

use portolan_engine::Engine;
use portolan_model::input::{
    AdmissionBinding, AdmissionPolicy, Certificate, Gateway, Judged, Namespace, Route,
};
use rows::{ActiveBinding, Case, CompiledPolicy, CutSecret, Denied, Judgement};

use crate::{
    World,
    status::rows::HostClaim,
    world::{BindingsByPolicy, BindingsByResource, Finding, JudgedByKind, JudgementsByObject},
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
    engine.map("policy_cases", rules::cases).reads::<(BindingsByResource,)>().writes::<(Case,)>();
    engine
        .map("policy_judgements", rules::judgements)
        .reads::<(Judged, JudgedByKind, AdmissionBinding, CompiledPolicy, Namespace)>()
        .writes::<(Judgement,)>();
    engine.group::<JudgementsByObject>("denied", rules::denied).writes::<(Denied, Finding)>();
    engine.map("routes", admit::routes).reads::<(Judged, Denied)>().writes::<(Route, HostClaim)>();
    engine.map("gateways", admit::gateways).reads::<(Judged, Denied)>().writes::<(Gateway,)>();
    engine
        .map("certificates", admit::certificates)
        .reads::<(Judged, Denied)>()
        .writes::<(Certificate, CutSecret)>();
}
