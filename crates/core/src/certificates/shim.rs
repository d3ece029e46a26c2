//! Certificates that nobody wrote: cert-manager's ingress-shim and gateway-shim (`pkg/controller/certificate-shim`, v1.21) make
//! them for the TLS of Ingresses, Gateways and ListenerSets that name an issuer in an annotation.
//!
//! One Certificate a Secret, named as the Secret, for the hosts of all listeners that name it. It belongs to the object: another
//! object that names the same Secret, and whoever wrote a Certificate of that name, is never written over. Where the object
//! says something that cannot be used, the Certificate stays as it was. Both hold over a restart: what is made is stored. Other than
//! upstream, a Certificate goes with its annotation: nothing stands here that the repository does not ask for.

mod annotations;
mod csv;
mod known;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use portolan_model::{
    Kind, Name, NamespacedName, ObjectKey, Origin, Severity,
    input::{Gateway, TlsBlock, TlsSource},
};
use serde_json::{Value, json};

use super::rows::{Settings, ShimCertificate, ShimClaim, ShimSettings};
use crate::{
    Cx,
    door::{Definitions, Door, enter},
    policy::{denial, rows::SubmittedCertificate},
    problem,
};

const GATEWAY: &str = "gateway.networking.k8s.io";

/// The annotations that ask.
const ISSUER: &str = "cert-manager.io/issuer";
const CLUSTER_ISSUER: &str = "cert-manager.io/cluster-issuer";
const ISSUER_KIND: &str = "cert-manager.io/issuer-kind";
const ISSUER_GROUP: &str = "cert-manager.io/issuer-group";
const IGNORED_LISTENERS: &str = "cert-manager.io/ignore-tls-listeners";
/// Go's `strconv.ParseBool`.
const TRUE: [&str; 6] = ["1", "t", "T", "TRUE", "true", "True"];

type Annotations = BTreeMap<Name, String>;

/// What one object asks for.
pub(super) fn claims(cx: &mut Cx<'_>, source: &Arc<TlsSource>) {
    if denial(cx, &source.key).is_some() {
        // In a cluster it is not there.
        return;
    }
    // Before the repository was read nobody knows what cert-manager is told.
    let Some(settings) = cx.get::<Settings>(&Name::default()).map(|row| row.shim.clone()) else { return };
    let Some(annotations) = annotations_of(cx, source) else { return };
    let asks = asks(source, &annotations, &settings);
    known::check(cx, source, &annotations, &settings, asks);
    if !asks || !is_looked_at(cx, source, &settings) {
        return;
    }
    let bodies = bodies(cx, source, &annotations, &settings).unwrap_or_default();
    // What names a Secret and is not made anew stays as it is.
    let named = source.blocks.iter().flat_map(|block| &block.secrets).map(|one| one.name.clone());
    let mut made: BTreeMap<Name, Option<Value>> = named.map(|name| (name, None)).collect();
    for (name, body) in bodies {
        made.insert(name.clone(), checked(cx, source, &name, body));
    }
    for (name, body) in made {
        let certificate = NamespacedName::new(source.key.name.namespace.clone(), name);
        cx.emit(ShimClaim { key: (certificate, source.key.clone()), created: source.created, body });
    }
}

/// The annotations that count: a ListenerSet has its Gateway's issuer, unless it names its own. `None` of a ListenerSet without
/// a Gateway.
fn annotations_of(cx: &mut Cx<'_>, source: &TlsSource) -> Option<Annotations> {
    let mut all = source.annotations.clone();
    let Some(parent) = &source.parent else { return Some(all) };
    cx.get::<Gateway>(parent)?;
    let key = ObjectKey { kind: Kind::new(GATEWAY, "Gateway"), name: parent.clone() };
    let Some(gateway) = cx.get::<TlsSource>(&key) else { return Some(all) };
    let own = all.contains_key(ISSUER) || all.contains_key(CLUSTER_ISSUER);
    let mut inherit = |name: &str| {
        if let Some(value) = gateway.annotations.get(name) {
            all.insert(name.into(), value.clone());
        }
    };
    let issuers: &[&str] = if own { &[] } else { &[CLUSTER_ISSUER, ISSUER] };
    issuers.iter().chain(&[ISSUER_KIND, ISSUER_GROUP]).for_each(|name| inherit(name));
    Some(all)
}

fn is_ingress(source: &TlsSource) -> bool {
    source.key.kind.is("networking.k8s.io", "Ingress")
}

