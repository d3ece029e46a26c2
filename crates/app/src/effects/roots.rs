//! `ca.pem` holds the public roots of what the listeners serve, so that `curl --cacert` works. It never enters a trust store.

use std::collections::BTreeSet;

use portolan_core::gateway::rows::ListenerCertificate;
use portolan_engine::Changes;
use portolan_model::{
    NamespacedName,
    input::{Issuer, IssuerSpec, Secret},
};

use super::{Context, Effect};

/// Writes it.
pub struct Roots;

impl Effect for Roots {
    fn follow(&mut self, step: &Changes, cx: &mut Context) {
        if step.of::<Secret>().is_empty() && step.of::<ListenerCertificate>().is_empty() {
            return;
        }
        let secrets: BTreeSet<NamespacedName> = cx
            .engine
            .rows::<ListenerCertificate>()
            .flat_map(|l| l.served.iter().map(|one| one.secret.clone()))
            .collect();
        let roots: BTreeSet<Vec<u8>> = secrets
            .iter()
            .filter_map(|key| {
                cx.engine.get::<Secret>(key)?.data.get("ca.crt").map(|pem| pem.expose().to_vec())
            })
            .collect();
        let ours = cx.engine.rows::<Issuer>().any(|i| matches!(i.spec, IssuerSpec::Acme { .. }));
        let ours = ours && !cx.is_real_acme();
        let roots = roots.into_iter().chain(ours.then(|| cx.ca.root().as_bytes().to_vec()));
        let roots = roots.flatten().collect();
        cx.keep("ca.pem", roots);
    }
}
