//! Room: which certificates are wanted, from whom, and when again.
//!
//! Reads Certificates, Issuers and the Secrets they write; publishes [`rows::CertificateState`] and
//! [`rows::IssueWanted`]. Invariants: a default never causes a re-issue (only what the user wrote is compared); a
//! Secret that somebody else wrote is never overwritten; the present Secret stays in use until the new one is there.

pub mod acme;
pub mod rows;
mod signers;
mod solvers;
mod states;
mod template;

use portolan_engine::Engine;
use portolan_model::input::{Certificate, Issuer, Secret};

use crate::{World, world::Finding};

/// Annotation of a Secret that Portolan issued: when, RFC 3339. `notBefore` does not tell, since CAs date back.
pub const ISSUED_AT: &str = "portolan.dev/issued-at";

pub(crate) fn register(engine: &mut Engine<World>) {
    engine
        .map("certificate_states", states::certificate_states)
        .reads::<(Issuer, Secret, Certificate, rows::IssueFailure, rows::OrderProgress, rows::Settings)>()
        .writes::<(rows::CertificateState, rows::IssueWanted, Finding)>();
    engine
        .map("template_wanted", template::template_wanted)
        .reads::<(Secret, Certificate)>()
        .writes::<(rows::TemplateWanted,)>();
}
