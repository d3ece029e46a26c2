//! cert-manager: values of its chart, the file that `config` becomes, and flags. A flag wins over a value of its own, and that over
//! `config`, as in the program.

use portolan_model::Name;
use serde_json::Value;

use super::{Form, Reader, arguments, keys, standing, words};
use crate::{certificates::rows::ShimSettings, gitops::ledger::Fate};

/// What cert-manager is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertManager {
    /// Application that brings it.
    pub application: Name,
    /// Namespace of the component.
    pub namespace: Name,
    /// Where Secrets of ClusterIssuers stand: `clusterResourceNamespace`, else the component's namespace.
    pub cluster_resource_namespace: Name,
    /// What its shims are told.
    pub shim: ShimSettings,
}

/// Since 1.15 Gateways are looked at where `enableGatewayAPI` says so; before, where the gate was opened.
const SWITCHED: u32 = 15;

pub(super) fn read(reader: &mut Reader<'_>, namespace: Name) -> CertManager {
    let mut told = Told::default();
    let mut cluster: Name =
        reader.text("clusterResourceNamespace").map_or_else(|| namespace.clone(), Name::from);
    let mut words = None;
    if reader.values.form == Form::Chart {
        refused(reader);
    }
    if reader.values.form == Form::Workload {
        // The program's own default; the chart's is the namespace of the pod.
        cluster = "kube-system".into();
        words = Some(workload(reader));
    }
    // Both mean what is so here anyway.
    reader.take("crds.enabled");
    reader.take("installCRDs");
    // What says which schema `config` has.
    reader.take("config.apiVersion");
    reader.take("config.kind");
    for (path, flag) in [
        ("config.enableGatewayAPI", "enable-gateway-api"),
        ("config.gatewayAPI.enabled", "enable-gateway-api"),
        ("config.enableGatewayAPIListenerSet", "enable-gateway-api-listenerset"),
        ("config.gatewayAPI.enableListenerSet", "enable-gateway-api-listenerset"),
    ] {
        if let Some(value) = reader.text(path) {
            told.flag(flag, Some(&value));
        }
    }
    for (path, flag) in [
        ("config.gatewayAPI.extraProtocols", "gateway-api-extra-protocols"),
        ("config.ingressShimConfig.defaultAutoCertificateAnnotations", "auto-certificate-annotations"),
        ("config.ingressShimConfig.extraCertificateAnnotations", "extra-certificate-annotations"),
    ] {
        if let Some(Value::Array(items)) = reader.take(path) {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            told.flag(flag, Some(&items.join(",")));
        }
    }
    for at in ["config.ingressShimConfig", "ingressShim"] {
        for (field, flag) in [
            ("defaultIssuerName", "default-issuer-name"),
            ("defaultIssuerKind", "default-issuer-kind"),
            ("defaultIssuerGroup", "default-issuer-group"),
        ] {
            if let Some(value) = reader.text(&format!("{at}.{field}")) {
                told.flag(flag, Some(&value));
            }
        }
    }
    gates(reader, &mut told);
    if let Some(value) = words.as_ref().or_else(|| reader.take("extraArgs")) {
        let called = called(reader);
        let (flags, rest) = arguments::flags(value);
        for text in rest {
            reader.given.push((Fate::Refused, "no flag", format!("{called} {text}")));
        }
        for (name, value) in flags {
            argument(reader, &name, value.as_deref());
            if name == "cluster-resource-namespace"
                && let Some(value) = &value
            {
                // The chart's own default for it.
                cluster = if value == "$(POD_NAMESPACE)" { namespace.clone() } else { value.as_str().into() };
            } else {
                told.flag(&name, value.as_deref());
            }
        }
    }
    let shim = told.settings(minor(&reader.values.version));
    CertManager {
        application: reader.values.application.clone(),
        namespace,
        cluster_resource_namespace: cluster,
        shim,
    }
}

/// What a value has to be.
#[derive(Clone, Copy)]
enum Is {
    Switch,
    Number,
    Text,
    List,
    Mapping,
}

/// Types of the chart's values (`values.schema.json` at 1.21) and, below `config`, of what the controller reads strictly.
const TYPES: [(Is, &str); 5] = [
    (
        Is::Switch,
        "crds.enabled crds.keep installCRDs disableAutoApproval enableCertificateOwnerRef enableServiceLinks \
         dns01RecursiveNameserversOnly config.enableGatewayAPI config.enableGatewayAPIListenerSet \
         config.enableCertificateOwnerRef config.gatewayAPI.enabled config.gatewayAPI.enableListenerSet \
         config.clusterIssuerAmbientCredentials config.issuerAmbientCredentials",
    ),
    (
        Is::Number,
        "replicaCount maxConcurrentChallenges config.numberOfConcurrentWorkers config.maxConcurrentChallenges",
    ),
    (
        Is::Text,
        "clusterResourceNamespace namespace featureGates dns01RecursiveNameservers config.namespace \
         config.clusterResourceNamespace",
    ),
    (
        Is::List,
        "extraArgs extraEnv extraObjects approveSignerNames config.controllers config.copiedAnnotationPrefixes",
    ),
    (
        Is::Mapping,
        "config ingressShim crds acmesolver config.ingressShimConfig config.gatewayAPI config.featureGates",
    ),
];

