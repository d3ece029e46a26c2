//! `portolan render`: what an environment wants, without running anything. Effects are assumed to succeed
//! (`core::simulate`), so what is refused here needs an edit.

mod rooms;
mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context as _;
use portolan_core::{
    World,
    gitops::{
        configuration::{self, Environment},
        known::{Known, Seen},
        ledger::{self, Entry},
    },
    policy::rows::Submitted,
    simulate::simulate,
    world,
};
use portolan_effects::render::{self as reading, ApplicationInfo, Asked, Program, Rendered, Tools, Tree};
use portolan_engine::Engine;
use portolan_model::{
    Code, Name, Object, ObjectKey, Origin, Problem,
    input::{Namespace, SourceProblems},
    intake::intake,
};
use serde_json::{Value, json};

use crate::{
    cli::Output,
    out::{self, Shown},
    status,
};

/// Arguments of `render`.
#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Render {
    /// Git checkout or folder
    dir: PathBuf,
    /// Environment, such as prod-01
    #[arg(long, default_value = "default")]
    env: String,
    /// Where to start, relative to DIR. Default: argocd-bootstrap-apps/ENV.yaml, then charts/app-of-apps, then
    /// clusters/ENV, then what brings others and is brought by none, then DIR
    #[arg(long)]
    root: Option<String>,
    /// Helm program. Default: the one beside this program, then PATH; never one that stands in DIR
    #[arg(long, value_name = "PROGRAM", env = "PORTOLAN_HELM", value_parser = crate::tools::path())]
    helm: Option<PathBuf>,
    /// Kustomize program. Default: the one beside this program, then PATH; never one that stands in DIR
    #[arg(long, value_name = "PROGRAM", env = "PORTOLAN_KUSTOMIZE", value_parser = crate::tools::path())]
    kustomize: Option<PathBuf>,
    /// Folder of charts that `portolan charts lock` fetched. Default: beside the states of instances
    #[arg(long, value_name = "DIR", env = "PORTOLAN_CHARTS", value_parser = crate::tools::path())]
    charts: Option<PathBuf>,
    /// A label of the environment's cluster in Argo CD, for ApplicationSets whose clusters generator chooses by labels
    #[arg(long, value_name = "KEY=VALUE", value_parser = crate::cli::label)]
    cluster_label: Vec<(String, String)>,
    /// An annotation of its Secret, for ApplicationSets whose template takes metadata.annotations of the cluster
    #[arg(long, value_name = "KEY=VALUE", value_parser = crate::cli::label)]
    cluster_annotation: Vec<(String, String)>,
    /// List every object with its Application, wave and file instead of what follows from them
    #[arg(long)]
    objects: bool,
    /// Show also findings that are only for information
    #[arg(long)]
    info: bool,
    /// Name all findings and objects of each cause
    #[arg(long)]
    all: bool,
    /// Exit 0 also where something was not looked at that may change an answer
    #[arg(long)]
    allow_incomplete: bool,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

/// Renders with the real Helm and shows what is wanted; values are never shown, they may be secret.
///
/// # Errors
/// When there is no such folder, or none for rendered charts can be made.
pub fn run(args: &Render) -> anyhow::Result<u8> {
    let dir = crate::folder::of(&args.dir)?;
    let cache = tempfile::tempdir().context("no folder for rendered charts can be made")?;
    let helm = crate::tools::chosen(Program::Helm, args.helm.as_deref(), &dir)?;
    let kustomize = crate::tools::chosen(Program::Kustomize, args.kustomize.as_deref(), &dir)?;
    let tools = Tools::found(helm, cache.path().join("charts")).kustomize(kustomize);
    let tools = tools.cluster_labels(args.cluster_label.iter().cloned().collect());
    let tools = tools.cluster_annotations(args.cluster_annotation.iter().cloned().collect());
    let tools = match crate::charts::store(args.charts.as_deref()) {
        Some(store) => tools.charts(store),
        None => tools,
    };
    let (mut rendered, mut tree) = reading::read(&dir, &args.env, args.root.as_deref(), &tools);
    if rendered.objects.is_empty() && rendered.problems.is_empty() {
        rendered.problems.push(crate::folder::empty(&dir));
    }
    // Nothing was looked at: the root or the environment was named wrong.
    let no_root = rendered.problems.iter().any(|problem| problem.code == Code(600));
    let wanted = wanted(&args.env, rendered, &mut tree);
    match args.output {
        Output::Json => out::json(&wanted)?,
        // Without a root there are none to list, and why is to be said.
        Output::Table if args.objects && !no_root => out::print(&table::objects(&Shown::of(&wanted)))?,
        Output::Table => out::print(&table::all(&Shown::of(&wanted), args.info, args.all))?,
    }
    Ok(if no_root { 2 } else { status::code(&wanted, args.allow_incomplete) })
}

