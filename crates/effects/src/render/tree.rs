//! A work tree that is read again and again: each reading costs what was touched, and gives what it changed. The first
//! one is the same with nothing kept.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use portolan_core::gitops::{adapters::ComponentValues, projects::Projects};
use portolan_model::{Name, Object, ObjectKey, Origin, Problem};
use portolan_schema::Definitions;

use super::{
    ApplicationInfo, Rendered, Tools,
    checkout::Checkout,
    doors::Doors,
    kept::Kept,
    leaves::Asked,
    lines::LineMaps,
    merge::Merged,
    overlays::Overlays,
    sets::KeptSet,
    source::Context,
    touched::Touched,
    walk::{Ask, Common, side_by_side, walk},
};
use crate::charts::Reference;

/// How often one reading looks again at parts whose objects are wanted all of a sudden. Twice is usual; more needs files
/// that change meanwhile.
const ROUNDS: usize = 8;

/// One environment of a work tree, as it was read last.
#[derive(Debug)]
pub struct Tree {
    dir: PathBuf,
    env: String,
    root: Option<String>,
    /// Where it started when it was read last.
    known: Option<ObjectKey>,
    tools: Tools,
    lines: LineMaps,
    kept: BTreeMap<ObjectKey, Kept>,
    merged: Merged,
    /// URL that the work tree stands for.
    repository: Option<String>,
    /// Kustomizations and charts of a plain folder.
    overlays: Option<(PathBuf, Overlays)>,
    sets: BTreeMap<ObjectKey, KeptSet>,
    /// AppProjects that were found.
    projects: Projects,
    /// Objects of Flux were found.
    flux: bool,
    /// What the door said of objects that are followed.
    doors: RefCell<Doors>,
    /// Parts that the last reading did not come to.
    late: BTreeSet<PathBuf>,
    /// Applications that are live and that nothing brings.
    standing: Vec<Object>,
    /// Applications that are live and that a set made.
    made: BTreeMap<ObjectKey, Object>,
    /// What the last walk read all Applications with.
    common: Common,
}

/// What a reading found to be different from the one before.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    /// Objects that are new or stand in something that was read again, in the order of writing: wave of the Application,
    /// wave of the object, Argo CD's kind order, name. The Applications themselves are among them.
    pub objects: Vec<Object>,
    /// Objects that stand nowhere any more. They may still stand in what could not be read: see `whole.unsure`.
    pub gone: Vec<ObjectKey>,
    /// Objects whose problems are others now, with all problems that they have.
    pub problems: BTreeMap<ObjectKey, Vec<Problem>>,
    /// What is told whole each time; it is small.
    pub whole: Whole,
    /// What the reading did.
    pub work: Work,
    /// What is to be touched again in a moment: files that are empty or cannot be read for now.
    pub soon: BTreeSet<PathBuf>,
}

/// What a reading knows of the whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Whole {
    /// Where it started: `File`, `Chart` or `Folder` with its path; `None` if nothing could be read there.
    pub root: Option<ObjectKey>,
    /// Applications, parents first, in the order of their waves.
    pub applications: Vec<ApplicationInfo>,
    /// Values of the components that Portolan stands in for.
    pub adapters: Vec<ComponentValues>,
    /// What was taken for something else (work tree for revision, this machine for clusters), one sentence each.
    pub substitutions: Vec<String>,
    /// Applications (by name) that could not be read whole: nothing of theirs may be pruned.
    pub unsure: BTreeSet<Name>,
    /// Applications with a source that does not stand here, and the paths of those that do: of what stood elsewhere nothing may be
    /// pruned.
    pub elsewhere: BTreeMap<ObjectKey, BTreeSet<String>>,
    /// Plain files that could not be read whole: what stood in them must not be pruned; the rest may.
    pub unsure_files: BTreeSet<String>,
    /// Plain files that hold something else than objects. They are counted and no error.
    pub no_manifests: BTreeSet<String>,
    /// Objects that an API server would not store, with where they stand: what is stored of them must not be pruned.
    pub refused: BTreeMap<ObjectKey, Origin>,
    /// Hooks and Jobs, which are listed and not applied, with where they stand.
    pub unapplied: BTreeMap<ObjectKey, Origin>,
    /// Those of them that it might store in the place of older ones with the same faults.
    pub late: BTreeMap<ObjectKey, Object>,
    /// Objects that it would not store either, and that are handed on as they say what is to be restricted. They replace
    /// nothing that it would.
    pub unfit: BTreeSet<ObjectKey>,
    /// Charts of other places that are named, and by which Applications.
    pub charts: BTreeMap<Reference, BTreeSet<ObjectKey>>,
    /// What is known of kinds.
    pub definitions: Definitions,
}

