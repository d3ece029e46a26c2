//! Certificates of authorities, wherever they are kept.

use std::collections::BTreeSet;

use portolan_model::{
    Kind, Name, NamespacedName, ObjectKey,
    input::{CaReference, ConfigMap, Secret},
    intake::tls::bundle,
};

use super::{grants::granted, rows::Unread};
use crate::{Cx, gitops::unseen::may_bring, policy::denial};

/// The key that holds them (Gateway API, `caCertificateRefs`).
const KEY: &str = "ca.crt";

/// What references come to.
pub(super) struct Authorities {
    /// PEM of those that can be used; empty if there is none.
    pub pem: String,
    /// What is wrong with the others, in the order written.
    pub wrong: Vec<(Fault, String)>,
}

/// What is wrong with a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing is known of such a kind.
    Kind,
    /// Another namespace does not allow it.
    NotPermitted,
    /// It is not there, or holds no certificates.
    Invalid,
    /// It is there and not read yet.
    Unread,
}

/// The objects whose content is needed for references: not those that may not be referred to.
pub(super) fn needed(
    cx: &mut Cx<'_>,
    from: &str,
    own: &Name,
    references: &[CaReference],
) -> BTreeSet<ObjectKey> {
    let mut all = BTreeSet::new();
    for reference in references.iter().filter(|one| is_read(&one.kind)) {
        if permitted(cx, from, own, reference).is_ok() {
            all.insert(ObjectKey { kind: reference.kind.clone(), name: reference.name.clone() });
        }
    }
    all
}

/// Whether authorities are read from objects of a kind.
fn is_read(kind: &Kind) -> bool {
    kind.group.is_empty() && matches!(&*kind.kind, "ConfigMap" | "Secret")
}

fn permitted(
    cx: &mut Cx<'_>,
    from: &str,
    own: &Name,
    CaReference { kind, name }: &CaReference,
) -> Result<(), (Fault, String)> {
    if name.namespace == *own || granted(cx, from, own, &kind.kind, name) {
        return Ok(());
    }
    let message = format!("{} {name} is in another namespace and no ReferenceGrant allows it", kind.kind);
    Err((Fault::NotPermitted, message))
}

/// Follows the references of an object of the Gateway API kind `from` in the namespace `own`.
pub(super) fn read(cx: &mut Cx<'_>, from: &str, own: &Name, references: &[CaReference]) -> Authorities {
    let mut made = Authorities { pem: String::new(), wrong: Vec::new() };
    for reference in references {
        match one(cx, from, own, reference) {
            Ok(pem) => made.pem.push_str(&pem),
            Err(wrong) => made.wrong.push(wrong),
        }
    }
    made
}

fn one(cx: &mut Cx<'_>, from: &str, own: &Name, reference: &CaReference) -> Result<String, (Fault, String)> {
    let CaReference { kind, name } = reference;
    if !is_read(kind) {
        let message =
            format!("{kind} {} is no ConfigMap or Secret: authorities are read from these", name.name);
        return Err((Fault::Kind, message));
    }
    let shown = format!("{} {name}", kind.kind);
    permitted(cx, from, own, reference)?;
    let invalid = |why: String| (Fault::Invalid, format!("{shown} {why}"));
    // It stands in its table all the same.
    let object = ObjectKey { kind: kind.clone(), name: name.clone() };
    if let Some(denied) = denial(cx, &object) {
        return Err(invalid(denied.words(&object)));
    }
    let Some(text) = text(cx, &kind.kind, name) else {
        if cx.get::<Unread>(&object).is_some() {
            return Err((Fault::Unread, format!("{shown} is there and not read yet")));
        }
        let unseen = may_bring(cx, &name.namespace);
        return Err(invalid(unseen.map_or_else(
            || "does not exist".to_owned(),
            |source| format!("is not in what was read: {source}, which was not read whole, may bring it"),
        )));
    };
    let text = text.map_err(&invalid)?;
    bundle(&text).map_err(|why| invalid(format!("cannot be used: of {KEY}, {why}")))
}

/// What stands under the key, or that there is none, if the object is there.
fn text(cx: &mut Cx<'_>, kind: &str, name: &NamespacedName) -> Option<Result<Vec<u8>, String>> {
    let found = if kind == "Secret" {
        cx.get::<Secret>(name)?.data.get(KEY).map(|value| value.expose().to_vec())
    } else {
        cx.get::<ConfigMap>(name)?.data.get(KEY).map(|text| text.as_bytes().to_vec())
    };
    Some(found.ok_or_else(|| format!("has no key {KEY}")))
}
