//! Objects that meet: of every kind that is acted on, of other groups' kinds of the same name, each with several contents.
//!
//! A content is what stands in `metadata` after name and namespace, then `|`, then the rest of the object. `cluster` marks
//! kinds without a namespace. Names are `x` and `z`, namespaces `a` and `b`.

/// What yields no row: kinds of other groups, none of whose objects may be taken for one of ours, records, and a misspelt one.
pub const ROWLESS: [&str; 15] = [
    "acme.cert-manager.io/v1 Order",
    "acme.example/v1 Issuer",
    "cert-manager.io/v1 CertificateRequest",
    "cluster acme.example/v1 ClusterIssuer",
    "cluster example.dev/v1 Namespace",
    "example.dev/v1 Certificate",
    "example.dev/v1 ConfigMap",
    "example.dev/v1 EndpointSlice",
    "example.dev/v1 HTTPRoute",
    "example.dev/v1 ReferenceGrant",
    "example.dev/v1 Secret",
    "example.dev/v1 SecurityPolicy",
    "gateway.networking.k8s.io/v1 HttpRoute",
    "networking.istio.io/v1 Gateway",
    "serving.knative.dev/v1 Service",
];

const SPEC: &[&str] = &["spec: {}", ", labels: {l: v}|spec: {a: 1}"];

