//! `spec.addresses` of a Gateway. On one machine a Gateway has the address that the state gives it.

use portolan_model::{Name, Severity, input::Gateway};

use super::{listeners::object, rows::InCluster};
use crate::{Cx, problem};

/// Types of addresses that Gateway API itself has (`AddressType`).
const KNOWN: [&str; 2] = ["IPAddress", "Hostname"];

/// The first address of a type that is not known here: the Gateway is not accepted (`GatewayReasonUnsupportedAddress`:
/// "an address that was provided is a type which is not supported by the implementation").
pub(crate) fn unsupported(gateway: &Gateway) -> Option<String> {
    let (kind, _) = gateway.addresses.iter().find(|(kind, _)| !KNOWN.contains(&&**kind))?;
    Some(format!("addresses of type {kind} are not supported"))
}

/// Says which addresses are not honoured, given the one that the Gateway has.
pub(super) fn not_honoured(cx: &mut Cx<'_>, gateway: &Gateway, address: &str) {
    for (at, (kind, value)) in gateway.addresses.iter().enumerate() {
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
