//! Gateway API, core kinds it refers to, and kinds that restrict traffic.

mod filters;
mod listeners;
mod matches;
mod tls;
mod traffic;

use filters::filters;
use listeners::{listener, namespaces};
use matches::{grpc_match, http_match};
pub(super) use tls::backend_tls;

use super::node::{Node, Root};
use crate::{
    Kind, LabelSelector, Name, NamespacedName, RouteKey, RouteKind, Severity,
    input::{
        BackendRef, BackendTarget, Gateway, GatewayClass, Infrastructure, LabelExpression, LabelOperator,
        LeftOut, ListenerSet, Namespace, Parameters, ParentRef, PathMatch, ReferenceGrant, Route, RouteMatch,
        RouteRule, SecretReference, SpecAddress,
    },
};

const GATEWAY: &str = "gateway.networking.k8s.io";

pub(super) fn namespace(root: &mut Root<'_>) -> Namespace {
    let name = root.object.key.name.name.clone();
    let mut labels = root.labels();
    labels.insert("kubernetes.io/metadata.name".into(), name.clone());
    Namespace { name, labels }
}

pub(super) fn class(root: &mut Root<'_>) -> GatewayClass {
    let spec = root.spec();
    GatewayClass {
        name: root.object.key.name.name.clone(),
        controller: spec.get("controllerName").name(),
        generation: root.object.generation(),
        annotations: root.edge_annotations(),
    }
}

pub(super) fn gateway(root: &mut Root<'_>) -> Gateway {
    let spec = root.spec();
    defaults(root, &spec.get("defaultScope"));
    let listeners = spec.get("listeners").items().iter().filter_map(|node| listener(root, node)).collect();
    Gateway {
        key: root.object.key.name.clone(),
        generation: root.object.generation(),
        class: spec.get("gatewayClassName").name(),
        listeners,
        addresses: spec
            .get("addresses")
            .items()
            .iter()
            .map(|node| SpecAddress {
                kind: node.get("type").name_or("IPAddress"),
                value: node.get("value").name(),
                routability: node.get("routability").name(),
            })
            .collect(),
        infrastructure: infrastructure(&spec.get("infrastructure")),
        sets: namespaces(root, &spec.get("allowedListeners").get("namespaces"), "None"),
        frontend: tls::frontend(&spec.get("tls").get("frontend"), &root.object.key.name.namespace),
        client_certificate: client_certificate(
            &spec.get("tls").get("backend"),
            &root.object.key.name.namespace,
        ),
        labels: root.labels(),
        annotations: root.annotations(),
    }
}

pub(super) fn listener_set(root: &mut Root<'_>) -> ListenerSet {
    let spec = root.spec();
    let key = root.object.key.name.clone();
    ListenerSet {
        generation: root.object.generation(),
        created: root.object.created(),
        parent: reference(&spec.get("parentRef"), &key.namespace),
        annotations: root.annotations(),
        listeners: spec.get("listeners").items().iter().filter_map(|node| listener(root, node)).collect(),
        key,
    }
}

/// Says that no Gateway is a default one: routes are attached to those that they name.
fn defaults(root: &mut Root<'_>, node: &Node<'_>) {
    if node.text().is_some_and(|scope| scope != "None") {
        let hint = "name the Gateways in parentRefs of the routes";
        let message = "no Gateway is a default one here: the field has no effect".to_owned();
        root.problem(205, Severity::Warning, &node.path, message, hint);
    }
}

fn infrastructure(node: &Node<'_>) -> Infrastructure {
    let named = node.get("parametersRef");
    let parameters = named.present().then(|| Parameters {
        kind: Kind::new(named.get("group").name(), named.get("kind").name()),
        name: named.get("name").name(),
    });
    Infrastructure {
        labels: node.get("labels").map(),
        annotations: node.get("annotations").map(),
        parameters,
    }
}

/// `tls.backend.clientCertificateRef`.
fn client_certificate(backend: &Node<'_>, own: &Name) -> Option<SecretReference> {
    let node = backend.get("clientCertificateRef");
    node.present().then(|| secret_reference(&node, own))
}

/// A reference to a Secret, or to something else.
fn secret_reference(node: &Node<'_>, own: &Name) -> SecretReference {
    let kind = Kind::new(node.get("group").name(), node.get("kind").name_or("Secret"));
    let namespace = node.get("namespace").opt().unwrap_or_else(|| own.clone());
    SecretReference { kind, name: NamespacedName::new(namespace, node.get("name").name()) }
}

