//! What was not looked at and may change an answer. Unseen is not fine: a source that was not rendered may bring the route,
//! the certificate or the restriction that everything turns on, so what is shown beside it is only part of the truth.

use std::collections::BTreeMap;

use portolan_model::{Code, ObjectKey, Problem, Severity};

/// Why something was not looked at, and what.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cause {
    /// The finding that says so.
    pub code: Code,
    /// What it is, as the end of "not looked at:".
    pub what: &'static str,
    /// The objects that are concerned, each once.
    pub objects: Vec<String>,
}

/// What a finding leaves out of sight; `None` for those that hide nothing.
pub fn left_out(code: Code) -> Option<&'static str> {
    Some(match code.0 {
        4 => "kinds that route, publish, bring objects or fill Secrets, and are not acted on",
        7 => "fields that may change an answer",
        8 => "objects that Argo CD may be told not to apply",
        10 => "files and folders that cannot be read",
        11 | 610 => "documents that cannot be read",
        94 => "what there was no time for",
        504 => "functions of policies that are not served",
        511 => "policies of which something is not judged",
        512 => "what objects are without a definition that a policy keeps out",
        510 => "policies that decide what is admitted, and are not evaluated",
        600..=606 | 612 | 672 | 615 | 616 | 627 => "Applications that could not be read or rendered",
        607 => "sources that are remote",
        635..=637 => "charts of other places that are not locked",
        608 => "sources of a kind that is not rendered",
        609 => "dependencies of charts that are not vendored",
        617 => "kustomizations of which one is meant, and none is named",
        618 => "charts that nothing names",
        619 | 624..=626 => "ApplicationSets that could not be evaluated whole",
        681 => "folders further down in which environments begin",
        621 => "Applications that are not followed",
        629 | 631 | 634 => "Applications of Flux that Flux never applies",
        628 => "Applications that are suspended",
        630 | 632 | 633 | 671 => "objects, variables and values that are made elsewhere",
        674 => "Applications that their projects forbid, with what they applied before",
        675 | 678 | 680 => {
            "Applications that are held back for one of their objects, with what they applied before"
        }
        676 => "projects that are made elsewhere, and what they forbid",
        677 => "fields of projects that hold back what is synced",
        646 => "values of components that are stood in for",
        _ => return None,
    })
}

/// Whether an API server would not store something that brings others: it is not followed, and what it brings is not known.
pub fn is_refused(problem: &Problem) -> bool {
    const REFUSED: u16 = 5;
    let kind = &problem.object.kind;
    problem.code.0 == REFUSED && (super::brings(kind) || kind.is("argoproj.io", "ApplicationSet"))
}

/// What a finding leaves out of sight, which may turn on its object too.
pub fn hidden(problem: &Problem) -> Option<&'static str> {
    const NO_SUCH_KIND: u16 = 2;
    if problem.code.0 == NO_SUCH_KIND && problem.severity == Severity::Error {
        return Some("kinds that there are not, and what objects of them are meant to do or to restrict");
    }
    left_out(problem.code).or_else(|| {
        is_refused(problem).then_some("Applications that an API server would not store, with what they bring")
    })
}

/// All that was not looked at, by cause; with none the verdict is complete.
pub fn causes<'a>(problems: impl IntoIterator<Item = &'a Problem>) -> Vec<Cause> {
    let mut all: BTreeMap<&'static str, (Code, Vec<&ObjectKey>)> = BTreeMap::new();
    for problem in problems {
        let Some(what) = hidden(problem) else { continue };
        all.entry(what).or_insert_with(|| (problem.code, Vec::new())).1.push(&problem.object);
    }
    let cause = |(what, (code, mut objects)): (_, (_, Vec<&ObjectKey>))| {
        objects.sort();
        objects.dedup();
        Cause { code, what, objects: objects.into_iter().map(ToString::to_string).collect() }
    };
    let mut causes: Vec<Cause> = all.into_iter().map(cause).collect();
    causes.sort_by_key(|cause| cause.code);
    causes
}

#[cfg(test)]
mod tests {
    use portolan_model::Severity;

    use super::*;

    fn problem(code: u16, name: &str) -> Problem {
        let object = ObjectKey::new("", "File", "", name);
        let (message, hint) = (String::new(), String::new());
        Problem { object, code: Code(code), field: "".into(), severity: Severity::Warning, message, hint }
    }

    #[test]
    fn causes_hold_each_object_once_and_other_findings_hide_nothing() {
        let problems =
            [problem(607, "b"), problem(607, "a"), problem(607, "b"), problem(223, "c"), problem(4, "d")];
        let causes = causes(&problems);
        let told: Vec<_> = causes.iter().map(|cause| (cause.code.0, cause.objects.join(" "))).collect();
        assert_eq!(told, [(4, "File/d".to_owned()), (607, "File/a File/b".to_owned())]);
        // A route, a policy, anything may stand in it.
        assert_eq!(super::causes(&[problem(10, "team.yaml")]).len(), 1);
        assert!(super::causes(&[problem(223, "c")]).is_empty());
        assert!(super::causes(&[problem(5, "c")]).is_empty());
        // `SecurityPolcy`: what it is meant to restrict is not restricted.
        assert!(super::causes(&[problem(2, "c")]).is_empty(), "a kind of another group");
        let misspelt = Problem { severity: Severity::Error, ..problem(2, "c") };
        assert_eq!(super::causes(&[misspelt]).len(), 1);
        for (group, kind, counts) in [
            ("argoproj.io", "Application", true),
            ("argoproj.io", "ApplicationSet", true),
            ("helm.toolkit.fluxcd.io", "HelmRelease", true),
            ("gateway.networking.k8s.io", "HTTPRoute", false),
        ] {
            let object = ObjectKey::new(group, kind, "argocd", "a");
            let refused = Problem { object, ..problem(5, "") };
            assert_eq!(super::causes(&[refused]).len(), usize::from(counts), "{kind}");
        }
    }
}
