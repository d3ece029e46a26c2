//! Values of the upstream charts that Portolan stands in for.
use portolan_model::Name;
use serde_json::Value;
/// Values of one component, as Helm merged them.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentValues {
    /// Name of the upstream chart, such as `external-dns` (not its alias).
    pub component: Name,
    /// Application that brings it; empty for a root chart.
    pub application: Name,
    /// Namespace of the Application.
    pub namespace: Name,
    /// The chart's values.
    pub values: Value,
}
