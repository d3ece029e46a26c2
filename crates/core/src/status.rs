//! Room: what is live, what is not, and why: one entry point a hostname.

mod entries;
pub mod rows;

use portolan_engine::Engine;
use portolan_model::input::SourceProblems;

use crate::{
    World,
    dns::rows::DnsState,
    gateway::rows::{
        GatewayAddress, GatewayListener, HostForce, InCluster, ListenerCertificate, ListenerForce,
        ParentVerdict, Unenforced, Unresolved,
    },
    world::{ClaimsByHost, Finding},
};

pub(crate) fn register(engine: &mut Engine<World>) {
    engine.map("input_findings", entries::input_findings).reads::<(SourceProblems,)>().writes::<(Finding,)>();
    engine.map("source_findings", entries::source_findings).writes::<(Finding,)>();
    engine
        .group::<ClaimsByHost>("entry_points", entries::entry_points)
        .reads::<(
            GatewayAddress,
            GatewayListener,
            ListenerCertificate,
            Unresolved,
            ParentVerdict,
            ListenerForce,
            HostForce,
            rows::Probe,
            Unenforced,
            DnsState,
            InCluster,
        )>()
        .writes::<(rows::EntryPoint, Finding)>();
}
