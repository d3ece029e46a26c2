//! `spec.addresses` of a Gateway. On one machine a Gateway has the address that the state gives it.

use portolan_model::{
    Name, Severity,
    input::{Gateway, SpecAddress},
};

use super::{listeners::object, rows::InCluster};
use crate::{Cx, problem};

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

/// Says which addresses are not honoured, given the one that the Gateway has.
pub(super) fn not_honoured(cx: &mut Cx<'_>, gateway: &Gateway, address: &str) {
    for (at, SpecAddress { kind, value, .. }) in gateway.addresses.iter().enumerate() {
        if KNOWN.contains(&&**kind) && !value.is_empty() && **value != *address {
            let field = format!("spec.addresses[{at}]");
            let (place, hint) = if cx.get::<InCluster>(&Name::default()).is_some() {
                ("here", "leave it out: addresses are those of --gateway-addresses")
            } else {
                ("on one machine", "nothing is to be done; --bind chooses another address for all Gateways")
            };
            let message = format!(
                "address {value} is not honoured {place}: the Gateway is served at {address}, and names point there"
            );
            problem(cx, object(gateway), 216, Severity::Info, &field, message, hint);
        }
    }
}
