//! Listeners of Gateways.

use super::{
    super::node::{Node, Root},
    GATEWAY, hostname, selector, shown,
};
use crate::{
    Kind, NamespacedName,
    input::{AllowedNamespaces, Listener, ListenerTls, Protocol},
};

pub(super) fn listener(root: &mut Root<'_>, node: &Node<'_>) -> Option<Listener> {
    let port = node.get("port").required_port();
    let name = node.get("name");
    if name
        .text()
        .and_then(hostname)
        .is_none_or(|lower| Some(&*lower) != name.text() || lower.starts_with('*'))
    {
        let hint = "write lower-case letters, digits and dashes; the listener is left out";
        root.invalid(&name, format!("{} is no name of a listener", shown(&name)), hint);
        return None;
    }
    let written = node.get("hostname");
    let hostname = written.text().and_then(hostname);
    if written.present() && hostname.is_none() {
        // Without a hostname it would take every host: not what was asked for.
        let hint = "write a DNS name such as app.example.com or *.example.com; the listener is left out";
        root.invalid(&written, format!("{} is not a hostname", shown(&written)), hint);
        return None;
    }
    let own = root.object.key.name.namespace.clone();
    let tls = node.get("tls");
    let tls = tls.present().then(|| {
        let (mut certificates, mut unsupported) = (Vec::new(), Vec::new());
        for reference in tls.get("certificateRefs").items() {
            let kind = reference.get("kind").name_or("Secret");
            if kind == "Secret" && reference.get("group").opt().is_none() {
                certificates.push(NamespacedName::new(
                    reference.get("namespace").opt().unwrap_or_else(|| own.clone()),
                    reference.get("name").name(),
                ));
            } else {
                unsupported.push(kind);
            }
        }
        ListenerTls {
            terminate: tls.get("mode").name_or("Terminate") == "Terminate",
            certificates,
            unsupported,
        }
    });
    let allowed = node.get("allowedRoutes");
    let from = namespaces(root, &allowed.get("namespaces"), "Same");
    Some(Listener {
        name: node.get("name").name(),
        port,
        protocol: match &*node.get("protocol").name() {
            "HTTP" => Protocol::Http,
            "HTTPS" => Protocol::Https,
            "TLS" => Protocol::Tls,
            "TCP" => Protocol::Tcp,
            "UDP" => Protocol::Udp,
            other => Protocol::Other(other.into()),
        },
        hostname,
        tls,
        from,
        kinds: allowed
            .get("kinds")
            .items()
            .iter()
            .map(|kind| Kind::new(kind.get("group").name_or(GATEWAY), kind.get("kind").name()))
            .collect(),
        filters: node
            .get("filters")
            .get("requests")
            .items()
            .iter()
            .map(|filter| filter.get("type").name())
            .collect(),
    })
}

/// Namespaces whose objects may attach.
pub(super) fn namespaces(root: &mut Root<'_>, node: &Node<'_>, default: &str) -> AllowedNamespaces {
    match &*node.get("from").name_or(default) {
        "All" => AllowedNamespaces::All,
        "Same" => AllowedNamespaces::Same,
        "Selector" => {
            let node = node.get("selector");
            if node.present() {
                AllowedNamespaces::Selector(selector(root, &node))
            } else {
                root.invalid(
                    &node,
                    "from Selector needs a selector; no namespace may attach",
                    "add the selector",
                );
                AllowedNamespaces::None
            }
        }
        "None" => AllowedNamespaces::None,
        other => {
            let node = node.get("from");
            let message = format!("from {other} is not known; no namespace may attach");
            root.invalid(&node, message, "use All, Same, Selector or None");
            AllowedNamespaces::None
        }
    }
}
