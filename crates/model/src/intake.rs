//! The door: an object becomes input rows and problems. Nothing else in Portolan reads raw objects of our kinds.

mod argo_cd;
mod certificates;
mod endpoints;
pub mod families;
pub mod fates;
mod fields;
mod foreign;
mod gateway;
mod node;
mod options;
mod policy;
mod restrictions;
mod secrets;
#[cfg(test)]
mod tests;
pub mod tls;

pub use certificates::{Refusal, webhook};
pub use foreign::Standing;
pub use gateway::hostname;
pub use node::{duration, wrong_duration};
pub use restrictions::POLICIES;
pub use secrets::MANAGED_BY;

use crate::{Object, ObjectKey, Problem, input};

/// What an object means to us.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    Namespace(input::Namespace),
    GatewayClass(input::GatewayClass),
    Gateway(input::Gateway),
    Route(input::Route),
    ReferenceGrant(input::ReferenceGrant),
    Service(input::Service),
    EndpointSlice(input::EndpointSlice),
    Endpoints(input::EndpointsObject),
    Secret(input::Secret),
    ConfigMap(input::ConfigMap),
    SealedSecret(input::SealedSecret),
    Issuer(input::Issuer),
    Certificate(Box<input::Certificate>),
    AdmissionPolicy(input::AdmissionPolicy),
    AdmissionBinding(input::AdmissionBinding),
    BackendTls(Box<input::BackendTlsPolicy>),
    ListenerSet(input::ListenerSet),
}

/// Result of reading one object: a row if it could be made, and all problems. Never an error: broken input is data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// The row.
    pub fact: Option<Fact>,
    /// The whole object, for admission policies: as what they judge, or as a parameter of one.
    pub judged: Option<input::Judged>,
    /// What the object asks to restrict and is not enforced.
    pub restriction: Option<input::Restriction>,
    /// What may ask for Certificates by annotations.
    pub tls: Option<input::TlsSource>,
    /// Problems.
    pub problems: Vec<Problem>,
    /// Whether Portolan decides on this kind at all.
    pub ours: bool,
}

impl Intake {
    /// The same of an object that the store has from `manager`: marks can be copied.
    #[must_use]
    pub fn written_by(mut self, manager: &str) -> Self {
        match &mut self.fact {
            Some(Fact::Secret(secret)) => secret.maker = secret.maker.by(manager),
            Some(Fact::ConfigMap(map)) => map.maker = map.maker.by(manager),
            Some(Fact::Certificate(certificate)) if manager != input::Maker::Shim.manager() => {
                certificate.made_for = None;
            }
            _ => {}
        }
        self
    }
}

/// What objects of a kind are to the edge.
pub fn standing(kind: &crate::Kind) -> Standing {
    foreign::standing(kind)
}

/// Reads an object.
pub fn intake(object: &Object) -> Intake {
    read(object, &node::Reads::default())
}

fn read(object: &Object, reads: &node::Reads) -> Intake {
    let mut root = node::Root::new(object, reads);
    families::tell(&mut root);
    options::tell(&mut root);
    fates::tell(&mut root);
    let judged = policy::judged(&root);
    let ObjectKey { kind, .. } = &object.key;
    let fact = match (&*kind.group, &*kind.kind) {
        ("", "Namespace") => Some(Fact::Namespace(gateway::namespace(&mut root))),
        ("gateway.networking.k8s.io", "GatewayClass") => Some(Fact::GatewayClass(gateway::class(&mut root))),
        ("gateway.networking.k8s.io", "Gateway") => Some(Fact::Gateway(gateway::gateway(&mut root))),
        ("gateway.networking.k8s.io", "HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute" | "UDPRoute") => {
            Some(Fact::Route(gateway::route(&mut root)))
        }
        ("gateway.networking.k8s.io", "ReferenceGrant") => {
            Some(Fact::ReferenceGrant(gateway::grant(&mut root)))
        }
        ("", "Service") => Some(Fact::Service(endpoints::service(&mut root))),
        ("", "Endpoints") => {
            argo_cd::endpoints(&mut root);
            endpoints::endpoints(&mut root).map(Fact::Endpoints)
        }
        ("discovery.k8s.io", "EndpointSlice") => {
            argo_cd::endpoints(&mut root);
            endpoints::slice(&mut root).map(Fact::EndpointSlice)
        }
        ("", "Secret") => Some(Fact::Secret(secrets::secret(&mut root))),
        ("", "ConfigMap") => {
            argo_cd::settings(&mut root);
            Some(Fact::ConfigMap(secrets::config_map(&mut root)))
        }
        ("bitnami.com", "SealedSecret") => Some(Fact::SealedSecret(secrets::sealed_secret(&mut root))),
        ("cert-manager.io", "Issuer" | "ClusterIssuer") => {
            Some(Fact::Issuer(certificates::issuer(&mut root)))
        }
        ("cert-manager.io", "Certificate") => {
            Some(Fact::Certificate(Box::new(certificates::certificate(&mut root))))
        }
        ("cert-manager.io", "CertificateRequest") | ("acme.cert-manager.io", "Order" | "Challenge") => {
            certificates::record(&mut root);
            return Intake { problems: root.problems, ours: true, ..Intake::default() };
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            Some(Fact::AdmissionPolicy(policy::policy(&mut root)))
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => {
            Some(Fact::AdmissionBinding(policy::binding(&mut root)))
        }
        // All that is decided about these is that they are not enforced.
        ("gateway.envoyproxy.io", name) if restrictions::POLICIES.contains(&name) => None,
        ("gateway.networking.k8s.io", "ListenerSet") => {
            Some(Fact::ListenerSet(gateway::listener_set(&mut root)))
        }
        ("gateway.networking.k8s.io", "BackendTLSPolicy") => {
            Some(Fact::BackendTls(Box::new(gateway::backend_tls(&mut root))))
        }
        _ => {
            foreign::foreign(&mut root);
            // Its hosts are not served; its certificates are made.
            let tls = certificates::tls_source(&mut root).filter(|_| reads.take_misfits().is_empty());
            return Intake { judged, tls, problems: root.problems, ..Intake::default() };
        }
    };
    let tls = certificates::tls_source(&mut root);
    let misfits = reads.take_misfits();
    for misfit in &misfits {
        let node::Misfit { path, is, wanted } = misfit;
        let message = format!("{path} is {is}, not {wanted}: nothing is made of the object");
        let hint = "write it as its kind has it";
        root.problem(1, crate::Severity::Error, path, message, hint);
    }
    // Of one that targets nothing that can be read, all Services are: it is not enforced, and closes.
    let aimless = matches!(fact, Some(Fact::BackendTls(_))) && restrictions::unreadable(&root);
    let fact = fact.filter(|_| misfits.is_empty() && !aimless);
    let tls = tls.filter(|_| misfits.is_empty());
    // One that is read is enforced.
    let enforced = matches!(fact, Some(Fact::BackendTls(_)));
    let restriction = if enforced { None } else { restrictions::restriction(&mut root) };
    Intake { fact, judged, restriction, tls, problems: root.problems, ours: true }
}
