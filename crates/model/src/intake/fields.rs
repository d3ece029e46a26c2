//! What each field of a traffic policy of Envoy Gateway comes to here. Source: Envoy Gateway v1.9 `api/v1alpha1`; a test
//! walks the schemas, so that no field of them is in none of the classes.

use serde_json::Value;

use super::fates::Effect;
use crate::Kind;

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// It says where the policy is for, and is read.
    Read,
    /// It restricts, and is not built: hosts that it covers are served on loopback only. What is not known is taken for this.
    Refused,
    /// It tunes, and has no effect here: it is listed.
    Tuning,
}

use Field::{Read, Refused, Tuning};

/// Whether fields of the kind are told apart here; of the others that restrict all of `spec` does.
pub(super) fn is_told_apart(kind: &Kind) -> bool {
    &*kind.group == "gateway.envoyproxy.io"
        && matches!(&*kind.kind, "ClientTrafficPolicy" | "BackendTrafficPolicy")
}

/// What becomes of a field of a class.
pub(super) fn effect(class: Field) -> Effect {
    match class {
        Read => Effect::Used,
        Refused => Effect::Refused(
            "fields that restrict and are not enforced: hosts that they cover are served on loopback only",
        ),
        Tuning => Effect::Irrelevant("they tune how Envoy serves; each is listed by a finding"),
    }
}

/// Fields of both kinds, below `spec`.
const BOTH: [(&str, Field); 4] =
    [("targetRef", Read), ("targetRefs", Read), ("targetSelectors", Read), ("tcpKeepalive", Tuning)];

/// Fields of a ClientTrafficPolicy. Who is asked for a certificate, by which address a client is known, how a path is read
/// before it is matched, which headers get in and out: each decides who may do what.
const CLIENT: [(&str, Field); 37] = [
    ("clientIPDetection", Refused),
    ("connection.bufferLimit", Tuning),
    ("connection.connectionLimit", Refused),
    ("connection.maxAcceptPerSocketEvent", Tuning),
    ("connection.socketBufferLimit", Tuning),
    ("enableProxyProtocol", Refused),
    ("grpc", Tuning),
    ("headers.disableRateLimitHeaders", Tuning),
    ("headers.earlyRequestHeaders", Refused),
    ("headers.enableEnvoyHeaders", Tuning),
    ("headers.host", Refused),
    ("headers.lateResponseHeaders", Refused),
    ("headers.preserveXRequestID", Tuning),
    ("headers.requestID", Tuning),
    ("headers.withUnderscoresAction", Refused),
    ("headers.xForwardedClientCert", Refused),
    ("healthCheck", Tuning),
    ("http1.disableSafeMaxConnectionDuration", Tuning),
    ("http1.enableTrailers", Tuning),
    ("http1.http10", Tuning),
    ("http1.ignoredUpgradeTypes", Refused),
    ("http1.preserveHeaderCase", Tuning),
    ("http2", Tuning),
    ("http3", Tuning),
    ("path.disableMergeSlashes", Refused),
    ("path.escapedSlashesAction", Refused),
    ("proxyProtocol", Refused),
    ("scheme", Tuning),
    ("timeout", Tuning),
    ("tls.alpnProtocols", Tuning),
    ("tls.ciphers", Refused),
    ("tls.clientValidation", Refused),
    ("tls.ecdhCurves", Refused),
    ("tls.fingerprints", Tuning),
    ("tls.maxVersion", Refused),
    ("tls.minVersion", Refused),
    ("tls.session", Tuning),
];
/// Stands beside the others of `tls`, which are in order.
const SIGNATURES: (&str, Field) = ("tls.signatureAlgorithms", Refused);

/// Fields of a BackendTrafficPolicy. Of circuit breakers Envoy has its own. Who aborts requests has shut a route, or part of it.
const BACKEND: [(&str, Field); 22] = [
    ("admissionControl", Refused),
    ("bandwidthLimit", Refused),
    ("circuitBreaker", Tuning),
    ("compression", Tuning),
    ("compressor", Tuning),
    ("connection", Tuning),
    ("dns", Tuning),
    ("faultInjection.abort", Refused),
    ("faultInjection.delay", Tuning),
    ("healthCheck", Tuning),
    ("http2", Tuning),
    ("httpUpgrade", Tuning),
    ("loadBalancer", Tuning),
    ("mergeType", Tuning),
    ("proxyProtocol", Tuning),
    ("rateLimit", Refused),
    ("requestBuffer", Refused),
    ("responseOverride", Tuning),
    ("retry", Tuning),
    ("routingType", Tuning),
    ("telemetry", Tuning),
    ("timeout", Tuning),
];
/// Stands beside the others.
const PROTOCOL: (&str, Field) = ("useClientProtocol", Tuning);