/// Values of another type than they have: Helm renders nothing of the chart, or the controller does not start.
fn refused(reader: &mut Reader<'_>) {
    let at = |path: &str| path.split('.').try_fold(&reader.values.values, |at, part| at.get(part));
    let mut wrong = Vec::new();
    for (is, path) in
        TYPES.iter().flat_map(|(is, paths)| paths.split_whitespace().map(move |path| (*is, path)))
    {
        let Some(value) = at(path).filter(|value| !value.is_null()) else { continue };
        let fits = match is {
            Is::Switch => value.is_boolean(),
            Is::Number => value.is_number(),
            Is::Text => value.is_string(),
            Is::List => value.is_array(),
            Is::Mapping => value.is_object(),
        };
        if !fits {
            wrong.push((path, "of another type than the chart has it: Helm refuses it, or the controller does not start with it"));
        } else if path == "replicaCount" && value.as_f64() == Some(0.0) {
            wrong.push((path, "the controller does not run (0 pods), so nothing is issued there"));
        }
    }
    reader.given.extend(wrong.into_iter().map(|(path, why)| (Fate::NotLookedAt, why, path.to_owned())));
}

/// What its container is given, as the chart's `extraArgs` have it.
fn workload(reader: &mut Reader<'_>) -> Value {
    if let Some(idle) = standing::is_idle(reader.values) {
        let why = if idle.refused {
            "Kubernetes refuses the workload, so the controller does not run and nothing is issued there"
        } else {
            "the controller does not run (0 pods), so nothing is issued there"
        };
        reader.given.push((Fate::NotLookedAt, why, idle.field));
    }
    match words::words(reader.values, "controller") {
        Ok(words) => words.into_iter().map(|word| Value::String(word.text)).collect(),
        Err((field, _)) => {
            let why = "another program is run, and what it gives to cert-manager is not known";
            reader.given.push((Fate::NotLookedAt, why, field));
            Value::Array(Vec::new())
        }
    }
}

/// Where its flags stand.
fn called(reader: &Reader<'_>) -> &'static str {
    if reader.values.form == Form::Workload { "args" } else { "extraArgs" }
}

/// `featureGates` of the chart and of `config`.
fn gates(reader: &mut Reader<'_>, told: &mut Told) {
    if let Some(map) = reader.take("config.featureGates").and_then(Value::as_object) {
        for (name, on) in map {
            told.flag("feature-gates", Some(&format!("{name}={on}")));
            gate(reader, name, on == true, "config.featureGates");
        }
    }
    if let Some(text) = reader.text("featureGates") {
        told.flag("feature-gates", Some(&text));
        gate_list(reader, &text, "featureGates");
    }
}

/// What becomes of a flag, for the ledger.
fn argument(reader: &mut Reader<'_>, name: &str, value: Option<&str>) {
    let given = format!("{} --{name}", called(reader));
    if name == "feature-gates" {
        return gate_list(reader, value.unwrap_or_default(), &given);
    }
    let known = keys::of("cert-manager").zip(keys::cert_manager_flag(name));
    let (fate, why) = known
        .and_then(|(known, key)| known.fate(key))
        .unwrap_or((Fate::NotLookedAt, "a flag that cert-manager does not know: it would not start"));
    // A switch that is off says nothing.
    if !(fate == Fate::NotLookedAt && value == Some("false")) {
        reader.given.push((fate, why, given));
    }
}

/// Feature gates as a flag has them: `A=true,B=false`.
fn gate_list(reader: &mut Reader<'_>, text: &str, field: &str) {
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, on) = part.split_once('=').unwrap_or((part, ""));
        gate(reader, name.trim(), on.trim() == "true", field);
    }
}

fn gate(reader: &mut Reader<'_>, name: &str, on: bool, field: &str) {
    let (fate, why) = keys::cert_manager_gate(name, on);
    reader.given.push((fate, why, format!("{field} {name}")));
}

#[derive(Default)]
struct Told {
    settings: ShimSettings,
    gateways: bool,
    listener_sets: bool,
    gateway_gate: Option<bool>,
    listener_set_gate: bool,
}

impl Told {
    /// Takes a flag of the program, if it is one of the shims.
    fn flag(&mut self, name: &str, value: Option<&str>) {
        let on = value.is_none_or(|value| matches!(value, "1" | "t" | "T" | "TRUE" | "true" | "True"));
        let list = || {
            let items = value.unwrap_or_default().split(',').map(str::trim);
            items.filter(|item| !item.is_empty()).map(Name::new).collect()
        };
        let text = Name::new(value.unwrap_or_default());
        match name {
            "enable-gateway-api" => self.gateways = on,
            "enable-gateway-api-listenerset" => self.listener_sets = on,
            "gateway-api-extra-protocols" => self.settings.extra_protocols = list(),
            "default-issuer-name" => self.settings.issuer = text,
            "default-issuer-kind" => self.settings.issuer_kind = text,
            "default-issuer-group" => self.settings.issuer_group = text,
            "auto-certificate-annotations" => self.settings.auto_annotations = list(),
            "extra-certificate-annotations" => self.settings.extra_annotations = list(),
            "feature-gates" => {
                for gate in value.unwrap_or_default().split(',') {
                    let (gate, value) = gate.split_once('=').unwrap_or((gate, "true"));
                    let on = value.trim().eq_ignore_ascii_case("true");
                    match gate.trim() {
                        "ExperimentalGatewayAPISupport" => self.gateway_gate = Some(on),
                        "ListenerSets" => self.listener_set_gate = on,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn settings(self, minor: Option<u32>) -> ShimSettings {
        let gateways = if minor.is_some_and(|minor| minor < SWITCHED) {
            self.gateway_gate == Some(true)
        } else {
            self.gateways && self.gateway_gate != Some(false)
        };
        let listener_sets = gateways && self.listener_sets && self.listener_set_gate;
        ShimSettings { gateways, listener_sets, ..self.settings }
    }
}

/// 21 of `v1.21.2`.
fn minor(version: &str) -> Option<u32> {
    version.trim_start_matches('v').split('.').nth(1)?.parse().ok()
}
