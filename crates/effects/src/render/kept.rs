//! What is kept of an Application between two readings.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use portolan_core::gitops::{
    adapters::{ComponentValues, standing},
    projects::Permit,
};
use portolan_model::{Name, Object, Problem, nearest};
use serde_json::Value;

use super::{
    application::{self, Application},
    flux,
    inputs::Inputs,
    part::{Change, PartKey},
    source::Context,
    stamp::Stamp,
};
use crate::charts::Reference;

/// An Application that is to be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pending {
    pub(super) application: Application,
    /// Name of the Application that brought it.
    pub(super) parent: Name,
    /// Waves of the Applications above it.
    pub(super) chain: Vec<i32>,
    /// What its project lets through, if one is known.
    pub(super) permit: Option<Arc<Permit>>,
}

impl Pending {
    /// Namespace for objects without one. Empty where an Application or a Kustomization is to name it and names none: neither Argo
    /// CD nor Flux applies such an object then.
    pub(super) fn namespace(&self) -> Name {
        match self.application.destination.namespace.as_str() {
            "" if !application::is_kind(&self.application.key) => "default".into(),
            namespace => namespace.into(),
        }
    }

    /// Waves down to its own.
    pub(super) fn waves(&self) -> Vec<i32> {
        self.chain.iter().copied().chain([self.application.wave]).collect()
    }
}

/// An Application as it was read.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) pending: Pending,
    /// URL that the work tree stood for.
    pub(super) repository: Option<String>,
    /// What it was read from.
    pub(super) inputs: Inputs,
    pub(super) sources: Vec<KeptSource>,
    /// What Flux's objects may refer to was kept.
    pub(super) facts: bool,
}

/// One of its sources.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about the source")]
pub(super) struct KeptSource {
    /// What it was found to be.
    pub(super) shown: Option<String>,
    pub(super) problems: Vec<Problem>,
    /// What was taken for something else, one sentence each.
    pub(super) substitutions: Vec<String>,
    /// It could not be read.
    pub(super) unsure: bool,
    /// Argo CD makes nothing of its Application for it, although it could be read.
    pub(super) refused: bool,
    /// It does not stand here, so nobody here knows what it brings.
    pub(super) elsewhere: bool,
    /// Not for a reason that stands in the work tree: it is tried again with each reading.
    pub(super) again: bool,
    /// Files and folders that are to be looked at again soon.
    pub(super) soon: BTreeSet<PathBuf>,
    /// Links to files; what they lead to is looked at again whatever changed.
    pub(super) links: BTreeSet<PathBuf>,
    /// Replaced components: chart, version as it is asked for, and values.
    pub(super) values: Vec<(String, String, Value)>,
    /// Charts of other places that it names.
    pub(super) charts: BTreeSet<Reference>,
    pub(super) parts: BTreeMap<PathBuf, KeptPart>,
    /// Applications that its parts bring, and sets of them.
    pub(super) applications: BTreeMap<PathBuf, Vec<Object>>,
    /// What Flux's objects may refer to, if Flux is in use.
    pub(super) facts: BTreeMap<PathBuf, Vec<Object>>,
    /// Components that stand as workloads in its parts.
    pub(super) standing: BTreeMap<PathBuf, Vec<ComponentValues>>,
}

/// A part of it.
#[derive(Debug)]
pub(super) struct KeptPart {
    pub(super) key: Arc<PartKey>,
    /// `None` if it has to be read again.
    pub(super) stamp: Option<Stamp>,
    /// Bytes of its file, if it is one that counts for how much Argo CD reads of a folder.
    pub(super) bytes: u64,
}

impl Kept {
    /// Whether it would be read as the same again.
    pub(super) fn holds(&self, pending: &Pending, context: &Context<'_>) -> bool {
        self.is_of(pending, context)
            && !self.sources.iter().any(|source| source.again)
            && !self.inputs.touched(context.touched)
    }

