//! Secrets whose content Certificates and issuers of a cluster need: there it is read of those alone that somebody names.

use std::{collections::BTreeSet, sync::Arc};

use portolan_model::{
    Kind, Name, NamespacedName, ObjectKey,
    input::{Certificate, Issuer, IssuerSpec, StorePassword},
};

use super::{rows::NeededSecret, signers::secrets_of};
use crate::{
    Cx,
    gateway::rows::{InCluster, Unread},
};

/// Whether a Secret is there and was not read yet. What it holds is unknown, which is not the same as nothing.
pub(super) fn unread(cx: &mut Cx<'_>, secret: &NamespacedName) -> bool {
    cx.get::<Unread>(&ObjectKey { kind: Kind::new("", "Secret"), name: secret.clone() }).is_some()
}

fn in_cluster(cx: &mut Cx<'_>) -> bool {
    cx.get::<InCluster>(&Name::default()).is_some()
}

/// Of a Certificate: its own, and those with the passwords of its keystores.
pub(super) fn of_certificates(cx: &mut Cx<'_>, certificate: &Arc<Certificate>) {
    if !in_cluster(cx) {
        return;
    }
    let passwords = certificate.keystores.iter().filter_map(|store| match &store.password {
        StorePassword::Secret { name, .. } => Some(name.clone()),
        StorePassword::Written(_) => None,
    });
    let names: BTreeSet<Name> = passwords.chain([certificate.secret.clone()]).collect();
    for name in names {
        let secret = NamespacedName::new(certificate.key.namespace.clone(), name);
        cx.emit(NeededSecret { key: (secret, certificate.object()) });
    }
}

/// Of an issuer: its CA, or the key of its account and those that sign updates of its challenges.
pub(super) fn of_issuers(cx: &mut Cx<'_>, issuer: &Arc<Issuer>) {
    if !in_cluster(cx) {
        return;
    }
    let names: BTreeSet<Name> = match &issuer.spec {
        IssuerSpec::Ca { secret, .. } => [secret.clone()].into(),
        IssuerSpec::Acme { account_key, solvers, .. } => {
            let updates = solvers.iter().filter_map(|solver| solver.update.as_ref()?.secret.as_ref());
            updates.map(|(name, _)| name.clone()).chain([account_key.clone()]).collect()
        }
        IssuerSpec::SelfSigned { .. } | IssuerSpec::Unsupported(_) => BTreeSet::new(),
    };
    let namespace = secrets_of(cx, &issuer.key);
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        let secret = NamespacedName::new(namespace.clone(), name);
        cx.emit(NeededSecret { key: (secret, issuer.key.object()) });
    }
}
