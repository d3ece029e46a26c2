//! The tree of Applications, level by level: siblings are rendered side by side, what they bring is put in order at
//! the end, so that neither speed nor the order of files changes the result.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use portolan_core::gitops::adapters::ComponentValues;
use portolan_model::{Name, Object, ObjectKey, Origin};
use serde_json::{Map, Value};

use super::{
    ApplicationInfo, Rendered, Tools,
    application::{self, Application, Destination, Helm, Source},
    checkout::{Checkout, same_repository},
    discover::{Root, discover},
    manifests::{self, Document, Manifests},
    order, problems, source,
};

/// Application of applications of applications…: nobody means more.
const DEEPEST: usize = 8;
/// Charts rendered side by side.
const PARALLEL: usize = 4;

/// Reads what the environment `env` of the work tree `dir` wants. Never fails: what is wrong stands in `problems`.
///
/// `root` overrides where to start (`--root PATH`, relative to `dir`). Blocks while Helm runs.
pub fn render(dir: &Path, env: &str, root: Option<&str>, tools: &Tools) -> Rendered {
    let mut out = Rendered::default();
    let checkout = match Checkout::open(dir) {
        Ok(checkout) => checkout,
        Err(why) => {
            let message = format!("{} cannot be read: {why}", dir.display());
            out.problems.push(problems::root_missing(&problems::file("."), "", message));
            out.unsure.push(Name::default());
            return out;
        }
    };
    let root = match discover(&checkout, env, root) {
        Ok(root) => root,
        Err(problem) => {
            out.problems.push(*problem);
            out.unsure.push(Name::default());
            return out;
        }
    };
    let mut walk =
        Walk { checkout, env, tools, repository: None, out, found: Vec::new(), seen: BTreeSet::new() };
    walk.start(&root);
    walk.finish()
}

/// A document and where it belongs.
struct Found {
    /// Waves from the root Application down: the order of writing.
    chain: Vec<i32>,
    /// Namespace for an object without one.
    namespace: Name,
    document: Document,
}

/// An Application that is to be rendered.
struct Pending {
    application: Application,
    parent: Name,
    chain: Vec<i32>,
}

struct Walk<'a> {
    checkout: Checkout,
    env: &'a str,
    tools: &'a Tools,
    /// URL that the work tree stands for.
    repository: Option<String>,
    out: Rendered,
    found: Vec<Found>,
    seen: BTreeSet<ObjectKey>,
}

