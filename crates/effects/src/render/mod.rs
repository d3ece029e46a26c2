//! From a work tree to the objects of one environment: Argo CD Applications are followed, charts are rendered by the
//! real Helm, plain folders are read. Nothing is fetched, nothing is applied, no key is loaded.
//!
//! ```text
//!  discover -> Application --path--> chart   -> stage (copy, dependencies taken out) -> helm template -> objects
//!                  ^                 folder  -> objects                                                    |
//!                  +---------------------------- child Applications <--------------------------------------+
//! ```
//!
//! Invariant: broken input is a problem and costs only its own source. An Application whose source could not be read
//! whole is listed in [`Rendered::unsure`], so that what it brought before is not pruned.

pub mod application;
mod checkout;
pub mod dependencies;
pub mod discover;
mod glob;
pub mod helm;
mod manifests;
mod memo;
mod order;
pub mod problems;
mod source;
mod stage;
mod tree;

use std::{path::PathBuf, sync::Arc, time::Duration};

use portolan_core::gitops::adapters::ComponentValues;
use portolan_model::{Name, Object, ObjectKey, Problem};

pub use memo::Memo;
pub use tree::render;

/// The outside program and where its results are kept.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The `helm` program; without it every chart is a problem, plain folders still work.
    pub helm: Option<PathBuf>,
    /// Folder for rendered charts, by content; created with mode 0700. It may hold whatever charts put in manifests.
    pub cache: PathBuf,
    /// Longest that one `helm template` may take.
    pub timeout: Duration,
    /// What earlier readings with these tools have parsed.
    pub memo: Arc<Memo>,
}

impl Tools {
    /// `helm` from `PATH`, and the usual time limit of one minute.
    pub fn new(helm: Option<PathBuf>, cache: PathBuf) -> Self {
        Self { helm, cache, timeout: Duration::from_mins(1), memo: Arc::default() }
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
    /// `syncPolicy.automated.prune`.
    pub prune: bool,
}

/// Everything that one environment wants, as the repository says.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// Applications, parents first, in the order of their waves.
    pub applications: Vec<ApplicationInfo>,
    /// Objects in the order of writing: wave of the Application, wave of the object, Argo CD's kind order, name. The
    /// Applications themselves are among them.
    pub objects: Vec<Object>,
    /// Values of the components that Portolan stands in for.
    pub adapters: Vec<ComponentValues>,
    /// What is wrong or was left out.
    pub problems: Vec<Problem>,
    /// Hooks and Jobs: listed, never run.
    pub unapplied: Vec<ObjectKey>,
    /// What was taken for something else (work tree for revision, this machine for clusters), one sentence each.
    pub substitutions: Vec<String>,
    /// Applications (by name) that could not be read whole: nothing of theirs may be pruned.
    pub unsure: Vec<Name>,
    /// Plain files that could not be read whole: what stood in them must not be pruned; the rest may.
    pub unsure_files: Vec<String>,
}
