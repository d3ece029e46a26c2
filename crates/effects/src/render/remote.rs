//! Charts of other places: which are named, and what of them is locked. They are read from the folder that `portolan charts lock`
//! fills, never from the network.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use portolan_model::Problem;

use super::{
    application::Source,
    checkout::Checkout,
    dependencies::Dependency,
    problems,
    source::{Reader, Report},
};
use crate::charts::{Damaged, FILE, LockFile, Reference, Store, Unpacked, Unusable};

/// What is known of charts of other places.
#[derive(Clone, Debug, Default)]
pub struct Charts {
    /// Where their archives are kept; without it there are none.
    pub store: Option<Store>,
    /// What they are locked to, in place of what the repository says.
    pub lock: Option<Arc<LockFile>>,
}

/// Whether nothing was looked at, as the root or the environment is not there.
pub(crate) fn is_lost(problem: &Problem) -> bool {
    problem.code.0 == 600
}

/// What a finding says of a chart whose URL nobody asks.
pub(super) const NEVER_FETCHED: &str = "is never fetched: ";

/// Whether a chart of another place is named in a way that nobody fetches.
pub(crate) fn is_never_fetched(problem: &Problem) -> bool {
    matches!(problem.code.0, 607 | 609) && problem.message.contains(NEVER_FETCHED)
}

/// Where a dependency has its chart from; `None` where nobody can tell: "@name" and "alias:name" stand for a repository that
/// only Helm's configuration of somebody knows.
pub(super) fn of_dependency(dependency: &Dependency, asked: &str) -> Option<Result<Reference, Unusable>> {
    let of = &dependency.repository;
    let known = !of.is_empty() && !of.starts_with('@') && !of.starts_with("alias:");
    known.then(|| Reference::new(of, &dependency.name, asked))
}

/// The charts that one source names.
pub(super) struct Pins<'a> {
    checkout: &'a Checkout,
    store: Option<&'a Store>,
    lock: &'a LockFile,
    named: RefCell<BTreeSet<Reference>>,
    noted: Cell<bool>,
}

/// A chart that was taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) chart: Unpacked,
    pub(super) checkout: Checkout,
    /// `name-version.tgz`, for messages.
    pub(super) shown: String,
}

/// Why a chart is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// The lock does not have it, or its content is not here: the rest of a sentence.
    NotLocked(String),
    /// What is here is not what the lock says.
    Damaged(String),
    /// Nobody asks for it as it is named.
    Unusable(Unusable),
}

impl Absent {
    /// How it is told.
    pub(super) fn told(self, what: &str) -> (Report, String) {
        match self {
            Self::NotLocked(why) => (problems::not_locked, format!("{what} {why}")),
            Self::Damaged(why) => (problems::chart_damaged, format!("{what} is not what {FILE} says: {why}")),
            Self::Unusable(why) => (problems::remote_source, format!("{what} {NEVER_FETCHED}{why}")),
        }
    }
}

impl<'a> Pins<'a> {
    pub(super) fn new(checkout: &'a Checkout, charts: &'a Charts, lock: &'a LockFile) -> Self {
        let (named, noted) = (RefCell::default(), Cell::new(false));
        Self { checkout, store: charts.store.as_ref(), lock, named, noted }
    }

    /// All that were named.
    pub(super) fn named(&self) -> BTreeSet<Reference> {
        self.named.take()
    }

    /// The chart as the lock has it.
    pub(super) fn take(&self, reference: &Reference) -> Result<Taken, Absent> {
        self.named.borrow_mut().insert(reference.clone());
        if !self.noted.replace(true) {
            // What is read hangs on it.
            let _ = self.checkout.resolve(FILE);
        }
        let Some(locked) = self.lock.charts.get(reference) else {
            return Err(Absent::NotLocked("is not locked, so nothing of it is known".to_owned()));
        };
        let missing =
            || Absent::NotLocked(format!("is locked ({}), and its content is not here", locked.digest));
        let store = self.store.ok_or_else(missing)?;
        let chart = store.unpacked(&locked.digest).map_err(|damaged| match damaged {
            Damaged::Missing => missing(),
            Damaged::Wrong(why) => Absent::Damaged(why),
        })?;
        locked.agrees(reference, &chart).map_err(Absent::Damaged)?;
        let shown = format!("{}-{}.tgz", chart.name, chart.version);
        let checkout = Checkout::open(chart.root())
            .map_err(|why| Absent::Damaged(format!("it cannot be unpacked: {why}")))?;
        Ok(Taken { chart, checkout, shown })
    }

    /// A dependency of a chart; `None` where nobody can tell what is meant, or it is nobody's.
    pub(super) fn dependency(
        &self,
        dependency: &Dependency,
        exact: Option<&str>,
    ) -> Option<Result<Taken, Absent>> {
        let reference = of_dependency(dependency, exact.unwrap_or(&dependency.version))?.ok()?;
        Some(self.take(&reference))
    }
}

impl Taken {
    /// The chart's folder.
    pub(super) fn folder(&self) -> PathBuf {
        self.checkout.root().join(self.chart.top())
    }

    /// A path as messages show it.
    pub(super) fn show(&self, path: &Path) -> Option<String> {
        let below = path.strip_prefix(self.folder()).ok()?;
        Some(Path::new(&self.shown).join(below).display().to_string())
    }
}

/// The chart that a source of another place names; `None` if it names something else.
fn reference(source: &Source) -> Option<Result<Reference, Unusable>> {
    if !source.chart.is_empty() {
        return Some(Reference::new(&source.repo_url, &source.chart, &source.target_revision));
    }
    // An artifact of OCI that is a chart (Argo CD 3.1): its URL ends in the chart's name.
    let whole = source.path.trim_start_matches("./").trim_matches(['/', '.']).is_empty();
    let oci = source.repo_url.starts_with("oci://") && whole && source.r#ref.is_empty();
    oci.then(|| Reference::oci(&source.repo_url, &source.target_revision))
}

impl Reader<'_> {
    /// A chart of another place. False if the source is none.
    pub(super) fn locked(&mut self, source: &Source) -> bool {
        let named = match reference(source) {
            None => return false,
            Some(Ok(named)) => named,
            Some(Err(why)) => {
                let (report, message) = Absent::Unusable(why).told(&format!("chart {}", source.chart));
                self.fail(report, ".repoURL", message);
                return true;
            }
        };
        let what = format!("chart {named}");
        match self.pins.take(&named) {
            Ok(taken) => {
                let taken = Arc::new(taken);
                let shown = taken.shown.clone();
                self.out.shown = Some(format!("{shown} of {} (helm)", named.repository));
                let folder = taken.folder();
                self.taken = Some((PathBuf::from(named.to_string()), taken));
                self.chart_in(source, &folder, &shown);
                self.taken = None;
            }
            Err(absent) => {
                self.out.shown = Some(format!("{} {} (remote, not locked)", named.repository, named.chart));
                let (report, message) = absent.told(&what);
                self.fail(report, ".chart", message);
            }
        }
        true
    }
}
