//! Room: what the repository says about the components that Portolan stands in for, and the health of objects by Argo
//! CD's own rules.
//!
//! Reads [`ObjectStatus`]; publishes [`rows::ObjectHealth`]. Invariant: health is for show, nothing waits on it.

pub mod adapters;
pub mod configuration;
pub mod health;
pub mod rows;
pub mod verdict;

use std::sync::Arc;

use portolan_engine::Engine;
use portolan_model::Kind;
use rows::ObjectHealth;
use serde_json::json;

use crate::{Cx, World, conditions::rows::ObjectStatus};

/// Whether objects of a kind bring others from the repository: Argo CD's Applications, and what Flux has in their place.
pub fn brings(kind: &Kind) -> bool {
    kind.is("argoproj.io", "Application")
        || kind.is("kustomize.toolkit.fluxcd.io", "Kustomization")
        || kind.is("helm.toolkit.fluxcd.io", "HelmRelease")
}

pub(crate) fn register(engine: &mut Engine<World>) {
    engine.map("object_health", object_health).writes::<(ObjectHealth,)>();
}

fn object_health(cx: &mut Cx<'_>, row: &Arc<ObjectStatus>) {
    let kind = &row.key.kind;
    let object = json!({
        "apiVersion": format!("{}/", kind.group), "kind": kind.kind,
        "metadata": {"generation": row.generation}, "status": row.json(),
    });
    if let Some(health) = health::health(&object) {
        cx.emit(ObjectHealth { key: row.key.clone(), health });
    }
}