/// Work that a reading did, in counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Files parsed and charts rendered.
    pub parts: usize,
    /// Objects handed on.
    pub objects: usize,
    /// Documents that were judged as an API server would.
    pub judged: usize,
}

impl Tree {
    /// The environment `env` of the work tree `dir`; nothing is read yet. `root` overrides where to start (`--root PATH`,
    /// relative to `dir`).
    pub fn new(dir: &Path, env: &str, root: Option<&str>, tools: Tools) -> Self {
        Self {
            dir: dir.to_owned(),
            env: env.to_owned(),
            root: root.map(str::to_owned),
            known: None,
            tools,
            lines: LineMaps::default(),
            kept: BTreeMap::new(),
            merged: Merged::default(),
            repository: None,
            overlays: None,
            sets: BTreeMap::new(),
            projects: Projects::default(),
            flux: false,
            doors: RefCell::default(),
            late: BTreeSet::new(),
            standing: Vec::new(),
            made: BTreeMap::new(),
            common: Common::default(),
        }
    }

    /// Starts where it did in an earlier run: a root that is gone is not taken for one that lies further down.
    #[must_use]
    pub fn started(mut self, known: Option<ObjectKey>) -> Self {
        self.known = known;
        self
    }

    /// Forgets what was read: the next reading hands on everything.
    pub fn forget(&mut self) {
        self.kept.clear();
        self.sets.clear();
        self.merged = Merged::default();
        self.late.clear();
    }

    /// Follows these Applications too, which nothing in the work tree brings. Whether they are others than before.
    pub fn follow(&mut self, standing: Vec<Object>) -> bool {
        let same = |(old, new): (&Object, &Object)| old.key == new.key && old.json == new.json;
        if self.standing.len() == standing.len() && self.standing.iter().zip(&standing).all(same) {
            return false;
        }
        self.standing = standing;
        true
    }

    /// Applications that are live and that ApplicationSets made: a set that only creates changes none of them.
    pub fn made_by_sets(&mut self, made: BTreeMap<ObjectKey, Object>) {
        self.made = made;
    }

    /// Reads what may be different. Never fails: what is wrong stands in `problems`. Blocks while Helm runs.
    pub fn read(&mut self, touched: &Touched) -> Difference {
        self.read_but(touched, &BTreeSet::new())
    }

    /// The same, but for files that somebody is writing: what stood in them stays.
    pub fn read_but(&mut self, touched: &Touched, unfinished: &BTreeSet<PathBuf>) -> Difference {
        let mut touched = touched.clone();
        let mut forced = std::mem::take(&mut self.late);
        touched.add(Touched::Paths(forced.clone()));
        let mut work = Work::default();
        let mut round = 1;
        let walked = loop {
            self.doors.get_mut().begin(self.merged.redefined());
            let held = self.merged.held().all();
            let ask = Ask {
                dir: &self.dir,
                env: &self.env,
                root: self.root.as_deref(),
                known: self.known.as_ref(),
                stood_for: self.repository.as_deref(),
                tools: &self.tools,
                lines: &self.lines,
                touched: &touched,
                forced: &forced,
                unfinished,
                definitions: self.merged.definitions(),
                standing: &self.standing,
                made: &self.made,
                projects: &self.projects,
                flux: self.flux,
                held: &held,
                doors: &self.doors,
            };
            let mut walked = walk(&ask, &mut self.kept, &mut self.overlays, &mut self.sets);
            let changes = std::mem::take(&mut walked.changes);
            work.parts += changes.iter().filter(|change| change.read.is_some()).count();
            forced = self.merged.take(changes);
            self.projects = std::mem::take(&mut walked.projects);
            self.flux |= walked.flux;
            if forced.is_empty() && !walked.again && held == self.merged.held().all() {
                break walked;
            }
            if round == ROUNDS {
                self.late = forced;
                break walked;
            }
            touched = Touched::Paths(forced.clone());
            round += 1;
        };
        if let Some(jobs) = &self.tools.jobs {
            jobs.read();
        }
        let changed = self.merged.finish(walked.problems);
        work.objects = changed.objects.len();
        work.judged = changed.judged + self.doors.get_mut().settle();
        if walked.root.is_some() {
            self.known.clone_from(&walked.root);
        }
        if walked.repository.is_some() {
            self.repository = walked.repository;
        }
        self.common = walked.common;
        let mut whole = Whole {
            root: walked.root,
            applications: walked.applications,
            adapters: walked.adapters,
            substitutions: walked.substitutions,
            unsure: walked.unsure,
            elsewhere: walked.elsewhere,
            unsure_files: self.merged.unsure_files().collect(),
            no_manifests: self.merged.no_manifests().collect(),
            refused: self.merged.refused().map(|(key, origin)| (key.clone(), origin.clone())).collect(),
            unapplied: self.merged.unapplied().map(|(key, origin)| (key.clone(), origin.clone())).collect(),
            late: self.merged.late().map(|object| (object.key.clone(), object.clone())).collect(),
            unfit: self.merged.unfit().cloned().collect(),
            charts: walked.charts,
            definitions: self.merged.definitions().clone(),
        };
        for application in &mut whole.applications {
            application.held = self.merged.held().is(&application.key);
        }
        whole.unsure.extend(self.merged.unsure());
        whole.unsure.extend(self.merged.held().all().into_iter().map(|application| application.name.name));
        whole.adapters.sort_by(|a, b| (&a.component, &a.application).cmp(&(&b.component, &b.application)));
        let (objects, gone, problems) = (changed.objects, changed.gone, changed.problems);
        let sources = self.kept.values().flat_map(|kept| &kept.sources);
        let soon = sources.flat_map(|source| source.soon.iter().cloned()).collect();
        Difference { objects, gone, problems, whole, work, soon }
    }
}

