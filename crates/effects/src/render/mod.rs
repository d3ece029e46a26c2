//! From a work tree to the objects of one environment: Argo CD Applications are followed, charts are rendered by the
//! real Helm, plain folders are read. Nothing is fetched, nothing is applied, no key is loaded.
//!
//! ```text
//!  walk:  discover -> Application --path--> chart   -> stage (copy, dependencies taken out) -> helm template -> part
//!                         ^                 folder  -> file -> part                                            |
//!                         +---------------------------- child Applications <-----------------------------------+
//!  merge: parts that changed -> place (namespace, scope) -> which object of a key is taken -> difference
//! ```
//!
//! A [`Tree`] is read again for each change of the work tree. What nothing touched is neither read nor placed nor
//! compared; the objects themselves are not kept, the store has them. The first reading is the same with nothing kept.
//!
//! Invariant: broken input is a problem and costs only its own source. An Application whose source could not be read
//! whole is listed in [`Whole::unsure`], so that what it brought before is not pruned.

pub mod application;
mod cache;
mod checkout;
mod clusters;
pub mod dependencies;
pub mod discover;
mod doors;
mod encoding;
mod entry;
pub(crate) mod flux;
mod held;
pub mod helm;
mod identity;
mod inputs;
mod jobs;
mod kept;
mod kustomization;
mod kustomize;
mod leaves;
mod lines;
mod listing;
pub(crate) mod manifests;
mod marks;
mod merge;
mod order;
mod overlays;
mod overrides;
mod parameters;
pub(crate) mod part;
pub(crate) mod place;
pub mod problems;
mod program;
mod projects;
mod remote;
mod schema;
pub(crate) mod sets;
mod source;
mod stage;
mod stamp;
mod stream;
mod subcharts;
mod subjects;
mod touched;
mod tree;
mod values;
mod variables;
mod walk;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use portolan_core::gitops::sync::Policy;
use portolan_model::{Name, Object, ObjectKey, Origin, Problem};

use crate::{charts::Store, confined::run::Limits};

pub use discover::{begins, environments};
pub use jobs::Jobs;
pub use leaves::Asked;
pub use program::Program;
pub use remote::Charts;
pub(crate) use remote::{is_lost, is_never_fetched};
pub use sets::Cluster;
pub use touched::Touched;
pub use tree::{Difference, Tree, Whole, Work, read, render};

/// The outside program and where its results are kept.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The `helm` program, or why there is none: then every chart is a problem, and plain folders still work.
    pub helm: Result<PathBuf, String>,
    /// The `kustomize` program, or why there is none: then every kustomization is a problem.
    pub kustomize: Result<PathBuf, String>,
    /// Folder for rendered charts, by content; created with mode 0700. It may hold whatever charts put in manifests.
    pub cache: PathBuf,
    /// Longest that one `helm template` may take.
    pub timeout: Duration,
    /// Charts of other places, and what they are locked to.
    pub charts: Charts,
    /// What is known of the cluster of the environment, for ApplicationSets.
    pub cluster_labels: BTreeMap<String, String>,
    /// The same of its Secret's annotations.
    pub cluster_annotations: BTreeMap<String, String>,
    /// The program between us and `helm` (`confined`): our own.
    pub through: PathBuf,
    /// Where renderings go on that a reading does not wait for; without it each is waited for.
    pub jobs: Option<Jobs>,
}

impl Tools {
    /// This `helm`, run through our own program, and the usual time limit.
    pub fn new(helm: Option<PathBuf>, cache: PathBuf) -> Self {
        Self::found(helm.ok_or("helm was not found"), cache)
    }

    /// The same with the words of who looked for it.
    pub fn found(helm: Result<PathBuf, impl ToString>, cache: PathBuf) -> Self {
        let timeout = Limits::default().time;
        // The program that runs, also when its file has been replaced since.
        let through = "/proc/self/exe".into();
        let kustomize = Err("kustomize was not found".to_owned());
        let cluster_labels = BTreeMap::new();
        let jobs = None;
        Self {
            helm: helm.map_err(|why| why.to_string()),
            kustomize,
            cache,
            timeout,
            charts: Charts::default(),
            cluster_labels,
            cluster_annotations: BTreeMap::new(),
            through,
            jobs,
        }
    }

    /// The same with this `kustomize`, or the words of who looked for it.
    #[must_use]
    pub fn kustomize(self, found: Result<PathBuf, impl ToString>) -> Self {
        Self { kustomize: found.map_err(|why| why.to_string()), ..self }
    }

    /// The same with labels of the environment's cluster.
    #[must_use]
    pub fn cluster_labels(self, cluster_labels: BTreeMap<String, String>) -> Self {
        Self { cluster_labels, ..self }
    }

    /// The same with annotations of the Secret that stands for the environment's cluster.
    #[must_use]
    pub fn cluster_annotations(self, cluster_annotations: BTreeMap<String, String>) -> Self {
        Self { cluster_annotations, ..self }
    }

    /// The same with charts of other places that are kept in this folder.
    #[must_use]
    pub fn charts(self, store: Store) -> Self {
        Self { charts: Charts { store: Some(store), lock: None }, ..self }
    }

    /// The same with renderings that readings do not wait for.
    #[must_use]
    pub fn jobs(self, jobs: Jobs) -> Self {
        Self { jobs: Some(jobs), ..self }
    }

    /// The same through another program that calls `confined::asked`.
    #[must_use]
    pub fn through(self, program: impl Into<PathBuf>) -> Self {
        Self { through: program.into(), ..self }
    }
}

/// What an Application was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationInfo {
    /// Namespace and name of the Application; a root that is no Application has the kind `Chart` or `Folder`.
    pub key: ObjectKey,
    /// Name of the Application that brought it; empty for a root.
    pub parent: Name,
    /// `destination.namespace`: objects without a namespace go there.
    pub namespace: Name,
    /// Sync wave of the Application.
    pub wave: i32,
    /// What was read: `charts/cert-manager (helm)`.
    pub sources: Vec<String>,
    /// `CreateNamespace=true`.
    pub create_namespace: bool,
    /// What becomes of objects that it no longer brings.
    pub policy: Policy,
    /// Nothing of it is applied, for one of its objects or files; what is live of it stays.
    pub held: bool,
}

impl ApplicationInfo {
    /// Whether what stands there is of it. A root that is a chart has no name of an Application.
    pub fn brought(&self, origin: &Origin) -> bool {
        match origin.application.as_str() {
            "" => self.key.kind.is("", "Chart"),
            name => *self.key.name.name == *name,
        }
    }
}

/// Everything that one environment wants, as the repository says.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// Objects in the order of writing, as [`Difference::objects`].
    pub objects: Vec<Object>,
    /// What is wrong or was left out.
    pub problems: Vec<Problem>,
    /// Hooks and Jobs: listed, never run.
    pub unapplied: Vec<ObjectKey>,
    /// Applications, settings and doubts.
    pub whole: Whole,
}
