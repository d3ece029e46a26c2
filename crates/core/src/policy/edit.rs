//! The door of the store for policies and their bindings: an edit that an API server would refuse changes nothing, so
//! that what stood before stays in force, over restarts too.

use portolan_model::{
    Code, Object, Problem, Severity,
    input::Judged,
    intake::{Fact, intake},
};

use super::{matching, problems, program::Program};

/// The row to judge an edit by before it is stored, if policies judge its kind and it changes what they see. A policy that
/// denies it keeps what stood before in force, as admission in a cluster does; a policy that is tightened denies what
/// stands, and that is cut at once.
pub fn judged(stored: &Object, new: &Object) -> Option<Judged> {
    let now = intake(new).judged.filter(|judged| !judged.resource.is_empty())?;
    let before = intake(stored).judged?;
    (before != now).then(|| now.as_edit(&before))
}

/// Whether edits of the object are looked at here.
pub fn is_looked_at(object: &Object) -> bool {
    &*object.key.kind.group == problems::GROUP
        && ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"].contains(&&*object.key.kind.kind)
}

/// Why the edit from `stored` to `new` is refused; `None`: it is taken. An edit of what could not have been stored itself
/// is refused only if it makes it worse.
pub fn refused(stored: &Object, new: &Object) -> Option<Problem> {
    if stored.json.get("spec") == new.json.get("spec") {
        return None;
    }
    let (fault, wrong) = unfit(new)?;
    if unfit(stored).is_some_and(|(before, _)| before >= fault) {
        return None;
    }
    Some(Problem {
        code: Code(507),
        message: format!(
            "the edit is refused, as Kubernetes would refuse it, and what stood before stays in force: {}",
            wrong.message
        ),
        ..wrong
    })
}

/// What is wrong with an object, the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// A field has a value that cannot be used.
    Field,
    /// An expression does not compile: nothing of the policy is in force.
    Expression,
}

/// The first thing for which an API server would refuse to store the object.
fn unfit(object: &Object) -> Option<(Fault, Problem)> {
    let read = intake(object);
    if let Some(Fact::AdmissionPolicy(policy)) = &read.fact
        && matching::concerns(&policy.constraints)
        && let Err(misfits) = Program::compile(policy)
        && let Some(misfit) = misfits.into_iter().next()
    {
        let problem = Problem {
            object: object.key.clone(),
            code: Code(500),
            field: misfit.field.into(),
            severity: Severity::Error,
            message: misfit.fault.text(),
            hint: misfit.fault.hint,
        };
        return Some((Fault::Expression, problem));
    }
    let problem = read.problems.into_iter().find(|problem| problem.severity == Severity::Error)?;
    Some((Fault::Field, problem))
}
