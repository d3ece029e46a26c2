//! What of the cluster is not seen, as findings; and whether enough is seen to tell Envoys and write statuses. Pure.

use std::collections::{BTreeMap, BTreeSet};

use portolan_core::capability::Capability;
use portolan_effects::store::View;
use portolan_model::{Code, Kind, ObjectKey, Problem, Severity};

use super::kinds::{self, is_leaf, is_needed};

/// The pseudo-object of a kind's finding.
pub fn key(kind: &Kind) -> ObjectKey {
    ObjectKey::new("", "Kind", "", kind.to_string())
}

/// What a person has to know of how a kind is seen. `known`: objects of it that were seen before.
pub fn problem(kind: &Kind, view: &View, known: usize) -> Option<Problem> {
    let stay = match known {
        0 => String::new(),
        1 => "; the one that was seen stays as it was".to_owned(),
        more => format!("; the {more} that were seen stay as they were"),
    };
    let (code, severity, message, hint) = match view {
        View::Refused(why) if known == 0 && !is_leaf(kind) && !is_aside(kind) => (
            96,
            Severity::Error,
            format!("{kind} may not be read: {why}; nothing is translated before it may be"),
            "allow get, list and watch on it to the service account; it is asked again each minute",
        ),
        View::Refused(why) => (
            96,
            Severity::Error,
            format!("{kind} may not be read: {why}{stay}"),
            "allow get, list and watch on it to the service account; it is asked again each minute",
        ),
        View::Failing(why) => (
            97,
            Severity::Warning,
            format!("{kind} cannot be read at present: {why}{stay}"),
            "nothing is to be done if it passes: it is asked again and again, and nothing is taken away meanwhile",
        ),
        View::Absent if known > 0 => (
            97,
            Severity::Warning,
            format!("the definition of {kind} is gone{stay}"),
            "bring the definition and its objects back; ten minutes after it is back what is missing counts as removed",
        ),
        View::Absent if is_needed(kind) => (
            97,
            Severity::Error,
            format!("the cluster has no definition of {kind}: nothing of it is served"),
            "apply the definitions: portolan crds apply --only gateway-api",
        ),
        View::Whole | View::Coming | View::Absent => return None,
    };
    let (object, hint) = (key(kind), hint.to_owned());
    Some(Problem { object, code: Code(code), field: "".into(), severity, message, hint })
}

/// Whether nothing that Envoys are told depends on the kind.
fn is_aside(kind: &Kind) -> bool {
    Capability::of_kind(kind) != Capability::Gateway
}

/// How much of the cluster was seen since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Too little to translate anything: some of what others refer to was never seen.
    TooLittle,
    /// All but some routes.
    Part,
    /// All.
    Whole,
}

/// What has been seen of each kind since the start.
#[derive(Debug, Default)]
pub struct Kinds {
    views: BTreeMap<Kind, View>,
    /// Kinds that were seen whole, or are not there.
    once: BTreeSet<Kind>,
}

impl Kinds {
    /// Takes how they are seen now; those that are seen otherwise than before.
    pub fn take(&mut self, views: BTreeMap<Kind, View>) -> Vec<Kind> {
        let other = |(kind, view): &(&Kind, &View)| self.views.get(*kind) != Some(*view);
        let changed: Vec<Kind> = views.iter().filter(other).map(|(kind, _)| kind.clone()).collect();
        let seen = views.iter().filter(|(_, view)| matches!(view, View::Whole | View::Absent));
        self.once.extend(seen.map(|(kind, _)| kind.clone()));
        self.views = views;
        changed
    }

    /// How each is seen.
    pub const fn views(&self) -> &BTreeMap<Kind, View> {
        &self.views
    }

    /// Whether all was seen that a capability decides by, beside what Envoys are told by.
    pub fn is_seen_for(&self, capability: Capability) -> bool {
        let there = |kind: &Kind| {
            self.once.contains(kind) && self.views.get(kind).is_some_and(|view| *view != View::Absent)
        };
        kinds::needed_for(capability).iter().all(there)
    }

    /// How much was seen.
    pub fn seen(&self) -> Seen {
        let mut seen = if self.views.is_empty() { Seen::TooLittle } else { Seen::Whole };
        let unseen = self.views.iter().filter(|(kind, _)| !self.once.contains(*kind) && !is_aside(kind));
        for (kind, view) in unseen {
            match view {
                View::Refused(_) if is_leaf(kind) => {
                    if seen == Seen::Whole {
                        seen = Seen::Part;
                    }
                }
                _ => seen = Seen::TooLittle,
            }
        }
        seen
    }
}

/// How a kind is seen, in one word.
pub const fn word(view: &View) -> &'static str {
    match view {
        View::Whole => "whole",
        View::Coming => "coming",
        View::Absent => "absent",
        View::Refused(_) => "refused",
        View::Failing(_) => "failing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> Kind {
        Kind::new("gateway.networking.k8s.io", "HTTPRoute")
    }

    fn service() -> Kind {
        Kind::new("", "Service")
    }

    fn views(route_view: View, service_view: View) -> BTreeMap<Kind, View> {
        [(route(), route_view), (service(), service_view)].into()
    }

    #[test]
    fn nothing_is_told_before_what_others_refer_to_was_seen() {
        let mut kinds = Kinds::default();
        assert_eq!(kinds.seen(), Seen::TooLittle);
        kinds.take(views(View::Whole, View::Coming));
        assert_eq!(kinds.seen(), Seen::TooLittle);
        kinds.take(views(View::Whole, View::Refused("no".into())));
        assert_eq!(kinds.seen(), Seen::TooLittle, "a Service that is not seen is not missing");
        assert_eq!(kinds.take(views(View::Whole, View::Whole)), [service()], "told once");
        assert_eq!(kinds.seen(), Seen::Whole);
        // Later it may be as it wants: what was seen stays.
        kinds.take(views(View::Failing("x".into()), View::Refused("no".into())));
        assert_eq!(kinds.seen(), Seen::Whole);
    }

    #[test]
    fn routes_that_may_not_be_read_keep_nobody_else_waiting() {
        let mut kinds = Kinds::default();
        kinds.take(views(View::Refused("no".into()), View::Whole));
        assert_eq!(kinds.seen(), Seen::Part);
        kinds.take(views(View::Failing("soon".into()), View::Whole));
        assert_eq!(kinds.seen(), Seen::TooLittle, "what passes is waited for");
    }

    #[test]
    fn each_way_of_not_being_seen_is_one_finding() {
        let told =
            |view: View, known| problem(&route(), &view, known).map(|p| (p.code.0, p.severity, p.message));
        let of = |view: View, known| told(view, known).unwrap_or((0, Severity::Info, String::new()));
        assert_eq!(told(View::Whole, 3), None);
        let (code, _, message) = of(View::Refused("httproutes is forbidden".into()), 2);
        assert!(
            code == 96
                && message.contains("httproutes is forbidden")
                && message.contains("the 2 that were seen")
        );
        let (code, severity, _) = of(View::Failing("no answer".into()), 0);
        assert_eq!((code, severity), (97, Severity::Warning));
        let (code, severity, message) = of(View::Absent, 0);
        assert!((code, severity) == (97, Severity::Error) && message.contains("no definition"), "{message}");
        let (_, severity, message) = of(View::Absent, 1);
        assert!(severity == Severity::Warning && message.contains("stays as it was"), "{message}");
        let policy = Kind::new("gateway.envoyproxy.io", "SecurityPolicy");
        assert_eq!(problem(&policy, &View::Absent, 0), None, "Envoy Gateway is not needed");
    }
}
