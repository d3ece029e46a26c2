//! BackendTLSPolicies. Source of types and reasons: Gateway API `apis/v1/backendtlspolicy_types.go`, `policy_types.go`.

use std::{collections::BTreeMap, sync::Arc};

use portolan_model::{GatewayKey, Kind, Name, ObjectKey, input::BackendTlsPolicy};
use serde_json::json;

use super::rows::{ObjectStatus, Part};
use crate::{Cx, gateway::GROUP, gateway::rows::BackendTrust, world::TlsUsesByPolicy};

/// Most ancestors that a status holds (`PolicyStatus.ancestors`).
const ANCESTORS: usize = 16;

/// A policy has a status for each Gateway by which requests come to what it targets.
pub(super) fn policy_status(cx: &mut Cx<'_>, policy: &Arc<BackendTlsPolicy>) {
    let Some(trust) = cx.get::<BackendTrust>(&policy.key) else { return };
    let uses = cx.find::<TlsUsesByPolicy>(&policy.key);
    let gateways: BTreeMap<&GatewayKey, &Name> =
        uses.iter().map(|used| (&used.key.1, &used.controller)).collect();
    if gateways.is_empty() {
        return;
    }
    let part = |(gateway, controller): (&GatewayKey, &Name)| {
        let ancestor = json!({
            "group": GROUP, "kind": "Gateway", "namespace": gateway.namespace, "name": gateway.name,
        });
        let fields = [("ancestorRef", ancestor), ("controllerName", json!(controller))];
        Part::new(fields, trust.conditions.clone())
    };
    let parts = gateways.into_iter().take(ANCESTORS).map(part).collect();
    let key = ObjectKey { kind: Kind::new(GROUP, "BackendTLSPolicy"), name: policy.key.clone() };
    cx.emit(ObjectStatus {
        parts: Some(("ancestors".into(), parts)),
        ..ObjectStatus::new(key, policy.generation)
    });
}