impl Tree {
    /// Where objects of charts stand in their templates, line by line: those of these Applications, which are rendered once more with
    /// the lines in it, and the values that these fields of them come from. What was read stays as it is. Blocks while Helm runs.
    pub fn places(&self, asked: &BTreeMap<ObjectKey, BTreeSet<Asked>>) -> Vec<(ObjectKey, Origin)> {
        let Ok(checkout) = Checkout::open(&self.dir) else { return Vec::new() };
        let (none, touched) = (BTreeSet::new(), Touched::Paths(BTreeSet::new()));
        let mut by_repository: BTreeMap<Option<&str>, Vec<_>> = BTreeMap::new();
        for (n, kept) in asked.keys().filter_map(|key| self.kept.get(key)).enumerate() {
            // Apart from what is kept: what somebody has edited meanwhile is still to be read, and told.
            by_repository.entry(kept.repository.as_deref()).or_default().push((n, &kept.pending, None));
        }
        let mut places = Vec::new();
        for (repository, work) in by_repository {
            let context = Context {
                checkout: &checkout,
                env: &self.env,
                tools: &self.tools,
                lines: &self.lines,
                repository,
                placed: asked,
                revision: self.common.revision.as_deref(),
                touched: &touched,
                flux: self.common.facts,
                lock: &self.common.lock,
                forced: &none,
                unfinished: &none,
            };
            for change in side_by_side(&context, work).iter().flat_map(|(.., changes)| changes) {
                for document in change.read.iter().flat_map(|read| &read.documents) {
                    let Ok((mut key, _)) = Object::identity(&document.json) else { continue };
                    if key.name.namespace.is_empty()
                        && self.merged.definitions().namespaced(&key.kind.group, &key.kind.kind)
                            != Some(false)
                    {
                        key.name.namespace = change.namespace.clone();
                    }
                    if !document.origin.lines.is_empty() {
                        places.push((key, document.origin.clone()));
                    }
                }
            }
        }
        places
    }
}

/// The same as [`render`], with the tree for [`Tree::places`].
pub fn read(dir: &Path, env: &str, root: Option<&str>, tools: &Tools) -> (Rendered, Tree) {
    let mut tree = Tree::new(dir, env, root, tools.clone());
    let Difference { objects, problems, whole, .. } = tree.read(&Touched::All);
    let unapplied: Vec<ObjectKey> = whole.unapplied.keys().cloned().collect();
    let problems = problems.into_values().flatten().collect();
    (Rendered { objects, problems, unapplied, whole }, tree)
}

/// Reads once what the environment `env` of the work tree `dir` wants; see [`Tree`].
pub fn render(dir: &Path, env: &str, root: Option<&str>, tools: &Tools) -> Rendered {
    read(dir, env, root, tools).0
}