/// A value in a message, cut where it is long.
fn shown(node: &Node<'_>) -> String {
    let text = node.value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A label selector. What cannot be read in it matches nothing: dropping it would widen the selector.
pub(super) fn selector(root: &mut Root<'_>, node: &Node<'_>) -> LabelSelector {
    let labels = node.get("matchLabels");
    let mut expressions = Vec::new();
    for (key, value) in labels.value.as_object().into_iter().flatten().filter(|(_, v)| !v.is_string()) {
        let message = format!("the label's value is {value}, not text; the selector matches nothing");
        root.invalid(&labels.get(key), message, "put it in quotes");
        expressions.push(LabelExpression {
            key: key.as_str().into(),
            operator: LabelOperator::Unknown,
            values: vec![],
        });
    }
    for e in node.get("matchExpressions").items() {
        let operator = match &*e.get("operator").name() {
            "In" => LabelOperator::In,
            "NotIn" => LabelOperator::NotIn,
            "Exists" => LabelOperator::Exists,
            "DoesNotExist" => LabelOperator::DoesNotExist,
            other => {
                let message = format!("operator {other:?} is not known; the selector matches nothing");
                root.invalid(&e.get("operator"), message, "use In, NotIn, Exists or DoesNotExist");
                LabelOperator::Unknown
            }
        };
        expressions.push(LabelExpression {
            key: e.get("key").name(),
            operator,
            values: e.get("values").names(),
        });
    }
    LabelSelector { labels: labels.map().into_iter().map(|(k, v)| (k, v.into())).collect(), expressions }
}

/// A hostname in lower case, if it is one: RFC 1123 labels, optionally with a leading `*.`; no IP address.
pub fn hostname(text: &str) -> Option<Name> {
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("*.").unwrap_or(&lower);
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let ok = !rest.is_empty()
        && lower.len() <= 253
        && rest.split('.').all(label)
        && rest.parse::<std::net::IpAddr>().is_err();
    ok.then(|| Name::from(lower))
}

pub(super) fn route(root: &mut Root<'_>) -> Route {
    let kind = RouteKind::of(&root.object.key.kind.kind).unwrap_or(RouteKind::Http);
    let grpc = kind == RouteKind::Grpc;
    let spec = root.spec();
    defaults(root, &spec.get("useDefaultGateways"));
    let own = root.object.key.name.namespace.clone();
    let mut hostnames = Vec::new();
    for node in spec.get("hostnames").items() {
        match node.text().and_then(hostname) {
            Some(name) => hostnames.push(name),
            None => root.invalid(
                &node,
                format!("{} is not a hostname", node.value),
                "write a DNS name such as app.example.com or *.example.com; this entry is left out",
            ),
        }
    }
    let mut parents: Vec<ParentRef> =
        spec.get("parentRefs").items().iter().map(|node| reference(node, &own)).collect();
    if hostnames.is_empty() && !spec.get("hostnames").items().is_empty() {
        // Without hostnames a route takes every host of its listener: not what was asked for.
        parents.clear();
    }
    let mut rules: Vec<RouteRule> =
        spec.get("rules").items().iter().map(|node| rule(root, node, &own, grpc)).collect();
    if rules.is_empty() {
        rules.push(RouteRule {
            matches: vec![any()],
            left_out: vec![],
            invalid: vec![],
            filters: vec![],
            backends: vec![],
            traffic: None,
        });
    }
    Route {
        key: RouteKey { kind, name: root.object.key.name.clone() },
        generation: root.object.generation(),
        created: root.object.created(),
        hostnames,
        parents,
        rules,
        labels: root.labels(),
        annotations: root.annotations(),
    }
}

/// A parentRef, or the targetRef of a policy.
pub(super) fn reference(node: &Node<'_>, own: &Name) -> ParentRef {
    // Only an absent group stands for ours: the core group is written as the empty text.
    let group = node.get("group").text().map_or_else(|| Name::new(GATEWAY), Name::new);
    ParentRef {
        kind: Kind::new(group, node.get("kind").filled().unwrap_or_else(|| Name::new("Gateway"))),
        name: NamespacedName::new(
            node.get("namespace").filled().unwrap_or_else(|| own.clone()),
            node.get("name").name(),
        ),
        section: node.get("sectionName").filled(),
        port: node.get("port").port(),
    }
}

fn any() -> RouteMatch {
    RouteMatch { path: PathMatch::Prefix("/".into()), method: None, headers: vec![], query: vec![] }
}

fn rule(root: &mut Root<'_>, node: &Node<'_>, own: &Name, grpc: bool) -> RouteRule {
    let before = root.problems.len();
    let (mut matches, mut left_out) = (Vec::new(), Vec::new());
    for (at, m) in node.get("matches").items().into_iter().enumerate() {
        match if grpc { grpc_match(root, &m) } else { http_match(root, &m) } {
            Ok(read) => matches.push(read),
            Err(partly) => {
                let (rest, written) = *partly;
                left_out.push(LeftOut { at, rest, written });
            }
        }
    }
    if matches.is_empty() && node.get("matches").items().is_empty() {
        matches.push(any());
    }
    let invalid = |root: &Root<'_>| {
        root.problems[before..]
            .iter()
            .filter(|p| matches!(p.code.0, 1 | 204))
            .map(|p| p.message.clone())
            .collect()
    };
    let filters = self::filters(root, &node.get("filters"), own);
    let backends = node.get("backendRefs").items().into_iter().map(|b| BackendRef {
        target: target(&b, own),
        weight: b.get("weight").u32().unwrap_or(1),
        filters: self::filters(root, &b.get("filters"), own),
    });
    let backends = backends.collect();
    let invalid = invalid(root);
    RouteRule { matches, left_out, invalid, filters, backends, traffic: traffic::traffic(node) }
}

fn target(node: &Node<'_>, own: &Name) -> BackendTarget {
    BackendTarget {
        kind: Kind::new(node.get("group").name(), node.get("kind").name_or("Service")),
        name: NamespacedName::new(
            node.get("namespace").opt().unwrap_or_else(|| own.clone()),
            node.get("name").name(),
        ),
        port: node.get("port").port(),
    }
}

pub(super) fn grant(root: &mut Root<'_>) -> ReferenceGrant {
    let spec = root.spec();
    let kind = |n: &Node<'_>| Kind::new(n.get("group").name(), n.get("kind").name());
    let (from, to) = (spec.get("from").items(), spec.get("to").items());
    ReferenceGrant {
        key: root.object.key.name.clone(),
        from: from.iter().map(|f| (kind(f), f.get("namespace").name())).collect(),
        to: to.iter().map(|t| (kind(t), t.get("name").filled())).collect(),
    }
}
