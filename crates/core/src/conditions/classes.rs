//! GatewayClass.

use std::sync::Arc;

use portolan_model::{Condition, ObjectKey, input::GatewayClass};
use serde_json::json;

use super::rows::ObjectStatus;
use crate::{
    Cx,
    gateway::{GROUP, ours},
};

/// Features of Gateway API v1.6 that are served, sorted (`pkg/features`). A name stands here only once a test shows
/// that it works; the official suite takes this list as a promise.
pub const FEATURES: [&str; 25] = [
    "GRPCRoute",
    "Gateway",
    "GatewayHTTPListenerIsolation",
    "GatewayPort8080",
    "HTTPRoute",
    "HTTPRoute303RedirectStatusCode",
    "HTTPRoute307RedirectStatusCode",
    "HTTPRoute308RedirectStatusCode",
    "HTTPRouteBackendProtocolH2C",
    "HTTPRouteBackendRequestHeaderModification",
    "HTTPRouteHostRewrite",
    "HTTPRouteMethodMatching",
    "HTTPRouteNamedRouteRule",
    "HTTPRouteParentRefPort",
    "HTTPRoutePathRedirect",
    "HTTPRoutePathRewrite",
    "HTTPRoutePortRedirect",
    "HTTPRouteQueryParamMatching",
    "HTTPRouteRequestMirror",
    "HTTPRouteRequestMultipleMirrors",
    "HTTPRouteRequestPercentageMirror",
    "HTTPRouteRequestTimeout",
    "HTTPRouteResponseHeaderModification",
    "HTTPRouteSchemeRedirect",
    "ReferenceGrant",
];

pub(super) fn class_status(cx: &mut Cx<'_>, class: &Arc<GatewayClass>) {
    if !ours(cx, &class.controller) {
        return;
    }
    let key = ObjectKey::new(GROUP, "GatewayClass", "", class.name.clone());
    let features: Vec<_> = FEATURES.iter().map(|name| json!({"name": name})).collect();
    cx.emit(ObjectStatus {
        conditions: vec![Condition::new("Accepted", true, "Accepted", "GatewayClass is accepted")],
        fields: vec![("supportedFeatures".into(), features.into())],
        ..ObjectStatus::new(key, class.generation)
    });
}