fn asks(source: &TlsSource, annotations: &Annotations, settings: &ShimSettings) -> bool {
    let on = |name: &Name| annotations.get(name).is_some_and(|value| TRUE.contains(&value.as_str()));
    annotations.contains_key(ISSUER)
        || annotations.contains_key(CLUSTER_ISSUER)
        || (is_ingress(source) && settings.auto_annotations.iter().any(on))
}

/// Whether cert-manager is set up to look at objects of the kind.
fn is_looked_at(cx: &mut Cx<'_>, source: &TlsSource, settings: &ShimSettings) -> bool {
    let (kind, hint) = if is_ingress(source) {
        return true;
    } else if source.parent.is_none() {
        if settings.gateways {
            return true;
        }
        ("Gateways", "set config.enableGatewayAPI: true in cert-manager's values, or write the Certificate")
    } else {
        if settings.listener_sets {
            return true;
        }
        let hint = "set config.enableGatewayAPIListenerSet: true and featureGates: ListenerSets=true in cert-manager's values, or write the Certificate";
        ("ListenerSets", hint)
    };
    let message = format!(
        "the annotations ask for Certificates, and the cert-manager that is declared does not look at {kind}: none is made"
    );
    say(cx, source, (360, Severity::Warning), "metadata.annotations", message, hint);
    false
}

fn say(
    cx: &mut Cx<'_>,
    source: &TlsSource,
    (code, severity): (u16, Severity),
    field: &str,
    message: String,
    hint: &str,
) {
    problem(cx, source.key.clone(), code, severity, field, message, hint);
}

/// The Certificates as the object asks for them, by name; `None` where it cannot be told, and nothing changes.
fn bodies(
    cx: &mut Cx<'_>,
    source: &TlsSource,
    annotations: &Annotations,
    settings: &ShimSettings,
) -> Option<BTreeMap<Name, Value>> {
    const STAYS: &str = "no Certificate is made or changed";
    let issuer = match issuer(annotations, settings) {
        Ok(issuer) => issuer,
        Err(why) => {
            let message = format!("{STAYS}: {why}");
            let hint = "name one issuer: cert-manager.io/issuer, or cert-manager.io/cluster-issuer alone";
            say(cx, source, (361, Severity::Error), "metadata.annotations", message, hint);
            return None;
        }
    };
    if is_ingress(source)
        && let Some((first, second)) = twice(&source.blocks)
    {
        let name = &first.secrets[0].name;
        let message = format!(
            "{STAYS}: {}.secretName: Invalid value: \"{name}\": this secret name must only appear in a single TLS entry but is also used in {}.secretName",
            first.path, second.path
        );
        let hint = "name each Secret once, with all hosts that its certificate is for";
        say(cx, source, (361, Severity::Error), &format!("{}.secretName", first.path), message, hint);
        return None;
    }
    let hosts = hosts(cx, source, annotations, settings);
    let mut bodies = BTreeMap::new();
    for (name, hosts) in hosts {
        let mut body = body(source, annotations, settings, &name, &hosts, &issuer);
        if let Err((annotation, why)) = annotations::translate(&mut body["spec"], annotations) {
            let message = format!("{STAYS}: invalid ingress annotation \"{annotation}\": {why}");
            let field = format!("metadata.annotations[{annotation}]");
            let hint = "correct the annotation, or leave it out";
            say(cx, source, (361, Severity::Error), &field, message, hint);
            return None;
        }
        bodies.insert(name, body);
    }
    Some(bodies)
}

/// Name, kind and group (`issuerForIngressLike`).
fn issuer(annotations: &Annotations, settings: &ShimSettings) -> Result<Value, String> {
    let get = |name: &str| annotations.get(name).map(String::as_str);
    let (own, cluster, kind, group) = (get(ISSUER), get(CLUSTER_ISSUER), get(ISSUER_KIND), get(ISSUER_GROUP));
    let name = cluster.or(own).unwrap_or(&settings.issuer);
    let default = match (own, cluster) {
        (_, Some(_)) => "ClusterIssuer",
        (Some(_), None) => "Issuer",
        (None, None) => &settings.issuer_kind,
    };
    let mut wrong = Vec::new();
    if name.is_empty() {
        wrong.push("failed to determine issuer name to be used for ingress resource".to_owned());
    }
    for (present, other) in [(own, ISSUER), (group, ISSUER_GROUP), (kind, ISSUER_KIND)] {
        if cluster.is_some() && present.is_some() {
            let (first, second) =
                if other == ISSUER { (ISSUER, CLUSTER_ISSUER) } else { (CLUSTER_ISSUER, other) };
            wrong.push(format!("both \"{first}\" and \"{second}\" may not be set"));
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join(", "));
    }
    let group = group.unwrap_or(&settings.issuer_group);
    Ok(json!({"name": name, "kind": kind.unwrap_or(default), "group": group}))
}

