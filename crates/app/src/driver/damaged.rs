//! Rows of the store that the disk has damaged: what stood in them is not there. The repository brings its own again, and
//! certificates are issued again; but a CA never becomes another one by itself: those who trust it would not know.

use std::time::Duration;

use portolan_core::certificates::rows::{AccountWanted, CertificateState, IssueFailure, IssueWanted};
use portolan_model::{Code, NamespacedName, ObjectKey, Problem, Severity, input::Certificate};

use super::Driver;

/// How long a start waits at most for what is damaged to come back. An Envoy that takes over from another waits as long for its
/// first listeners, and would do without them after 15 s (Envoy, `initial_fetch_timeout`).
pub const PATIENCE: Duration = Duration::from_secs(10);

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
            message: format!("its row in {} is damaged and left out", self.cx.state.path().join("store.redb").display()),
            hint: "check the disk; what the repository or an issuer makes comes back by itself. A CA is not made anew before \
                   `portolan renew NAMESPACE/CERTIFICATE` says so, nor an ACME account before another Secret is named: restore store.redb from a backup to keep it"
                .into(),
        }
        };
        let lost = self.cx.store.lost().then(|| self.lost());
        self.cx.store.damaged().iter().map(problem).chain(lost).collect()
    }

    /// That the last commit of the run before is not there.
    fn lost(&self) -> Problem {
        let file = self.cx.state.path().join("store.redb");
        Problem {
            object: ObjectKey::new("", "File", "", "store.redb"),
            code: Code(103),
            field: "".into(),
            severity: Severity::Warning,
            message: format!(
                "what an earlier run wrote last into {} is damaged or gone: what stood before it was read",
                file.display()
            ),
            hint: "check the disk, unless the file was restored from a backup. What the repository says is read again; a \
                   certificate that was renewed last is the one before, and is renewed again"
                .into(),
        }
    }

    /// Whether the first publication of this run waits: what an Envoy of an earlier run serves would be taken from it for as long
    /// as it takes to read the repository and to issue certificates again. Not for long: what has left the repository meanwhile is
    /// served on too.
    pub(super) fn waits_for_damaged(&mut self) -> bool {
        let Some(until) = self.cx.patience else { return false };
        let waits = tokio::time::Instant::now() < until && self.comes_back();
        if !waits {
            self.cx.patience = None;
        }
        waits
    }

    /// Whether something that is damaged is likely to come back by itself soon. A CA is not made again, so nothing waits for one.
    fn comes_back(&self) -> bool {
        let damaged = self.cx.store.damaged();
        if damaged.is_empty() && !self.cx.store.lost() {
            return false;
        }
        let account = self.cx.engine.rows::<AccountWanted>().next().is_some();
        let issued = |state: &CertificateState| {
            let made = account || self.cx.engine.get::<IssueWanted>(&state.key).is_some();
            made && state.issuing && damaged.contains(&secret(&state.secret))
        };
        // Where it is not read yet, the repository may bring what is damaged, or the Certificate that it was made for.
        !self.source.reading.done || self.cx.engine.rows::<CertificateState>().any(|state| issued(state))
    }

    /// Somebody wants the certificate anew, whatever stood in its Secret.
    pub(super) fn forgive(&mut self, certificate: &Certificate) {
        let secret =
            secret(&NamespacedName::new(certificate.key.namespace.clone(), certificate.secret.clone()));
        if self.cx.store.forgive(&secret) {
            tracing::warn!(%secret, "its damaged row is given up: a new certificate takes its place");
            self.cx.engine.remove::<IssueFailure>(&certificate.key);
            self.reload();
        }
    }
}
