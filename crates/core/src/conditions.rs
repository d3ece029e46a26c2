//! Room: the `status` that each object shows, as the kind's specification words it.
//!
//! Reads the rows of all rooms before it; publishes [`rows::ObjectStatus`]. Invariants: every condition carries the
//! generation that was decided on; no row holds a time of transition, since no rule sees a clock: the store stamps it.
//! Nothing is written to objects of other controllers.

mod backend_tls;
mod certificates;
mod classes;
pub mod features;
mod gateways;
mod issuers;
mod listeners;
mod orders;
mod requests;
mod routes;
pub mod rows;
mod sealed;
mod sets;

use portolan_engine::Engine;
use portolan_model::input::{Gateway, ListenerSet, Secret};
use rows::{ListenerStatus, ObjectStatus};

use crate::{
    World,
    certificates::rows::{CertificateState, IssuerState, OrderProgress, RecordWanted},
    gateway::rows::{
        BackendTrust, ClientCertificate, GatewayAddress, GatewayListener, GatewayOwner, InCluster,
        ListenerCertificate, ListenerForce, ListenerSetState, ListenerState, ParentVerdict, Unresolved,
    },
    infrastructure::rows::{FleetFailure, FleetSettings},
    secrets::rows::{UnsealFailure, UnsealWanted},
    world::{AttachmentsByListener, SetsByGateway, TlsUsesByPolicy},
};

pub(crate) fn register(engine: &mut Engine<World>) {
    engine.map("issuer_status", issuers::issuer_status).reads::<(IssuerState,)>().writes::<(ObjectStatus,)>();
    engine
        .map("certificate_status", certificates::certificate_status)
        .reads::<(CertificateState,)>()
        .writes::<(ObjectStatus,)>();
    engine
        .map("request_status", requests::request_status)
        .reads::<(RecordWanted, OrderProgress)>()
        .writes::<(ObjectStatus,)>();
    engine
        .map("order_status", orders::order_status)
        .reads::<(RecordWanted, OrderProgress)>()
        .writes::<(ObjectStatus,)>();
    engine
        .map("class_status", classes::class_status)
        .reads::<(InCluster, FleetSettings)>()
        .writes::<(ObjectStatus,)>();
    engine
        .map("listener_status", listeners::listener_status)
        .reads::<(GatewayListener, ListenerCertificate, AttachmentsByListener, ListenerForce)>()
        .writes::<(ListenerStatus,)>();
    engine
        .map("gateway_status", gateways::gateway_status)
        .reads::<(
            GatewayOwner,
            GatewayAddress,
            ListenerStatus,
            ListenerState,
            ClientCertificate,
            SetsByGateway,
            ListenerSet,
            FleetFailure,
            InCluster,
            FleetSettings,
        )>()
        .writes::<(ObjectStatus,)>();
    engine
        .map("set_status", sets::set_status)
        .reads::<(
            ListenerSetState,
            GatewayOwner,
            Gateway,
            GatewayAddress,
            ListenerStatus,
            ListenerState,
            InCluster,
            FleetSettings,
        )>()
        .writes::<(ObjectStatus,)>();
    engine
        .map("route_status", routes::route_status)
        .reads::<(ParentVerdict, Unresolved)>()
        .writes::<(ObjectStatus,)>();
    engine
        .map("policy_status", backend_tls::policy_status)
        .reads::<(BackendTrust, TlsUsesByPolicy)>()
        .writes::<(ObjectStatus,)>();
    engine
        .map("sealed_status", sealed::sealed_status)
        .reads::<(Secret, UnsealFailure, UnsealWanted)>()
        .writes::<(ObjectStatus,)>();
}
