//! From the work tree to the store. Reading (Helm included) is done on a thread of its own, one at a time, and hands on
//! what is different from the reading before; the first one is compared with nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    path::{Path, PathBuf},
    time::Duration,
};

use portolan_core::{
    door,
    gitops::{
        adapters::Component,
        configuration::{self, Configuration, Environment},
        known::{Known, Seen},
        ledger::Entry,
    },
    secrets::rows::ComponentCredential,
};
use portolan_effects::{
    folder::Burst,
    render::{ApplicationInfo, Difference, Jobs, Tools, Touched, Tree, Whole},
    state_dir::StateDir,
    store::{Store, Write},
};
use portolan_model::{
    Code, Instant, Name, NamespacedName, Object, ObjectKey, Problem, input::SourceProblems,
};

use super::{Driver, Event, GIT};

/// After which an empty or unreadable file is looked at again.
const SOON: Duration = Duration::from_secs(2);
/// An API server would not store the object.
const NOT_STORED: Code = Code(5);
/// How often it is told how long a rendering takes.
const RENDERED: Duration = Duration::from_secs(5);

/// What was said of what somebody saved.
#[derive(Clone, Copy, Default)]
struct Saved {
    /// Something was read for it.
    looked: bool,
    /// Objects were named that it changes or takes away.
    told: bool,
}

/// The work tree as it was read last, and the reading that is under way.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about the reading")]
pub struct Reading {
    /// Away while a reading runs.
    pub(super) tree: Option<Box<Tree>>,
    pub env: String,
    /// `--cluster-resource-namespace`: wins over what the repository says.
    cluster_resource_namespace: Option<Name>,
    /// What the next reading has to look at.
    touched: Touched,
    /// Files that somebody is writing.
    unfinished: BTreeSet<PathBuf>,
    /// Somebody saved something, and what it comes to is not told whole.
    saved: Option<Saved>,
    /// Something changed while a reading was under way.
    pub(super) again: bool,
    /// What is touched again in a moment, and whether that has been set going.
    soon: BTreeSet<PathBuf>,
    waits: bool,
    /// Some of it has not been looked at twice.
    is_doubtful: bool,
    /// Renderings that readings do not wait for.
    jobs: Jobs,
    /// It will be told again how long they take.
    renders: bool,
    /// The store did not take what was read: the next reading is as the first.
    pub(super) forget: bool,
    /// Objects that the repository brought to the store and does not bring now; they go unless they are in doubt.
    pub(super) unwanted: BTreeSet<ObjectKey>,
    /// Those of them that have left for certain, and since when: a confirmation has to be of later.
    pub(super) leaving: BTreeMap<ObjectKey, Instant>,
    /// Those that stay and that a person lets go.
    pub(super) released: BTreeSet<ObjectKey>,
    /// Objects that somebody else has in the store. They are tried again with each reading.
    pub(super) refused: BTreeMap<ObjectKey, Object>,
    /// Objects that an API server would not store, as the tree told them.
    pub(super) unfit: BTreeSet<ObjectKey>,
    /// Those of them that it stores in the place of older ones with the same faults.
    ratcheted: BTreeSet<ObjectKey>,
    /// Edits that no policy has admitted yet, each as it was read; what is stored is what stood before.
    pub(super) unjudged: BTreeMap<ObjectKey, Object>,
    /// Edits of the last reading wait for policies.
    pub(super) judges: bool,
    /// Edits that the store does not take, until the object is read again.
    pub(super) edits: BTreeMap<ObjectKey, Problem>,
    /// Problems of the work tree by object, as the tree told them.
    told: BTreeMap<ObjectKey, Vec<Problem>>,
    /// What else is wrong with the same objects; found anew with each reading.
    more: BTreeMap<ObjectKey, Vec<Problem>>,
    /// What was taken for something else.
    pub substitutions: Vec<String>,
    /// What the repository says of the components that Portolan stands in for.
    components: Vec<Component>,
    /// The same as it was read, and where the environment starts; kept over restarts.
    pub(super) known: Known,
    /// The repository was read whole since the start.
    pub(super) done: bool,
    /// Applications, parents first.
    pub applications: Vec<ApplicationInfo>,
    /// Objects of charts whose lines in templates were asked for.
    pub(super) placed: BTreeSet<ObjectKey>,
    /// What is wrong with that.
    component_problems: Vec<Problem>,
    /// What becomes of each key of their values.
    pub ledger: Vec<Entry>,
}

