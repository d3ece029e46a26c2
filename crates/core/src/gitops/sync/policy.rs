//! What applies objects, and how it treats those that it no longer brings.

use portolan_model::{Instant, Object};
use serde_json::Value;

use super::{
    ignore::{self, Ignore},
    options::{self, Choice, of_application},
};

/// Finalizers with which an Application takes its objects along (`isPropagationPolicyFinalizer`).
const CASCADE: [&str; 3] = [
    "resources-finalizer.argocd.argoproj.io",
    "resources-finalizer.argocd.argoproj.io/foreground",
    "resources-finalizer.argocd.argoproj.io/background",
];

/// How what applies objects treats those that it no longer brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// A plain folder, or a chart that no Application names: what it does not hold goes.
    Whole,
    /// The file with the root Application: it is applied once, by hand.
    ByHand,
    /// An Application of Argo CD.
    Application(Application),
    /// An ApplicationSet, of the Applications that it makes.
    Set(Set),
    /// A Kustomization of Flux.
    Kustomization(Kustomization),
    /// A HelmRelease of Flux.
    Release {
        /// `spec.suspend`: a suspended one is not uninstalled.
        suspended: bool,
    },
}

/// What an Application says of removal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the Application")]
pub struct Application {
    /// `spec.syncPolicy.automated` is there, and not `enabled: false`.
    pub automated: bool,
    /// `automated.prune`
    pub prune: bool,
    /// `automated.allowEmpty`
    pub allow_empty: bool,
    /// It has the finalizer with which its objects go when it goes.
    pub cascades: bool,
    /// `FailOnSharedResource=true` is among `spec.syncPolicy.syncOptions`.
    pub fails_on_shared: bool,
    /// `Prune=` of `spec.syncPolicy.syncOptions`
    pub(super) prune_option: Option<Choice>,
    /// `Delete=`
    pub(super) delete_option: Option<Choice>,
    /// `argocd.argoproj.io/deletion-approved`
    pub(super) approved: Option<Instant>,
    /// `spec.ignoreDifferences`
    ignore: Vec<Ignore>,
    /// Those of its `jqPathExpressions`, which are not looked at.
    pub unread_differences: Vec<String>,
    /// `RespectIgnoreDifferences=true` is among `spec.syncPolicy.syncOptions`.
    respects: bool,
}

/// What an ApplicationSet says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// `spec.syncPolicy.applicationsSync` lets its controller delete Applications (`AllowDelete`).
    pub deletes: bool,
    /// It lets it change those that are there (`AllowUpdate`).
    pub updates: bool,
}

/// What a Kustomization says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kustomization {
    /// `spec.prune`
    pub prune: bool,
    /// `spec.suspend`
    pub suspended: bool,
    /// `spec.deletionPolicy` lets its objects go with it.
    pub cascades: bool,
}

impl Policy {
    /// What an object that brings others says; `None` for other kinds.
    pub fn of(object: &Object) -> Option<Self> {
        let json = &*object.json;
        let flag = |path: &str| json.pointer(path).and_then(Value::as_bool);
        let text = |path: &str| json.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let kind = &object.key.kind;
        if kind.is("argoproj.io", "Application") {
            let finalizers = json.pointer("/metadata/finalizers").and_then(Value::as_array);
            let mut finalizers = finalizers.into_iter().flatten().filter_map(Value::as_str);
            let option = |wanted: &str| {
                let all = json.pointer("/spec/syncPolicy/syncOptions").and_then(Value::as_array);
                all.is_some_and(|all| all.iter().any(|option| option == wanted))
            };
            let automated = json.pointer("/spec/syncPolicy/automated").is_some_and(Value::is_object);
            Some(Self::Application(Application {
                automated: automated && flag("/spec/syncPolicy/automated/enabled") != Some(false),
                prune: flag("/spec/syncPolicy/automated/prune") == Some(true),
                allow_empty: flag("/spec/syncPolicy/automated/allowEmpty") == Some(true),
                cascades: finalizers.any(|one| CASCADE.contains(&one)),
                prune_option: of_application(json, "Prune"),
                delete_option: of_application(json, "Delete"),
                ignore: ignore::read(json),
                unread_differences: ignore::unread(json),
                respects: option("RespectIgnoreDifferences=true"),
                fails_on_shared: option("FailOnSharedResource=true"),
                approved: object.annotation("argocd.argoproj.io/deletion-approved").and_then(Instant::parse),
            }))
        } else if kind.is("argoproj.io", "ApplicationSet") {
            let policy = text("/spec/syncPolicy/applicationsSync");
            Some(Self::Set(Set {
                deletes: !matches!(policy, "create-only" | "create-update"),
                updates: !matches!(policy, "create-only" | "create-delete"),
            }))
        } else if kind.is("kustomize.toolkit.fluxcd.io", "Kustomization") {
            let prune = flag("/spec/prune") == Some(true);
            let cascades = match text("/spec/deletionPolicy") {
                "" | "MirrorPrune" => prune,
                policy => matches!(policy, "Delete" | "WaitForTermination"),
            };
            let suspended = flag("/spec/suspend") == Some(true);
            Some(Self::Kustomization(Kustomization { prune, suspended, cascades }))
        } else if kind.is("helm.toolkit.fluxcd.io", "HelmRelease") {
            Some(Self::Release { suspended: flag("/spec/suspend") == Some(true) })
        } else {
            None
        }
    }

    /// What is applied of an object that is live already, if not the whole of it: of an Application ignored differences alone are
    /// no reason to sync, and with `RespectIgnoreDifferences` they are never synced; a set may only create; Flux leaves what is to be
    /// made only where it is not present.
    pub fn applied(&self, live: &Object, new: &Object) -> Option<Value> {
        match self {
            Self::Application(app) => {
                let json = ignore::with_live(&app.ignore, live, new)?;
                (app.respects || json == *live.json).then_some(json)
            }
            Self::Set(Set { updates: false, .. }) => Some(Value::clone(&live.json)),
            Self::Kustomization(_) if options::flux_says(&new.json, "ssa", "IfNotPresent") => {
                Some(Value::clone(&live.json))
            }
            _ => None,
        }
    }

    /// What becomes of an object that it no longer brings, in a few words.
    pub fn shown(&self) -> &'static str {
        match self {
            Self::ByHand => "stays: a root is applied by hand",
            Self::Application(app) if !app.automated => "stays: no syncPolicy.automated",
            Self::Application(app) if !app.prune => "stays: no automated.prune",
            Self::Application(app) if app.prune_option == Some(Choice::Never) => {
                "stays: syncOptions say Prune=false"
            }
            Self::Application(app) if app.prune_option == Some(Choice::Confirm) => {
                "waits: syncOptions say Prune=confirm"
            }
            Self::Set(set) if !set.deletes => "stays: applicationsSync",
            Self::Kustomization(one) if !one.prune => "stays: prune is false",
            Self::Whole
            | Self::Application(_)
            | Self::Set(_)
            | Self::Kustomization(_)
            | Self::Release { .. } => "goes",
        }
    }
}
