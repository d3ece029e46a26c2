//! Applications with the health of their objects, as Argo CD would show it.

use std::collections::BTreeMap;

use portolan_core::{
    World,
    gitops::{
        health::{Health, Status},
        rows::ObjectHealth,
    },
};
use portolan_effects::{render::ApplicationInfo, store::Store};
use portolan_engine::Engine;
use portolan_model::Name;
use serde_json::{Value, json};

/// What belongs to one Application.
#[derive(Default)]
struct Tally {
    objects: usize,
    /// Not healthy, in the order of their keys.
    unhealthy: Vec<(String, Health)>,
}

/// One entry an Application, parents first. Its health is the worst of its objects; kinds without a rule count as
/// healthy (argoproj/gitops-engine `pkg/health`).
pub fn applications(engine: &Engine<World>, store: &Store, known: &[ApplicationInfo]) -> Value {
    let mut tallies: BTreeMap<&Name, Tally> = BTreeMap::new();
    for stored in store.list().filter(|stored| stored.object.origin.source.is_some()) {
        let tally = tallies.entry(&stored.object.origin.application).or_default();
        tally.objects += 1;
        let health = engine.get::<ObjectHealth>(&stored.object.key);
        if let Some(row) = health.filter(|row| row.health.status != Status::Healthy) {
            tally.unhealthy.push((row.key.to_string(), row.health.clone()));
        }
    }
    let none = Tally::default();
    known
        .iter()
        .map(|app| {
            let is_application = &*app.key.kind.kind == "Application";
            let name = if is_application { app.key.name.name.clone() } else { Name::default() };
            let tally = tallies.get(&name).unwrap_or(&none);
            let worst = tally.unhealthy.iter().max_by_key(|(_, health)| health.status);
            let objects: Vec<Value> = tally
                .unhealthy
                .iter()
                .map(|(object, health)| {
                    json!({"object": object, "health": health.status, "message": health.message})
                })
                .collect();
            json!({
                "application": app.key.to_string(), "parent": app.parent, "namespace": app.namespace,
                "wave": app.wave, "sources": app.sources, "objects": tally.objects,
                "health": worst.map_or(Status::Healthy, |(_, health)| health.status),
                "message": worst.map(|(object, health)| format!("{object}: {}", health.message)),
                "unhealthy": objects,
            })
        })
        .collect()
}