    /// Whether it was read for the same request, and all is kept of it that is wanted.
    pub(super) fn is_of(&self, pending: &Pending, context: &Context<'_>) -> bool {
        self.pending == *pending
            && self.repository.as_deref() == context.repository
            && (self.facts || !context.flux)
    }

    /// All its parts as gone.
    pub(super) fn dropped(&self) -> Vec<Change> {
        self.sources.iter().flat_map(|source| source.parts.values()).map(KeptPart::dropped).collect()
    }
}

impl KeptPart {
    /// The part as gone.
    pub(super) fn dropped(&self) -> Change {
        Change::gone(Arc::clone(&self.key))
    }
}

impl KeptSource {
    /// Notes a part that was read, and the Applications in it.
    pub(super) fn add(&mut self, part: KeptPart, change: &Change, facts: bool) {
        let path = part.key.path.clone();
        self.facts.remove(&path);
        if facts {
            let documents = change.read.iter().flat_map(|read| read.documents.iter().chain(&read.withheld));
            let facts: Vec<Object> = documents
                .filter(|document| flux::is_fact(&document.json))
                .filter_map(|d| Object::from_json(d.json.clone(), d.origin.clone()).ok())
                .map(|mut object| {
                    object.json.pack();
                    object
                })
                .collect();
            if !facts.is_empty() {
                self.facts.insert(path.clone(), facts);
            }
        }
        let documents = || change.read.iter().flat_map(|read| &read.documents);
        let lost = change.read.as_ref().is_some_and(|read| read.unsure || read.unsure_file.is_some());
        let name = part.key.name();
        let workloads = documents().flat_map(|one| standing(&one.json, &name, &change.namespace));
        let mut workloads: Vec<ComponentValues> = workloads.collect();
        let before = self.standing.remove(&path).unwrap_or_default();
        // A misspelt kind removes nothing either (`sync::stands_for`): what it was told before still runs.
        let misspelt = |old: &ComponentValues| {
            documents().any(|document| {
                let kind = document.json["kind"].as_str().unwrap_or_default();
                *kind != *old.object.kind.kind
                    && document.json["metadata"]["name"].as_str() == Some(&*old.object.name.name)
                    && nearest(kind, [&*old.object.kind.kind]).is_some()
            })
        };
        let before = before.into_iter().filter(|old| lost || misspelt(old));
        // Nor does a slip of the pen let go of what one was told.
        let others = before.filter(|old| workloads.iter().all(|new| new.object != old.object));
        workloads.extend(others.collect::<Vec<_>>());
        if !workloads.is_empty() {
            self.standing.insert(path.clone(), workloads);
        }
        let mut applications: Vec<Object> = documents()
            .filter(|document| application::is_followed(&document.json))
            .filter_map(|d| Object::from_json(d.json.clone(), d.origin.clone()).ok())
            .collect();
        let before = self.applications.remove(&path).unwrap_or_default();
        if lost {
            // A slip of the pen in a project does not open what it closes.
            let projects = before.into_iter().filter(|object| application::is_project(&object.key));
            let lost: Vec<_> = projects.filter(|one| applications.iter().all(|o| o.key != one.key)).collect();
            applications.extend(lost);
        }
        if !applications.is_empty() {
            self.applications.insert(path.clone(), applications);
        }
        self.parts.insert(path, part);
    }

    /// Forgets a part.
    pub(super) fn forget(&mut self, path: &Path) -> Option<Change> {
        self.applications.remove(path);
        self.soon.remove(path);
        self.facts.remove(path);
        self.standing.remove(path);
        self.parts.remove(path).map(|part| part.dropped())
    }

    /// Paths of its parts at and below `at`.
    pub(super) fn below(&self, at: &Path) -> BTreeSet<PathBuf> {
        let from = self.parts.range(at.to_owned()..);
        from.map(|(path, _)| path).take_while(|path| path.starts_with(at)).cloned().collect()
    }
}
