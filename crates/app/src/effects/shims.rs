//! Certificates that objects ask for by annotations, as cert-manager's shims make them. They are stored: whose one is, and how it
//! was before an annotation broke, does not follow from the repository.

use portolan_core::capability::Capability;
use portolan_core::certificates::rows::{Settings, ShimCertificate};
use portolan_effects::store::{Cache as _, Write};
use portolan_engine::Changes;
use portolan_model::{Name, Object, ObjectKey, input::Maker};

use super::{Context, Effect, Platform, wanted};
use crate::rights::Right;

/// Manager of them.
const SHIM: &str = Maker::Shim.manager();

/// Writes and removes them.
#[derive(Default)]
pub struct Shims {
    /// Of those that were made before the start, the ones that nothing asks for have gone.
    known: bool,
}

impl<P: Platform> Effect<P> for Shims {
    fn rights(&self) -> Vec<Right> {
        vec![
            Right::anywhere("cert-manager.io", "certificates", &["get", "create", "patch", "delete"])
                .of(Capability::Certificates),
        ]
    }

    fn follow(&mut self, step: &Changes, cx: &mut Context<P>) {
        let changes = step.of::<ShimCertificate>();
        let gone = changes.iter().filter(|change| change.after.is_none()).filter_map(|c| c.before.as_ref());
        let gone: Vec<ObjectKey> = gone.map(|row| row.object()).collect();
        for key in &gone {
            cx.withdraw(key);
        }
        let gone =
            gone.into_iter().filter(|key| cx.store.get(key).is_some_and(|stored| stored.manager == SHIM));
        let mut writes: Vec<Write> = gone.map(|key| Write::Delete(key, SHIM)).collect();
        let known = cx.is_read && cx.engine.get::<Settings>(&Name::default()).is_some();
        if known && (cx.again || !std::mem::replace(&mut self.known, true)) {
            writes.extend(unasked(cx).map(|key| Write::Delete(key, SHIM)));
        }
        writes.extend(wanted::<ShimCertificate, _>(step, cx).iter().filter_map(|row| shim(row, cx)));
        cx.write_own(writes);
    }
}

/// Those that nothing asks for, such as what lost its annotation while nothing ran.
fn unasked<P: Platform>(cx: &Context<P>) -> impl Iterator<Item = ObjectKey> {
    let made = cx.store.list().filter(|stored| stored.manager == SHIM);
    made.map(|stored| stored.object.key.clone())
        .filter(|key| cx.engine.get::<ShimCertificate>(&key.name).is_none())
}

/// The Certificate under its owner, and where that stands.
fn shim<P: Platform>(row: &ShimCertificate, cx: &Context<P>) -> Option<Write> {
    let mut body = row.body.clone()?;
    let owner = &cx.store.get(&row.source)?.object;
    let uid = owner.stamp.as_ref().map(|stamp| &*stamp.uid);
    body["metadata"]["ownerReferences"][0]["uid"] = uid.into();
    if P::SHARED {
        // Where API servers ask for it, holding the owner back needs a right on its finalizers.
        body["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = false.into();
    }
    let object = Object::from_json(body, owner.origin.clone()).ok()?;
    Some(Write::Apply(Box::new(object), SHIM))
}