impl Walk<'_> {
    fn start(&mut self, root: &Root) {
        let none = Name::default();
        let mut level = match root {
            Root::Application(file) => {
                let directory = application::Directory::default();
                let read = manifests::folder(&self.checkout, file, &directory, &none, &self.tools.memo);
                let shown = self.checkout.show(file);
                let level = self.take(read, &none, &Name::from("argocd"), &[], true);
                if level.is_empty() {
                    let message = format!("{shown} holds no Application that can be read");
                    self.out.problems.push(problems::root_missing(&problems::file(&shown), "", message));
                    self.unsure(&none);
                }
                // Whatever URL the root names is the one that this work tree stands for.
                self.repository =
                    level.first().and_then(|p| p.application.sources.first()).map(|s| s.repo_url.clone());
                level
            }
            Root::Chart(path, values) => {
                let shown = self.checkout.show(path);
                let name = path.file_name().map_or("root".into(), |n| n.to_string_lossy().into_owned());
                let helm = Helm { value_files: values.iter().cloned().collect(), ..Helm::default() };
                let application = Application {
                    key: ObjectKey::new("", "Chart", "", shown.as_str()),
                    wave: 0,
                    sources: vec![Source {
                        path: shown,
                        helm: Some(Helm { release_name: name, ..helm }),
                        ..Source::default()
                    }],
                    destination: Destination { namespace: "argocd".into(), ..Destination::default() },
                    create_namespace: false,
                    prune: true,
                };
                self.repository = Some(String::new());
                let level = self.level(vec![Pending { application, parent: none, chain: Vec::new() }]);
                // No root Application names the URL: the first child whose path is here does.
                self.repository = level
                    .iter()
                    .flat_map(|pending| &pending.application.sources)
                    .find(|s| !s.path.is_empty() && self.checkout.resolve(&s.path).is_ok())
                    .map(|s| s.repo_url.clone());
                level
            }
            Root::Folder { path, follow } => {
                let directory = application::Directory { recurse: true, ..application::Directory::default() };
                let read = manifests::folder(&self.checkout, path, &directory, &none, &self.tools.memo);
                self.out.applications.push(ApplicationInfo {
                    key: ObjectKey::new("", "Folder", "", self.checkout.show(path)),
                    parent: none.clone(),
                    namespace: "default".into(),
                    wave: 0,
                    sources: vec![format!("{} (folder)", self.checkout.show(path))],
                    create_namespace: false,
                    prune: true,
                });
                let level = self.take(read, &none, &Name::from("default"), &[], *follow);
                self.repository = level
                    .iter()
                    .flat_map(|pending| &pending.application.sources)
                    .find(|s| !s.path.is_empty() && self.checkout.resolve(&s.path).is_ok())
                    .map(|s| s.repo_url.clone());
                level
            }
        };
        for depth in 0.. {
            if level.is_empty() {
                break;
            }
            if depth == DEEPEST {
                for pending in level {
                    let message =
                        format!("Applications are nested more than {DEEPEST} deep; this one is not followed");
                    self.out.problems.push(problems::cycle(&pending.application.key, "", message));
                    self.unsure(pending.application.name());
                }
                break;
            }
            level = self.level(level);
        }
    }

    /// Renders one level; gives the next.
    fn level(&mut self, mut level: Vec<Pending>) -> Vec<Pending> {
        level.sort_by(|a, b| {
            let key = |p: &Pending| (p.chain.clone(), p.application.wave, p.application.key.clone());
            key(a).cmp(&key(b))
        });
        let next = AtomicUsize::new(0);
        let context = source::Context {
            checkout: &self.checkout,
            env: self.env,
            tools: self.tools,
            repository: self.repository.as_deref(),
        };
        let mut outcomes: Vec<(usize, source::Outcome)> = std::thread::scope(|scope| {
            let work = || {
                let mut done = Vec::new();
                while let Some((n, pending)) = {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    level.get(n).map(|pending| (n, pending))
                } {
                    done.push((n, source::read(&context, &pending.application)));
                }
                done
            };
            let threads: Vec<_> = (0..PARALLEL.min(level.len())).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|t| t.join().expect("reading a source does not panic")).collect()
        });
        outcomes.sort_by_key(|(n, _)| *n);
        let mut children = Vec::new();
        for ((_, outcome), pending) in outcomes.into_iter().zip(&level) {
            children.extend(self.absorb(outcome, pending));
        }
        children
    }

    fn absorb(&mut self, outcome: source::Outcome, pending: &Pending) -> Vec<Pending> {
        let application = &pending.application;
        let name =
            if application::is_kind(&application.key) { application.name().clone() } else { Name::default() };
        let namespace: Name = match application.destination.namespace.as_str() {
            "" => "default".into(),
            namespace => namespace.into(),
        };
        self.substitutions(application);
        self.out.applications.push(ApplicationInfo {
            key: application.key.clone(),
            parent: pending.parent.clone(),
            namespace: namespace.clone(),
            wave: application.wave,
            sources: outcome.shown,
            create_namespace: application.create_namespace,
            prune: application.prune,
        });
        let object = problems::subject(&application.key);
        self.out.adapters.extend(outcome.values.into_iter().map(|(component, values)| ComponentValues {
            component: component.into(),
            object: object.clone(),
            application: name.clone(),
            namespace: namespace.clone(),
            values,
        }));
        let mut chain = pending.chain.clone();
        chain.push(application.wave);
        self.take(outcome.manifests, &name, &namespace, &chain, true)
    }

    /// Keeps documents; Applications among them become the next level if `follow`.
    fn take(
        &mut self,
        read: Manifests,
        application: &Name,
        namespace: &Name,
        chain: &[i32],
        follow: bool,
    ) -> Vec<Pending> {
        self.out.problems.extend(read.problems);
        self.out.unsure_files.extend(read.unsure_files);
        if read.unsure {
            self.unsure(application);
        }
        let mut children = Vec::new();
        for document in read.documents {
            if application::is_application(&document.json)
                && let Ok(object) = Object::from_json(Arc::clone(&document.json), document.origin.clone())
            {
                if follow {
                    children.extend(self.child(&object, application, chain));
                } else {
                    let message = format!("Application {} is stored and not followed", object.key.name);
                    self.out.problems.push(problems::not_followed(&object.key, "", message));
                }
            }
            self.found.push(Found { chain: chain.to_vec(), namespace: namespace.clone(), document });
        }
        children
    }

    fn child(&mut self, object: &Object, parent: &Name, chain: &[i32]) -> Option<Pending> {
        let mut object = object.clone();
        if object.key.name.namespace.is_empty() {
            object.key.name.namespace = "argocd".into();
        }
        if !self.seen.insert(object.key.clone()) {
            let message = format!("{} is brought twice, or brings itself; it is followed once", object.key);
            self.out.problems.push(problems::cycle(&object.key, "", message));
            return None;
        }
        match application::parse(&object) {
            Ok(application) => Some(Pending { application, parent: parent.clone(), chain: chain.to_vec() }),
            Err((field, message)) => {
                self.out.problems.push(problems::application_invalid(&object.key, field, message));
                self.unsure(&object.key.name.name);
                None
            }
        }
    }

    fn unsure(&mut self, application: &Name) {
        if !self.out.unsure.contains(application) {
            self.out.unsure.push(application.clone());
        }
    }

    fn substitutions(&mut self, application: &Application) {
        let mut say = |line: String| {
            if !self.out.substitutions.contains(&line) {
                self.out.substitutions.push(line);
            }
        };
        for source in &application.sources {
            if self
                .repository
                .as_deref()
                .is_some_and(|url| !url.is_empty() && same_repository(url, &source.repo_url))
            {
                let revision =
                    if source.target_revision.is_empty() { "HEAD" } else { &source.target_revision };
                say(format!("{} at {revision} is read from the work tree", source.repo_url));
            }
        }
        let Destination { server, name, .. } = &application.destination;
        let cluster = if name.is_empty() { server } else { name };
        if !cluster.is_empty() {
            say(format!("cluster {cluster} is this machine"));
        }
    }

    /// Puts everything in order.
    fn finish(self) -> Rendered {
        let Self { mut out, found, .. } = self;
        let defined: BTreeSet<_> =
            found.iter().filter_map(|f| order::defines_cluster_scoped(&f.document.json)).collect();
        let mut owners: BTreeMap<ObjectKey, (Name, Option<String>)> = BTreeMap::new();
        let mut sorted = Vec::with_capacity(found.len());
        for Found { chain, namespace, document: Document { mut json, mut origin } } in found {
            origin.wave = order::wave(&json);
            if let Err(why) = place(&mut json, &namespace, &defined) {
                incomplete(&mut out, &origin, &why);
                continue;
            }
            let object = match Object::from_json(json, origin.clone()) {
                Ok(object) => object,
                Err(why) => {
                    incomplete(&mut out, &origin, &why);
                    continue;
                }
            };
            if let Some(why) = order::unapplied(&object.key, &object.json) {
                out.problems.push(problems::not_applied(&object.key, "", format!("{} {why}", object.key)));
                out.unapplied.push(object.key);
                continue;
            }
            let mut key = chain;
            key.push(origin.wave);
            sorted.push((key, order::rank(&object.key.kind), object));
        }
        sorted.sort_by(|a, b| (&a.0, a.1, &a.2.key).cmp(&(&b.0, b.1, &b.2.key)));
        for (_, _, object) in sorted {
            let place = object.origin.source.as_ref().map(|s| format!("{}:{}", s.file, s.line));
            if let Some((owner, first)) = owners.get(&object.key) {
                let who = |name: &Name| {
                    if name.is_empty() { "the root".to_owned() } else { format!("Application {name}") }
                };
                let message = format!(
                    "{} is brought by {} ({}) already; the one of {} ({}) is left out",
                    object.key,
                    who(owner),
                    first.as_deref().unwrap_or("?"),
                    who(&object.origin.application),
                    place.as_deref().unwrap_or("?"),
                );
                out.problems.push(problems::brought_twice(&object.key, "", message));
                continue;
            }
            owners.insert(object.key.clone(), (object.origin.application.clone(), place));
            out.objects.push(object);
        }
        out.problems.sort();
        out.problems.dedup();
        out.unapplied.sort();
        out.unsure.sort();
        out.unsure_files.sort();
        out.adapters.sort_by(|a, b| (&a.component, &a.application).cmp(&(&b.component, &b.application)));
        out
    }
}

