//! Rows of the store that the disk has damaged: what stood in them is not there. The repository brings its own again, and
//! certificates are issued again; but a CA never becomes another one by itself: those who trust it would not know.

use portolan_core::certificates::rows::{IssueFailure, IssueWanted};
use portolan_model::{Code, NamespacedName, ObjectKey, Problem, Severity, input::Certificate};

use super::Driver;

fn secret(name: &NamespacedName) -> ObjectKey {
    ObjectKey::new("", "Secret", name.namespace.clone(), name.name.clone())
}

impl Driver {
    /// A problem for each object whose row is damaged.
    pub(super) fn damaged(&self) -> Vec<Problem> {
        let problem = |key: &ObjectKey| {
            Problem {
            object: key.clone(),
            code: Code(103),
            field: "".into(),
            severity: Severity::Error,
            message: format!("its row in {} is damaged and left out", self.state.path().join("store.redb").display()),
            hint: "check the disk; what the repository or an issuer makes comes back by itself. A CA is not made anew before \
                   `portolan renew NAMESPACE/CERTIFICATE` says so, nor an ACME account before another Secret is named: restore store.redb from a backup to keep it"
                .into(),
        }
        };
        self.store.damaged().iter().map(problem).collect()
    }

    /// Why a certificate is not issued: it would be a new CA in place of one that is damaged.
    pub(super) fn in_place_of_a_ca(&self, wanted: &IssueWanted) -> Option<String> {
        let key = secret(&wanted.secret);
        (wanted.request.is_ca && self.store.damaged().contains(&key)).then(|| {
            format!(
                "Secret {} held a CA, and its row in the store is damaged: no other CA is made in its place before `portolan \
                 renew {}` says so",
                wanted.secret, wanted.key
            )
        })
    }

    /// Why an ACME account gets no key: it would be a new account in place of one whose key is damaged.
    pub(super) fn in_place_of_an_account(&self, name: &NamespacedName) -> Option<String> {
        self.store.damaged().contains(&secret(name)).then(|| {
            format!(
                "Secret {name} held the account's key, and its row in the store is damaged: no other account is registered in its \
                 place before somebody restores store.redb from a backup, brings the key as that Secret, or names another Secret in \
                 privateKeySecretRef"
            )
        })
    }

    /// Somebody wants the certificate anew, whatever stood in its Secret.
    pub(super) fn forgive(&mut self, certificate: &Certificate) {
        let secret =
            secret(&NamespacedName::new(certificate.key.namespace.clone(), certificate.secret.clone()));
        if self.store.forgive(&secret) {
            tracing::warn!(%secret, "its damaged row is given up: a new certificate takes its place");
            self.engine.remove::<IssueFailure>(&certificate.key);
            self.reload();
        }
    }
}
