//! `spec.addresses` of a Gateway. On one machine a Gateway has the address that the state gives it; with `run --gateway-addresses` the one that it asks
//! for, if it is of those and nobody else has it; where it has Envoys of its own, its Service asks for it.

use portolan_model::{
    Name, Severity,
    input::{Gateway, SpecAddress},
};

use super::{listeners::object, rows::InCluster};
use crate::{Cx, infrastructure::rows::FleetSettings, problem};

/// Types of addresses that Gateway API itself has (`AddressType`).
const KNOWN: [&str; 2] = ["IPAddress", "Hostname"];

/// Why a Gateway as a whole is not accepted.
pub(crate) struct Unaccepted {
    /// Reason of the specification.
    pub reason: &'static str,
    /// Where.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

/// An address of a type that is not known, or that is to be reached from elsewhere than others (`GatewayReasonUnsupportedAddress`: "an
/// address that was provided is a type which is not supported by the implementation"); parameters that nobody here reads
/// (`GatewayReasonInvalidParameters`). Those of Envoy Gateway change nothing on one machine.
pub(crate) fn unaccepted(gateway: &Gateway) -> Option<Unaccepted> {
    let address = |message| Unaccepted {
        reason: "UnsupportedAddress",
        field: "spec.addresses",
        message,
        hint: "use IPAddress or Hostname without routability, or leave the addresses out",
    };
    if let Some(SpecAddress { kind, .. }) =
        gateway.addresses.iter().find(|address| !KNOWN.contains(&&*address.kind))
    {
        return Some(address(format!("addresses of type {kind} are not supported")));
    }
    if let Some(SpecAddress { routability, .. }) =
        gateway.addresses.iter().find(|address| !address.routability.is_empty())
    {
        return Some(address(format!("addresses of routability {routability} are not supported")));
    }
    let parameters = &gateway.infrastructure.parameters.as_ref()?.kind;
    (!parameters.is("gateway.envoyproxy.io", "EnvoyProxy")).then(|| Unaccepted {
        reason: "InvalidParameters",
        field: "spec.infrastructure.parametersRef",
        message: format!("parameters of kind {parameters} are not known"),
        hint: "refer to an EnvoyProxy of gateway.envoyproxy.io, or leave the reference out",
    })
}

/// Which of the addresses that are asked for the Gateway does not have, by their place in the list.
fn others<'a>(gateway: &'a Gateway, address: Option<&'a str>) -> impl Iterator<Item = (usize, &'a Name)> {
    let all = gateway.addresses.iter().enumerate();
    all.filter(move |(_, SpecAddress { kind, value, .. })| {
        KNOWN.contains(&&**kind) && !value.is_empty() && address != Some(&**value)
    })
    .map(|(at, asked)| (at, &asked.value))
}

/// What keeps a Gateway that asks for addresses from being programmed (`GatewayReasonAddressNotUsable`), given the address that it has.
/// Where it has Envoys of its own that is the load balancer's to say.
pub(crate) fn unusable(cx: &mut Cx<'_>, gateway: &Gateway, address: Option<&str>) -> Option<String> {
    let name = Name::default();
    if cx.get::<InCluster>(&name).is_none() || cx.get::<FleetSettings>(&name).is_some() {
        return None;
    }
    others(gateway, address).next().map(|(_, value)| cannot_be_used(value, address))
}

fn cannot_be_used(value: &str, address: Option<&str>) -> String {
    let instead = address.map_or_else(String::new, |address| format!("; the Gateway is served at {address}"));
    format!(
        "Address {value} cannot be used: it is none of --gateway-addresses, or another Gateway has it, or this one has another{instead}"
    )
}

/// Says which addresses are not honoured, given the one that the Gateway has.
pub(super) fn not_honoured(cx: &mut Cx<'_>, gateway: &Gateway, address: Option<&str>) {
    let here = cx.get::<InCluster>(&Name::default()).is_some();
    for (at, value) in others(gateway, address) {
        let field = format!("spec.addresses[{at}]");
        if here {
            let message = cannot_be_used(value, address);
            let hint = "ask for one free address of --gateway-addresses, or leave it out";
            problem(cx, object(gateway), 216, Severity::Error, &field, message, hint);
        } else if let Some(address) = address {
            let message = format!(
                "address {value} is not honoured on one machine: the Gateway is served at {address}, and names point there"
            );
            let hint = "nothing is to be done; --bind chooses another address for all Gateways";
            problem(cx, object(gateway), 216, Severity::Info, &field, message, hint);
        }
    }
}
