//! DNS: which records a zone should hold, whose they are, and what to do about the difference.
//!
//! ```text
//!  annotations + targets -> WantedRecord --merge--+
//!                                                 +--plan--> Plan (Create | Update | Delete | Leave { because }) -> ChangeSet
//!  Snapshot (record sets + registry TXT) ---------+
//! ```
//!
//! The rules make the wanted records; the effect plans and writes them zone by zone and reports what stands:
//!
//! ```text
//!  ListenerForce -> ListenerGate ----------+
//!  Gateway -> GatewayTargets ---+-> DesiredRecord -> WantedName, DnsState       what is kept of what was removed -> Departed
//!  Route, Attachment, Probe ----+       ^ PublishedRecord, DnsAnswer, RecordProblem (facts)
//! ```
//!
//! The gate: a name is first published when its listener is acked and answers, with a valid certificate where TLS ends
//! there. "Published" is a fact, the provider's zone as it was kept over restarts: a published name is held whatever its
//! desired record lacks now, and goes only with the desired record.
//!
//! Of several external-dns components each is followed: a desired record names the component that makes it, and of components that
//! want one name the one that has it keeps it, else the first by name gets it.
//!
//! Invariants: a set is changed or removed only if its registry TXT names our owner; a set and its TXT change in one
//! indivisible group with preconditions; nothing is planned on an incomplete snapshot; a plan that was applied is
//! followed by an empty plan.

pub mod annotations;
mod components;
mod configure;
pub mod drain;
mod gates;
pub mod merge;
mod names;
pub mod observe;
mod part;
pub mod pattern;
pub mod plan;
pub mod problems;
pub mod registry;
pub mod rows;
pub mod scope;
pub mod targets;
pub(crate) mod template;
mod wanted;

mod action;
mod observed;
mod row;
mod selector;
mod settings;
#[cfg(test)]
mod tests;

pub use action::{Action, Because, Finding, Plan, Verb};
pub use annotations::{Annotations, HostnameSource};
pub use components::plan_of;
pub use merge::{WantedRecord, merge};
pub use part::Part;
pub use plan::{plan, plan_part};
pub use problems::DnsProblem;
pub use registry::{Ownership, Registry};
pub use settings::{Policy, Settings};
pub use wanted::passed_over;

use portolan_engine::Engine;
use portolan_model::input::{GatewayClass, ListenerSet};

use crate::{
    World,
    gateway::rows::{Attachment, GatewayAddress, GatewayListener, ListenerCertificate, ListenerForce},
    status::rows::Probe,
    world::{DesiredByName, Finding as FindingRow, ProblemsByName, PublishedByName},
};

pub(crate) fn register(engine: &mut Engine<World>) {
    engine
        .map("listener_gates", gates::listener_gates)
        .reads::<(ListenerCertificate, ListenerForce)>()
        .writes::<(rows::ListenerGate,)>();
    engine
        .map("gateway_targets", gates::gateway_targets)
        .reads::<(rows::DnsSettings, GatewayAddress, GatewayClass)>()
        .writes::<(rows::GatewayTargets, FindingRow)>();
    engine
        .map("desired_records", names::desired_records)
        .reads::<(
            rows::DnsSettings,
            Attachment,
            GatewayListener,
            ListenerSet,
            rows::GatewayTargets,
            rows::ListenerGate,
            Probe,
        )>()
        .writes::<(rows::DesiredRecord, FindingRow)>();
    engine.map("record_findings", wanted::record_findings).writes::<(FindingRow,)>();
    engine
        .group::<DesiredByName>("wanted_names", wanted::wanted_names)
        .reads::<(rows::DnsSettings, PublishedByName, ProblemsByName, rows::DnsAnswer)>()
        .writes::<(rows::WantedName, rows::DnsState, FindingRow)>();
    engine
        .map("departed_routes", drain::departed_routes)
        .reads::<(PublishedByName, DesiredByName, ProblemsByName, rows::WantedName)>()
        .writes::<(rows::Departed,)>();
    engine
        .map("departed_gateways", drain::departed_gateways)
        .reads::<(PublishedByName, DesiredByName, ProblemsByName, rows::WantedName)>()
        .writes::<(rows::Departed,)>();
    engine
        .map("departed_sets", drain::departed_sets)
        .reads::<(PublishedByName, DesiredByName, ProblemsByName, rows::WantedName)>()
        .writes::<(rows::Departed,)>();
    engine
        .map("departed_classes", drain::departed_classes)
        .reads::<(PublishedByName, DesiredByName, ProblemsByName, rows::WantedName)>()
        .writes::<(rows::Departed,)>();
}
