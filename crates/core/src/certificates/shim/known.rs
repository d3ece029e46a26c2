//! Annotations of cert-manager on an Ingress, Gateway or ListenerSet that have no effect: said, since whoever wrote them waits
//! for something.

use portolan_model::{
    Severity,
    input::TlsSource,
    intake::{families::effect, fates::Effect},
};

use super::{Annotations, say};
use crate::{Cx, certificates::rows::ShimSettings};

/// Those that ask, or say how; without `cert-manager.io/`.
const KNOWN: [&str; 29] = [
    "issuer",
    "cluster-issuer",
    "issuer-kind",
    "issuer-group",
    "ignore-tls-listeners",
    "common-name",
    "alt-names",
    "ip-sans",
    "email-sans",
    "duration",
    "renew-before",
    "renew-before-percentage",
    "usages",
    "revision-history-limit",
    "private-key-algorithm",
    "private-key-encoding",
    "private-key-size",
    "private-key-rotation-policy",
    "secret-template",
    "subject-organizations",
    "subject-organizationalunits",
    "subject-countries",
    "subject-provinces",
    "subject-localities",
    "subject-postalcodes",
    "subject-streetaddresses",
    "subject-serialnumber",
    // Of its other kinds, and written by it.
    "allow-direct-injection",
    "certificate-name",
];

/// One finding of all of them.
pub(super) fn check(
    cx: &mut Cx<'_>,
    source: &TlsSource,
    annotations: &Annotations,
    settings: &ShimSettings,
    asks: bool,
) {
    let ours = annotations.keys().filter_map(|key| key.strip_prefix("cert-manager.io/"));
    let copied =
        |name: &&str| settings.extra_annotations.iter().any(|e| **e == format!("cert-manager.io/{name}"));
    let unknown: Vec<&str> = ours.clone().filter(|name| !KNOWN.contains(name) && !copied(name)).collect();
    // What nobody knows is told where the object is read.
    let elsewhere = |name: &&&str| effect(&format!("cert-manager.io/{name}")) != Some(Effect::Unknown);
    for name in unknown.iter().filter(elsewhere) {
        let field = format!("metadata.annotations[cert-manager.io/{name}]");
        let message = format!("cert-manager.io/{name} has no effect: cert-manager does not read it here");
        let hint = "write the Certificate itself, which has a field for everything";
        say(cx, source, (364, Severity::Warning), &field, message, hint);
    }
    let idle: Vec<String> = ours
        .filter(|name| {
            !unknown.contains(name) && !["allow-direct-injection", "certificate-name"].contains(name)
        })
        .map(|name| format!("cert-manager.io/{name}"))
        .collect();
    // Of a ListenerSet they are read once its Gateway names an issuer.
    if !asks && unknown.is_empty() && !idle.is_empty() {
        let message = format!(
            "without an issuer no Certificate is made, and these have no effect: {}",
            idle.join(", ")
        );
        let hint = "name it in cert-manager.io/issuer or cert-manager.io/cluster-issuer";
        say(cx, source, (364, Severity::Warning), "metadata.annotations", message, hint);
    }
}
