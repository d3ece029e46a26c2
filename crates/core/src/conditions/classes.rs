//! GatewayClass.

use std::sync::Arc;

use portolan_model::{Condition, Name, ObjectKey, input::GatewayClass};
use serde_json::json;

use super::{features, rows::ObjectStatus};
use crate::{
    Cx,
    gateway::{GROUP, ours, rows::InCluster},
    infrastructure::rows::FleetSettings,
};

pub(super) fn class_status(cx: &mut Cx<'_>, class: &Arc<GatewayClass>) {
    if !ours(cx, &class.controller) {
        return;
    }
    let key = ObjectKey::new(GROUP, "GatewayClass", "", class.name.clone());
    let apart = cx.get::<FleetSettings>(&Name::default()).is_some();
    let names = match cx.get::<InCluster>(&Name::default()) {
        Some(_) => features::names_in_a_cluster(apart),
        None => features::names(),
    };
    let features: Vec<_> = names.into_iter().map(|name| json!({"name": name})).collect();
    cx.emit(ObjectStatus {
        conditions: vec![Condition::new("Accepted", true, "Accepted", "GatewayClass is accepted")],
        fields: vec![("supportedFeatures".into(), features.into())],
        ..ObjectStatus::new(key, class.generation)
    });
}