/// Two entries with one Secret.
fn twice(blocks: &[TlsBlock]) -> Option<(&TlsBlock, &TlsBlock)> {
    blocks.iter().enumerate().find_map(|(at, block)| {
        let name = &block.secrets.first()?.name;
        let other =
            blocks[at + 1..].iter().find(|other| other.secrets.first().is_some_and(|o| o.name == *name));
        Some((block, other?))
    })
}

/// The hosts of each Secret, in the order written and each once. What cannot be used is said and skipped.
fn hosts(
    cx: &mut Cx<'_>,
    source: &TlsSource,
    annotations: &Annotations,
    settings: &ShimSettings,
) -> BTreeMap<Name, Vec<Name>> {
    let ignored = annotations.get(IGNORED_LISTENERS).map(String::as_str).unwrap_or_default();
    let mut all: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
    for block in &source.blocks {
        if !is_ingress(source) {
            let tls = ["HTTPS", "TLS"].contains(&&*block.protocol)
                || settings.extra_protocols.contains(&block.protocol);
            let left_out = ignored.split(',').any(|name| name.trim() == &*block.listener);
            if !tls || block.mode == "Passthrough" || left_out {
                continue;
            }
        }
        let wrong =
            if is_ingress(source) { entry(block) } else { listener(block, &source.key.name.namespace) };
        if let Some((field, _)) = wrong.first() {
            let what = if is_ingress(source) { "TLS block" } else { "listener block" };
            let words: Vec<&str> = wrong.iter().map(|(_, words)| words.as_str()).collect();
            let message = format!("Skipped a {what}: {}: no Certificate is made for it", words.join(", "));
            let hint = if is_ingress(source) {
                "give it hosts and a secretName"
            } else {
                "give the listener a hostname and a Secret of its own namespace, or name it in cert-manager.io/ignore-tls-listeners"
            };
            say(cx, source, (362, Severity::Warning), field, message, hint);
            continue;
        }
        for secret in &block.secrets {
            let hosts = all.entry(secret.name.clone()).or_default();
            for host in &block.hosts {
                if !hosts.contains(host) {
                    hosts.push(host.clone());
                }
            }
        }
    }
    all
}

/// Field, and what is wrong with it.
type Wrong = Vec<(String, String)>;

/// `validateIngressTLSBlock`.
fn entry(block: &TlsBlock) -> Wrong {
    let path = &block.path;
    let missing = |field: &str| (format!("{path}.{field}"), format!("{path}.{field}: Required value"));
    let fields = [("hosts", block.hosts.is_empty()), ("secretName", block.secrets.is_empty())];
    fields.into_iter().filter(|(_, missing)| *missing).map(|(field, _)| missing(field)).collect()
}

/// `validateGatewayListenerBlock`.
fn listener(block: &TlsBlock, namespace: &Name) -> Wrong {
    let path = &block.path;
    let mut wrong = Wrong::new();
    let mut say =
        |field: &str, words: String| wrong.push((format!("{path}.{field}"), format!("{path}.{words}")));
    if block.hosts.is_empty() {
        say("hostname", "hostname: Required value: the hostname cannot be empty".into());
    }
    if block.mode.is_empty() {
        say("tls", "tls: Required value: the TLS block cannot be empty".into());
        return wrong;
    }
    if block.secrets.is_empty() {
        say(
            "tls.certificateRefs",
            "tls.certificateRef: Required value: listener has no certificateRefs".into(),
        );
    }
    for (at, secret) in block.secrets.iter().enumerate() {
        let place = format!("tls.certificateRefs[{at}]");
        let upstream = format!("tls.certificateRef[{at}]");
        if !["", "core"].contains(&&*secret.group) {
            let words = format!(
                "{upstream}.group: Unsupported value: \"{}\": supported values: \"core\", \"\"",
                secret.group
            );
            say(&format!("{place}.group"), words);
        }
        if secret.kind != "Secret" {
            let words = format!(
                "{upstream}.kind: Unsupported value: \"{}\": supported values: \"Secret\", \"\"",
                secret.kind
            );
            say(&format!("{place}.kind"), words);
        }
        if let Some(other) = secret.namespace.as_ref().filter(|other| *other != namespace) {
            let words = format!(
                "{upstream}.namespace: Invalid value: \"{other}\": cross-namespace secret references are not allowed in listeners"
            );
            say(&format!("{place}.namespace"), words);
        }
    }
    if block.mode != "Terminate" {
        let words =
            format!("tls.mode: Unsupported value: \"{}\": supported values: \"Terminate\"", block.mode);
        say("tls.mode", words);
    }
    wrong
}

