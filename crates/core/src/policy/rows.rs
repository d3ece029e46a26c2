//! Rows of the policy room.

use std::sync::Arc;

use portolan_engine::Row;
use portolan_model::{
    GatewayKey, Name, NamespacedName, ObjectKey, RouteKey,
    input::{Certificate, Gateway, Route},
    row,
};

/// Fact: an object as it was submitted. Only the policy room reads it; all other rooms read the row that it lets
/// through (design/decisions.md, "Admission stands before the tables").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted<R>(pub Arc<R>);

/// A route as submitted.
pub type SubmittedRoute = Submitted<Route>;
/// A Gateway as submitted.
pub type SubmittedGateway = Submitted<Gateway>;
/// A Certificate as submitted.
pub type SubmittedCertificate = Submitted<Certificate>;

macro_rules! submitted {
    ($row:ty, $key:ty, $name:literal) => {
        impl Row for Submitted<$row> {
            type Key = $key;
            const NAME: &'static str = $name;
            fn key(&self) -> $key {
                self.0.key.clone()
            }
        }
    };
}
submitted!(Route, RouteKey, "submitted_routes");
submitted!(Gateway, GatewayKey, "submitted_gateways");
submitted!(Certificate, NamespacedName, "submitted_certificates");

/// An object is kept out: it stands in no other table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The object.
    pub key: ObjectKey,
    /// The policy; of several, the first by name of its binding.
    pub policy: Name,
    /// Its message.
    pub message: String,
}
row!(Denied, ObjectKey, "denied");
