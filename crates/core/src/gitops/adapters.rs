//! Values of the upstream charts that Portolan stands in for, as settings of the matching capability, and the same of a component that
//! stands as a workload in manifests ([`standing()`]). What becomes of each key stands in [`keys`] and goes into the ledger; nothing is
//! dropped in silence.

mod arguments;
mod cert_manager;
mod external_dns;
mod keys;
mod others;
mod sealed_secrets;
mod standing;
#[cfg(test)]
mod tests;
mod walk;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Code, Name, ObjectKey, Problem, Severity};
use serde_json::Value;

pub use cert_manager::CertManager;
pub use external_dns::{ExternalDns, TsigSecret, UpdateServer};
pub use others::GatewayProvider;
pub use sealed_secrets::SealedSecrets;
pub use standing::standing;

use super::ledger::Fate;

/// Where a component is told what it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Form {
    /// Values of its chart.
    #[default]
    Chart,
    /// A workload that stands in manifests: what its container is given.
    Workload,
    /// A file of a ConfigMap that stands in manifests.
    File,
}

/// Values of one component, as Helm merged them; or what its workload says.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ComponentValues {
    /// What `values` are.
    #[serde(default)]
    pub form: Form,
    /// Name of the upstream chart, such as `external-dns` (not its alias).
    pub component: Name,
    /// The Application that brings it, or `File/<chart>` for a root chart; else the workload: what problems are filed on.
    pub object: ObjectKey,
    /// Name of that Application; empty for a root chart, and where no Application brings it.
    pub application: Name,
    /// Namespace of the component.
    pub namespace: Name,
    /// Version of the chart as it is asked for; empty if it is not known.
    pub version: Name,
    /// The chart's values, or what [`standing()`] makes of a workload.
    pub values: Value,
}

/// Settings of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// `external-dns`.
    ExternalDns(Box<ExternalDns>),
    /// `cert-manager`.
    CertManager(CertManager),
    /// `gateway-helm` (Envoy Gateway).
    GatewayProvider(GatewayProvider),
    /// `sealed-secrets`.
    SealedSecrets(SealedSecrets),
    /// `reflector`: patterns of namespaces that it does not look at (`configuration.watcher.excludedNamespaces`).
    Reflector(Vec<Name>),
    /// `kyverno`, in this namespace; its policies are not enforced by Portolan yet.
    Kyverno(Name),
}

/// What is known of a component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adapted {
    /// Its settings; `None` for a chart that Portolan does not stand in for.
    pub component: Option<Component>,
    /// What is wrong with its values, or has no effect.
    pub problems: Vec<Problem>,
    /// What becomes of each key and flag: fate, why, which.
    pub ledger: Vec<(Fate, Name, String)>,
}

/// Reads the values of a component.
pub fn adapt(values: &ComponentValues) -> Adapted {
    let mut reader = Reader::new(values);
    let namespace = values.namespace.clone();
    let component = match &*values.component {
        "external-dns" => Component::ExternalDns(Box::new(external_dns::read(&mut reader))),
        "cert-manager" => Component::CertManager(cert_manager::read(&mut reader, namespace)),
        "gateway-helm" => Component::GatewayProvider(others::gateway_provider(&mut reader, namespace)),
        "sealed-secrets" => Component::SealedSecrets(sealed_secrets::read(&mut reader, namespace)),
        "reflector" => Component::Reflector(others::reflector(&mut reader)),
        "kyverno" => Component::Kyverno(namespace),
        _ => return Adapted::default(),
    };
    if values.form != Form::Workload {
        walk::walk(&mut reader);
    }
    reader.finish(component)
}

/// Reads values and remembers which were asked for.
struct Reader<'a> {
    values: &'a ComponentValues,
    used: BTreeSet<String>,
    /// Arguments and the like: what they are, what becomes of them and why.
    given: Vec<(Fate, &'static str, String)>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn new(values: &'a ComponentValues) -> Self {
        Self { values, used: BTreeSet::new(), given: Vec::new(), problems: Vec::new() }
    }

    /// The value at a path; it counts as understood.
    fn take(&mut self, path: &str) -> Option<&'a Value> {
        self.used.insert(path.to_owned());
        let found = path.split('.').try_fold(&self.values.values, |at, part| at.get(part))?;
        (!found.is_null()).then_some(found)
    }

    /// Text, or a number or boolean as text; anything else is a problem.
    fn text(&mut self, path: &str) -> Option<String> {
        match self.take(path)? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            other => {
                self.unusable(path, &format!("{path} is {}, not text", kind(other)));
                None
            }
        }
    }

    /// A value that cannot be used, or means something that is not done.
    fn unusable(&mut self, path: &str, message: &str) {
        let hint = "correct the value; the default named in docs/reference/findings.md is used until then";
        self.problem(641, Severity::Error, path, message, hint);
    }

    fn problem(&mut self, code: u16, severity: Severity, path: &str, message: &str, hint: &str) {
        self.problems.push(Problem {
            object: self.values.object.clone(),
            code: Code(code),
            field: standing::field(self.values, path).into(),
            severity,
            message: format!("{}: {message}", self.values.component),
            hint: hint.to_owned(),
        });
    }

    /// The ledger, and in one finding each what has no effect and what was not looked at.
    fn finish(mut self, component: Component) -> Adapted {
        let mut by_fate: BTreeMap<(Fate, &str), Vec<&str>> = BTreeMap::new();
        for (fate, why, what) in &self.given {
            by_fate.entry((*fate, why)).or_default().push(what);
        }
        let told = |wanted: Fate| -> Option<String> {
            let parts = by_fate.iter().filter(|((fate, _), _)| *fate == wanted);
            let parts: Vec<String> =
                parts.map(|((_, why), keys)| format!("{} ({why})", keys.join(", "))).collect();
            (!parts.is_empty()).then(|| parts.join("; "))
        };
        let (without_effect, unseen) = (told(Fate::Irrelevant), told(Fate::NotLookedAt));
        if let Some(what) = without_effect {
            let message = format!("these values change nothing here: {what}");
            let hint = "nothing to do";
            self.problem(640, Severity::Info, "", &message, hint);
        }
        if let Some(what) = unseen {
            let field =
                self.given.iter().find(|(fate, ..)| *fate == Fate::NotLookedAt).map(|(.., key)| key.clone());
            let message =
                format!("these values may change what the cluster does, and are not looked at: {what}");
            let hint =
                "know that the answers leave them out, or take them out of the values for this environment";
            self.problem(646, Severity::Warning, &field.unwrap_or_default(), &message, hint);
        }
        self.problems.sort();
        let ledger = self.given.into_iter().map(|(fate, why, what)| (fate, why.into(), what)).collect();
        Adapted { component: Some(component), problems: self.problems, ledger }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