/// The Certificate before annotations change it.
fn body(
    source: &TlsSource,
    annotations: &Annotations,
    settings: &ShimSettings,
    name: &Name,
    hosts: &[Name],
    issuer: &Value,
) -> Value {
    let (addresses, names): (Vec<&Name>, Vec<&Name>) =
        hosts.iter().partition(|host| host.parse::<std::net::IpAddr>().is_ok());
    let mut labels = source.labels.clone();
    // cert-manager#7306: the Certificate would be pruned with the set.
    labels.remove("applyset.kubernetes.io/part-of");
    let mut marks: BTreeMap<&str, &str> = BTreeMap::new();
    for extra in &settings.extra_annotations {
        if let Some(value) = annotations.get(extra) {
            marks.insert(extra, value);
        }
    }
    // `acme.cert-manager.io/http01-*` have no effect here, where no challenge is answered over HTTP.
    if annotations.get("acme.cert-manager.io/http01-edit-in-place").is_some_and(|value| value == "true") {
        marks.insert("cert-manager.io/issue-temporary-certificate", "true");
    }
    let group = &source.key.kind.group;
    let mut spec = json!({
        "secretName": name,
        "issuerRef": issuer,
        "usages": ["digital signature", "key encipherment"],
    });
    for (field, hosts) in [("dnsNames", names), ("ipAddresses", addresses)] {
        if !hosts.is_empty() {
            spec[field] = json!(hosts);
        }
    }
    json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {
            "name": name,
            "namespace": source.key.name.namespace,
            "labels": labels,
            "annotations": marks,
            "ownerReferences": [{
                "apiVersion": format!("{group}/v1"),
                "kind": source.key.kind.kind,
                "name": source.key.name.name,
                // Whoever writes it knows the uid.
                "uid": "",
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    })
}

/// The Certificate with defaults; `None` if cert-manager's webhook refuses it.
fn checked(cx: &mut Cx<'_>, source: &TlsSource, name: &Name, mut body: Value) -> Option<Value> {
    let owners = body["metadata"]["ownerReferences"].take();
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.remove("ownerReferences");
    }
    let why = match enter(&Definitions::builtin(), body, Origin::default()) {
        Ok(Door::Taken(object)) => {
            let mut json = object.json.into_value();
            json["metadata"]["ownerReferences"] = owners;
            return Some(json);
        }
        Ok(Door::Refused(_, problem) | Door::Restricts(_, problem)) => problem.message,
        Err(why) => why,
    };
    let why = why.split_once(": ").map_or(why.as_str(), |(_, why)| why);
    let message = format!(
        "Certificate {}/{name}, which the object asks for, is not made or changed: {why}",
        source.key.name.namespace
    );
    let hint = "correct the annotation or hostname that the field comes from";
    say(cx, source, (361, Severity::Error), "metadata.annotations", message, hint);
    None
}

/// One name, one Certificate: who wrote it keeps it, then the object that it was made for, then the oldest, of one age the first by
/// name (upstream: whichever its queue brings first).
pub(super) fn certificates(cx: &mut Cx<'_>, key: &NamespacedName, claims: &[Arc<ShimClaim>]) {
    let present = cx.get::<SubmittedCertificate>(key).map(|row| row.0.made_for.clone());
    let owner = present.as_ref().and_then(Option::as_ref);
    let owner = owner.and_then(|owner| claims.iter().find(|claim| claim.key.1 == *owner));
    let written = matches!(present, Some(None));
    let oldest = claims.iter().filter(|claim| claim.body.is_some()).min_by_key(|claim| claim.created);
    let chosen = if written { None } else { owner.or(oldest) };
    for loser in claims.iter().filter(|claim| claim.body.is_some()) {
        let who = match chosen {
            Some(chosen) if chosen.key.1 == loser.key.1 => continue,
            Some(chosen) => format!("was made for {}", chosen.key.1),
            None => "was written by somebody".to_owned(),
        };
        let message = format!(
            "Certificate {key} {who} and is not changed: it need not be for the hosts that this object names"
        );
        let hint = "name a Secret of its own, or let one Certificate name all hosts";
        problem(cx, loser.key.1.clone(), 363, Severity::Warning, "metadata.annotations", message, hint);
    }
    if let Some(chosen) = chosen {
        cx.emit(ShimCertificate {
            key: key.clone(),
            source: chosen.key.1.clone(),
            body: chosen.body.clone(),
        });
    }
}
