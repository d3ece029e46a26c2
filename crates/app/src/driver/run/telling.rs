//! What `portolan run` says: findings in its log, and the answer to `/v1/status`.

use portolan_effects::store::{Cache as _, View};
use portolan_model::{Code, ObjectKey, Problem, Severity};
use serde_json::{Value, json};

use super::{Cluster, views};
use crate::{driver::Driver, status};

impl Driver<Cluster> {
    /// Logs findings that are new, and those that are over.
    pub(super) fn tell_findings(&mut self) {
        for (problem, stands) in std::mem::take(&mut self.source.findings) {
            let Problem { object, code, field, message, hint, .. } = &problem;
            let (object, field, message, hint) = (object.to_string(), &**field, &**message, &**hint);
            let code = code.to_string();
            match problem.severity {
                _ if !stands => tracing::info!(code, object, "resolved: {message}"),
                Severity::Info => tracing::debug!(code, object, field, hint, "{message}"),
                Severity::Warning => tracing::warn!(code, object, field, hint, "{message}"),
                Severity::Error => tracing::error!(code, object, field, hint, "{message}"),
            }
        }
    }

    /// The answer to `/v1/status`.
    pub(super) fn status_of_cluster(&self) -> Value {
        let mut status = status::status(&self.cx.engine, &self.cx.store, &self.run, &[], &[], &[]);
        let source = &self.source;
        status["capabilities"] = source.standings.iter().map(|one| json!(one)).collect();
        status["lease"] = json!({
            "leads": source.lease.leads, "holder": source.lease.holder, "failure": source.lease.failure,
        });
        let kinds = source.kinds.views().iter().map(|(kind, view)| {
            let why = match view {
                View::Refused(why) | View::Failing(why) => Some(&**why),
                _ => None,
            };
            json!({"kind": kind.to_string(), "seen": views::word(view), "why": why})
        });
        status["kinds"] = kinds.collect();
        status["objects"] = self.cx.store.list().count().into();
        if !source.ready {
            status["starting"] = true.into();
        }
        status
    }
}

/// That nobody can be chosen to write.
pub(super) fn no_lease(object: ObjectKey, why: &str) -> Problem {
    Problem {
        object,
        code: Code(98),
        field: "".into(),
        severity: Severity::Error,
        message: format!("the Lease cannot be asked for: {why}; this replica writes no statuses"),
        hint: "make its namespace (--namespace), and allow get, create and update on leases in it".into(),
    }
}
