//! Room: which certificates are wanted, from whom, and when again.
//!
//! ```text
//!  Issuer, Secret, AccountState -> IssuerState, AccountWanted
//!  Certificate, Secret, IssuerState, IssueFailure -> CertificateState, IssueWanted -> (effect) -> Secret, Issuance, OrderProgress
//!  the same -> TemporaryWanted -> (effect) -> Secret, until the issuer has signed
//!  TlsSource -> ShimClaim -> ShimCertificate -> (effect) -> Certificate: what cert-manager's shims make
//!  Certificate, Issuer -> NeededSecret: whose content a cluster's store has to read; what is not read yet is waited for
//!  Issuance, OrderProgress -> RecordWanted: the CertificateRequest, Order and Challenges that users look at
//! ```
//!
//! Invariants: a default never causes a re-issue (only what the user wrote is compared); what is in a
//! Secret that somebody else writes (`secrets::owner`) is never overwritten; the present Secret stays in use until the new one is there; nothing is ever decided by a
//! CertificateRequest, Order or Challenge object.

pub mod acme;
mod asked;
mod authority;
mod constraints;
pub mod formats;
mod issuers;
pub mod keystores;
mod lifetime;
pub mod names;
mod needed;
mod own;
mod permitted;
pub(crate) mod records;
mod renewal;
pub mod rows;
mod shim;
mod signers;
mod solvers;
mod states;
mod template;
pub mod temporary;
mod trigger;

use portolan_engine::Engine;
use portolan_model::input::{
    AdmissionBinding, Certificate, Gateway, Issuer, Judged, SealedSecret, Secret, TlsSource,
};

use crate::{
    World,
    gateway::rows::{InCluster, Unread},
    gitops::rows::Unseen,
    policy::rows::{CompiledPolicy, Denied, SubmittedCertificate},
    world::{
        BindingsByResource, DefinitionsByKind, Finding, IssuancesByCertificate, JudgedByKind,
        ShimClaimsByCertificate,
    },
};

/// Annotation of a Secret that Portolan issued: when, RFC 3339. `notBefore` does not tell, since CAs date back.
pub const ISSUED_AT: &str = "portolan.dev/issued-at";
/// Annotation of such a Secret: the revision of its Certificate, which statuses do not outlive a restart to tell.
pub const REVISION: &str = "portolan.dev/certificate-revision";
/// Annotation of such a Secret: what its certificate was asked to be, so that only what the user changed asks for another.
pub const ASKED: &str = "portolan.dev/certificate-asked";

pub(crate) fn register(engine: &mut Engine<World>) {
    engine
        .map("shim_claims", shim::claims)
        .reads::<(TlsSource, Gateway, Denied, rows::Settings)>()
        .writes::<(rows::ShimClaim, Finding)>();
    engine
        .group::<ShimClaimsByCertificate>("shim_certificates", shim::certificates)
        .reads::<(SubmittedCertificate,)>()
        .writes::<(rows::ShimCertificate, Finding)>();
    engine
        .map("issuer_states", issuers::issuer_states)
        .reads::<(Secret, Unread, Certificate, Denied, rows::AccountState, rows::Settings, rows::RealAcme)>()
        .writes::<(rows::IssuerState, rows::AccountWanted, Finding)>();
    engine
        .map("certificate_states", states::certificate_states)
        .reads::<(
            Unseen,
            Issuer,
            Secret,
            SealedSecret,
            Certificate,
            Denied,
            rows::IssuerState,
            rows::IssueFailure,
            rows::OrderProgress,
            rows::RealAcme,
            rows::Settings,
            // Whether policies let a CertificateRequest be created.
            BindingsByResource,
            CompiledPolicy,
            AdmissionBinding,
            Judged,
            JudgedByKind,
            DefinitionsByKind,
        )>()
        .reads::<(Unread,)>()
        .writes::<(rows::CertificateState, rows::IssueWanted, rows::TemporaryWanted, Finding)>();
    engine
        .map("secrets_of_certificates", needed::of_certificates)
        .reads::<(InCluster,)>()
        .writes::<(rows::NeededSecret,)>();
    engine
        .map("secrets_of_issuers", needed::of_issuers)
        .reads::<(InCluster, rows::Settings)>()
        .writes::<(rows::NeededSecret,)>();
    engine
        .map("authority_changed", authority::authority_changed)
        .reads::<(Issuer, Secret, rows::Settings)>()
        .writes::<(Finding,)>();
    engine
        .map("template_wanted", template::template_wanted)
        .reads::<(Secret, Unread, Certificate, Denied)>()
        .writes::<(rows::TemplateWanted,)>();
    engine
        .map("certificate_requests", records::certificate_requests)
        .reads::<(Certificate, IssuancesByCertificate, rows::CertificateState)>()
        .writes::<(rows::RecordWanted,)>();
    engine
        .map("orders", records::orders)
        .reads::<(Certificate, rows::OrderProgress, IssuancesByCertificate, rows::CertificateState)>()
        .writes::<(rows::RecordWanted,)>();
}
