//! The tree of Applications, level by level. Siblings are read side by side; of those that nothing touched, what is kept
//! is taken.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    mem,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use portolan_core::{
    door::{self, Definitions, Door},
    gitops::{
        adapters::{ComponentValues, Form},
        projects::Projects,
        sync::{Application as Automation, Policy},
    },
};
use portolan_model::{Name, Object, ObjectKey, Problem, Severity};
use serde_json::Value;

use super::{
    ApplicationInfo, Tools,
    application::{self, Application, Destination},
    checkout::{Checkout, same_place},
    clusters::{self, Clusters, Whose},
    discover::{self, Root, discover},
    doors::Doors,
    flux,
    identity::{self, Named},
    kept::{Kept, Pending},
    lines::LineMaps,
    manifests::{Document, Manifests},
    overlays::{self, Overlays},
    part::{Change, PartKey},
    problems,
    projects::Consulted,
    sets::{self, Cluster, KeptSet},
    source,
    touched::Touched,
};
use crate::charts::{FILE, LockFile, Reference};

/// Application of applications of applications…: nobody means more.
const DEEPEST: usize = 8;
/// Charts rendered side by side.
const PARALLEL: usize = 4;

/// What is read, and with what.
pub(super) struct Ask<'a> {
    pub(super) dir: &'a std::path::Path,
    pub(super) env: &'a str,
    /// `--root PATH`.
    pub(super) root: Option<&'a str>,
    /// Where it started when it was read last.
    pub(super) known: Option<&'a ObjectKey>,
    /// The repository that the work tree stood for then.
    pub(super) stood_for: Option<&'a str>,
    pub(super) tools: &'a Tools,
    pub(super) lines: &'a LineMaps,
    pub(super) touched: &'a Touched,
    pub(super) forced: &'a BTreeSet<PathBuf>,
    /// Files that somebody is writing.
    pub(super) unfinished: &'a BTreeSet<PathBuf>,
    /// What an API server knows of kinds, as it was read last.
    pub(super) definitions: &'a Definitions,
    /// Applications that are live and that nothing brings any more.
    pub(super) standing: &'a [Object],
    /// Applications that are live and that a set made.
    pub(super) made: &'a BTreeMap<ObjectKey, Object>,
    /// AppProjects, as they were found last.
    pub(super) projects: &'a Projects,
    /// Objects of Flux were found.
    pub(super) flux: bool,
    /// Applications of which nothing is applied.
    pub(super) held: &'a BTreeSet<ObjectKey>,
    /// What the door said of objects that are followed.
    pub(super) doors: &'a RefCell<Doors>,
}

/// What is the same for all Applications of a walk, but for the repository.
#[derive(Clone, Debug, Default)]
pub(super) struct Common {
    /// At which the root is read.
    pub(super) revision: Option<String>,
    /// What charts of other places are locked to.
    pub(super) lock: Arc<LockFile>,
    /// Flux is in use.
    pub(super) facts: bool,
}

/// What a walk found.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) common: Common,
    /// Where it started; `None` if nothing could be read there.
    pub(super) root: Option<ObjectKey>,
    /// URL that the work tree stands for, if anything names one.
    pub(super) repository: Option<String>,
    pub(super) applications: Vec<ApplicationInfo>,
    pub(super) adapters: Vec<ComponentValues>,
    /// Of Applications and of the root.
    pub(super) problems: Vec<Problem>,
    pub(super) substitutions: Vec<String>,
    pub(super) unsure: BTreeSet<Name>,
    /// Applications with a source that does not stand here, and the paths of those that do.
    pub(super) elsewhere: BTreeMap<ObjectKey, BTreeSet<String>>,
    /// Charts of other places that are named, and by which Applications.
    pub(super) charts: BTreeMap<Reference, BTreeSet<ObjectKey>>,
    pub(super) changes: Vec<Change>,
    /// AppProjects, and those that stay as what brought them could not be read.
    pub(super) projects: Projects,
    /// Applications were judged by projects that turned out to be others, or what Flux's objects refer to was not kept.
    pub(super) again: bool,
    /// Objects of Flux were found.
    pub(super) flux: bool,
}

