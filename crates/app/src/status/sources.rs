//! Steps of an explanation before a listener serves: what policies said of a route, and where a Secret comes from.

use portolan_core::{
    World,
    policy::rows::{Case, Denied},
    secrets::rows::{Mirror, MirrorKey, MirrorKind, UnsealWanted},
};
use portolan_engine::Engine;
use portolan_model::{
    NamespacedName, ObjectKey,
    input::{Maker, Secret},
};

/// Whether policies let an object in; nothing where none judges it.
pub fn policy(engine: &Engine<World>, object: &ObjectKey, step: &mut impl FnMut(&str, bool, String)) {
    if let Some(denied) = engine.get::<Denied>(object) {
        step("policy", false, format!("denied by policy {}: {}", denied.policy, denied.message));
        return;
    }
    let cases = engine.rows::<Case>().filter(|case| case.key.0 == *object);
    let bindings: Vec<&str> = cases.map(|case| &*case.key.1).collect();
    if !bindings.is_empty() {
        step("policy", true, format!("let in by {}", bindings.join(", ")));
    }
}

/// Where the Secret of a listener comes from, as far as it is not issued: mirrored from another, and unsealed.
pub fn secret(engine: &Engine<World>, secret: &NamespacedName, step: &mut impl FnMut(&str, bool, String)) {
    let mirror = engine.get::<Mirror>(&MirrorKey { kind: MirrorKind::Secret, name: secret.clone() });
    let source = mirror.as_ref().map_or(secret, |mirror| &mirror.source);
    if let Some(mirror) = &mirror {
        let how = if mirror.auto { "made for" } else { "filled from" };
        step("mirrored", true, format!("Secret {secret} is a mirror, {how} Secret {source}"));
    }
    if engine.get::<UnsealWanted>(source).is_some() {
        let opened = engine.get::<Secret>(source).is_some_and(|secret| secret.maker == Maker::Unsealed);
        let what = if opened { "was opened into" } else { "is not opened, so there is no" };
        step("unsealed", opened, format!("SealedSecret {source} {what} Secret {source}"));
    }
}