impl Reading {
    /// Nothing is read yet.
    pub fn new(
        root: &Path,
        env: String,
        start: Option<&str>,
        (tools, jobs): (Tools, Jobs),
        cluster_resource_namespace: Option<Name>,
        store: &Store,
        known: Known,
    ) -> Self {
        let tree = Tree::new(root, &env, start, tools).started(known.root.clone());
        Self {
            tree: Some(Box::new(tree)),
            env,
            cluster_resource_namespace,
            touched: Touched::All,
            unfinished: BTreeSet::new(),
            done: false,
            saved: None,
            again: false,
            soon: BTreeSet::new(),
            waits: false,
            is_doubtful: false,
            jobs,
            renders: false,
            forget: false,
            unwanted: brought(store),
            leaving: BTreeMap::new(),
            released: BTreeSet::new(),
            refused: BTreeMap::new(),
            unfit: BTreeSet::new(),
            ratcheted: BTreeSet::new(),
            unjudged: BTreeMap::new(),
            judges: false,
            edits: BTreeMap::new(),
            told: BTreeMap::new(),
            more: BTreeMap::new(),
            substitutions: Vec::new(),
            components: Vec::new(),
            known,
            applications: Vec::new(),
            placed: BTreeSet::new(),
            component_problems: Vec::new(),
            ledger: Vec::new(),
        }
    }

    /// Whether the store may still be behind the work tree.
    pub fn is_running(&self) -> bool {
        self.tree.is_none() || self.is_doubtful || self.jobs.is_busy()
    }

    /// Takes the tree for a reading, if none runs.
    fn start(&mut self, store: &Store) -> Option<(Box<Tree>, Touched)> {
        let mut tree = self.tree.take()?;
        if mem::take(&mut self.forget) {
            tree.forget();
            self.touched = Touched::All;
            self.unwanted = brought(store);
            self.refused.clear();
            self.edits.clear();
            // What is not told again is over.
            for key in mem::take(&mut self.told).into_keys() {
                self.more.entry(key).or_default();
            }
        }
        tree.made_by_sets(self.made_by_sets(store));
        Some((tree, mem::take(&mut self.touched)))
    }
}

impl Reading {
    /// Applications in the store that ApplicationSets made. Until something was read they are among what nothing brings.
    fn made_by_sets(&self, store: &Store) -> BTreeMap<ObjectKey, Object> {
        let known = self.applications.iter().map(|app| &app.key).chain(&self.unwanted);
        let known = known.filter(|key| key.kind.is("argoproj.io", "Application"));
        known
            .filter_map(|key| store.get(key))
            .filter(|stored| {
                let by = stored.object.origin.owner.as_deref();
                by.is_some_and(|by| by.kind.is("argoproj.io", "ApplicationSet"))
            })
            .map(|stored| (stored.object.key.clone(), stored.base().clone()))
            .collect()
    }
}

/// All that the repository has in the store.
fn brought(store: &Store) -> BTreeSet<ObjectKey> {
    store.list().filter(|stored| stored.manager == GIT).map(|stored| stored.object.key.clone()).collect()
}

/// File of the state: what is known of root and components. Their values may hold credentials, as the repository does.
const KNOWN: &str = "components.json";

/// Whether an earlier run left what it knew in a folder of state.
pub fn is_known(state: &Path) -> bool {
    state.join(KNOWN).exists()
}

/// What an earlier run knew. What cannot be understood is not known, until the repository is read.
pub fn known(state: &StateDir) -> Known {
    let path = state.path().join(KNOWN);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Known::default(),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "settings of components are not known before the repository is read");
            return Known::default();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|_| {
        // Why is not said: it may quote a value.
        tracing::warn!(path = %path.display(), "it is damaged: settings of components are not known before the repository is read");
        Known::default()
    })
}

