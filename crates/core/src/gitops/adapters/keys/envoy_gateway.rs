//! Source: envoyproxy/gateway `charts/gateway-helm/values.tmpl.yaml` and `api/v1alpha1/envoygateway_types.go` at 1.9.

use super::{Fate, Group, PODS};

const TELEMETRY: &str = "what the controller says of itself";

pub(super) const KEYS: &[Group] = &[
    (Fate::Used, "", "config.envoyGateway.gateway.controllerName enabled"),
    (
        Fate::NotLookedAt,
        "which namespaces Gateways and routes are taken from",
        "config.envoyGateway.provider.kubernetes.watch config.envoyGateway.provider.custom",
    ),
    (
        Fate::NotLookedAt,
        "programs that change what Envoy is sent",
        "config.envoyGateway.extensionManager config.envoyGateway.extensionManagers",
    ),
    (Fate::NotLookedAt, "defaults of every Envoy", "config.envoyGateway.envoyProxy"),
    (
        Fate::NotLookedAt,
        "features that are switched on or off",
        "config.envoyGateway.runtimeFlags config.envoyGateway.gatewayAPI config.envoyGateway.extensionApis.enableSDSSecretRef",
    ),
    (Fate::NotLookedAt, "keys of Envoy Gateway's configuration that are not known", "config"),
    (
        Fate::Irrelevant,
        "kinds of Envoy Gateway that it switches on; those that are not acted on say so one by one",
        "config.envoyGateway.extensionApis",
    ),
    (
        Fate::Irrelevant,
        "the service that counts for global rate limits; a policy that asks for one says that it is not enforced",
        "config.envoyGateway.rateLimit",
    ),
    (
        Fate::Irrelevant,
        "where and how Envoy and the controller run in a cluster; here one Envoy runs on this machine",
        "config.envoyGateway.apiVersion config.envoyGateway.kind config.envoyGateway.provider config.envoyGateway.xdsServer",
    ),
    (
        Fate::Irrelevant,
        TELEMETRY,
        "config.envoyGateway.admin config.envoyGateway.logging config.envoyGateway.telemetry",
    ),
    (Fate::Irrelevant, "definitions of kinds; those that are acted on are built in", "crds"),
    (
        Fate::Irrelevant,
        PODS,
        "certgen commonLabels createNamespace deployment global hpa kubernetesClusterDomain nameOverride fullnameOverride \
         namespaceOverride podDisruptionBudget service topologyInjector",
    ),
];
