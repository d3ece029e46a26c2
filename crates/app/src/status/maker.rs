//! Where to look for what is wrong with an object that nobody wrote: in what makes it.

use portolan_core::World;
use portolan_engine::Engine;
use portolan_model::{ObjectKey, Origin, Problem, input::Certificate};

/// What a problem is looked for at: an object and a field of it. `of`: where objects stand that somebody wrote. Of a Secret that nobody
/// wrote it is the Certificate whose `secretTemplate` its labels and annotations are of.
pub fn subject<'a>(
    engine: &Engine<World>,
    problem: &Problem,
    of: impl Fn(&ObjectKey) -> Option<&'a Origin>,
) -> (ObjectKey, String) {
    let key = &problem.object;
    let own = || (key.clone(), problem.field.to_string());
    let written = of(key).is_some_and(|origin| origin.source.is_some());
    let below = problem.field.strip_prefix("metadata.").filter(|_| !written && key.kind.is("", "Secret"));
    let Some(below) = below else { return own() };
    let is_it = |certificate: &Certificate| {
        certificate.key.namespace == key.name.namespace && certificate.secret == key.name.name
    };
    let Some(certificate) = engine.rows::<Certificate>().find(|row| is_it(row)) else { return own() };
    let name = certificate.key.clone();
    let maker = ObjectKey::new("cert-manager.io", "Certificate", name.namespace, name.name);
    (maker, format!("spec.secretTemplate.{below}"))
}
