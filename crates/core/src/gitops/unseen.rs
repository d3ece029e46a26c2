//! What was not read and may bring objects: what is missing beside it is not known to be missing.

use std::collections::BTreeMap;

use portolan_model::{Name, ObjectKey, Problem};

use super::rows::Unseen;
use crate::{Cx, world::UnseenByNamespace};

/// The bucket of all that was not read, of whatever namespace.
pub(crate) const ALL: &str = "*";

/// Findings of a source that is rendered into one namespace: a chart's objects go there unless they say another.
const CHARTS: [u16; 8] = [605, 606, 607, 609, 627, 635, 636, 637];
/// Findings of what may bring anything.
const ANY: [u16; 25] = [
    10, 600, 601, 602, 603, 604, 608, 612, 615, 616, 617, 618, 619, 621, 624, 625, 626, 629, 633, 634, 674,
    675, 678, 680, 681,
];

/// Sources that were not read, by what is told of them. `applications`: each with the namespace that it is rendered into.
pub fn unseen<'a>(
    problems: impl IntoIterator<Item = &'a Problem>,
    applications: &BTreeMap<&ObjectKey, &Name>,
) -> BTreeMap<ObjectKey, Unseen> {
    let mut all: BTreeMap<ObjectKey, Unseen> = BTreeMap::new();
    for problem in problems {
        let code = problem.code.0;
        let namespace = if CHARTS.contains(&code) {
            applications.get(&problem.object).map(|namespace| (*namespace).clone()).unwrap_or_default()
        } else if ANY.contains(&code) {
            Name::default()
        } else {
            continue;
        };
        let row = Unseen { key: problem.object.clone(), namespace };
        // Of two reasons the wider one.
        match all.get(&row.key) {
            Some(known) if known.namespace.is_empty() => {}
            _ => {
                all.insert(row.key.clone(), row);
            }
        }
    }
    all
}

/// What may bring an object of the namespace (or, with an empty one, of the cluster) and was not read.
pub(crate) fn may_bring(cx: &mut Cx<'_>, namespace: &Name) -> Option<ObjectKey> {
    let own = if namespace.is_empty() { Name::new(ALL) } else { namespace.clone() };
    let found = cx.find::<UnseenByNamespace>(&own).first().map(|row| row.key.clone());
    found.or_else(|| cx.find::<UnseenByNamespace>(&Name::default()).first().map(|row| row.key.clone()))
}

#[cfg(test)]
mod tests {
    use portolan_model::{Code, Severity};

    use super::*;

    #[test]
    fn each_source_that_was_not_read_may_bring_what_is_missing() {
        // Those that hide sources, as the verdict has them; the others hide kinds, values or what is done with them.
        let others = [4, 7, 8, 11, 94, 504, 510, 511, 512, 610, 628, 630, 631, 632, 646, 671, 672, 676, 677];
        for code in (0..1000).filter(|code| crate::gitops::verdict::left_out(Code(*code)).is_some()) {
            let unseen = CHARTS.contains(&code) || ANY.contains(&code);
            assert_ne!(unseen, others.contains(&code), "{code}");
        }
    }

    #[test]
    fn a_chart_brings_into_its_namespace_and_anything_else_anywhere() {
        let key = |name: &str| ObjectKey::new("argoproj.io", "Application", "argocd", name);
        let problem = |code, name: &str| {
            let (message, hint) = (String::new(), String::new());
            Problem {
                object: key(name),
                code: Code(code),
                field: "".into(),
                severity: Severity::Warning,
                message,
                hint,
            }
        };
        let problems = [
            problem(607, "remote"),
            problem(615, "overlay"),
            problem(605, "both"),
            problem(602, "both"),
            problem(605, "both"),
            problem(611, "read"),
            problem(607, "unknown"),
            problem(636, "unlocked"),
        ];
        let (remote, both, unlocked) = (key("remote"), key("both"), key("unlocked"));
        let (monitoring, team) = (Name::new("monitoring"), Name::new("team"));
        let applications = [(&remote, &monitoring), (&both, &team), (&unlocked, &team)].into();
        let all = unseen(&problems, &applications);
        let told: Vec<(&str, &str)> =
            all.values().map(|row| (&*row.key.name.name, &*row.namespace)).collect();
        assert_eq!(
            told,
            [("both", ""), ("overlay", ""), ("remote", "monitoring"), ("unknown", ""), ("unlocked", "team")]
        );
    }
}
