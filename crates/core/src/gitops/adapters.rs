//! Values of the upstream charts that Portolan stands in for, as settings of the matching capability. Whatever an
//! adapter does not understand is listed in one `info` problem a component; nothing is dropped in silence.

mod arguments;
mod cert_manager;
mod external_dns;
mod others;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use portolan_model::{Code, Name, ObjectKey, Problem, Severity};
use serde_json::Value;

pub use cert_manager::CertManager;
pub use external_dns::ExternalDns;
pub use others::GatewayProvider;

/// Values of one component, as Helm merged them.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentValues {
    /// Name of the upstream chart, such as `external-dns` (not its alias).
    pub component: Name,
    /// The Application that brings it, or `File/<chart>` for a root chart: what problems are filed on.
    pub object: ObjectKey,
    /// Name of that Application; empty for a root chart.
    pub application: Name,
    /// Namespace of the component.
    pub namespace: Name,
    /// Version of the chart as it is asked for; empty if it is not known.
    pub version: Name,
    /// The chart's values.
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
    /// `sealed-secrets`, in this namespace; nothing to set.
    SealedSecrets(Name),
    /// `reflector`, in this namespace; nothing to set.
    Reflector(Name),
    /// `kyverno`, in this namespace; its policies are not enforced by Portolan yet.
    Kyverno(Name),
}

/// Reads the values of a component; `None` for a chart that Portolan does not stand in for.
pub fn adapt(values: &ComponentValues) -> (Option<Component>, Vec<Problem>) {
    let mut reader = Reader::new(values);
    let namespace = values.namespace.clone();
    let component = match &*values.component {
        "external-dns" => Component::ExternalDns(Box::new(external_dns::read(&mut reader))),
        "cert-manager" => Component::CertManager(cert_manager::read(&mut reader, namespace)),
        "gateway-helm" => Component::GatewayProvider(others::gateway_provider(&mut reader, namespace)),
        "sealed-secrets" => Component::SealedSecrets(namespace),
        "reflector" => Component::Reflector(namespace),
        "kyverno" => Component::Kyverno(namespace),
        _ => return (None, Vec::new()),
    };
    (Some(component), reader.finish())
}

/// Reads values and remembers which were asked for.
struct Reader<'a> {
    values: &'a ComponentValues,
    used: BTreeSet<String>,
    /// Arguments and the like that nothing understands.
    ignored: Vec<String>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn new(values: &'a ComponentValues) -> Self {
        Self { values, used: BTreeSet::new(), ignored: Vec::new(), problems: Vec::new() }
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
            field: path.into(),
            severity,
            message: format!("{}: {message}", self.values.component),
            hint: hint.to_owned(),
        });
    }

    fn finish(mut self) -> Vec<Problem> {
        let mut names = Vec::new();
        unread(&self.values.values, "", &self.used, &mut names);
        names.append(&mut self.ignored);
        if !names.is_empty() {
            let message = format!("these values have no effect on one machine: {}", names.join(", "));
            let hint = "nothing to do if they are about pods, images or metrics of the upstream controller";
            self.problem(640, Severity::Info, "", &message, hint);
        }
        self.problems.sort();
        self.problems
    }
}

/// Paths of values that nothing read: whole subtrees by their top, others by the leaf beside what was read.
fn unread(value: &Value, at: &str, used: &BTreeSet<String>, out: &mut Vec<String>) {
    let Value::Object(map) = value else { return };
    for (name, value) in map {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        if used.contains(&path) {
            // `provider` is read both as text and as `provider.name`: what else is in the mapping still counts.
            let below = format!("{path}.");
            if value.is_object() && used.iter().any(|other| other.starts_with(&below)) {
                unread(value, &path, used, out);
            }
            continue;
        }
        let below = format!("{path}.");
        if value.is_object() && used.iter().any(|other| other.starts_with(&below)) {
            unread(value, &path, used, out);
        } else {
            out.push(path);
        }
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