/// Walks once. `kept` holds what was read before, and afterwards what was read now.
pub(super) fn walk(
    ask: &Ask<'_>,
    kept: &mut BTreeMap<ObjectKey, Kept>,
    overlays: &mut Option<(PathBuf, Overlays)>,
    sets: &mut BTreeMap<ObjectKey, KeptSet>,
) -> Walked {
    let mut walk = Walk {
        ask,
        overlays,
        old_sets: mem::take(sets),
        sets: BTreeMap::new(),
        repository: None,
        is_named: false,
        revision: None,
        old: mem::take(kept),
        kept: BTreeMap::new(),
        out: Walked::default(),
        seen: BTreeSet::new(),
        flux: flux::State::default(),
        facts: false,
        lock: Arc::default(),
        projects: Consulted::default(),
        clusters: Clusters::default(),
        argo: None,
    };
    match Checkout::open(ask.dir) {
        Err(why) => {
            let message = format!("{} cannot be read: {why}", ask.dir.display());
            walk.lost(problems::root_missing(&problems::file("."), "", message));
        }
        Ok(checkout) => {
            match discover(&checkout, ask.env, ask.root, ask.known, matches!(ask.touched, Touched::All)) {
                Err(problem) => walk.lost(*problem),
                Ok(root) => walk.start(&checkout, &root),
            }
        }
    }
    walk.end_projects();
    // Applications that are not there any more.
    walk.out.changes.extend(walk.old.values().flat_map(Kept::dropped));
    let gone = walk.old_sets.values().map(|set| Change::gone(Arc::clone(&set.part)));
    walk.out.changes.extend(gone);
    *sets = walk.sets;
    *kept = walk.kept;
    let revision = walk.revision.or(walk.flux.revision);
    walk.out.common = Common { revision, lock: walk.lock, facts: walk.facts };
    walk.out
}

pub(super) struct Walk<'a> {
    pub(super) ask: &'a Ask<'a>,
    /// What stands in a plain folder, as it was found last.
    overlays: &'a mut Option<(PathBuf, Overlays)>,
    old_sets: BTreeMap<ObjectKey, KeptSet>,
    sets: BTreeMap<ObjectKey, KeptSet>,
    /// URL that the work tree stands for; empty until that is known.
    repository: Option<String>,
    /// A root Application names it.
    is_named: bool,
    /// At which the root reads it.
    revision: Option<String>,
    old: BTreeMap<ObjectKey, Kept>,
    kept: BTreeMap<ObjectKey, Kept>,
    pub(super) out: Walked,
    seen: BTreeSet<ObjectKey>,
    flux: flux::State,
    /// Flux is in use: what its objects refer to is kept.
    facts: bool,
    /// What charts of other places are locked to.
    lock: Arc<LockFile>,
    pub(super) projects: Consulted,
    clusters: Clusters,
    /// Namespace of Argo CD, once something says it.
    pub(super) argo: Option<Name>,
}

