//! Envoy Gateway and reflector.

use portolan_model::Name;

use super::Reader;

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

/// Patterns of namespaces that reflector leaves alone, in small letters: it compares with those.
/// Source: `Watchers/Core/GlobMatcher.cs`.
pub(super) fn reflector(reader: &mut Reader<'_>) -> Vec<Name> {
    let text = reader.text("configuration.watcher.excludedNamespaces").unwrap_or_default().to_lowercase();
    text.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()).map(Name::from).collect()
}
