//! The TLS of Ingresses, Gateways and ListenerSets, as far as cert-manager's shims look at it.

use super::super::node::{Node, Root};
use crate::{
    NamespacedName,
    input::{TlsBlock, TlsReference, TlsSource},
};

const GATEWAY: &str = "gateway.networking.k8s.io";

/// `None` for other kinds, and where no annotation could ask for anything. A ListenerSet inherits from its Gateway.
pub(in crate::intake) fn tls_source(root: &mut Root<'_>) -> Option<TlsSource> {
    let kind = &root.object.key.kind;
    let spec = root.spec();
    let inherits = kind.is(GATEWAY, "ListenerSet");
    let blocks: fn(&Node<'_>) -> Vec<TlsBlock> = if kind.is("networking.k8s.io", "Ingress") {
        entries
    } else if inherits || kind.is(GATEWAY, "Gateway") {
        listeners
    } else {
        return None;
    };
    let annotations = root.annotations();
    // Which annotations of an Ingress ask is a setting.
    let may_ask =
        |name: &crate::Name| kind.is("networking.k8s.io", "Ingress") || name.contains("cert-manager.io/");
    if !inherits && !annotations.keys().any(may_ask) {
        return None;
    }
    let parent = inherits.then(|| {
        let parent = spec.get("parentRef");
        let own = root.object.key.name.namespace.clone();
        NamespacedName::new(parent.get("namespace").opt().unwrap_or(own), parent.get("name").name())
    });
    let blocks = blocks(&spec);
    Some(TlsSource {
        key: root.object.key.clone(),
        annotations,
        labels: root.labels(),
        parent,
        created: root.object.created(),
        blocks,
    })
}

fn listeners(spec: &Node<'_>) -> Vec<TlsBlock> {
    let listener = |node: &Node<'_>| {
        let tls = node.get("tls");
        let reference = |one: &Node<'_>| TlsReference {
            group: one.get("group").name(),
            kind: one.get("kind").name_or("Secret"),
            namespace: one.get("namespace").opt(),
            name: one.get("name").name(),
        };
        let mode = tls.get("mode");
        TlsBlock {
            path: node.path.as_str().into(),
            listener: node.get("name").name(),
            protocol: node.get("protocol").name(),
            mode: if tls.present() { mode.name_or("Terminate") } else { mode.name() },
            hosts: node.get("hostname").opt().into_iter().collect(),
            secrets: tls.get("certificateRefs").items().iter().map(reference).collect(),
        }
    };
    spec.get("listeners").items().iter().map(listener).collect()
}

fn entries(spec: &Node<'_>) -> Vec<TlsBlock> {
    let entry = |node: &Node<'_>| {
        let secret = node.get("secretName").opt();
        let reference =
            |name| TlsReference { group: "".into(), kind: "Secret".into(), namespace: None, name };
        TlsBlock {
            path: node.path.as_str().into(),
            listener: "".into(),
            protocol: "".into(),
            mode: "".into(),
            hosts: node.get("hosts").names(),
            secrets: secret.map(reference).into_iter().collect(),
        }
    };
    spec.get("tls").items().iter().map(entry).collect()
}
