//! What is read at one time, and where its objects stand among all others.

use std::{cmp::Ordering, path::PathBuf, sync::Arc};

use portolan_core::gitops::projects::Permit;
use portolan_model::{Name, ObjectKey};
use portolan_schema::Brought;

use super::manifests::Manifests;

/// A file of a plain folder, or a rendered chart. The order is that in which Applications, sources and files are read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PartKey {
    /// Waves of the Applications from the root down to its own.
    pub(crate) chain: Vec<i32>,
    /// Its Application; a root that is none has the kind `Chart`, `File` or `Folder`.
    pub(crate) application: ObjectKey,
    /// Number of the source in the Application.
    pub(crate) source: usize,
    /// The file, or the chart's folder.
    pub(crate) path: PathBuf,
}

impl PartKey {
    /// Name of the Application; empty for a root that is none.
    pub(super) fn name(&self) -> Name {
        if super::application::is_kind(&self.application) {
            self.application.name.name.clone()
        } else {
            Name::default()
        }
    }
}

/// A part that is new, was read again, or is gone.
pub(crate) struct Change {
    pub(super) key: Arc<PartKey>,
    /// For objects without one.
    pub(super) namespace: Name,
    /// It is a file, not a chart.
    pub(super) plain: bool,
    /// `None` if it is gone.
    pub(super) read: Option<Manifests>,
    /// What CustomResourceDefinitions in it define.
    pub(super) defines: Vec<Arc<Brought>>,
    /// What applies its objects, if it is not the Application of the part: the set that makes Applications.
    pub(super) owner: Option<ObjectKey>,
    /// What the project of its Application lets through.
    pub(super) permit: Option<Arc<Permit>>,
    /// Its Application refuses to share objects (`FailOnSharedResource`).
    pub(super) alone: bool,
}

impl Change {
    /// A part that was read.
    pub(crate) fn read(key: Arc<PartKey>, namespace: Name, plain: bool, read: Manifests) -> Self {
        let defines = read.documents.iter().filter_map(|document| Brought::read(&document.json));
        let defines = defines.map(Arc::new).collect();
        Self { key, namespace, plain, read: Some(read), defines, owner: None, permit: None, alone: false }
    }

    /// A part that is gone.
    pub(super) fn gone(key: Arc<PartKey>) -> Self {
        let (namespace, defines) = (Name::default(), Vec::new());
        Self { key, namespace, plain: false, read: None, defines, owner: None, permit: None, alone: false }
    }

    /// The same, applied by something else than its Application.
    pub(super) fn owned_by(self, owner: ObjectKey) -> Self {
        Self { owner: Some(owner), ..self }
    }

    /// Lets go of the trees of its documents.
    pub(super) fn pack(&mut self) {
        let documents = self.read.iter_mut().flat_map(|read| &mut read.documents);
        documents.for_each(|document| document.json.pack());
    }
}

/// The place of an object among those of its key: the first is taken. Of one Application that is its last one, as Argo CD does
/// it (`controller/state.go`), and so it is of one folder (`kubectl apply -f`); of several the first by wave and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rank {
    pub(super) part: Arc<PartKey>,
    /// Wave of the object in its Application.
    pub(super) wave: i32,
    /// Number of the object in the part.
    pub(super) number: u32,
}

impl Rank {
    /// Waves from the root down.
    pub(super) fn waves(&self) -> impl Iterator<Item = i32> {
        self.part.chain.iter().copied().chain([self.wave])
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let (part, others) = (&self.part, &other.part);
        let place = |rank: &'_ Self| (rank.part.source, rank.part.path.clone(), rank.number);
        (&part.chain, &part.application).cmp(&(&others.chain, &others.application)).then_with(|| {
            let order = place(self).cmp(&place(other));
            order.then_with(|| self.wave.cmp(&other.wave)).reverse()
        })
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
