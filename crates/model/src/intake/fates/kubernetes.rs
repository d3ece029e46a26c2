//! Kinds of Kubernetes itself. Source: `k8s.io/api` 0.36.

use super::{
    Effect::{Irrelevant, Used},
    Entry, Table,
};

const POLICY: &str = "admissionregistration.k8s.io";

const ENDPOINTS: &str = "which Pods answer, and at which of their ports, is said by EndpointSlices";
const NETWORK: &str =
    "how a cluster's network reaches a Service; here endpoints are dialled, or a stand-in answers";
const NODES: &str = "on which node an endpoint runs; all count alike";

const NAMESPACE: Table = &[(Irrelevant("a namespace here is a name with labels"), "spec")];

const SERVICE: Table = &[
    (
        Used,
        "spec.type spec.externalName spec.selector spec.publishNotReadyAddresses spec.ports.name spec.ports.port \
         spec.ports.protocol spec.ports.appProtocol",
    ),
    (Irrelevant(ENDPOINTS), "spec.ports.targetPort"),
    (
        Irrelevant(NETWORK),
        "spec.allocateLoadBalancerNodePorts spec.clusterIP spec.clusterIPs spec.externalIPs spec.externalTrafficPolicy \
         spec.healthCheckNodePort spec.internalTrafficPolicy spec.ipFamilies spec.ipFamilyPolicy spec.loadBalancerClass \
         spec.loadBalancerIP spec.loadBalancerSourceRanges spec.ports.nodePort spec.sessionAffinity spec.sessionAffinityConfig \
         spec.trafficDistribution",
    ),
];

const OF_ENDPOINTS: Table = &[
    (
        Used,
        "subsets.addresses.ip subsets.notReadyAddresses.ip subsets.ports.name subsets.ports.port subsets.ports.protocol",
    ),
    (
        Irrelevant(NODES),
        "subsets.addresses.hostname subsets.addresses.nodeName subsets.addresses.targetRef subsets.notReadyAddresses.hostname \
         subsets.notReadyAddresses.nodeName subsets.notReadyAddresses.targetRef",
    ),
    (Irrelevant("what a port speaks is said by the Service"), "subsets.ports.appProtocol"),
];

const SLICE: Table = &[
    (Used, "addressType endpoints.addresses endpoints.conditions ports.name ports.port ports.protocol"),
    (
        Irrelevant(NODES),
        "endpoints.deprecatedTopology endpoints.hints endpoints.hostname endpoints.nodeName endpoints.targetRef endpoints.zone",
    ),
    (Irrelevant("what a port speaks is said by the Service"), "ports.appProtocol"),
];

const SECRET: Table = &[(Used, "data stringData type immutable")];

const MAP: Table = &[(Used, "data binaryData immutable")];

const ADMISSION: Table = &[
    (
        Used,
        "spec.failurePolicy spec.matchConditions spec.matchConstraints spec.paramKind spec.validations spec.variables",
    ),
    (Irrelevant("written to the audit log of an API server"), "spec.auditAnnotations"),
];

const BINDING: Table = &[(Used, "spec.matchResources spec.paramRef spec.policyName spec.validationActions")];

pub(super) const KINDS: [Entry; 8] = [
    ("", "Namespace", NAMESPACE),
    ("", "Service", SERVICE),
    ("", "Endpoints", OF_ENDPOINTS),
    ("discovery.k8s.io", "EndpointSlice", SLICE),
    ("", "Secret", SECRET),
    ("", "ConfigMap", MAP),
    (POLICY, "ValidatingAdmissionPolicy", ADMISSION),
    (POLICY, "ValidatingAdmissionPolicyBinding", BINDING),
];
