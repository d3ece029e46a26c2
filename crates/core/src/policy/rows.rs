//! Rows of the policy room.

use std::sync::Arc;

use portolan_engine::Row;
use portolan_model::{
    GatewayKey, IssuerKey, Name, NamespacedName, ObjectKey, RouteKey,
    input::{
        AdmissionPolicy, Certificate, EndpointSlice, EndpointsObject, Gateway, GatewayClass, Issuer,
        ListenerSet, Namespace, ReferenceGrant, Route, SealedSecret, Service,
    },
    row,
};

use super::program::Program;

/// Fact: an object as it was submitted. Only the policy room reads it; all other rooms read the row that it lets
/// through (design/decisions.md, "Admission stands before the tables").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted<R>(pub Arc<R>);

/// A Namespace as submitted.
pub type SubmittedNamespace = Submitted<Namespace>;
/// A route as submitted.
pub type SubmittedRoute = Submitted<Route>;
/// A Gateway as submitted.
pub type SubmittedGateway = Submitted<Gateway>;
/// A Certificate as submitted.
pub type SubmittedCertificate = Submitted<Certificate>;
/// A GatewayClass as submitted.
pub type SubmittedClass = Submitted<GatewayClass>;
/// A ReferenceGrant as submitted.
pub type SubmittedGrant = Submitted<ReferenceGrant>;
/// A ListenerSet as submitted.
pub type SubmittedSet = Submitted<ListenerSet>;
/// A Service as submitted.
pub type SubmittedService = Submitted<Service>;
/// An EndpointSlice as submitted.
pub type SubmittedSlice = Submitted<EndpointSlice>;
/// An Endpoints object as submitted.
pub type SubmittedEndpoints = Submitted<EndpointsObject>;
/// A SealedSecret as submitted.
pub type SubmittedSealed = Submitted<SealedSecret>;
/// An Issuer or ClusterIssuer as submitted.
pub type SubmittedIssuer = Submitted<Issuer>;

/// A row whose key stands in another row that it holds.
macro_rules! row_of {
    ($row:ty, $key:ty, $name:literal, |$r:ident| $of:expr) => {
        impl Row for $row {
            type Key = $key;
            const NAME: &'static str = $name;
            fn key(&self) -> &$key {
                let $r = self;
                $of
            }
        }
    };
}
row_of!(SubmittedNamespace, Name, "submitted_namespaces", |row| &row.0.name);
row_of!(SubmittedRoute, RouteKey, "submitted_routes", |row| &row.0.key);
row_of!(SubmittedGateway, GatewayKey, "submitted_gateways", |row| &row.0.key);
row_of!(SubmittedCertificate, NamespacedName, "submitted_certificates", |row| &row.0.key);
row_of!(SubmittedClass, Name, "submitted_classes", |row| &row.0.name);
row_of!(SubmittedGrant, NamespacedName, "submitted_grants", |row| &row.0.key);
row_of!(SubmittedSet, NamespacedName, "submitted_listener_sets", |row| &row.0.key);
row_of!(SubmittedService, NamespacedName, "submitted_services", |row| &row.0.key);
row_of!(SubmittedSlice, NamespacedName, "submitted_slices", |row| &row.0.key);
row_of!(SubmittedEndpoints, NamespacedName, "submitted_endpoints", |row| &row.0.key);
row_of!(SubmittedSealed, NamespacedName, "submitted_sealed_secrets", |row| &row.0.key);
row_of!(SubmittedIssuer, IssuerKey, "submitted_issuers", |row| &row.0.key);

/// A policy that concerns a judged kind and compiles.
#[derive(Clone, Debug)]
pub struct CompiledPolicy {
    /// As written.
    pub policy: Arc<AdmissionPolicy>,
    /// Its expressions, compiled once.
    pub program: Arc<Program>,
}
row_of!(CompiledPolicy, Name, "compiled_policies", |row| &row.policy.name);

/// The program follows from the policy.
impl PartialEq for CompiledPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.policy == other.policy
    }
}
impl Eq for CompiledPolicy {}

/// A binding with a compiled policy, and the resources that both match: narrow, so that an edit of an expression makes
/// no case come or go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveBinding {
    /// Name of the binding.
    pub key: Name,
    /// The policy.
    pub policy: Name,
    /// Plural names of judged resources, selectors and names of objects aside.
    pub resources: Vec<Name>,
}
row!(ActiveBinding, Name, "active_bindings");

/// An object is to be judged by a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Object and binding.
    pub key: CaseKey,
}
row!(Case, CaseKey, "policy_cases");

/// Object and name of the binding.
pub type CaseKey = (ObjectKey, Name);

/// What a binding has to say against an object; nothing is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Object and binding.
    pub key: CaseKey,
    /// The policy.
    pub policy: Name,
    /// Effect, field and message of each complaint, in the order of the policy.
    pub complaints: Vec<(Effect, String, String)>,
}
row!(Judgement, CaseKey, "policy_judgements");

/// What a complaint leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// The object is kept out.
    Denies,
    /// The binding only warns or audits.
    Warns,
    /// The expression has no value and `failurePolicy` is Ignore.
    Ignored,
}

/// The Secret of a Certificate that is denied: what was issued into it before is not served any longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutSecret {
    /// Secret and Certificate.
    pub key: (NamespacedName, NamespacedName),
    /// The policy.
    pub policy: Name,
}
row!(CutSecret, (NamespacedName, NamespacedName), "cut_secrets");

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

impl Denied {
    /// What is said of an object that is kept out by this: its own denial, or that of the Namespace that it stands in.
    pub fn words(&self, object: &ObjectKey) -> String {
        let by = format!("denied by ValidatingAdmissionPolicy {}", self.policy);
        if self.key == *object {
            format!("is {by}")
        } else {
            format!("stands in {}, which is {by}", self.key)
        }
    }
}