/// Fields whose value says what is done here anyway: they are enforced.
fn enforced(kind: &str, path: &str, value: &Value) -> bool {
    let text = value.as_str();
    match (kind, path) {
        ("ClientTrafficPolicy", "enableProxyProtocol" | "path.disableMergeSlashes") => {
            value == &Value::Bool(false)
        }
        ("BackendTrafficPolicy", "faultInjection.abort") => value["percentage"].as_f64() == Some(0.0),
        ("ClientTrafficPolicy", "path.escapedSlashesAction") => text == Some("UnescapeAndRedirect"),
        ("ClientTrafficPolicy", "headers.withUnderscoresAction") => text == Some("Allow"),
        // What is not narrower than TLS 1.2 and 1.3.
        ("ClientTrafficPolicy", "tls.minVersion") => ["1.2", "1.1", "1.0", "Auto"].map(Some).contains(&text),
        ("ClientTrafficPolicy", "tls.maxVersion") => ["1.3", "Auto"].map(Some).contains(&text),
        _ => false,
    }
}

fn known(kind: &str) -> impl Iterator<Item = (&'static str, Field)> + Clone {
    let client = (kind == "ClientTrafficPolicy").then(|| CLIENT.into_iter().chain([SIGNATURES]));
    let backend = (kind == "BackendTrafficPolicy").then(|| BACKEND.into_iter().chain([PROTOCOL]));
    BOTH.into_iter().chain(client.into_iter().flatten()).chain(backend.into_iter().flatten())
}

/// The class of a field below `spec`; `None` if it only holds fields that have one, or is not known.
pub(super) fn class(kind: &str, path: &str) -> Option<Field> {
    known(kind).find(|(field, _)| *field == path).map(|(_, class)| class)
}

/// Whether a field holds others that have a class of their own.
pub(super) fn holds(kind: &str, path: &str) -> bool {
    known(kind).any(|(field, _)| field.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The fields that a `spec` has, each with its class.
pub(super) fn of(kind: &str, spec: &Value) -> Vec<(String, Field)> {
    let mut found = Vec::new();
    collect(kind, spec, "", &mut found);
    found
}

fn collect(kind: &str, value: &Value, path: &str, found: &mut Vec<(String, Field)>) {
    let Value::Object(map) = value else { return };
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match class(kind, &path) {
            Some(_) if enforced(kind, &path, value) => {}
            Some(class) => found.push((path, class)),
            None if holds(kind, &path) && value.is_object() => collect(kind, value, &path, found),
            None => found.push((path, Refused)),
        }
    }
}

#[cfg(test)]
mod tests {
    use portolan_schema::{Definitions, schema::Schema};
    use serde_json::json;

    use super::*;

    /// Fields of a schema that are in no class, neither by themselves nor by what holds them.
    fn unclassified(kind: &str, schema: &Schema, path: &str, found: &mut Vec<String>) {
        for (name, property) in &schema.properties {
            let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            if class(kind, &path).is_some() {
                continue;
            }
            if holds(kind, &path) && !property.properties.is_empty() {
                unclassified(kind, property, &path, found);
            } else {
                found.push(format!("{kind}.{path}"));
            }
        }
    }

    #[test]
    fn every_field_of_the_schemas_is_in_one_class() {
        let mut found = Vec::new();
        let mut kinds = 0;
        for definition in Definitions::packed().filter(|d| &*d.group == "gateway.envoyproxy.io") {
            let kind = &*definition.kind;
            // Of the others of these kinds all of `spec` restricts.
            if ["ClientTrafficPolicy", "BackendTrafficPolicy"].contains(&kind) {
                kinds += 1;
                if let Some(spec) = definition.schema().property("spec") {
                    assert!(!spec.properties.is_empty(), "{kind}");
                    unclassified(kind, spec, "", &mut found);
                    // And nothing is classified that is no field.
                    for (field, _) in known(kind) {
                        let mut at = Some(spec);
                        for part in field.split('.') {
                            at = at.and_then(|schema| schema.property(part));
                        }
                        assert!(at.is_some(), "{kind}.{field}");
                    }
                }
            }
        }
        assert_eq!((kinds, found), (2, vec![]));
    }

    #[test]
    fn a_route_that_is_shut_on_purpose_is_restricted() {
        let fields =
            |abort| of("BackendTrafficPolicy", &json!({"faultInjection": {"abort": abort, "delay": {}}}));
        let tuned = ("faultInjection.delay".to_owned(), Tuning);
        let abort = ("faultInjection.abort".to_owned(), Refused);
        assert_eq!(fields(json!({"httpStatus": 503})), [abort.clone(), tuned.clone()]);
        assert_eq!(fields(json!({"httpStatus": 503, "percentage": 0.5})), [abort, tuned.clone()]);
        assert_eq!(fields(json!({"httpStatus": 503, "percentage": 0})), [tuned]);
    }

    #[test]
    fn what_is_not_known_restricts() {
        let spec = json!({"tls": {"newField": {}}, "brandNew": 1, "path": "text", "timeout": {"http": {}}, "http3": null});
        let mut fields = of("ClientTrafficPolicy", &spec);
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(
            fields,
            [
                ("brandNew".to_owned(), Refused),
                ("path".to_owned(), Refused),
                ("timeout".to_owned(), Tuning),
                ("tls.newField".to_owned(), Refused),
            ]
        );
    }
}
