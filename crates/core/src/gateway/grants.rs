//! References that leave their namespace.

use portolan_model::{Name, NamespacedName};

use super::GROUP;
use crate::{Cx, world::GrantsByNamespace};

/// Whether a ReferenceGrant in the target's namespace lets objects of the Gateway API kind `from` refer to an object of
/// the core kind `kind`.
pub(super) fn granted(
    cx: &mut Cx<'_>,
    from: &str,
    namespace: &Name,
    kind: &str,
    target: &NamespacedName,
) -> bool {
    cx.find::<GrantsByNamespace>(&target.namespace).iter().any(|grant| {
        grant.from.iter().any(|(k, ns)| k.group == GROUP && k.kind == from && ns == namespace)
            && grant.to.iter().any(|(k, name)| {
                k.group.is_empty() && k.kind == kind && name.as_ref().is_none_or(|n| *n == target.name)
            })
    })
}