type Kind = (&'static str, &'static [&'static str]);

pub const KINDS: [Kind; 35] = [
    ("acme.example/v1 Issuer", SPEC),
    ("cluster acme.example/v1 ClusterIssuer", SPEC),
    ("cluster example.dev/v1 Namespace", SPEC),
    ("example.dev/v1 Certificate", SPEC),
    ("example.dev/v1 ConfigMap", SPEC),
    ("example.dev/v1 EndpointSlice", SPEC),
    ("example.dev/v1 HTTPRoute", SPEC),
    ("example.dev/v1 ReferenceGrant", SPEC),
    ("example.dev/v1 Secret", SPEC),
    ("example.dev/v1 SecurityPolicy", SPEC),
    ("networking.istio.io/v1 Gateway", SPEC),
    ("serving.knative.dev/v1 Service", SPEC),
    ("cluster v1 Namespace", &["", ", labels: {team: a}|", ", labels: {team: b}|"]),
    (
        "cluster gateway.networking.k8s.io/v1 GatewayClass",
        &[
            "spec: {controllerName: portolan.dev/gateway-controller}",
            "spec: {controllerName: other.dev/c}",
            "spec: 5",
        ],
    ),
    (
        "gateway.networking.k8s.io/v1 Gateway",
        &[
            "spec: {gatewayClassName: x, listeners: [{name: h, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]}",
            "spec: {gatewayClassName: x, listeners: [{name: h, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: x}]}}]}",
            "spec: {gatewayClassName: x, listeners: [{name: h, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: z, namespace: b}]}, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: a}}}}}]}",
            "spec: {gatewayClassName: z, listeners: []}",
            "spec: nothing",
        ],
    ),
    (
        "gateway.networking.k8s.io/v1 HTTPRoute",
        &[
            "spec: {parentRefs: [{name: x}], hostnames: [x.test], rules: [{backendRefs: [{name: x, port: 80}]}]}",
            "spec: {parentRefs: [{name: x, namespace: a}], hostnames: [x.test, y.test], rules: [{backendRefs: [{name: z, namespace: b, port: 80}]}]}",
            "spec: {parentRefs: [{group: networking.istio.io, kind: Gateway, name: x}], hostnames: [x.test]}",
            ", labels: {team: a}|spec: {parentRefs: [{name: x, namespace: a, sectionName: h}], rules: [{backendRefs: [{group: serving.knative.dev, kind: Service, name: x, port: 80}]}]}",
            "spec: {hostnames: 5}",
        ],
    ),
    (
        "gateway.networking.k8s.io/v1 GRPCRoute",
        &[
            "spec: {parentRefs: [{name: x}], hostnames: [x.test], rules: [{backendRefs: [{name: x, port: 80}]}]}",
            "spec: {parentRefs: [{name: z}], hostnames: [y.test]}",
        ],
    ),
    (
        "gateway.networking.k8s.io/v1beta1 ReferenceGrant",
        &[
            "spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: a}], to: [{group: '', kind: Service}]}",
            "spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: a}], to: [{group: '', kind: Secret, name: z}]}",
            "spec: {from: [], to: []}",
        ],
    ),
    (
        "v1 Service",
        &[
            "spec: {ports: [{port: 80}]}",
            "spec: {ports: [{port: 80, name: w}], selector: {a: b}}",
            "spec: {type: ExternalName, externalName: e.test}",
        ],
    ),
    (
        "discovery.k8s.io/v1 EndpointSlice",
        &[
            ", labels: {kubernetes.io/service-name: x}|{addressType: IPv4, ports: [{port: 80}], endpoints: [{addresses: [127.0.0.1]}]}",
            ", labels: {kubernetes.io/service-name: z}|{addressType: IPv4, ports: [{port: 80}], endpoints: [{addresses: [127.0.0.1]}]}",
            "{addressType: IPv4, ports: [{port: 80}], endpoints: [{addresses: [127.0.0.1]}]}",
            ", labels: {kubernetes.io/service-name: x}|{addressType: FQDN}",
        ],
    ),
    (
        "v1 Endpoints",
        &[
            "subsets: [{addresses: [{ip: 127.0.0.2}], ports: [{port: 80}]}]",
            ", labels: {endpointslice.kubernetes.io/skip-mirror: 'true'}|subsets: []",
            ", annotations: {control-plane.alpha.kubernetes.io/leader: me}|subsets: []",
        ],
    ),
    (
        "v1 Secret",
        &[
            "data: {a: Yg==}",
            "{type: kubernetes.io/tls, data: {tls.crt: YQ==, tls.key: Yg==}}",
            ", annotations: {reflector.v1.k8s.emberstack.com/reflection-allowed: 'true', reflector.v1.k8s.emberstack.com/reflection-auto-enabled: 'true', reflector.v1.k8s.emberstack.com/reflection-auto-namespaces: 'b'}|data: {a: Yg==}",
            ", annotations: {reflector.v1.k8s.emberstack.com/reflects: a/x}|data: {}",
            ", labels: {app.kubernetes.io/managed-by: portolan}, ownerReferences: [{apiVersion: bitnami.com/v1alpha1, kind: SealedSecret, name: x, uid: u}]|data: {a: Yw==}",
            ", labels: {app.kubernetes.io/managed-by: portolan}, annotations: {cert-manager.io/certificate-name: x}|data: {a: Yw==}",
        ],
    ),
    (
        "v1 ConfigMap",
        &[
            "data: {domain: x.test}",
            ", annotations: {reflector.v1.k8s.emberstack.com/reflection-allowed: 'true', reflector.v1.k8s.emberstack.com/reflection-auto-enabled: 'true'}|data: {a: b}",
            ", annotations: {reflector.v1.k8s.emberstack.com/reflects: b/x}|",
        ],
    ),
    (
        "bitnami.com/v1alpha1 SealedSecret",
        &[
            "spec: {encryptedData: {a: AgAB}}",
            ", annotations: {sealedsecrets.bitnami.com/cluster-wide: 'true'}|spec: {encryptedData: {a: AgAC}, template: {metadata: {annotations: {reflector.v1.k8s.emberstack.com/reflection-allowed: 'true'}}}}",
        ],
    ),
    (
        "cert-manager.io/v1 Issuer",
        &[
            "spec: {selfSigned: {}}",
            "spec: {ca: {secretName: x}}",
            "spec: {ca: {secretName: z}}",
            "spec: {vault: {}}",
        ],
    ),
    (
        "cluster cert-manager.io/v1 ClusterIssuer",
        &[
            "spec: {selfSigned: {}}",
            "spec: {ca: {secretName: x}}",
            "spec: {acme: {server: 'https://acme.test/d', privateKeySecretRef: {name: z}, solvers: []}}",
        ],
    ),
    (
        "cert-manager.io/v1 Certificate",
        &[
            "spec: {secretName: x, dnsNames: [x.test], issuerRef: {name: x}}",
            "spec: {secretName: z, dnsNames: [x.test, y.test], issuerRef: {name: x, kind: ClusterIssuer}}",
            "spec: {secretName: x, dnsNames: [x.test], issuerRef: {name: x, group: acme.example}}",
        ],
    ),
    (
        "cluster admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy",
        &[
            "spec: {matchConstraints: {resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*']}]}, validations: [{expression: \"object.metadata.name != 'x'\"}]}",
            "spec: {paramKind: {apiVersion: v1, kind: ConfigMap}, matchConstraints: {resourceRules: [{apiGroups: [gateway.networking.k8s.io], apiVersions: [v1], operations: [CREATE], resources: [httproutes]}]}, validations: [{expression: \"object.spec.hostnames.exists(h, h == params.data.domain)\"}]}",
            "spec: {validations: [{expression: '1 +'}]}",
        ],
    ),
    (
        "cluster admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding",
        &[
            "spec: {policyName: x, validationActions: [Deny]}",
            "spec: {policyName: z, validationActions: [Deny], paramRef: {name: x, namespace: a, parameterNotFoundAction: Deny}}",
            "spec: {policyName: x, validationActions: [Warn], matchResources: {namespaceSelector: {matchLabels: {team: a}}}}",
        ],
    ),
    (
        "gateway.envoyproxy.io/v1alpha1 SecurityPolicy",
        &[
            "spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: x}]}",
            "spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: x}]}",
            "spec: {targetRefs: [{group: '', kind: Service, name: x}]}",
            "spec: {targetRefs: [{group: networking.istio.io, kind: Gateway, name: x}]}",
            "spec: {targetSelectors: [{kind: HTTPRoute, matchLabels: {team: a}}]}",
        ],
    ),
    (
        "gateway.envoyproxy.io/v1alpha1 ClientTrafficPolicy",
        &[
            "spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: x}], tls: {minVersion: '1.3'}}",
            "spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: x}], timeout: {}}",
        ],
    ),
    (
        "gateway.networking.k8s.io/v1 BackendTLSPolicy",
        &["spec: {targetRefs: [{group: '', kind: Service, name: x}]}", "spec: {}"],
    ),
    ("cert-manager.io/v1 CertificateRequest", SPEC),
    ("acme.cert-manager.io/v1 Order", SPEC),
    ("gateway.networking.k8s.io/v1 HttpRoute", SPEC),
];
