//! Applications with the health of their objects, as Argo CD would show it.

use std::collections::BTreeMap;

use portolan_core::{
    World,
    gitops::{
        self,
        health::{self, Health, Status},
        rows::{Kept, ObjectHealth},
        verdict,
    },
    policy::rows::Denied,
    world::Finding,
};
use portolan_effects::{
    render::ApplicationInfo,
    store::{Cache, Stored},
};
use portolan_engine::Engine;
use portolan_model::{Code, Name, ObjectKey, Origin, Severity, input::GatewayClass};
use serde_json::{Value, json};

use super::edits::Edit;

/// An API server would not store the object.
const NOT_STORED: Code = Code(5);

/// The finding of a source that is being rendered.
const RENDERING: u16 = 627;

/// What belongs to one Application.
#[derive(Default)]
struct Tally {
    objects: usize,
    /// Not healthy, in the order of their keys.
    unhealthy: Vec<(String, Health)>,
}

/// One entry an Application, parents first. Its health is the worst of its objects, and what stood in the way of reading
/// it; kinds without a rule count as healthy (argoproj/argo-cd `controller/health.go`).
pub fn applications(
    engine: &Engine<World>,
    store: &dyn Cache,
    known: &[ApplicationInfo],
    edits: &[Edit],
) -> Value {
    let mut tallies: BTreeMap<&Name, Tally> = BTreeMap::new();
    for stored in store.list().filter(|stored| stored.object.origin.source.is_some()) {
        let tally = tallies.entry(&stored.object.origin.application).or_default();
        tally.objects += 1;
        if let Some(health) = of_object(engine, stored).filter(|health| health.status != Status::Healthy) {
            tally.unhealthy.push((stored.object.key.to_string(), health));
        }
    }
    let unseen = unseen(engine, store);
    for app in known {
        let name = name(app);
        let seen = unseen.get(name).cloned().or_else(|| Some((app.key.to_string(), held(app)?)));
        if let Some((key, health)) = seen.or_else(|| Some((app.key.to_string(), missing(store, app)?))) {
            let tally = tallies.entry(name).or_default();
            tally.unhealthy.insert(0, (key, health));
        }
    }
    let mut out_of_sync: BTreeMap<ObjectKey, Vec<String>> = BTreeMap::new();
    for row in engine.rows::<Kept>() {
        if let Some(by) = row.reason.is_out_of_sync() {
            out_of_sync.entry(by.clone()).or_default().push(row.key.to_string());
        }
    }
    for edit in edits {
        // As Argo CD shows what could not be applied.
        if let Some(by) = &edit.owner {
            out_of_sync.entry((**by).clone()).or_default().push(edit.key.to_string());
        }
    }
    for (key, origin, message) in refused(engine, store) {
        if let Some(by) = &origin.owner {
            let all = out_of_sync.entry((**by).clone()).or_default();
            let key = key.to_string();
            if !all.contains(&key) {
                all.push(key);
            }
        }
        if store.get(key).is_none() {
            let health = Health { status: Status::Missing, message };
            tallies.entry(&origin.application).or_default().unhealthy.push((key.to_string(), health));
        }
    }
    let none = Tally::default();
    known
        .iter()
        .map(|app| {
            let tally = tallies.get(name(app)).unwrap_or(&none);
            // Of equally bad ones the first.
            let worst = tally.unhealthy.iter().rev().max_by_key(|(_, health)| health.status);
            let objects: Vec<Value> = tally
                .unhealthy
                .iter()
                .map(|(object, health)| {
                    json!({"object": object, "health": health.status, "message": health.message})
                })
                .collect();
            json!({
                "application": shown(&app.key), "parent": app.parent, "namespace": app.namespace,
                "wave": app.wave, "sources": app.sources, "objects": tally.objects,
                "health": worst.map_or(Status::Healthy, |(_, health)| health.status),
                "message": worst.map(|(object, health)| format!("{object}: {}", health.message)),
                "unhealthy": objects, "outOfSync": out_of_sync.get(&app.key).cloned().unwrap_or_default(),
            })
        })
        .collect()
}

/// What an API server would not take: an object is not there, or what stood there before is.
fn refused<'a>(
    engine: &'a Engine<World>,
    store: &'a dyn Cache,
) -> impl Iterator<Item = (&'a ObjectKey, &'a Origin, String)> {
    let found = engine.rows::<Finding>().filter(|row| row.problem.code == NOT_STORED);
    let errors = found.filter(|row| row.problem.severity == Severity::Error);
    errors.filter_map(|row| {
        let key = &row.problem.object;
        Some((key, store.origin(key)?, row.problem.message.clone()))
    })
}