/// Gives a namespaced object without a namespace the one of its Application, and takes it from a cluster-scoped one, as
/// the API server and Argo CD do.
fn place(
    json: &mut Arc<Value>,
    namespace: &Name,
    defined: &BTreeSet<portolan_model::Kind>,
) -> Result<(), String> {
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    let version = text("apiVersion").ok_or("apiVersion is missing or not text")?;
    let kind = text("kind").ok_or("kind is missing or not text")?;
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = portolan_model::Kind::new(group, kind);
    let metadata =
        json.get("metadata").and_then(Value::as_object).ok_or("metadata is missing or no mapping")?;
    let scoped = !order::cluster_scoped(&kind, defined);
    let named = metadata.get("namespace");
    let empty = named.is_none_or(|n| n.is_null() || n.as_str() == Some(""));
    // The document is shared with later readings: it is copied only where it has to change.
    if scoped && empty {
        edit(json, |metadata| metadata.insert("namespace".into(), Value::String(namespace.to_string())));
    } else if !scoped && named.is_some() {
        edit(json, |metadata| metadata.remove("namespace"));
    }
    Ok(())
}

fn edit(json: &mut Arc<Value>, change: impl FnOnce(&mut Map<String, Value>) -> Option<Value>) {
    if let Some(metadata) = Arc::make_mut(json).get_mut("metadata").and_then(Value::as_object_mut) {
        change(metadata);
    }
}

/// A document that is no object any more: what it was before must not be pruned for a slip of the pen.
fn incomplete(out: &mut Rendered, origin: &Origin, why: &str) {
    let (file, line) = origin.source.as_ref().map_or((String::new(), 0), |s| (s.file.to_string(), s.line));
    // Rendered documents have no line of their own.
    let plain = !origin.lines.is_empty();
    let field = if plain { format!("line {line}") } else { String::new() };
    let mut problem =
        problems::not_an_object(&problems::file(&file), &field, format!("a document is no object: {why}"));
    if plain {
        problem.hint = "complete the object; until then what the file held before stays".into();
        out.unsure_files.push(file);
    } else if !out.unsure.contains(&origin.application) {
        out.unsure.push(origin.application.clone());
    }
    out.problems.push(problem);
}
