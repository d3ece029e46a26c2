//! Keys of objects: what identifies a thing, valid by construction once parsed.

use std::fmt;

use crate::Name;

/// Namespace and name. Cluster-scoped things have an empty namespace.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct NamespacedName {
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: Name,
    /// Name.
    pub name: Name,
}

impl NamespacedName {
    /// A key from its two parts.
    pub fn new(namespace: impl Into<Name>, name: impl Into<Name>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}", self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// Key of a Gateway.
pub type GatewayKey = NamespacedName;

/// Kinds by group and kind. Text, because kinds that are not ours are stored too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: Name,
    /// Kind, such as `HTTPRoute`.
    pub kind: Name,
}

impl Kind {
    /// A kind from group and kind.
    pub fn new(group: impl Into<Name>, kind: impl Into<Name>) -> Self {
        Self { group: group.into(), kind: kind.into() }
    }

    /// Whether it is this kind of this group.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        *self.group == *group && *self.kind == *kind
    }

    /// Whether its name means another kind to those who read it: a Service that is not the core one.
    pub fn is_namesake(&self) -> bool {
        let mut of_name = KNOWN.iter().filter(|(_, kind)| *self.kind == **kind).peekable();
        of_name.peek().is_some() && of_name.all(|(group, _)| *self.group != **group)
    }
}

/// Kinds that are known by their name alone, and those of Portolan's own findings.
const KNOWN: [(&str, &str); 33] = [
    ("", "ConfigMap"),
    ("", "Endpoints"),
    ("", "File"),
    ("", "Folder"),
    ("", "Namespace"),
    ("", "Rule"),
    ("", "Secret"),
    ("", "Service"),
    ("acme.cert-manager.io", "Challenge"),
    ("acme.cert-manager.io", "Order"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("argoproj.io", "Application"),
    ("bitnami.com", "SealedSecret"),
    ("cert-manager.io", "Certificate"),
    ("cert-manager.io", "CertificateRequest"),
    ("cert-manager.io", "ClusterIssuer"),
    ("cert-manager.io", "Issuer"),
    ("discovery.k8s.io", "EndpointSlice"),
    ("gateway.envoyproxy.io", "BackendTrafficPolicy"),
    ("gateway.envoyproxy.io", "ClientTrafficPolicy"),
    ("gateway.envoyproxy.io", "SecurityPolicy"),
    ("gateway.networking.k8s.io", "BackendTLSPolicy"),
    ("gateway.networking.k8s.io", "GRPCRoute"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("gateway.networking.k8s.io", "ReferenceGrant"),
    ("gateway.networking.k8s.io", "TCPRoute"),
    ("gateway.networking.k8s.io", "TLSRoute"),
    ("gateway.networking.k8s.io", "UDPRoute"),
    ("extensions", "Ingress"),
    ("networking.k8s.io", "Ingress"),
];

/// The kind, with its group where the kind alone would be taken for another: `Service`, `Service.serving.knative.dev`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        match (self.is_namesake(), &*self.group) {
            (false, _) => Ok(()),
            (true, "") => f.write_str(".core"),
            (true, group) => write!(f, ".{group}"),
        }
    }
}

/// Identifies one object in the store whatever its version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct ObjectKey {
    /// Group and kind.
    pub kind: Kind,
    /// Namespace and name.
    pub name: NamespacedName,
}

impl ObjectKey {
    /// A key from group, kind, namespace and name.
    pub fn new(
        group: impl Into<Name>,
        kind: impl Into<Name>,
        namespace: impl Into<Name>,
        name: impl Into<Name>,
    ) -> Self {
        Self { kind: Kind::new(group, kind), name: NamespacedName::new(namespace, name) }
    }
}

/// `Kind/namespace/name`, or `Kind/name` when cluster-scoped: the form that findings use.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// The route kinds that are decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum RouteKind {
    /// `gateway.networking.k8s.io` HTTPRoute.
    #[serde(rename = "HTTPRoute")]
    Http,
    /// `gateway.networking.k8s.io` GRPCRoute.
    #[serde(rename = "GRPCRoute")]
    Grpc,
    /// `gateway.networking.k8s.io` TLSRoute.
    #[serde(rename = "TLSRoute")]
    Tls,
    /// `gateway.networking.k8s.io` TCPRoute.
    #[serde(rename = "TCPRoute")]
    Tcp,
    /// `gateway.networking.k8s.io` UDPRoute.
    #[serde(rename = "UDPRoute")]
    Udp,
}

impl RouteKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Http, Self::Grpc, Self::Tls, Self::Tcp, Self::Udp];

    /// Kind as written in YAML.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Http => "HTTPRoute",
            Self::Grpc => "GRPCRoute",
            Self::Tls => "TLSRoute",
            Self::Tcp => "TCPRoute",
            Self::Udp => "UDPRoute",
        }
    }

    /// The kind that is written so in YAML.
    pub fn of(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.kind() == kind)
    }

    /// Whether it routes requests, which are looked into; others route connections or datagrams as they come.
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Grpc)
    }
}

/// Key of a route of any kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    /// Which kind.
    pub kind: RouteKind,
    /// Namespace and name.
    pub name: NamespacedName,
}

impl RouteKey {
    /// The same as an object key.
    pub fn object(&self) -> ObjectKey {
        ObjectKey { kind: Kind::new("gateway.networking.k8s.io", self.kind.kind()), name: self.name.clone() }
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.kind(), self.name)
    }
}

/// Key of an Issuer (with namespace) or ClusterIssuer (namespace empty).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerKey(pub NamespacedName);

impl IssuerKey {
    /// `Issuer` or `ClusterIssuer`.
    pub fn kind(&self) -> &'static str {
        if self.0.namespace.is_empty() { "ClusterIssuer" } else { "Issuer" }
    }

    /// The same as an object key.
    pub fn object(&self) -> ObjectKey {
        ObjectKey { kind: Kind::new("cert-manager.io", self.kind()), name: self.0.clone() }
    }
}

impl fmt::Display for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namesake_is_shown_with_its_group() {
        let text = |group, kind| ObjectKey::new(group, kind, "n", "x").to_string();
        assert_eq!(text("", "Service"), "Service/n/x");
        assert_eq!(text("serving.knative.dev", "Service"), "Service.serving.knative.dev/n/x");
        assert_eq!(text("networking.istio.io", "Gateway"), "Gateway.networking.istio.io/n/x");
        assert_eq!(text("extensions", "Ingress"), "Ingress/n/x");
        assert_eq!(text("", "HTTPRoute"), "HTTPRoute.core/n/x");
        assert_eq!(text("apps", "Deployment"), "Deployment/n/x", "nobody takes it for another");
    }
}