/// An Application as it is shown. The top of the repository has no name of its own.
pub fn shown(key: &ObjectKey) -> String {
    let key = key.to_string();
    if key.ends_with('/') { format!("{key}.") } else { key }
}

/// What objects of an Application are marked with; nothing for those of a root that is none.
fn name(app: &ApplicationInfo) -> &Name {
    static NONE: std::sync::LazyLock<Name> = std::sync::LazyLock::new(Name::default);
    if gitops::brings(&app.key.kind) { &app.key.name.name } else { &NONE }
}

/// Health of a stored object: by its status; of a kind whose status we write and of which there is none yet, as Argo CD
/// has it for an object without one. What a policy keeps out is not there.
fn of_object(engine: &Engine<World>, stored: &Stored) -> Option<Health> {
    const IGNORED: &str = "argocd.argoproj.io/ignore-healthcheck";
    let key = &stored.object.key;
    if let Some(denied) = engine.get::<Denied>(key) {
        let message = format!("policy {} keeps it out: {}", denied.policy, denied.message);
        return Some(Health { status: Status::Missing, message });
    }
    // Of what is there; what is missing counts (`controller/health.go`).
    if stored.object.annotation(IGNORED) == Some("true") {
        return None;
    }
    if let Some(row) = engine.get::<ObjectHealth>(key) {
        return Some(row.health.clone());
    }
    if key.kind.is("gateway.networking.k8s.io", "Gateway") {
        return unclaimed(engine, stored);
    }
    // A class without a status is another controller's.
    let ours = matches!(
        (&*key.kind.group, &*key.kind.kind),
        ("gateway.networking.k8s.io", "HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute" | "UDPRoute")
            | ("cert-manager.io", "Certificate" | "Issuer" | "ClusterIssuer")
            | ("bitnami.com", "SealedSecret")
    );
    let bare = json!({"apiVersion": format!("{}/", key.kind.group), "kind": key.kind.kind});
    ours.then(|| health::health(&bare)).flatten()
}

/// Health of a Gateway without a status: one whose class there is not has what an API server fills in; that of another controller
/// is not seen here.
fn unclaimed(engine: &Engine<World>, stored: &Stored) -> Option<Health> {
    let class = stored.object.json.pointer("/spec/gatewayClassName").and_then(Value::as_str)?;
    engine
        .get::<GatewayClass>(&class.into())
        .is_none()
        .then(|| Health { status: Status::Progressing, message: "Waiting for controller".to_owned() })
}

/// Applications of which not all is known, with the first thing that is not: a source that was not read, or an object of
/// theirs that may change an answer and is not looked at. Those are never healthy.
fn unseen(engine: &Engine<World>, store: &dyn Cache) -> BTreeMap<Name, (String, Health)> {
    let mut unseen = BTreeMap::new();
    for row in engine.rows::<Finding>().filter(|row| verdict::hidden(&row.problem).is_some()) {
        let object = &row.problem.object;
        let (name, what) = if gitops::brings(&object.kind) {
            let what = if row.problem.code.0 == RENDERING { "" } else { "was not rendered: " };
            (object.name.name.clone(), what)
        } else if let Some(origin) = store.origin(object) {
            (origin.application.clone(), "")
        } else {
            (Name::default(), "")
        };
        let health = Health { status: Status::Unknown, message: format!("{what}{}", row.problem.message) };
        unseen.entry(name).or_insert_with(|| (object.to_string(), health));
    }
    unseen
}

/// An Application of which nothing is applied, for what stands in one of its files.
fn held(app: &ApplicationInfo) -> Option<Health> {
    let message = "nothing of it is applied, and what is live of it stays; the findings say why".to_owned();
    app.held.then_some(Health { status: Status::Unknown, message })
}

/// An Application that is not stored itself, so that nothing of it counts.
fn missing(store: &dyn Cache, app: &ApplicationInfo) -> Option<Health> {
    let stored = !gitops::brings(&app.key.kind) || app.parent.is_empty() || store.get(&app.key).is_some();
    (!stored)
        .then(|| Health { status: Status::Missing, message: "is not stored; the findings say why".into() })
}
