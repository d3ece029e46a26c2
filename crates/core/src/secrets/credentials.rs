//! Secrets that only a substituted issuer or DNS provider would use: on one machine ACME servers are the embedded
//! development CA and providers the embedded DNS server, and neither asks for a credential.

use std::sync::Arc;

use portolan_model::{
    Name, NamespacedName, Severity,
    input::{Issuer, IssuerSpec, SealedSecret, Secret},
};

use super::{owner::cluster_namespace, rows::ComponentCredential};
use crate::{
    Cx,
    certificates::rows::RealAcme,
    problem,
    world::{GatewaysBySecret, IssuersBySecret, ListenerSetsBySecret},
};

/// Who uses the Secret, if nobody does but those who need none here.
pub(super) fn only_for(cx: &mut Cx<'_>, key: &NamespacedName) -> Option<String> {
    let real = cx.get::<RealAcme>(&Name::default()).is_some();
    if cx.count::<GatewaysBySecret>(key) > 0 || cx.count::<ListenerSetsBySecret>(key) > 0 {
        return None;
    }
    let mut who = cx.get::<ComponentCredential>(key).map(|credential| credential.component.to_string());
    let mut names = vec![key.clone()];
    if key.namespace == cluster_namespace(cx) {
        names.push(NamespacedName::new("", key.name.clone()));
    }
    for name in names {
        for issuer in cx.find::<IssuersBySecret>(&name) {
            if real || !matches!(issuer.spec, IssuerSpec::Acme { .. }) {
                return None;
            }
            who.get_or_insert_with(|| format!("the substituted {}", issuer.key));
        }
    }
    who
}

/// Names each credential of an ACME issuer that is not there: worth knowing, and nothing waits for it.
pub(super) fn missing(cx: &mut Cx<'_>, issuer: &Arc<Issuer>) {
    let IssuerSpec::Acme { solvers, .. } = &issuer.spec else { return };
    let real = cx.get::<RealAcme>(&Name::default()).is_some();
    let namespace = if issuer.key.0.namespace.is_empty() {
        cluster_namespace(cx)
    } else {
        issuer.key.0.namespace.clone()
    };
    for (at, solver) in solvers.iter().enumerate() {
        for name in &solver.credentials {
            let key = NamespacedName::new(namespace.clone(), name.clone());
            if cx.get::<Secret>(&key).is_some() || cx.get::<SealedSecret>(&key).is_some() {
                continue;
            }
            let provider = solver.dns01.as_deref().unwrap_or("dns01");
            let field = format!("spec.acme.solvers[{at}].dns01.{provider}");
            let (message, hint) = if real {
                let message = format!(
                    "Secret {key} does not exist; the certificates whose names this solver proves wait for it"
                );
                (message, "bring the Secret, or a SealedSecret that it comes out of")
            } else {
                let message = format!(
                    "Secret {key} does not exist; the embedded DNS server stands in for {provider} and needs none"
                );
                (message, "nothing to do here; in the cluster the issuer needs it")
            };
            problem(cx, issuer.key.object(), 154, Severity::Info, &field, message, hint);
        }
    }
}
