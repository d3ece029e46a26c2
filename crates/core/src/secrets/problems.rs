//! What the secrets room finds wrong.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{
    Name, NamespacedName, ObjectKey, Severity,
    input::{Maker, SealingScope},
};

use super::rows::{MirrorKey, Unopened};
use crate::{Cx, problem};

/// A SealedSecret as an object.
pub(super) fn sealed_secret(key: &NamespacedName) -> ObjectKey {
    ObjectKey::new("bitnami.com", "SealedSecret", key.namespace.clone(), key.name.clone())
}

/// The controller that is stood in for does not look at the namespace.
pub(super) fn out_of_reach(cx: &mut Cx<'_>, key: &NamespacedName) {
    let message = format!(
        "the sealed-secrets controller does not look at namespace {}: the SealedSecret is not opened",
        key.namespace
    );
    let hint = "add the namespace to additionalNamespaces of its chart, or let it look at all";
    problem(cx, sealed_secret(key), 157, Severity::Error, "metadata.namespace", message, hint);
}

/// Reflector leaves the namespace alone.
pub(super) fn excluded(cx: &mut Cx<'_>, key: &MirrorKey) {
    let message = format!(
        "reflector does not look at namespace {}: it is among its excludedNamespaces",
        key.name.namespace
    );
    let hint = "nothing is copied from here or to here; take the namespace out of excludedNamespaces, or the annotations away";
    problem(cx, key.object(), 165, Severity::Warning, "metadata.namespace", message, hint);
}

/// Values that no key opens. `needless` names who would use the Secret and needs it not.
pub(super) fn unopened(
    cx: &mut Cx<'_>,
    key: &NamespacedName,
    failures: &BTreeMap<Name, Unopened>,
    needless: Option<&str>,
) {
    let field = match failures.keys().next() {
        Some(name) if failures.len() == 1 => format!("spec.encryptedData.{name}"),
        _ => "spec.encryptedData".to_owned(),
    };
    // Most often all values fail for one reason: say it once.
    let reasons: BTreeSet<Unopened> = failures.values().copied().collect();
    let why = match reasons.first() {
        Some(why) if reasons.len() == 1 => why.to_string(),
        _ => failures.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join("; "),
    };
    let mut message = format!("the SealedSecret cannot be opened: {why}");
    if let Some(who) = needless {
        message = format!("{message}; {who} needs no credential here, so nothing waits for it");
        let hint = "nothing to do here; in the cluster it needs the key of that cluster";
        problem(cx, sealed_secret(key), 151, Severity::Info, &field, message, hint);
        return;
    }
    let hint = match reasons.first() {
        Some(Unopened::NoKeys) => {
            "pass the private key with --sealing-key FILE: PEM, or the key Secrets of the controller"
                .to_owned()
        }
        Some(Unopened::Scope(SealingScope::Strict)) => {
            "remove the scope annotation, or seal it again".to_owned()
        }
        Some(Unopened::Scope(scope)) => {
            let annotation = scope.annotation().unwrap_or_default();
            format!("set the annotation {annotation}: \"true\", or seal it again")
        }
        Some(Unopened::NoKeyOpens(_)) => {
            "pass the key it was sealed for with --sealing-key; if it was renamed or moved, seal it again"
                .to_owned()
        }
        _ => "seal the value again".to_owned(),
    };
    problem(cx, sealed_secret(key), 151, Severity::Error, &field, message, &hint);
}

/// The Secret stands in the repository too.
pub(super) fn not_ours(cx: &mut Cx<'_>, key: &NamespacedName) {
    let message = format!("Secret {key} comes from the repository and is not overwritten");
    let hint = "remove the other source of the Secret, or rename the SealedSecret (and seal it again)";
    problem(cx, sealed_secret(key), 152, Severity::Error, "metadata.name", message, hint);
}

/// An API server would not take the Secret, or not in place of the one that is there.
pub(super) fn refused(cx: &mut Cx<'_>, key: &NamespacedName, words: &str) {
    if words == super::unseal::IMMUTABLE {
        return immutable(cx, key);
    }
    let message = format!(
        "Secret {key} is not written, as Kubernetes refuses it: {words}; what was there before stays"
    );
    let hint = "correct spec.template or the names in spec.encryptedData (and seal the values again); a type can be changed by a Secret of another name only";
    problem(cx, sealed_secret(key), 156, Severity::Error, "spec", message, hint);
}

fn immutable(cx: &mut Cx<'_>, key: &NamespacedName) {
    let message = format!(
        "Secret {key} is immutable and stays as it is: once a Secret is marked as immutable, neither that nor its data can be changed"
    );
    let hint = "remove the SealedSecret, and add it again once its Secret is gone; or give it another name";
    problem(cx, sealed_secret(key), 156, Severity::Error, "spec", message, hint);
}

/// A key of the template is a Go template that cannot be executed.
pub(super) fn templated(cx: &mut Cx<'_>, key: &NamespacedName, name: &Name, why: &str) {
    let field = format!("spec.template.data.{name}");
    let message =
        format!("the Secret is not made, since {name} is a Go template that cannot be executed: {why}");
    let hint = "correct the template, or seal the finished value as a key of encryptedData";
    problem(cx, sealed_secret(key), 153, Severity::Error, &field, message, hint);
}

/// A mirror is not made, because another object stands there.
pub(super) fn in_the_way(cx: &mut Cx<'_>, source: &MirrorKey, mirror: &MirrorKey, why: &str) {
    let message = format!("{} is not mirrored to {}, which {why}", source.object(), mirror.object());
    let hint = "remove the object that stands there, or take the namespace out of the reflector annotations";
    problem(cx, source.object(), 160, Severity::Warning, "metadata.annotations", message, hint);
}

/// A problem in the annotations of reflector.
pub(super) fn annotation(
    cx: &mut Cx<'_>,
    object: &MirrorKey,
    (code, severity): (u16, Severity),
    annotation: &str,
    message: String,
    hint: &str,
) {
    let field = format!("metadata.annotations.{annotation}");
    problem(cx, object.object(), code, severity, &field, message, hint);
}

/// Who made an object, as a part of a sentence.
pub(super) fn made(maker: Maker) -> &'static str {
    match maker {
        Maker::Repository => "comes from the repository",
        Maker::Issued => "is made for a Certificate",
        Maker::Account => "holds the account key of an ACME issuer",
        Maker::Unsealed => "is made from a SealedSecret",
        Maker::Mirrored => "is a mirror of another source",
        Maker::Shim => "is made for the TLS of another object",
    }
}
