//! cert-manager and Envoy Gateway.

use portolan_model::Name;

use super::{Reader, arguments};

/// What cert-manager is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertManager {
    /// Application that brings it.
    pub application: Name,
    /// Namespace of the component.
    pub namespace: Name,
    /// Where Secrets of ClusterIssuers stand: `clusterResourceNamespace`, else the component's namespace.
    pub cluster_resource_namespace: Name,
}

pub(super) fn cert_manager(reader: &mut Reader<'_>, namespace: Name) -> CertManager {
    let mut cluster: Name =
        reader.text("clusterResourceNamespace").map_or_else(|| namespace.clone(), Name::from);
    // Both mean what is so here anyway.
    reader.take("crds.enabled");
    reader.take("installCRDs");
    if let Some(value) = reader.take("extraArgs") {
        let (flags, rest) = arguments::flags(value);
        reader.ignored.extend(rest.into_iter().map(|text| format!("extraArgs {text}")));
        for (name, value) in flags {
            match (name.as_str(), value) {
                ("cluster-resource-namespace", Some(value)) => {
                    // The chart's own default for it.
                    cluster = if value == "$(POD_NAMESPACE)" { namespace.clone() } else { value.into() };
                }
                _ => reader.ignored.push(format!("extraArgs --{name}")),
            }
        }
    }
    CertManager {
        application: reader.values.application.clone(),
        namespace,
        cluster_resource_namespace: cluster,
    }
}

/// What Envoy Gateway is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayProvider {
    /// Application that brings it.
    pub application: Name,
    /// Namespace of the component.
    pub namespace: Name,
    /// `config.envoyGateway.gateway.controllerName`.
    pub controller_name: Name,
}

pub(super) fn gateway_provider(reader: &mut Reader<'_>, namespace: Name) -> GatewayProvider {
    let field = "config.envoyGateway.gateway.controllerName";
    let usual = "gateway.envoyproxy.io/gatewayclass-controller";
    let controller = reader.text(field).unwrap_or_else(|| usual.to_owned());
    if !crate::gateway::CONTROLLERS.contains(&controller.as_str()) {
        let message =
            format!("{field} is {controller:?}, which is not acted on; GatewayClasses need {usual}");
        reader.unusable(field, &message);
    }
    GatewayProvider {
        application: reader.values.application.clone(),
        namespace,
        controller_name: controller.into(),
    }
}