/// The repository's objects that are deleted by these.
fn deleted(writes: &[Write]) -> Vec<String> {
    let key = |write: &Write| match write {
        Write::Delete(key, GIT) => Some(key.to_string()),
        _ => None,
    };
    writes.iter().filter_map(key).collect()
}

impl Driver {
    /// Something changed in the work tree.
    pub(super) fn noticed(&mut self, burst: Burst) {
        self.reaction.noticed(burst.noticed);
        self.source.reading.touched.add(burst.touched);
        self.source.reading.unfinished = burst.unfinished;
        self.source.reading.saved = Some(Saved::default());
        self.reload();
    }

    /// Starts a reading of what changed, or notes that one more is due after the one that runs. What could not be written
    /// or removed before is tried again with it.
    pub(super) fn reload(&mut self) {
        let Some((mut tree, touched)) = self.source.reading.start(&self.cx.store) else {
            self.source.reading.again = true;
            return;
        };
        let events = self.events.clone();
        let unfinished = self.source.reading.unfinished.clone();
        self.reaction.begin();
        tokio::task::spawn_blocking(move || {
            let difference = tree.read_but(&touched, &unfinished);
            let _ = events.send(Event::Read(tree, Box::new(difference)));
        });
    }

    /// Brings the store to what was read.
    pub(super) fn take_reading(&mut self, tree: Box<Tree>, read: Difference) {
        self.reaction.read(&read.work);
        self.source.reading.tree = Some(tree);
        self.look_again(read.soon);
        if self.source.reading.jobs.is_busy() && !mem::replace(&mut self.source.reading.renders, true) {
            let events = self.events.clone();
            tokio::spawn(async move {
                tokio::time::sleep(RENDERED).await;
                let _ = events.send(Event::StillRendering);
            });
        }
        if self.source.reading.forget {
            // It was compared with what the store did not take.
            return self.reload();
        }
        let mut more: BTreeMap<ObjectKey, Vec<Problem>> = BTreeMap::new();
        let mut say = |problems: Vec<Problem>| {
            for problem in problems {
                more.entry(problem.object.clone()).or_default().push(problem);
            }
        };
        self.source.reading.substitutions.clone_from(&read.whole.substitutions);
        for object in &read.objects {
            self.source.reading.unwanted.remove(&object.key);
            self.source.reading.refused.remove(&object.key);
            self.source.reading.edits.remove(&object.key);
            self.unplace(&object.key);
        }
        for key in &read.gone {
            self.unplace(key);
            self.drop_edit(key);
            self.source.reading.refused.remove(key);
            self.source.reading.edits.remove(key);
        }
        self.source.reading.unwanted.extend(read.gone);
        for (key, problems) in &read.problems {
            if problems.iter().any(|problem| problem.code == NOT_STORED) {
                self.source.reading.unfit.insert(key.clone());
            } else {
                self.source.reading.unfit.remove(key);
            }
        }
        say(self.take_components(&read.whole));
        let late = self.take_late(&read.whole);
        let objects = mem::take(&mut self.source.reading.refused).into_values();
        let objects = objects.chain(read.objects).chain(late).collect();
        let writes = self.writes(objects, &read.whole);
        // What is saved while the first reading runs is read by the next one.
        if self.source.reading.done {
            match self.source.reading.saved.take() {
                Some(saved) => self.tell_edit(&writes, saved, read.work.parts > 0),
                // An edit took them away, and they went last.
                None => self.source.view.removed(&deleted(&writes)),
            }
        }
        say(self.source.reading.edits.values().cloned().collect());
        let unwritten = mem::take(&mut self.cx.unwritten);
        say(self.cx.write(writes));
        say(self.damaged());
        // What was told of it before is told of no more where it is over.
        let is_told = self.source.reading.told.keys().any(|key| !read.problems.contains_key(key))
            || read.problems.values().any(|problems| !problems.is_empty());
        if !self.cx.store.list().any(|stored| stored.manager == GIT) && !is_told {
            say(vec![crate::folder::empty(&self.source.root)]);
        }
        self.source.reading.forget = self.cx.unwritten;
        self.cx.unwritten |= unwritten;
        let mut told = read.whole.unapplied;
        told.extend(read.whole.refused);
        self.cx.store.set_refused(told);
        self.source.reading.applications = read.whole.applications;
        self.source.reading.done = true;
        self.cx.is_read = true;
        self.source_problems(read.problems, more);
        self.reaction.written();
        if mem::take(&mut self.source.reading.again) {
            self.reload();
        }
    }