impl Walk<'_> {
    fn lost(&mut self, problem: Problem) {
        self.out.problems.push(problem);
        self.out.unsure.insert(Name::default());
    }

    fn start(&mut self, checkout: &Checkout, root: &Root) {
        self.lock = self.lock(checkout);
        self.flux.origin = checkout.origin();
        let (pending, follow) = root.pending(checkout, &self.overlays(checkout, root));
        let shown = pending.application.key.name.name.clone();
        self.out.root = Some(pending.application.key.clone());
        self.repository = Some(String::new());
        self.facts = self.ask.flux || root.is_flux();
        self.is_named = matches!(root, Root::Application(_));
        let mut level = self.level(checkout, vec![pending], follow);
        if self.repository.as_deref().is_none_or(str::is_empty) {
            // The URLs of a set may come from its parameters.
            let sources = level.iter().flat_map(|pending| &pending.application.sources);
            let sources = sources.filter(|source| source.chart.is_empty() && !source.repo_url.is_empty());
            self.choose(checkout, &sources.map(|source| identity::of(checkout, source)).collect::<Vec<_>>());
        }
        self.out.repository.clone_from(&self.repository);
        if !root.is_flux() {
            // Argo CD brings Flux's objects: both have the same repository.
            self.flux.stands_for(self.repository.as_deref());
        }
        level.extend(self.flux.ready(checkout, false));
        let late = self.kept.values().flat_map(|kept| &kept.sources).any(|source| source.again);
        let none = level.is_empty() && self.seen.is_empty() && self.sets.is_empty() && !late;
        if matches!(root, Root::Application(_)) && none {
            let message = format!("{shown} holds no Application that can be read");
            self.out.root = None;
            self.lost(problems::root_missing(&problems::file(&shown), "", message));
        }
        loop {
            let (deep, rest): (Vec<_>, Vec<_>) =
                level.into_iter().partition(|pending| pending.chain.len() > DEEPEST);
            for pending in deep {
                let message =
                    format!("Applications are nested more than {DEEPEST} deep; this one is not followed");
                self.out.problems.push(problems::cycle(&pending.application.key, "", message));
                self.out.unsure.insert(pending.application.name().clone());
            }
            level = rest;
            if level.is_empty() {
                // Nothing else is to come, but for what is being rendered.
                self.flux.late = self.kept.values().flat_map(|kept| &kept.sources).any(|source| source.again);
                level = self.flux.ready(checkout, true);
            }
            if level.is_empty() {
                level = self.standing();
            }
            if level.is_empty() {
                break;
            }
            level = self.level(checkout, level, true);
            level.extend(self.flux.ready(checkout, false));
        }
        self.out.problems.append(&mut self.flux.problems);
        self.too_high(checkout, root);
        self.beside(checkout, root);
        self.out.substitutions.append(&mut self.flux.substitutions);
        self.out.unsure.append(&mut self.flux.unsure);
    }

    /// Flux may work on the cluster beside Argo CD: what it begins with there is not read, unless Argo CD brings that.
    fn beside(&mut self, checkout: &Checkout, root: &Root) {
        if self.ask.root.is_some() {
            return;
        }
        let Some(beside) = discover::beside(checkout, self.ask.env, root) else { return };
        if beside.objects.iter().any(|key| self.flux.has_found(key)) {
            return;
        }
        let (env, start, folder) = (self.ask.env, checkout.show(root.path()), beside.folder);
        // One platform may be said in several ways, of which a cluster has one.
        let own = self.kept.values().flat_map(|kept| &kept.pending.application.sources);
        let own = own.map(|source| source.path.trim_start_matches("./").trim_matches('/'));
        let same = own.filter(|path| !path.is_empty()).find(|path| beside.sources.contains(*path));
        if let Some(same) = same {
            self.out.substitutions.push(format!(
                "{folder} of Flux is taken for another form of what {start} brings, and is not read: both have {same}"
            ));
            return;
        }
        let message = format!(
            "{env} starts at {start} of Argo CD; Flux has {folder} for it too, and what that brings is not read"
        );
        self.out.problems.push(problems::not_read_beside(&problems::file(&folder), "", message));
    }

    /// Paths that lead nowhere, since they begin in a folder below the one that was named.
    fn too_high(&mut self, checkout: &Checkout, root: &Root) {
        const PATH_MISSING: u16 = 603;
        let mut above = root.path().ancestors().filter(|above| above.starts_with(checkout.root()));
        let top = above.find(|above| discover::is_top(above)).filter(|top| *top != checkout.root());
        let missing = self.out.problems.iter().any(|problem| problem.code.0 == PATH_MISSING);
        if let Some(top) = top.filter(|_| missing) {
            let top = checkout.show(top);
            let message = format!(
                "environments begin in {top}, and paths of its sources are looked for in the folder above it"
            );
            self.out.problems.push(problems::lies_below(&problems::file(&top), "", message));
        }
    }

    /// What charts of other places are locked to.
    fn lock(&mut self, checkout: &Checkout) -> Arc<LockFile> {
        if let Some(lock) = &self.ask.tools.charts.lock {
            return Arc::clone(lock);
        }
        let read = LockFile::read(checkout.root()).map_err(|why| {
            // Of a folder that cannot be looked into it is not known whether it has one.
            if checkout.root().join(FILE).symlink_metadata().is_err() {
                return;
            }
            let message = format!("it cannot be used, so no chart is locked: {why}");
            self.out.problems.push(problems::lock_invalid(&problems::file(FILE), "", message));
        });
        Arc::new(read.unwrap_or_default())
    }

    /// What stands in a plain folder beside plain files; what nobody can know of it is said.
    fn overlays(&mut self, checkout: &Checkout, root: &Root) -> Overlays {
        let Root::Folder { path, starts, .. } = root else { return Overlays::default() };
        if !starts.is_empty() {
            let message = format!(
                "{} bring the others, and nothing says which is the start: the folder is read as plain YAML, and none of them is followed",
                told(starts)
            );
            self.out.problems.push(problems::overlay_unknown(&problems::file("."), "", message));
        }
        if overlays::is_whole(path) {
            return Overlays::default();
        }
        let known = self.overlays.take().filter(|(of, _)| of == path && !overlays::touched(self.ask.touched));
        let found = known.map_or_else(|| overlays::find(checkout, path, self.ask.env), |(_, found)| found);
        let file = problems::file(match checkout.show(path).as_str() {
            "" => ".",
            shown => shown,
        });
        for several in &found.undecided {
            let message =
                format!("of the kustomizations {} one is meant, and nothing says which", told(several));
            self.out.problems.push(problems::overlay_unknown(&file, "", message));
        }
        if !found.repositories.is_empty() {
            let message = format!(
                "environments begin in {}, and this folder is above it: it is read as plain YAML, and nothing that they bring is followed",
                told(&found.repositories)
            );
            self.out.problems.push(problems::lies_below(&file, "", message));
        }
        if !found.charts.is_empty() {
            let message =
                format!("the charts {} are not rendered: no Application names them", told(&found.charts));
            self.out.problems.push(problems::charts_unread(&file, "", message));
        }
        *self.overlays = Some((path.clone(), found.clone()));
        found
    }

    /// Reads one level; gives the next.
    fn level(&mut self, checkout: &Checkout, mut level: Vec<Pending>, follow: bool) -> Vec<Pending> {
        let key = |p: &Pending| (p.waves(), p.application.key.clone());
        level.sort_by_cached_key(key);
        let none = BTreeMap::new();
        let context = source::Context {
            checkout,
            env: self.ask.env,
            tools: self.ask.tools,
            lines: self.ask.lines,
            repository: self.repository.as_deref(),
            placed: &none,
            revision: self.revision.as_deref().or(self.flux.revision.as_deref()),
            touched: self.ask.touched,
            flux: self.facts,
            lock: &self.lock,
            forced: self.ask.forced,
            unfinished: self.ask.unfinished,
        };
        let mut done: Vec<(Kept, Vec<Change>)> = Vec::with_capacity(level.len());
        let mut work = Vec::new();
        for (n, pending) in level.iter().enumerate() {
            match self.old.remove(&pending.application.key) {
                Some(kept) if kept.holds(pending, &context) => {
                    done.push((kept, Vec::new()));
                }
                kept => work.push((n, pending, kept)),
            }
        }
        // Put in between where they belong, in order.
        for (n, kept, changes) in side_by_side(&context, work) {
            done.insert(n, (kept, changes));
        }
        // Projects that come with the Applications that they judge.
        for (kept, _) in done.iter().filter(|_| follow) {
            self.learn_projects(kept);
        }
        let mut children = Vec::new();
        for (kept, mut changes) in done {
            children.extend(self.absorb(checkout, &kept, follow));
            let alone = matches!(
                &kept.pending.application.policy,
                Policy::Application(Automation { fails_on_shared: true, .. })
            );
            for change in &mut changes {
                change.permit.clone_from(&kept.pending.permit);
                change.alone = alone;
            }
            self.out.changes.extend(changes);
            self.kept.insert(kept.pending.application.key.clone(), kept);
        }
        self.of_cluster(children)
    }

    /// Of Applications that go to several clusters those that go to the environment's; what becomes of the others is said.
    fn of_cluster(&mut self, level: Vec<Pending>) -> Vec<Pending> {
        let own = self.cluster_name();
        let destinations: Vec<_> = level.iter().map(|pending| &pending.application.destination).collect();
        let whose = self.clusters.judge(&destinations, &own);
        let named: Vec<String> = clusters::named(destinations.iter().copied()).into_iter().collect();
        let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut ours = Vec::with_capacity(level.len());
        for (pending, whose) in level.into_iter().zip(whose) {
            let application = &pending.application;
            match whose {
                Whose::Ours => ours.push(pending),
                Whose::Others => {
                    let cluster = clusters::other(&application.destination).unwrap_or_default();
                    let all = others.entry(cluster.to_owned()).or_default();
                    all.push(application.name().to_string());
                }
                Whose::Unknown => {
                    let message = format!(
                        "Applications go to the clusters {}: whether {} is the one of {own} is not known, and what goes there is not read",
                        told(&named),
                        clusters::other(&application.destination).unwrap_or_default(),
                    );
                    let problem = problems::cluster_unknown(&application.key, "spec.destination", message);
                    self.out.problems.push(problem);
                    self.out.unsure.insert(application.name().clone());
                }
            }
        }
        for (cluster, applications) in others {
            self.out.substitutions.push(format!(
                "cluster {cluster} is another environment's, and what goes there is left out: {}",
                told(&applications)
            ));
        }
        ours
    }

    /// What Argo CD calls the cluster of the environment.
    fn cluster_name(&self) -> String {
        if self.ask.env == "default" { "in-cluster".to_owned() } else { self.ask.env.to_owned() }
    }

    /// Where Argo CD is, as the root says it: in the namespace of its projects, which are nowhere else, else in that of most Applications
    /// and sets. Of two that have as many each may have an Argo CD of its own, and nothing is known.
    fn learn_argo(&mut self, root: &Kept) {
        let by = &root.pending.application.key;
        let inherited = if application::is_kind(by) { root.pending.namespace() } else { Name::default() };
        let mut counts: BTreeMap<Name, (bool, usize)> = BTreeMap::new();
        for object in root.sources.iter().flat_map(|source| source.applications.values().flatten()) {
            let own = &object.key.name.namespace;
            let namespace = if own.is_empty() { &inherited } else { own };
            if &*object.key.kind.group == "argoproj.io" && !namespace.is_empty() {
                let count = counts.entry(namespace.clone()).or_default();
                count.0 |= application::is_project(&object.key);
                count.1 += 1;
            }
        }
        let most = counts.values().max().copied();
        let mut places = counts.into_iter().filter(|(_, count)| Some(*count) == most).map(|(name, _)| name);
        self.argo = places.next().filter(|_| places.next().is_none());
    }

    /// Which of the objects that something brings count: of two of one name Argo CD takes the last (`RepeatedResourceWarning`), as
    /// `kubectl apply` of a folder does.
    fn last_of_each(&mut self, kept: &Kept) -> Vec<Object> {
        let by = &kept.pending.application.key;
        let namespace = kept.pending.namespace();
        let objects = kept.sources.iter().flat_map(|source| source.applications.values().flatten());
        let key = |object: &Object| {
            let mut key = object.key.clone();
            if key.name.namespace.is_empty() {
                key.name.namespace = namespace.clone();
            }
            key
        };
        let place = |object: &Object| {
            let source = object.origin.source.as_ref();
            source.map_or_else(|| "?".to_owned(), |source| format!("{}:{}", source.file, source.line))
        };
        let mut last: BTreeMap<ObjectKey, &Object> = BTreeMap::new();
        let mut all: Vec<(ObjectKey, &Object)> = Vec::new();
        for object in objects.filter(|object| !application::is_project(&object.key)) {
            let key = key(object);
            last.insert(key.clone(), object);
            all.push((key, object));
        }
        let mut counted = Vec::with_capacity(last.len());
        for (key, object) in all {
            let Some(taken) = last.get(&key).copied() else { continue };
            if std::ptr::eq(taken, object) {
                counted.push(object.clone());
            } else if application::is_kind(by) {
                // Of files that are the root it is said where the objects are placed.
                let message = format!(
                    "{by} brings {key} twice: the one in {} is left out, and the last one, in {}, is followed, as Argo CD does",
                    place(object),
                    place(taken)
                );
                self.out.problems.push(problems::brought_twice(&key, "", message));
            }
        }
        counted
    }

    fn absorb(&mut self, checkout: &Checkout, kept: &Kept, follow: bool) -> Vec<Pending> {
        let Pending { application, parent, .. } = &kept.pending;
        let key = &application.key;
        let name = if application::is_kind(key) { application.name().clone() } else { Name::default() };
        let namespace = kept.pending.namespace();
        self.substitutions(application);
        // A file that only holds the first Applications is none itself.
        if !key.kind.is("", "File") {
            self.out.applications.push(ApplicationInfo {
                key: key.clone(),
                parent: parent.clone(),
                namespace: namespace.clone(),
                wave: application.wave,
                sources: kept.sources.iter().filter_map(|source| source.shown.clone()).collect(),
                create_namespace: application.create_namespace,
                policy: application.policy.clone(),
                // Known when all was read.
                held: false,
            });
        }
        if self.repository.as_deref() == Some("") {
            self.identify(checkout, kept);
        }
        if self.argo.is_none() {
            self.learn_argo(kept);
        }
        self.brought_by_itself(kept);
        if let Policy::Application(Automation { unread_differences, .. }) = &application.policy
            && !unread_differences.is_empty()
        {
            let message = format!(
                "the jqPathExpressions {} are not looked at: such fields are applied as Git has them",
                told(unread_differences)
            );
            let field = "spec.ignoreDifferences";
            self.out.problems.push(problems::differences_unread(key, field, message));
        }
        let fails = |source: &super::kept::KeptSource| {
            source.unsure && source.problems.iter().any(|problem| problem.severity == Severity::Error)
        };
        // Nor does Flux come to what depends on one that it cannot apply.
        if flux::is_kind(key) && (kept.sources.iter().any(fails) || self.ask.held.contains(key)) {
            self.flux.failed(key);
        }
        let object = problems::subject(key);
        for reference in kept.sources.iter().flat_map(|source| &source.charts) {
            self.out.charts.entry(reference.clone()).or_default().insert(object.clone());
        }
        if kept.sources.iter().any(|source| source.elsewhere) {
            let sources = application.sources.iter().zip(&kept.sources);
            let here = sources.filter(|(_, kept)| !kept.elsewhere && !kept.parts.is_empty());
            let paths = here.filter_map(|(source, _)| checkout.resolve(&source.path).ok());
            self.out.elsewhere.insert(key.clone(), paths.map(|path| checkout.show(&path)).collect());
        }
        let mut children = Vec::new();
        for source in &kept.sources {
            self.out.problems.extend(source.problems.iter().cloned());
            self.out.substitutions.extend(source.substitutions.iter().cloned());
            if source.unsure {
                self.out.unsure.insert(name.clone());
            }
            self.out.adapters.extend(source.values.iter().map(|(component, version, values)| {
                ComponentValues {
                    form: Form::Chart,
                    component: component.as_str().into(),
                    object: object.clone(),
                    application: name.clone(),
                    namespace: namespace.clone(),
                    version: version.as_str().into(),
                    values: values.clone(),
                }
            }));
            for one in source.standing.values().flatten() {
                self.stands(one);
            }
            for fact in source.facts.values().flatten() {
                self.flux.facts.learn(fact, &namespace);
            }
        }
        for object in &self.last_of_each(kept) {
            let held = self.ask.held.contains(key);
            if follow && (held || !kept.pending.permits(object) || !self.enters(object, &namespace)) {
                // Said where the object is placed. Of what it brought before nothing is taken away.
                self.out.unsure.insert(object.key.name.name.clone());
                continue;
            }
            if follow && flux::is_kind(&object.key) && !self.facts {
                // What it refers to was not kept: all is read once more.
                (self.out.flux, self.out.again) = (true, true);
            } else if follow && flux::is_kind(&object.key) {
                self.flux_child(object, kept, &name);
            } else if follow && sets::is_kind(&object.key) {
                children.extend(self.set(checkout, object, kept));
            } else if follow {
                children.extend(self.child(object, &name, &namespace, kept.pending.waves()));
            } else {
                let message =
                    format!("{} {} is stored and not followed", object.key.kind.kind, object.key.name);
                self.out.problems.push(problems::not_followed(&object.key, "", message));
            }
        }
        children
    }

    /// A component stands as a workload. As its object it is taken once: of one Application the last, of several the first.
    fn stands(&mut self, one: &ComponentValues) {
        let same = |old: &&mut ComponentValues| {
            old.form != Form::Chart
                && old.object == one.object
                && old.values.get("at") == one.values.get("at")
        };
        match self.out.adapters.iter_mut().find(same) {
            None => self.out.adapters.push(one.clone()),
            Some(old) if old.application == one.application => *old = one.clone(),
            Some(_) => {}
        }
    }

    /// What the root brings says which repository the work tree stands for.
    fn identify(&mut self, checkout: &Checkout, root: &Kept) {
        let objects = root.sources.iter().flat_map(|source| source.applications.values().flatten());
        self.choose(
            checkout,
            &objects.flat_map(|object| identity::named(checkout, object)).collect::<Vec<_>>(),
        );
    }

    fn choose(&mut self, checkout: &Checkout, named: &[Named]) {
        let origin = checkout.origin();
        let chosen = if self.is_named {
            // Whatever URL the root names is the one.
            named.first()
        } else {
            identity::stands_for(origin.as_deref(), self.ask.stood_for, named)
        };
        if let (Some(chosen), Some(origin)) = (chosen, origin)
            && !self.is_named
            && !same_place(&chosen.url, &origin)
        {
            let said = format!("the work tree is taken for {}; its Git remote is {origin}", chosen.url);
            self.out.substitutions.push(said);
        }
        self.revision = chosen.map(|one| one.revision.clone());
        self.repository = chosen.map(|one| one.url.clone());
    }

    /// An Application that brings one of its own name: Argo CD writes that over it. The same source is a root that manages itself,
    /// and what it says of pruning counts; another source is another root, which nobody means.
    fn brought_by_itself(&mut self, kept: &Kept) {
        let application = &kept.pending.application;
        let namespace = kept.pending.namespace();
        let is_itself = |object: &&Object| {
            let own = &object.key.name;
            let placed = if own.namespace.is_empty() { &namespace } else { &own.namespace };
            object.key.kind == application.key.kind
                && own.name == application.key.name.name
                && *placed == application.key.name.namespace
                && object.key.kind.is("argoproj.io", "Application")
        };
        let objects = kept.sources.iter().flat_map(|source| source.applications.values().flatten());
        let Some(own) = objects.filter(is_itself).find_map(|object| application::parse(object).ok()) else {
            return;
        };
        if own.sources == application.sources {
            if let Some(told) = self.out.applications.last_mut().filter(|told| told.key == application.key) {
                told.policy = own.policy;
            }
            return;
        }
        let message = format!(
            "{} brings an Application of its own name with another source: Argo CD would write that over it, and read from there instead. It is not followed",
            application.key
        );
        self.out.problems.push(problems::brings_another(&application.key, "spec.source", message));
    }

    /// Whether an API server would store what is to be followed.
    fn enters(&self, object: &Object, namespace: &Name) -> bool {
        self.ask
            .doors
            .borrow_mut()
            .ask(object, namespace, || !matches!(self.at_the_door(object, namespace), Ok(Door::Refused(..))))
    }

    /// What an API server would make of an object. Without a namespace it is put where it comes from.
    pub(super) fn at_the_door(&self, object: &Object, namespace: &Name) -> Result<Door, String> {
        let mut json = Value::clone(&object.json);
        let named = object.key.name.namespace.is_empty();
        if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut).filter(|_| named) {
            metadata.insert("namespace".into(), namespace.to_string().into());
        }
        door::enter(self.ask.definitions, json, object.origin.clone())
    }

    /// An Application, which is put where it comes from unless it names a namespace.
    fn child(
        &mut self,
        object: &Object,
        parent: &Name,
        namespace: &Name,
        chain: Vec<i32>,
    ) -> Option<Pending> {
        let mut object = object.clone();
        // Files that are the root say nothing of where they are applied.
        let stated = !object.key.name.namespace.is_empty() || !parent.is_empty();
        if object.key.name.namespace.is_empty() {
            object.key.name.namespace = namespace.clone();
        }
        if !self.seen.insert(object.key.clone()) {
            // An Application may manage itself: it is followed already.
            if *parent == object.key.name.name {
                return None;
            }
            let message =
                format!("{} is brought twice, or through others by itself; it is followed once", object.key);
            self.out.problems.push(problems::cycle(&object.key, "", message));
            return None;
        }
        if application::is_skipped(&object) {
            // What it brought stays as it is.
            let message = format!(
                "{} says skip-reconcile: Argo CD leaves what it brought as it is, and it is not rendered",
                object.key
            );
            self.out.problems.push(problems::suspended(&object.key, application::SKIP, message));
            self.out.unsure.insert(object.key.name.name);
            return None;
        }
        match application::parse(&object) {
            Ok(application) => {
                let permit = self.permit(&application, stated).ok()?;
                Some(Pending { application, parent: parent.clone(), chain, permit })
            }
            Err((field, message)) => {
                self.out.problems.push(problems::application_invalid(&object.key, field, message));
                self.out.unsure.insert(object.key.name.name);
                None
            }
        }
    }

    /// Applications that are live and that nothing brings: as Argo CD does, they are synced until they go. Those that were found
    /// are not among them.
    fn standing(&mut self) -> Vec<Pending> {
        let mut level = Vec::new();
        for object in self
            .ask
            .standing
            .iter()
            .filter(|object| !self.seen.contains(&object.key))
            .cloned()
            .collect::<Vec<_>>()
        {
            let parent = object.origin.application.clone();
            let namespace = object.key.name.namespace.clone();
            level.extend(self.child(&object, &parent, &namespace, Vec::new()));
        }
        level
    }

    /// A Kustomization or HelmRelease of Flux; it is read once what it refers to is.
    fn flux_child(&mut self, object: &Object, above: &Kept, parent: &Name) {
        let mut object = object.clone();
        if object.key.name.namespace.is_empty() {
            object.key.name.namespace = above.pending.namespace();
        }
        if !self.seen.insert(object.key.clone()) {
            // flux-system brings itself; it is followed already.
            if object.key != above.pending.application.key {
                let message = format!(
                    "{} is brought twice, or through others by itself; it is followed once",
                    object.key
                );
                self.out.problems.push(problems::cycle(&object.key, "", message));
            }
            return;
        }
        let chain = above.pending.waves();
        self.flux.found(flux::Waiting { object, parent: parent.clone(), chain });
    }

    /// The Applications of a set, which `above` brings. They are objects as well, of a part of their own.
    fn set(&mut self, checkout: &Checkout, object: &Object, above: &Kept) -> Vec<Pending> {
        let mut object = object.clone();
        if object.key.name.namespace.is_empty() {
            object.key.name.namespace = above.pending.namespace();
        }
        // Of two of one name the first is taken; that there are two is said of the objects.
        if self.sets.contains_key(&object.key) {
            return Vec::new();
        }
        let chain = above.pending.waves();
        let application = &above.pending.application;
        let part = PartKey {
            chain: chain.clone(),
            application: application.key.clone(),
            source: application.sources.len(),
            path: sets::part_path(&object),
        };
        let cluster = Cluster {
            name: self.cluster_name(),
            labels: self.ask.tools.cluster_labels.clone(),
            annotations: self.ask.tools.cluster_annotations.clone(),
        };
        let facts = sets::Facts {
            checkout,
            tools: self.ask.tools,
            repository: self.repository.as_deref(),
            cluster: &cluster,
        };
        let old = self.old_sets.remove(&object.key);
        let (set, fresh) = match old {
            Some(set) if set.holds(&object, &facts, self.ask.touched, &part) => {
                let forced = self.ask.forced.contains(&part.path);
                (set, forced)
            }
            old => {
                self.out.changes.extend(
                    old.filter(|set| *set.part != part).map(|set| Change::gone(Arc::clone(&set.part))),
                );
                let mut set = sets::expand(&facts, &object, Arc::new(part));
                set.only_create(&object, self.ask.made);
                (set, true)
            }
        };
        if fresh {
            let documents = set.applications.iter();
            let documents =
                documents.map(|object| Document { json: object.json.clone(), origin: object.origin.clone() });
            let read = Manifests { documents: documents.collect(), ..Manifests::default() };
            let namespace = object.key.name.namespace.clone();
            let change = Change::read(Arc::clone(&set.part), namespace, false, read);
            self.out.changes.push(change.owned_by(object.key.clone()));
        }
        self.out.problems.extend(set.problems.iter().cloned());
        // Files that are the root have no name of an Application.
        let is_root = !application::is_kind(&application.key);
        let parent = if is_root { Name::default() } else { application.name().clone() };
        if set.unsure {
            self.out.unsure.insert(parent.clone());
        }
        if set.unsure || set.partial {
            // What it made before stays as it was made.
            self.out.unsure.insert(object.key.name.name.clone());
        }
        self.out.unsure.extend(set.doubtful.iter().cloned());
        let namespace = &object.key.name.namespace;
        let mut children = Vec::with_capacity(set.applications.len());
        for application in &set.applications {
            if self.enters(application, namespace) {
                let child = self.child(application, &parent, namespace, chain.clone());
                if let Some(child) = child.as_ref().filter(|_| set.chosen) {
                    self.clusters.choose(&child.application.destination);
                }
                children.extend(child);
            } else {
                // Said where it is placed. What one of its name brought stays as it is.
                self.out.unsure.insert(application.key.name.name.clone());
            }
        }
        self.sets.insert(object.key.clone(), set);
        children
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
                .is_some_and(|url| !url.is_empty() && same_place(url, &source.repo_url))
            {
                let revision =
                    if source.target_revision.is_empty() { "HEAD" } else { &source.target_revision };
                say(format!("{} at {revision} is read from the work tree", source.repo_url));
            }
        }
        if let Some(branch) = &application.hydrates {
            say(format!(
                "what the hydrator would write to {branch} for {} is rendered from its dry source",
                application.key
            ));
        }
        let Destination { server, name, .. } = &application.destination;
        let cluster = if name.is_empty() { server } else { name };
        if !cluster.is_empty() {
            say(format!("cluster {cluster} is this machine"));
        }
        if let Policy::Application(Automation { automated: false, .. }) = &application.policy {
            say(format!(
                "{} is not synced automatically: each reading is its sync, without prune",
                application.key
            ));
        }
    }
}

/// Some names, and how many more.
pub(super) fn told(names: &[String]) -> String {
    const MOST: usize = 12;
    let more = names.len().saturating_sub(MOST);
    let some = names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more == 0 { some } else { format!("{some} and {more} more") }
}

type Work<'a> = (usize, &'a Pending, Option<Kept>);

/// Reads Applications, several at once; in order.
pub(super) fn side_by_side(
    context: &source::Context<'_>,
    work: Vec<Work<'_>>,
) -> Vec<(usize, Kept, Vec<Change>)> {
    let read = |(n, pending, kept): Work<'_>| {
        let (kept, changes) = source::read(context, pending, kept);
        (n, kept, changes)
    };
    if work.len() <= 1 {
        return work.into_iter().map(read).collect();
    }
    let threads = PARALLEL.min(work.len());
    let queue = Mutex::new(work.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let mut done: Vec<_> = std::thread::scope(|scope| {
        let run = || std::iter::from_fn(next).map(read).collect::<Vec<_>>();
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        threads.into_iter().flat_map(|t| t.join().expect("reading a source does not panic")).collect()
    });
    done.sort_by_key(|(n, ..)| *n);
    done
}
