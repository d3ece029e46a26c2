//! TLS to backends, and certificates of authorities.

use super::{
    super::node::{Node, Root},
    hostname, reference,
};
use crate::{
    Kind, Name, NamespacedName,
    input::{BackendTlsPolicy, CaReference, ClientValidation, Frontend, SubjectName},
};

/// References to certificates of authorities.
pub(super) fn authorities(node: &Node<'_>, own: &Name) -> Vec<CaReference> {
    let one = |node: &Node<'_>| CaReference {
        kind: Kind::new(node.get("group").name(), node.get("kind").name()),
        name: NamespacedName::new(
            node.get("namespace").opt().unwrap_or_else(|| own.clone()),
            node.get("name").name(),
        ),
    };
    node.items().iter().map(one).collect()
}

/// `spec.tls.frontend`.
pub(super) fn frontend(node: &Node<'_>, own: &Name) -> Frontend {
    let validation = |node: &Node<'_>| {
        node.present().then(|| ClientValidation {
            authorities: authorities(&node.get("caCertificateRefs"), own),
            optional: node.get("mode").text() == Some("AllowInsecureFallback"),
        })
    };
    let ports = node.get("perPort").items();
    Frontend {
        default: validation(&node.get("default").get("validation")),
        ports: ports
            .iter()
            .map(|entry| (entry.get("port").required_port(), validation(&entry.get("tls").get("validation"))))
            .collect(),
    }
}

pub(crate) fn backend_tls(root: &mut Root<'_>) -> BackendTlsPolicy {
    let spec = root.spec();
    let key = root.object.key.name.clone();
    let validation = spec.get("validation");
    let names = validation.get("subjectAltNames").items().into_iter().map(|node| {
        match node.get("type").text() {
            Some("URI") => SubjectName::Uri(node.get("uri").name()),
            // One that cannot be read is no name of a certificate.
            _ => SubjectName::Dns(node.get("hostname").text().and_then(hostname).unwrap_or_default()),
        }
    });
    BackendTlsPolicy {
        generation: root.object.generation(),
        created: root.object.created(),
        targets: spec.get("targetRefs").items().iter().map(|node| reference(node, &key.namespace)).collect(),
        authorities: authorities(&validation.get("caCertificateRefs"), &key.namespace),
        well_known: validation.get("wellKnownCACertificates").opt(),
        hostname: validation.get("hostname").text().and_then(hostname).unwrap_or_default(),
        names: names.collect(),
        options: spec.get("options").keys().into_iter().map(Name::new).collect(),
        key,
    }
}
