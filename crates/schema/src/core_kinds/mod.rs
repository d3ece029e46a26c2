//! Kinds of Kubernetes itself: defaults and checks that stand in its code, not in a schema.
//!
//! ```text
//!  decoded object --defaults--> --tidy (what Go leaves out)--> object --check (+ old one)--> causes in the server's words
//! ```
//!
//! What only a cluster can know is left out: addresses and ports that it gives, whether an address is free.
//! Source: k8s.io/kubernetes `pkg/apis/{core,discovery,networking,admissionregistration}`.

mod addresses;
mod admission;
mod data;
mod defaults;
mod endpoints;
mod ingress;
mod match_resources;
mod network_policy;
mod selectors;
mod service;
mod tidy;
mod words;

pub use defaults::fill;
use serde_json::Value;
pub use tidy::{metadata as tidy_metadata, tidy};

use crate::{cause::Cause, definitions::Definition, path::Path};

/// Everything that the code of a kind has against an object; `old` is what is stored.
pub fn check(definition: &Definition, object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let mut out = Out(causes);
    match &*definition.kind {
        "Service" => service::check(object, old, &mut out),
        "EndpointSlice" => endpoints::slice(object, old, &mut out),
        "Endpoints" => endpoints::endpoints(object, old, &mut out),
        "Secret" => data::secret(object, old, &mut out),
        "ConfigMap" => data::config_map(object, old, &mut out),
        // An update takes the finalizers that are there.
        "Namespace" if old.is_none() => data::namespace(object, &mut out),
        "Ingress" => ingress::ingress(object, old, &mut out),
        "IngressClass" => ingress::class(object, old, &mut out),
        "NetworkPolicy" => network_policy::check(object, &mut out),
        "ValidatingAdmissionPolicy" => admission::policy(object, &mut out),
        "ValidatingAdmissionPolicyBinding" => admission::binding(object, &mut out),
        _ => {}
    }
    if &*definition.group == "admissionregistration.k8s.io" {
        return;
    }
    for (at, name) in list(&object["metadata"], "finalizers").iter().enumerate() {
        data::finalizer(name, &METADATA.field("finalizers").index(at), &mut out);
    }
}

/// Whether the code of a kind looks at what is stored.
pub fn judges_updates(kind: &str) -> bool {
    matches!(kind, "Service" | "EndpointSlice" | "Endpoints" | "Secret" | "ConfigMap" | "IngressClass")
}

/// As [`check`], of an object that could be made as it is.
pub fn check_update(definition: &Definition, object: &Value, old: &Value, causes: &mut Vec<Cause>) {
    if judges_updates(&definition.kind) {
        check(definition, object, Some(old), causes);
    }
}

static METADATA: Path<'static> = Path::top("metadata");
static SPEC: Path<'static> = Path::top("spec");

/// Causes, as `field.ErrorList` takes them.
struct Out<'o>(&'o mut Vec<Cause>);

impl Out<'_> {
    fn required(&mut self, path: &Path<'_>, words: &str) {
        self.0.push(Cause::required(path.text(), words));
    }

    fn invalid(&mut self, path: &Path<'_>, value: impl Into<Value>, words: impl Into<String>) {
        self.0.push(Cause::invalid(path.text(), value, words));
    }

    /// One cause for everything that is wrong with a value.
    fn each(&mut self, path: &Path<'_>, value: impl Into<Value>, wrong: Vec<String>) {
        let value = value.into();
        self.0.extend(wrong.into_iter().map(|words| Cause::invalid(path.text(), value.clone(), words)));
    }

    fn forbidden(&mut self, path: &Path<'_>, words: &str) {
        self.0.push(Cause::forbidden(path.text(), words));
    }

    fn duplicate(&mut self, path: &Path<'_>, value: impl Into<Value>) {
        self.0.push(Cause::duplicate(path.text(), value));
    }

    fn supported(&mut self, path: &Path<'_>, value: &str, supported: &[&str]) {
        if !supported.contains(&value) {
            self.0.push(Cause::not_supported(path.text(), value, supported));
        }
    }

    fn too_many(&mut self, path: &Path<'_>, count: usize, most: u64) {
        self.0.push(Cause::too_many(path.text(), count as u64, most));
    }

    fn too_long(&mut self, path: &Path<'_>, most: u64) {
        self.0.push(Cause::too_long(path.text(), most));
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value, key: &str) -> i64 {
    value[key].as_i64().unwrap_or_default()
}

fn has(value: &Value, key: &str) -> bool {
    value.get(key).is_some_and(|value| !value.is_null())
}
