//! Room: what the repository says about the components that Portolan stands in for, and the health of objects by Argo
//! CD's own rules.
//!
//! Reads [`ObjectStatus`] and [`rows::Kept`]; publishes [`rows::ObjectHealth`] and findings. Invariant: health is for show,
//! nothing waits on it. What leaves the repository and goes, and what stays, is the plan of [`sync`].

pub mod adapters;
pub mod configuration;
pub mod glob;
pub mod health;
pub mod known;
pub mod ledger;
pub mod namespaces;
pub mod projects;
pub mod rows;
pub mod sync;
pub(crate) mod unseen;
pub mod verdict;

use std::sync::Arc;

pub use unseen::unseen;

use portolan_engine::Engine;
use portolan_model::Kind;
use rows::{Kept, ObjectHealth};
use serde_json::json;

use crate::{Cx, World, conditions::rows::ObjectStatus, problem, world::Finding};

/// Whether objects of a kind bring others from the repository: Argo CD's Applications, and what Flux has in their place.
pub fn brings(kind: &Kind) -> bool {
    kind.is("argoproj.io", "Application")
        || kind.is("kustomize.toolkit.fluxcd.io", "Kustomization")
        || kind.is("helm.toolkit.fluxcd.io", "HelmRelease")
}

pub(crate) fn register(engine: &mut Engine<World>) {
    engine.map("object_health", object_health).writes::<(ObjectHealth,)>();
    engine.map("kept_findings", kept_findings).writes::<(Finding,)>();
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

/// Nothing stays in silence.
fn kept_findings(cx: &mut Cx<'_>, kept: &Arc<Kept>) {
    let message = format!("{} is not in the repository any more and stays: {}", kept.key, kept.reason);
    let hint = "`portolan prune` lets it go, as a sync with prune does; or bring it again";
    problem(cx, kept.key.clone(), 670, kept.reason.severity(), "", message, hint);
}
