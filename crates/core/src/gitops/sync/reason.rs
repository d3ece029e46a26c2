//! Why an object stays that the repository does not bring any more, in words.

use std::fmt;

use portolan_model::{NamespacedName, ObjectKey, Severity};

/// Why an object stays. What applied it is named in each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It stood in the file of the root.
    ByHand,
    /// No `spec.syncPolicy.automated`.
    NotAutomated(ObjectKey),
    /// No `automated.prune`.
    NoPrune(ObjectKey),
    /// `Prune=false` of the object.
    PruneFalse,
    /// The same of its Application, for all its objects.
    AllPruneFalse(ObjectKey),
    /// Prune is to be confirmed, of this object or of another one of the Application: its sync waits.
    PruneConfirm(ObjectKey, ObjectKey),
    /// Nothing would be left of the Application, and it has no `automated.allowEmpty`.
    WipesOut(ObjectKey),
    /// In its place what applied it brings this object, which no API server takes: the sync fails before it removes anything.
    Instead(ObjectKey, ObjectKey),
    /// Its Application went without the finalizer.
    Orphaned(ObjectKey),
    /// Its Application is not there; since when and how it went is not known.
    Left(ObjectKey),
    /// Its Application went, and it says `Delete=false`.
    DeleteFalse(ObjectKey),
    /// The same of the Application, for all its objects.
    AllDeleteFalse(ObjectKey),
    /// Its Application went, and the deletion of this object is to be confirmed before any of them is deleted.
    DeleteConfirm(ObjectKey, ObjectKey),
    /// It goes, and something that it brought and that goes with it has yet to.
    Deleting(ObjectKey),
    /// It goes, and this object that it brought may stand in something that cannot be read.
    Doubted(ObjectKey),
    /// Its Application or release went, and it says `helm.sh/resource-policy: keep`.
    HelmKeep(ObjectKey),
    /// A definition of a kind is not deleted with its Application or release: all objects of the kind would go.
    Definition(ObjectKey),
    /// The ApplicationSet deletes no Applications.
    SetKeeps(ObjectKey),
    /// A Kustomization left it out while its `spec.prune` was false: it is in no inventory any more.
    Dropped(NamespacedName),
    /// An annotation or label of Flux on the object.
    FluxKeeps(&'static str),
    /// The Kustomization or HelmRelease was suspended when it went.
    Suspended(ObjectKey),
    /// Its `spec.deletionPolicy`, or its `spec.prune` where none is set, leaves its objects.
    DeletionPolicy(ObjectKey),
    /// What brought it stays itself and was not read yet, or cannot be read.
    Unread(ObjectKey),
    /// A namespace that Argo CD has made for an Application is not deleted.
    MadeNamespace,
    /// The object says `compare-options: IgnoreExtraneous`: it counts as in sync.
    Extraneous(Box<Reason>),
}

impl Reason {
    /// How much it is worth telling: what the repository asks for by itself is for information.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Extraneous(_)
            | Self::MadeNamespace
            | Self::Unread(_)
            | Self::Definition(_)
            | Self::Doubted(_) => Severity::Info,
            _ => Severity::Warning,
        }
    }

    /// Whether Argo CD shows the Application as `OutOfSync` for it.
    pub fn is_out_of_sync(&self) -> Option<&ObjectKey> {
        match self {
            Self::NotAutomated(by)
            | Self::NoPrune(by)
            | Self::AllPruneFalse(by)
            | Self::PruneConfirm(by, _)
            | Self::Instead(by, _)
            | Self::WipesOut(by) => Some(by),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByHand => {
                write!(
                    f,
                    "it stood in the file of the root, which is applied by hand: what is left out there goes nowhere by itself"
                )
            }
            Self::NotAutomated(by) => {
                write!(
                    f,
                    "{by} is not synced automatically (syncPolicy.automated): it goes when somebody syncs with prune (requires pruning)"
                )
            }
            Self::NoPrune(by) => {
                write!(f, "syncPolicy.automated of {by} has no prune (requires pruning)")
            }
            Self::PruneFalse => {
                write!(f, "argocd.argoproj.io/sync-options of it says Prune=false (no prune)")
            }
            Self::AllPruneFalse(by) => write!(f, "syncOptions of {by} say Prune=false (no prune)"),
            Self::PruneConfirm(by, first) => write!(f, "{by} waits for pruning confirmation of {first}"),
            Self::WipesOut(by) => {
                write!(
                    f,
                    "nothing would be left of {by}, which has no automated.allowEmpty: auto-sync will not wipe out all resources"
                )
            }
            Self::Instead(by, other) => write!(
                f,
                "{other} stands in its place, which no API server takes: the sync of {by} fails before it removes anything; it goes once that is corrected or removed"
            ),
            Self::Orphaned(by) => write!(
                f,
                "{by} was removed and has no finalizer resources-finalizer.argocd.argoproj.io: its objects stay"
            ),
            Self::Left(by) => write!(f, "{by}, which applied it, is not there any more, and left it"),
            Self::DeleteFalse(by) => {
                write!(f, "{by} was removed, and argocd.argoproj.io/sync-options of it says Delete=false")
            }
            Self::AllDeleteFalse(by) => write!(f, "{by} was removed, and its syncOptions say Delete=false"),
            Self::DeleteConfirm(by, first) => {
                write!(f, "{by} was removed and waits for deletion confirmation of {first}")
            }
            Self::Deleting(last) => write!(f, "it was removed, and goes once {last} is gone"),
            Self::Doubted(first) => write!(
                f,
                "it was removed, and goes once it can be read whether anything still brings {first}"
            ),
            Self::HelmKeep(by) => write!(
                f,
                "its annotation helm.sh/resource-policy: keep leaves it behind when {by} lets it go"
            ),
            Self::Definition(by) => {
                write!(f, "a CustomResourceDefinition is not deleted when {by} lets it go")
            }
            Self::SetKeeps(by) => {
                write!(f, "spec.syncPolicy.applicationsSync of {by} deletes no Applications")
            }
            Self::Dropped(by) => write!(
                f,
                "spec.prune of Kustomization/{by} was false when it was left out there: it is in its inventory no more"
            ),
            Self::FluxKeeps(what) => write!(f, "kustomize.toolkit.fluxcd.io/{what} is set on it"),
            Self::Suspended(by) => write!(f, "{by} was suspended when it was removed: its objects stay"),
            Self::DeletionPolicy(by) => {
                write!(f, "{by} was removed, and its deletionPolicy leaves its objects")
            }
            Self::Unread(by) => write!(f, "{by} stays, and what it brings is not read"),
            Self::MadeNamespace => write!(
                f,
                "a namespace that was made for an Application (CreateNamespace) is not deleted with it"
            ),
            Self::Extraneous(reason) => write!(f, "{reason}; it counts as in sync (IgnoreExtraneous)"),
        }
    }
}
