//! What the store follows, and how patiently.

use std::{collections::BTreeSet, time::Duration};

use portolan_model::{Kind, Name};

/// How much of a kind's objects is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// All of each.
    Whole,
    /// Metadata; the rest is read of those that are looked into. For Secrets and ConfigMaps: a cluster has many, and most are
    /// nobody's business here.
    OnDemand,
}

/// A kind that is followed.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Group and kind.
    pub kind: Kind,
    /// Versions that are understood, the best first. The first that is served is followed.
    pub versions: Vec<Name>,
    /// How much of its objects.
    pub content: Content,
}

impl Followed {
    /// A kind that is followed whole.
    pub fn whole(group: &str, kind: &str, versions: &[&str]) -> Self {
        let versions = versions.iter().map(|version| Name::new(version)).collect();
        Self { kind: Kind::new(group, kind), versions, content: Content::Whole }
    }

    /// A kind of the core group whose content is read on demand.
    pub fn on_demand(kind: &str) -> Self {
        Self { kind: Kind::new("", kind), versions: vec!["v1".into()], content: Content::OnDemand }
    }
}

/// What a store follows, and how patiently. The durations are for tests to shorten; defaults are right for clusters.
#[derive(Clone, Debug)]
pub struct Options {
    /// Kinds that are followed.
    pub follow: Vec<Followed>,
    /// Namespaces that are looked at, for kinds that stand in namespaces; all if empty.
    pub namespaces: BTreeSet<Name>,
    /// Our `controllerName`s: entries of other controllers in a status are never touched.
    pub controllers: BTreeSet<Name>,
    /// Which of our processes this is, for events: the Pod's name.
    pub instance: Name,
    /// Objects of a page of a list. API servers' own clients take 500.
    pub page: u32,
    /// Longest silence of a watch. API servers send a bookmark each minute.
    pub silence: Duration,
    /// First wait after a failure.
    pub least_wait: Duration,
    /// Longest wait between attempts.
    pub most_wait: Duration,
    /// Wait before what is not allowed, or not there, is tried again. A definition that comes is noticed at once.
    pub refused_wait: Duration,
    /// How long objects of a kind that came back may be missing before they count as removed: who removed and made the
    /// definition anew needs time to bring them again.
    pub mourning: Duration,
    /// Longest wait for all kinds to be listed when the store is opened; those that are not by then come later.
    pub patience: Duration,
    /// Statuses written a second, on average.
    pub statuses_a_second: u32,
    /// Events written a second, on average.
    pub events_a_second: u32,
}

impl Options {
    /// Follows these kinds in all namespaces.
    pub fn new(follow: Vec<Followed>) -> Self {
        Self {
            follow,
            namespaces: BTreeSet::new(),
            controllers: BTreeSet::new(),
            instance: "portolan".into(),
            page: 500,
            silence: Duration::from_secs(90),
            least_wait: Duration::from_millis(500),
            most_wait: Duration::from_secs(30),
            refused_wait: Duration::from_mins(1),
            mourning: Duration::from_mins(10),
            patience: Duration::from_secs(30),
            statuses_a_second: 50,
            events_a_second: 5,
        }
    }
}
