//! Objects that another room is about to have made: whether policies let them be created is asked before anything is done for them.

use portolan_model::{Name, input::Judged};

use super::{
    rows::{CompiledPolicy, Effect},
    rules::{bindings, complaints, resource},
};
use crate::Cx;

/// The policy that denies the object, and its message. The rule that asks has to declare what policies read (`certificate_states`
/// does).
pub fn refusal(cx: &mut Cx<'_>, object: &Judged) -> Option<(Name, String)> {
    let resource = resource(cx, object);
    for name in bindings(cx, &resource) {
        let Some(binding) = cx.get::<portolan_model::input::AdmissionBinding>(&name) else { continue };
        let Some(compiled) = cx.get::<CompiledPolicy>(&binding.policy) else { continue };
        let denies = complaints(cx, object, &compiled, &binding);
        if let Some((_, _, message)) = denies.into_iter().find(|(effect, ..)| *effect == Effect::Denies) {
            return Some((binding.policy.clone(), message));
        }
    }
    None
}

/// Whether a policy may have something to say about one of these resources; asked first, as objects cost something to make.
pub fn concerns(cx: &mut Cx<'_>, resources: &[&str]) -> bool {
    resources.iter().any(|resource| !bindings(cx, &Name::new(resource)).is_empty())
}