    /// What an API server would not make and stores in the place of what stands there: faults that are not new. Gives what is
    /// different from that.
    fn take_late(&mut self, whole: &Whole) -> Vec<Object> {
        let before = mem::take(&mut self.source.reading.ratcheted);
        let mut objects = Vec::new();
        for (key, late) in &whole.late {
            let Some(stored) = self.cx.store.get(key).filter(|stored| stored.manager == GIT) else {
                continue;
            };
            let Ok(object) = door::ratcheted(&whole.definitions, &stored.object, late) else { continue };
            if stored.object.json != object.json {
                objects.push(object);
            }
            self.source.reading.unwanted.remove(key);
            self.source.reading.unfit.remove(key);
            self.source.reading.ratcheted.insert(key.clone());
        }
        // Others of them are told of again.
        let now = &self.source.reading.ratcheted;
        self.cx.own_problems.extend(before.symmetric_difference(now).cloned());
        objects
    }

    /// Says what a saved edit comes to, also where no hostname is other than before. What is still being rendered may be of it: the
    /// reading after that says the rest. `looked`: something was read for it now.
    fn tell_edit(&mut self, writes: &[Write], mut saved: Saved, looked: bool) {
        let (mut changed, removed) = (Vec::new(), deleted(writes));
        for write in writes {
            let Write::Apply(object, GIT) = write else { continue };
            let stored = self.cx.store.get(&object.key);
            if stored.is_none_or(|stored| stored.base().json != object.json) {
                changed.push(object.key.to_string());
            }
        }
        // So may be what was saved while this reading ran, and what policies judge first.
        let comes =
            self.source.reading.jobs.is_busy() || self.source.reading.again || self.source.reading.judges;
        saved.looked |= looked;
        let any = saved.looked && !changed.is_empty() || !removed.is_empty();
        if any || saved.looked && !saved.told && !comes {
            self.source.view.edited(&changed, &removed);
        }
        saved.told |= any;
        self.source.reading.saved = comes.then_some(saved);
    }

    /// The same of what policies have judged.
    pub(super) fn tell_judged(&mut self, writes: &[Write]) {
        // What was saved since is told by the reading that it causes.
        if let Some(saved) = self.source.reading.saved.filter(|saved| saved.looked) {
            self.tell_edit(writes, saved, false);
        }
    }

    /// Where it stood in a template is not known of what is read anew.
    fn unplace(&mut self, key: &ObjectKey) {
        if self.source.reading.placed.remove(key) {
            self.cx.store.place(key, None);
        }
    }

