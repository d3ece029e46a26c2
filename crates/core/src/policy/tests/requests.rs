//! What expressions are shown of the request, and audit annotations.

use super::{apply, edge, findings, policy, step};

/// Whether each object is denied by a policy over everything, with `spec` besides.
fn denied(actions: &str, spec: &str, object: &str) -> bool {
    let text = policy("p", actions, spec)
        .replace("resources: [httproutes, grpcroutes, gateways, certificates]", "resources: ['*']");
    let mut engine = edge(&text);
    apply(&mut engine, "apiVersion: v1\nkind: Namespace\nmetadata: {name: fresh}\n");
    step(&mut engine);
    findings(&engine).iter().any(|line| line.starts_with(&format!("501 {object} ")))
}

fn fails(expression: &str, object: &str) -> bool {
    denied("Deny", &format!("  validations:\n  - {{expression: \"{expression}\"}}\n"), object)
}

/// A key that is empty is none (`omitempty`), and a Namespace is in itself.
#[test]
fn a_request_has_a_namespace_where_an_api_server_gives_one() {
    assert!(fails("request.namespace != 'x'", "GatewayClass/edge"), "no such key");
    assert!(!fails("!has(request.namespace)", "GatewayClass/edge"));
    assert!(!fails("request.namespace in ['team', 'fresh']", "Namespace/fresh"));
    assert!(!fails("request.namespace == 'team'", "HTTPRoute/team/good"));
    assert!(!fails("namespaceObject == null", "Namespace/fresh"));
}

/// `auditAnnotationFilter` and `AuditAnnotationActionError` of Kubernetes' `policy/validating`.
#[test]
fn an_audit_annotation_that_gives_no_text_denies() {
    let audit = |value: &str, failure: &str| {
        format!(
            "  failurePolicy: {failure}\n  validations: [{{expression: 'true'}}]\n  auditAnnotations: [{{key: a, valueExpression: \"{value}\"}}]\n"
        )
    };
    for (value, failure, actions, expected) in [
        ("object.spec.hostnames[9]", "Fail", "Deny", true),
        ("object.spec.hostnames[9]", "Fail", "Audit", true),
        ("object.spec.hostnames[9]", "Ignore", "Deny", false),
        ("object.spec.rules[0].backendRefs[0].port", "Ignore", "Audit", true),
        ("object.spec.hostnames[0]", "Fail", "Deny", false),
        ("has(object.spec.none) ? object.spec.none : null", "Fail", "Deny", false),
    ] {
        let routes = audit(value, failure).replacen(
            "  failurePolicy",
            "  matchConditions: [{name: routes, expression: \"object.kind == 'HTTPRoute'\"}]\n  failurePolicy",
            1,
        );
        assert_eq!(denied(actions, &routes, "HTTPRoute/team/good"), expected, "{value} {failure} {actions}");
    }
    // One that is surely of another type is no policy, as where it is stored.
    let engine = edge(&policy("p", "Deny", &audit("size(object.spec.hostnames)", "Fail")));
    let all = findings(&engine);
    assert!(all.iter().any(|line| line.contains("must evaluate to one of [string null_type]")), "{all:?}");
}