/// Everything as JSON: docs/reference/cli.md, "render".
fn wanted(env: &str, mut rendered: Rendered, tree: &mut Tree) -> Value {
    let mut engine = world::engine();
    let mut ledger = configure(&mut engine, env, &mut rendered);
    let namespaces: BTreeSet<&Name> = rendered
        .objects
        .iter()
        .map(|object| &object.key.name.namespace)
        .filter(|name| !name.is_empty())
        .collect();
    for name in namespaces {
        let label = ("kubernetes.io/metadata.name".into(), name.clone());
        let key = ObjectKey::new("", "Namespace", "", name.clone());
        // The object, where there is one, comes in its place.
        let namespace = Namespace { name: name.clone(), labels: [label].into() };
        world::amend(&mut engine, &key, Submitted(Arc::new(namespace)));
    }
    for object in &rendered.objects {
        world::put(&mut engine, &object.key, intake(object));
    }
    let mut problems: BTreeMap<ObjectKey, Vec<Problem>> = BTreeMap::new();
    for problem in std::mem::take(&mut rendered.problems) {
        problems.entry(problem.object.clone()).or_default().push(problem);
    }
    crate::unseen::put(&mut engine, problems.values().flatten(), &rendered.whole.applications);
    for (key, problems) in problems {
        engine.put(SourceProblems { key, problems });
    }
    let now = portolan_model::Instant(jiff::Timestamp::now().as_millisecond());
    if !simulate(&mut engine, now) {
        tracing::error!("the rooms did not come to rest");
    }
    let mut origins: BTreeMap<&ObjectKey, &Origin> =
        rendered.objects.iter().map(|o| (&o.key, &o.origin)).collect();
    origins.extend(
        rendered.whole.unapplied.iter().filter(|(key, _)| !rendered.whole.refused.contains_key(*key)),
    );
    origins.extend(&rendered.whole.refused);
    let places = places(&engine, &origins, &rendered.whole.applications, tree);
    origins.extend(places.iter().map(|(key, origin)| (key, origin)));
    let meant = status::Meant::new(&engine);
    let findings: Vec<Value> = engine
        .rows::<world::Finding>()
        .map(|row| {
            let of = |key: &ObjectKey| origins.get(key).copied();
            let (object, field) = status::subject(&engine, &row.problem, of);
            status::finding(&row.problem, &field, of(&object), Some(&meant))
        })
        .collect();
    let problems = engine.rows::<world::Finding>().map(|row| &row.problem);
    let mut lines = ledger::objects(&rendered.objects, problems);
    lines.extend(rendered.objects.iter().flat_map(ledger::parts));
    ledger.extend(ledger::gather(lines));
    ledger.sort_by(|a, b| (a.fate, &a.of, &a.why).cmp(&(b.fate, &b.of, &b.why)));
    json!({
        "environment": env,
        "applications": rendered.whole.applications.iter().map(|app| application(app, &rendered.objects)).collect::<Vec<_>>(),
        "objects": rendered.objects.iter().map(object).collect::<Vec<_>>(),
        "hooks": rendered.unapplied.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "policy": rooms::policy(&engine),
        "secrets": rooms::secrets(&engine),
        "certificates": rooms::certificates(&engine),
        "gateway": rooms::gateway(&engine),
        "otherGateways": status::others::gateways(&engine),
        "dns": rooms::dns(&engine),
        "substitutions": rendered.whole.substitutions,
        "noManifests": rendered.whole.no_manifests,
        "ledger": ledger,
        "verdict": status::verdict::of(&engine),
        "findings": findings,
    })
}

/// Lines of templates, of the objects of charts that findings are about.
fn places(
    engine: &Engine<World>,
    origins: &BTreeMap<&ObjectKey, &Origin>,
    infos: &[ApplicationInfo],
    tree: &mut Tree,
) -> Vec<(ObjectKey, Origin)> {
    let mut asked: BTreeMap<ObjectKey, BTreeSet<Asked>> = BTreeMap::new();
    for row in engine.rows::<world::Finding>() {
        let (key, field) = status::subject(engine, &row.problem, |key| origins.get(key).copied());
        let Some(origin) = origins.get(&key).filter(|origin| origin.is_of_file_alone()) else { continue };
        for app in infos.iter().filter(|app| app.brought(origin)) {
            asked.entry(app.key.clone()).or_default().insert((key.clone(), field.as_str().into()));
        }
    }
    if asked.is_empty() {
        return Vec::new();
    }
    let mut places = tree.places(&asked);
    // Of an object that several sources bring it is the one that was taken.
    let file = |origin: &Origin| origin.source.as_ref().map(|source| source.file.clone());
    places.retain(|(key, origin)| origins.get(key).is_some_and(|taken| file(taken) == file(origin)));
    places
}

/// Settings that the repository gives to the components which Portolan stands in for.
fn configure(engine: &mut Engine<World>, env: &str, rendered: &mut Rendered) -> Vec<Entry> {
    let whole = &rendered.whole;
    let known = Known::default().after(Seen {
        root: whole.root.as_ref(),
        applications: &whole.applications.iter().map(|app| &app.key).collect(),
        components: &whole.adapters,
        unsure: &whole.unsure,
        unsure_files: !whole.unsure_files.is_empty(),
    });
    let components = configuration::components(&known.components);
    rendered.problems.extend(components.problems);
    let made = configuration::configure(&Environment {
        name: env,
        components: &components.all,
        is_folder: known.is_folder,
        cluster_resource_namespace: None,
    });
    rendered.problems.extend(made.problems);
    engine.put(made.settings);
    engine.put(made.reach);
    for component in made.dns {
        engine.put(component);
    }
    for credential in made.credentials {
        engine.put(credential);
    }
    components.ledger
}

fn application(app: &ApplicationInfo, objects: &[Object]) -> Value {
    json!({
        "application": status::applications::shown(&app.key), "parent": app.parent, "namespace": app.namespace, "wave": app.wave,
        "sources": app.sources, "removed": app.policy.shown(),
        "objects": objects.iter().filter(|object| object.origin.application == app.key.name.name).count(),
    })
}

fn object(object: &Object) -> Value {
    json!({
        "object": object.key.to_string(), "application": object.origin.application, "wave": object.origin.wave,
        "source": object.origin.shown(),
    })
}