    /// What may be in the middle of something is touched again in a moment.
    fn look_again(&mut self, soon: BTreeSet<PathBuf>) {
        self.source.reading.is_doubtful = !soon.is_subset(&self.source.reading.soon);
        self.source.reading.soon = soon;
        if self.source.reading.soon.is_empty() || mem::replace(&mut self.source.reading.waits, true) {
            return;
        }
        let events = self.events.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SOON).await;
            let _ = events.send(Event::LookAgain);
        });
    }

    /// Touches it.
    pub(super) fn looked_again(&mut self) {
        self.source.reading.waits = false;
        self.source.reading.touched.add(Touched::Paths(self.source.reading.soon.clone()));
        self.reload();
    }

    /// A while ago something was being rendered; how long it takes is told with the next reading.
    pub(super) fn still_rendering(&mut self) {
        self.source.reading.renders = false;
        if self.source.reading.jobs.is_busy() {
            self.reload();
        }
    }

    /// Puts the problems of the objects that have others now.
    fn source_problems(
        &mut self,
        told: BTreeMap<ObjectKey, Vec<Problem>>,
        more: BTreeMap<ObjectKey, Vec<Problem>>,
    ) {
        let mut changed: BTreeSet<ObjectKey> = told.keys().chain(more.keys()).cloned().collect();
        changed.extend(mem::replace(&mut self.source.reading.more, more).into_keys());
        changed.append(&mut self.cx.own_problems);
        for (key, problems) in told {
            if problems.is_empty() {
                self.source.reading.told.remove(&key);
            } else {
                self.source.reading.told.insert(key, problems);
            }
        }
        let told = self.source.reading.told.values().flatten();
        crate::unseen::put(&mut self.cx.engine, told, &self.source.reading.applications);
        for key in changed {
            let all = [self.source.reading.told.get(&key), self.source.reading.more.get(&key)];
            let problems = all.into_iter().flatten().flatten();
            let ratcheted = self.source.reading.ratcheted.contains(&key);
            let told = |problem: &&Problem| !ratcheted || problem.code != NOT_STORED;
            let problems: Vec<Problem> = problems.filter(told).cloned().collect();
            if problems.is_empty() {
                self.cx.engine.remove::<SourceProblems>(&key);
            } else {
                self.cx.engine.put(SourceProblems { key, problems });
            }
        }
        self.cx.facts = true;
    }

    /// Puts the settings that an earlier run knew, before anything is done with what it left. Those of DNS come with the first
    /// reading, since records are compared with all that is wanted.
    pub(super) fn recall_components(&mut self) {
        if self.source.reading.known.root.is_some() {
            let made = self.configured();
            self.put_settings(&made);
        }
    }

    /// Puts the settings that the repository gives to the components which Portolan stands in for. Gives what is wrong with
    /// them.
    fn take_components(&mut self, whole: &Whole) -> Vec<Problem> {
        let old = self.source.reading.known.clone();
        // One that only stays says nothing of what the repository is now.
        let stays = |key: &&ObjectKey| self.source.reading.unwanted.contains(*key);
        let applications = whole.applications.iter().map(|app| &app.key).filter(|key| !stays(key)).collect();
        let known = old.clone().after(Seen {
            root: whole.root.as_ref(),
            applications: &applications,
            components: &whole.adapters,
            unsure: &whole.unsure,
            unsure_files: !whole.unsure_files.is_empty(),
        });
        if known.root.is_none() {
            // Nothing was read, ever: nothing is known, so nothing is set.
            return Vec::new();
        }
        if known != old {
            match serde_json::to_vec(&known) {
                Ok(bytes) => self.cx.keep(KNOWN, bytes),
                Err(error) => tracing::error!(%error, "settings of components are not kept"),
            }
        }
        self.source.reading.known = known;
        let made = self.configured();
        self.put_settings(&made);
        self.put_dns_settings(made.dns);
        self.source.reading.component_problems.iter().cloned().chain(made.problems).collect()
    }

    /// What follows from what is known.
    fn configured(&mut self) -> Configuration {
        let read = configuration::components(&self.source.reading.known.components);
        (self.source.reading.components, self.source.reading.component_problems) = (read.all, read.problems);
        self.source.reading.ledger = read.ledger;
        configuration::configure(&Environment {
            name: &self.source.reading.env,
            components: &self.source.reading.components,
            is_folder: self.source.reading.known.is_folder,
            cluster_resource_namespace: self.source.reading.cluster_resource_namespace.as_ref(),
        })
    }

    fn put_settings(&mut self, made: &Configuration) {
        self.put_credentials(made.credentials.clone());
        self.cx.engine.put(made.settings.clone());
        self.cx.engine.put(made.reach.clone());
    }

    /// Tells which Secrets are there only for components that Portolan stands in for.
    fn put_credentials(&mut self, wanted: Vec<ComponentCredential>) {
        let gone: Vec<NamespacedName> = self
            .cx
            .engine
            .rows::<ComponentCredential>()
            .filter(|row| !wanted.iter().any(|other| other.key == row.key))
            .map(|row| row.key.clone())
            .collect();
        for key in gone {
            self.cx.engine.remove::<ComponentCredential>(&key);
        }
        for row in wanted {
            self.cx.engine.put(row);
        }
    }
}
