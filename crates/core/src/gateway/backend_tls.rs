//! TLS to backends: which policy of a Service counts, what it comes to, and what is said of it.
//!
//! A Service that a policy targets is spoken to by TLS or not at all: what is wrong with the policy closes, since a connection
//! in clear is not what its author asked for.

use std::sync::Arc;

use portolan_model::{
    Condition, Kind, Name, NamespacedName, ObjectKey, Severity,
    input::{BackendTlsPolicy, Service, ServicePort, SubjectName},
};

use super::{
    GROUP,
    authorities::{self, Fault},
    rows::{BackendTls, BackendTrust, LookInto, SystemRoots, Trust},
    tls::MADE,
};
use crate::{Cx, problem, world::BackendTlsByService};

/// All policies of a Service; targets are in a policy's own namespace.
pub(super) fn of_service(cx: &mut Cx<'_>, service: &NamespacedName) -> Vec<Arc<BackendTlsPolicy>> {
    cx.find::<BackendTlsByService>(service)
}

/// Whether a policy targets a port: by its name, or as one of its Service. By name comes first.
fn concern(policy: &BackendTlsPolicy, service: &NamespacedName, port: &Name) -> Option<Concern> {
    let here =
        policy.targets.iter().filter(|target| target.kind.is("", "Service") && target.name == *service);
    let one = |section: &Option<Name>| match section {
        Some(section) => (section == port).then_some(Concern::Port),
        None => Some(Concern::Service),
    };
    here.filter_map(|target| one(&target.section)).min()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Concern {
    Port,
    Service,
}

/// The policy that counts at a port: the one that names it, then the older, then by name (Gateway API,
/// `BackendTLSPolicySpec.targetRefs`).
pub(super) fn of_port(
    cx: &mut Cx<'_>,
    service: &NamespacedName,
    port: &ServicePort,
) -> Option<Arc<BackendTlsPolicy>> {
    let all = of_service(cx, service).into_iter();
    let all = all.filter_map(|policy| Some((concern(&policy, service, &port.name)?, policy)));
    all.min_by_key(|(concern, policy)| (*concern, policy.created, policy.key.clone()))
        .map(|(_, policy)| policy)
}

/// The older policy with the same target, which counts in the place of this one.
fn rival(cx: &mut Cx<'_>, policy: &BackendTlsPolicy) -> Option<(NamespacedName, NamespacedName)> {
    for target in policy.targets.iter().filter(|target| target.kind.is("", "Service")) {
        for other in of_service(cx, &target.name) {
            let earlier = (other.created, &other.key) < (policy.created, &policy.key);
            if earlier && other.targets.iter().any(|theirs| theirs == target) {
                return Some((other.key.clone(), target.name.clone()));
            }
        }
    }
    None
}

/// What a policy comes to, and what is said of it.
pub(super) fn backend_trusts(cx: &mut Cx<'_>, policy: &Arc<BackendTlsPolicy>) {
    let trusted = trust(cx, policy);
    let named = names(policy);
    let rival = rival(cx, policy);
    strangers(cx, policy);
    let refused = |reason: &str, message: &str| Condition::new("Accepted", false, reason, message.to_owned());
    let accepted = match (&rival, &trusted.trust, &named) {
        (Some((winner, service)), ..) => {
            let message = format!("{winner} is older and targets the same of Service {service}");
            tell(cx, policy, 247, "spec.targetRefs", &message, "leave one of the two policies out");
            refused("Conflicted", &message)
        }
        (None, Err((reason, message)), _) => refused(reason, message),
        (None, Ok(_), Err((_, message))) => refused("Invalid", message),
        (None, Ok(_), Ok(_)) => Condition::new("Accepted", true, "Accepted", "BackendTLSPolicy is accepted"),
    };
    let resolved = match trusted.wrong {
        None => Condition::new("ResolvedRefs", true, "ResolvedRefs", "All references are resolved"),
        Some((Fault::Kind, message)) => Condition::new("ResolvedRefs", false, "InvalidKind", message),
        Some((Fault::Unread, message)) => Condition::new("ResolvedRefs", false, MADE, message),
        Some((_, message)) => Condition::new("ResolvedRefs", false, "InvalidCACertificateRef", message),
    };
    if let Err((field, message)) = &named {
        let hint = "write a DNS name such as app.example.com, or a URI";
        tell(cx, policy, 246, field, message, hint);
    }
    let tls = match (trusted.trust, named) {
        (Err((_, why)), _) | (Ok(_), Err((_, why))) => Err(why),
        (Ok(trust), Ok(names)) => {
            Ok(Arc::new(BackendTls { sni: policy.hostname.clone(), names, trust, client: None }))
        }
    };
    cx.emit(BackendTrust { key: policy.key.clone(), tls, conditions: vec![accepted, resolved] });
}

/// Whose signature is believed.
struct Trusted {
    /// Or reason and message of `Accepted`.
    trust: Result<Trust, (&'static str, String)>,
    /// The first reference that does not resolve.
    wrong: Option<(Fault, String)>,
}

fn trust(cx: &mut Cx<'_>, policy: &BackendTlsPolicy) -> Trusted {
    let field = "spec.validation.caCertificateRefs";
    if let Some(known) = policy.well_known.as_ref().filter(|_| policy.authorities.is_empty()) {
        let field = "spec.validation.wellKnownCACertificates";
        let roots = (&**known == "System").then(|| cx.get::<SystemRoots>(&Name::default())).flatten();
        let trust = roots.map(|roots| Trust::File(roots.path.clone())).ok_or_else(|| {
            let message = match &**known {
                "System" => "the machine has no file with authorities that it believes".to_owned(),
                other => format!("{other} is no set of authorities that is known here"),
            };
            tell(cx, policy, 246, field, &message, "use System, or caCertificateRefs");
            ("Invalid", message)
        });
        return Trusted { trust, wrong: None };
    }
    let (from, own) = ("BackendTLSPolicy", &policy.key.namespace);
    for read in authorities::needed(cx, from, own, &policy.authorities) {
        cx.emit(LookInto { key: (read, object(policy)) });
    }
    let found = authorities::read(cx, from, own, &policy.authorities);
    for (_, message) in found.wrong.iter().filter(|(fault, _)| *fault != Fault::Unread) {
        let hint = "refer to a ConfigMap with a bundle of certificates in ca.crt";
        if found.pem.is_empty() {
            tell(cx, policy, 246, field, message, hint);
        } else {
            let message = format!("{message}; the other authorities are believed");
            problem(cx, object(policy), 246, Severity::Error, field, message, hint);
        }
    }
    let none = || match found.wrong.first() {
        Some((Fault::Unread, message)) => (MADE, message.clone()),
        Some((_, message)) => ("NoValidCACertificate", message.clone()),
        None => ("NoValidCACertificate", "no authority is named".to_owned()),
    };
    let trust = if found.pem.is_empty() { Err(none()) } else { Ok(Trust::Pem(Name::from(found.pem))) };
    Trusted { trust, wrong: found.wrong.into_iter().next() }
}

/// The names of which a backend's certificate has one; field and message of what is none.
fn names(policy: &BackendTlsPolicy) -> Result<Vec<SubjectName>, (String, String)> {
    // "Hostname MUST be used as the SNI", and without subjectAltNames for authentication.
    if policy.hostname.is_empty() || policy.hostname.starts_with('*') {
        return Err(("spec.validation.hostname".into(), "the hostname is none that can be asked for".into()));
    }
    for (at, name) in policy.names.iter().enumerate() {
        let good = match name {
            SubjectName::Dns(name) => !name.is_empty(),
            SubjectName::Uri(uri) => uri.contains(':') && !uri.chars().any(char::is_control),
        };
        if !good {
            let field = format!("spec.validation.subjectAltNames[{at}]");
            return Err((field, "this is no name of a certificate".into()));
        }
    }
    Ok(if policy.names.is_empty() {
        vec![SubjectName::Dns(policy.hostname.clone())]
    } else {
        policy.names.clone()
    })
}

/// Says what a policy targets and has no effect on, and which options have none.
fn strangers(cx: &mut Cx<'_>, policy: &BackendTlsPolicy) {
    for (at, target) in policy.targets.iter().enumerate() {
        let field = format!("spec.targetRefs[{at}]");
        if !target.kind.is("", "Service") {
            let message = format!("{} is no Service: the policy has no effect on it", target.kind);
            warn(cx, policy, &field, message, "refer to a Service");
            continue;
        }
        let Some(section) = &target.section else { continue };
        let service = cx.get::<Service>(&target.name);
        if service.is_some_and(|service| service.ports.iter().all(|port| port.name != *section)) {
            let message = format!("Service {} has no port named {section}", target.name);
            warn(cx, policy, &format!("{field}.sectionName"), message, "name a port of the Service");
        }
    }
    if let Some(first) = policy.options.first() {
        let message = format!("option {first} is not known here and has no effect");
        warn(cx, policy, "spec.options", message, "remove it, or see that nothing relies on it");
    }
}

fn object(policy: &BackendTlsPolicy) -> ObjectKey {
    ObjectKey { kind: Kind::new(GROUP, "BackendTLSPolicy"), name: policy.key.clone() }
}

fn tell(cx: &mut Cx<'_>, policy: &BackendTlsPolicy, code: u16, field: &str, message: &str, hint: &str) {
    let effect = "requests to its backends get an error";
    let message = if code == 247 { message.to_owned() } else { format!("{message}; {effect}") };
    problem(cx, object(policy), code, Severity::Error, field, message, hint);
}

fn warn(cx: &mut Cx<'_>, policy: &BackendTlsPolicy, field: &str, message: String, hint: &str) {
    problem(cx, object(policy), 248, Severity::Warning, field, message, hint);
}
