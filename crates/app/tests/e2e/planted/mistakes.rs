//! What people write wrong, and how it is told.

/// One mistake. `NAME` and `TEAM` stand for the host that it is planted in, `FILE` for its file.
pub struct Mistake {
    pub what: &'static str,
    /// What stood there; the first place is changed.
    pub right: &'static str,
    pub wrong: &'static str,
    pub code: &'static str,
    pub object: &'static str,
    /// Words of the line at which it is told.
    pub told: &'static str,
    /// No program takes the file.
    pub breaks: bool,
}

const ROUTE: &str = "HTTPRoute/team-TEAM/NAME";
const CERTIFICATE: &str = "Certificate/team-TEAM/NAME";

const fn mistake(
    what: &'static str,
    (right, wrong): (&'static str, &'static str),
    code: &'static str,
    object: &'static str,
    told: &'static str,
) -> Mistake {
    Mistake { what, right, wrong, code, object, told, breaks: false }
}

pub const MISTAKES: &[Mistake] = &[
    mistake(
        "a Gateway that there is not",
        ("- name: edge\n", "- name: edgy\n"),
        "PTL-0220",
        ROUTE,
        "- name: edgy",
    ),
    mistake(
        "a listener that there is not",
        (
            "- name: edge\n    namespace: edge\n    sectionName: https\n",
            "- name: edge\n    namespace: edge\n    sectionName: httpss\n",
        ),
        "PTL-0220",
        ROUTE,
        "- name: edge",
    ),
    mistake(
        "a namespace of the Gateway that there is not",
        ("- name: edge\n    namespace: edge\n", "- name: edge\n    namespace: egde\n"),
        "PTL-0220",
        ROUTE,
        "- name: edge",
    ),
    mistake(
        "a Service that there is not",
        ("backendRefs:\n    - name: NAME\n", "backendRefs:\n    - name: NAMEx\n"),
        "PTL-0223",
        ROUTE,
        "- name: NAMEx",
    ),
    mistake(
        "a port that the Service has not",
        ("      port: 80\n", "      port: 81\n"),
        "PTL-0224",
        ROUTE,
        "port: 81",
    ),
    mistake(
        "a hostname that is none",
        ("NAME-TEAM.example.com", "NAME_TEAM.example.com"),
        "PTL-0005",
        ROUTE,
        "NAME_TEAM",
    ),
    mistake(
        "text in place of a number",
        ("      port: 80\n", "      port: \"80\"\n"),
        "PTL-0005",
        ROUTE,
        "port: \"80\"",
    ),
    mistake(
        "a field that there is not",
        ("  rules:\n", "  rulez: []\n  rules:\n"),
        "PTL-0005",
        ROUTE,
        "rulez",
    ),
    mistake(
        "a word that is not in the list",
        ("type: PathPrefix", "type: Prefix"),
        "PTL-0005",
        ROUTE,
        "type: Prefix",
    ),
    mistake(
        "a path without its slash",
        (
            "- path:\n        type: PathPrefix\n        value: /\n",
            "- path:\n        type: PathPrefix\n        value: x\n",
        ),
        "PTL-0005",
        ROUTE,
        "- path:",
    ),
    mistake(
        "a weight below nothing",
        ("      port: 80\n", "      port: 80\n      weight: -1\n"),
        "PTL-0005",
        ROUTE,
        "weight: -1",
    ),
    mistake(
        "an expression that is none",
        ("type: PathPrefix\n        value: /\n", "type: RegularExpression\n        value: '(a'\n"),
        "PTL-0001",
        ROUTE,
        "value: '(a'",
    ),
    mistake(
        "a filter without what it says",
        ("    backendRefs:\n", "    filters:\n    - type: RequestRedirect\n    backendRefs:\n"),
        "PTL-0005",
        ROUTE,
        "- type: RequestRedirect",
    ),
    mistake(
        "a kind in another case",
        ("kind: HTTPRoute", "kind: HttpRoute"),
        "PTL-0002",
        "HttpRoute/team-TEAM/NAME",
        "kind: HttpRoute",
    ),
    mistake(
        "a version that there is not",
        ("apiVersion: gateway.networking.k8s.io/v1\n", "apiVersion: gateway.networking.k8s.io/v9\n"),
        "PTL-0005",
        ROUTE,
        "apiVersion: gateway",
    ),
    mistake(
        "an issuer that there is not",
        (
            "  issuerRef:\n    kind: ClusterIssuer\n    name: selfsigned\n",
            "  issuerRef:\n    kind: ClusterIssuer\n    name: selfsignd\n",
        ),
        "PTL-0314",
        CERTIFICATE,
        "issuerRef",
    ),
    mistake(
        "a name that no certificate holds",
        ("  dnsNames:\n  - NAME.team-TEAM.example.com", "  dnsNames:\n  - NAME..team-TEAM.example.com"),
        "PTL-0331",
        CERTIFICATE,
        "dnsNames",
    ),
    mistake(
        "a certificate without names",
        (
            "spec:\n  secretName: NAME-tls\n  dnsNames:\n  - NAME.team-TEAM.example.com\n",
            "spec:\n  secretName: NAME-tls\n",
        ),
        "PTL-0005",
        CERTIFICATE,
        "spec:",
    ),
    Mistake {
        breaks: true,
        ..mistake(
            "a bracket that is not closed",
            ("  hostnames:\n", "  hostnames: [\n"),
            "PTL-0011",
            "File/FILE",
            "  - NAME-TEAM",
        )
    },
    Mistake {
        breaks: true,
        ..mistake(
            "an object without a name",
            (
                "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: NAME\n",
                "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n",
            ),
            "PTL-0610",
            "File/FILE",
            "apiVersion: gateway",
        )
    },
];
