//! Findings of the policy room: 500 to 529.

use portolan_model::{ObjectKey, Severity};

use super::{program::Misfit, rows::Effect};
use crate::{Cx, problem};

/// API group of policies and bindings.
pub const GROUP: &str = "admissionregistration.k8s.io";

/// Key of a policy.
pub fn policy(name: &str) -> ObjectKey {
    ObjectKey::new(GROUP, "ValidatingAdmissionPolicy", "", name)
}

/// Key of a binding.
pub fn binding(name: &str) -> ObjectKey {
    ObjectKey::new(GROUP, "ValidatingAdmissionPolicyBinding", "", name)
}

/// The policy does not compile; one finding, however many of its expressions do not.
pub fn misfit(cx: &mut Cx<'_>, name: &str, first: &Misfit, others: usize) {
    let Misfit { field, fault } = first;
    let more = match others {
        0 => String::new(),
        1 => "; one more expression of it is wrong".to_owned(),
        n => format!("; {n} more expressions of it are wrong"),
    };
    let message = format!(
        "the policy does not compile and denies nothing, as Kubernetes would refuse it: {}{more}",
        fault.text()
    );
    problem(cx, policy(name), 500, Severity::Error, field, message, &fault.hint);
}

/// Something against an object.
pub fn complaint(cx: &mut Cx<'_>, object: ObjectKey, effect: Effect, name: &str, field: &str, message: &str) {
    let (code, severity, message, hint) = match effect {
        Effect::Denies => (
            501,
            Severity::Error,
            format!("denied by ValidatingAdmissionPolicy {name}: {message}"),
            "change the object so that the policy admits it, or the policy if it is wrong",
        ),
        Effect::Warns => (
            502,
            Severity::Warning,
            format!("ValidatingAdmissionPolicy {name} warns: {message}"),
            "change the object before the binding's validationActions become Deny",
        ),
        Effect::Ignored => (
            503,
            Severity::Warning,
            format!("ValidatingAdmissionPolicy {name} could not judge and ignores that: {message}"),
            "guard optional fields with has(…), or set failurePolicy Fail",
        ),
    };
    problem(cx, object, code, severity, field, message, hint);
}

/// An edit is not stored. What only warns is said once it is.
pub fn refused_edit(
    cx: &mut Cx<'_>,
    object: ObjectKey,
    effect: Effect,
    name: &str,
    field: &str,
    message: &str,
) {
    if effect == Effect::Denies {
        let message = format!(
            "the edit is denied by ValidatingAdmissionPolicy {name}, and what stood before stays in force: {message}"
        );
        let hint = "change the object so that the policy admits it, or the policy if it is wrong";
        problem(cx, object, 501, Severity::Error, field, message, hint);
    }
}

/// The policy uses a function that Kubernetes has and Portolan does not.
pub fn unserved(cx: &mut Cx<'_>, name: &str, field: &str, function: &str, fail_closed: bool) {
    let effect = if fail_closed {
        "what it matches is denied (failurePolicy Fail)"
    } else {
        "what it matches is admitted (failurePolicy Ignore)"
    };
    let message = format!("{function} is not served here: the expression has no value, and {effect}");
    let hint = "rewrite the expression without it, or leave the objects out by matchConditions";
    problem(cx, policy(name), 504, Severity::Error, field, message, hint);
}

/// What of the policy is not judged here: what it restricts that way is open.
pub fn unjudged(cx: &mut Cx<'_>, name: &str, field: &str, what: &str) {
    let hint = "nothing to do for what runs in a cluster; here check by hand what the policy would say";
    let message = format!("{what}; every verdict is incomplete");
    problem(cx, policy(name), 511, Severity::Warning, field, message, hint);
}

/// A definition that is kept out, and by which objects were judged when they were read: what it alone lets in is open.
pub fn judged_by_denied(cx: &mut Cx<'_>, definition: ObjectKey, name: &str) {
    let message = format!(
        "objects of its kind were judged by this definition, which ValidatingAdmissionPolicy {name} keeps out: a cluster judges them by the one that it has, or knows no such kind; every verdict is incomplete"
    );
    let hint = "correct the definition so that the policy admits it, or take it away; then its objects are judged by what is there";
    problem(cx, definition, 512, Severity::Warning, "", message, hint);
}

/// The binding names a policy that is not there.
pub fn no_policy(cx: &mut Cx<'_>, name: &str, wanted: &str) {
    let message = format!("ValidatingAdmissionPolicy {wanted} does not exist; the binding has no effect");
    let hint = "create the policy, or correct spec.policyName";
    problem(cx, binding(name), 505, Severity::Warning, "spec.policyName", message, hint);
}

/// Nobody binds the policy.
pub fn unbound(cx: &mut Cx<'_>, name: &str) {
    let message = "no ValidatingAdmissionPolicyBinding names the policy; it has no effect".to_owned();
    let hint = "add a binding with spec.policyName and spec.validationActions";
    problem(cx, policy(name), 506, Severity::Info, "", message, hint);
}
