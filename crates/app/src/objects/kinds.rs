//! Short names of kinds, as their definitions give them to kubectl.

const SHORT: [(&str, &str); 26] = [
    ("app", "application"),
    ("apps", "application"),
    ("appset", "applicationset"),
    ("appsets", "applicationset"),
    ("btp", "backendtrafficpolicy"),
    ("cert", "certificate"),
    ("certs", "certificate"),
    ("cm", "configmap"),
    ("cr", "certificaterequest"),
    ("crs", "certificaterequest"),
    ("ctp", "clienttrafficpolicy"),
    ("deploy", "deployment"),
    ("ds", "daemonset"),
    ("ep", "endpoints"),
    ("ev", "event"),
    ("gc", "gatewayclass"),
    ("gtw", "gateway"),
    ("ing", "ingress"),
    ("netpol", "networkpolicy"),
    ("ns", "namespace"),
    ("po", "pod"),
    ("refgrant", "referencegrant"),
    ("sa", "serviceaccount"),
    ("sp", "securitypolicy"),
    ("sts", "statefulset"),
    ("svc", "service"),
];

/// The kind that a short name means; any other word is what it is.
pub(super) fn full(word: &str) -> &str {
    SHORT.iter().find(|(short, _)| *short == word).map_or(word, |(_, kind)| kind)
}
