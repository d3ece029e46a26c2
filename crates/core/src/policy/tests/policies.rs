//! What a policy does to the rows of all rooms.

use portolan_engine::Engine;
use portolan_model::{NamespacedName, input::Gateway};

use super::{admitted, apply, edge, findings, policy, remove, step};
use crate::{
    World,
    certificates::rows::CertificateState,
    gateway::rows::{Attachment, Cluster, Endpoints, GatewayListener, HostRule, VirtualHost},
    status::rows::{EntryPoint, State},
};

const HOSTS: &str = r#"  variables:
  - {name: hosts, expression: "has(object.spec.hostnames) ? object.spec.hostnames : []"}
  validations:
  - expression: "variables.hosts.all(h, h.endsWith('.dev.example.com'))"
    message: " hosts must be inside dev.example.com "
"#;

/// Everything that any room says, as text, without the room's own rows and the facts.
fn others(engine: &Engine<World>) -> Vec<String> {
    let own = ["submitted_", "judged", "policy_", "denied", "admission_", "compiled_", "active_"];
    let text: Vec<String> = engine.dump();
    text.into_iter().filter(|line| !own.iter().any(|name| line.starts_with(name))).collect()
}

#[test]
fn a_denied_host_appears_in_no_other_rooms_output() {
    let engine = edge(&policy("hosts", "Deny", HOSTS));
    assert_eq!(admitted(&engine), ["good"]);
    assert_eq!(
        findings(&engine),
        [
            "501 HTTPRoute/team/bad spec.hostnames: denied by ValidatingAdmissionPolicy hosts: hosts must be inside dev.example.com"
        ]
    );
    let hosts: Vec<_> = engine.rows::<VirtualHost>().map(|host| host.key.1.to_string()).collect();
    assert_eq!(hosts, ["good.dev.example.com"]);
    let clusters: Vec<_> = engine.rows::<Cluster>().map(|cluster| cluster.key.to_string()).collect();
    assert_eq!(clusters, ["svc/team/app/80"]);
    assert_eq!(engine.rows::<Endpoints>().count(), 1);
    assert_eq!(engine.rows::<HostRule>().count(), 1);
    assert_eq!(engine.rows::<Attachment>().count(), 1);
    let entry = |host: &str| engine.get::<EntryPoint>(&host.into()).unwrap().clone();
    let refused = entry("bad.prod.example.com");
    assert_eq!(refused.state, State::Refused);
    assert_eq!(
        refused.why,
        "denied by ValidatingAdmissionPolicy hosts: hosts must be inside dev.example.com"
    );
    assert_eq!(entry("good.dev.example.com").state, State::Pending);
    // In all of the world, the host stands in its refused claim, its refused entry point, and nowhere else.
    let lines = others(&engine).into_iter().filter(|line| line.contains("bad.prod")).collect::<Vec<_>>();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains("denied by ValidatingAdmissionPolicy")), "{lines:#?}");
}

#[test]
fn editing_the_policy_lets_the_host_in_and_out_again() {
    let mut engine = edge(&policy("hosts", "Deny", HOSTS));
    let wide = HOSTS.replace(".dev.example.com", ".example.com");
    apply(&mut engine, &policy("hosts", "Deny", &wide));
    step(&mut engine);
    assert_eq!((admitted(&engine), findings(&engine)), (vec!["bad".into(), "good".into()], vec![]));
    apply(&mut engine, &policy("hosts", "Deny", HOSTS));
    step(&mut engine);
    assert_eq!(admitted(&engine), ["good"]);
    remove(&mut engine, "ValidatingAdmissionPolicyBinding", "hosts");
    step(&mut engine);
    assert_eq!(admitted(&engine), ["bad", "good"]);
    assert_eq!(
        findings(&engine),
        [
            "506 ValidatingAdmissionPolicy/hosts : no ValidatingAdmissionPolicyBinding names the policy; it has no effect"
        ]
    );
    apply(&mut engine, &policy("hosts", "Deny", HOSTS));
    remove(&mut engine, "ValidatingAdmissionPolicy", "hosts");
    step(&mut engine);
    assert_eq!(admitted(&engine), ["bad", "good"]);
    assert!(findings(&engine)[0].starts_with("505 ValidatingAdmissionPolicyBinding/hosts"));
}

#[test]
fn warn_and_audit_warn_and_admit() {
    for actions in ["Warn", "Audit", "Warn, Audit"] {
        let engine = edge(&policy("hosts", actions, HOSTS));
        assert_eq!(admitted(&engine), ["bad", "good"]);
        assert_eq!(
            findings(&engine),
            [
                "502 HTTPRoute/team/bad spec.hostnames: ValidatingAdmissionPolicy hosts warns: hosts must be inside dev.example.com"
            ]
        );
    }
}

#[test]
fn a_policy_with_a_cel_error_is_one_finding_and_everything_goes_live() {
    let broken = "  variables:\n  - {name: x, expression: 'object.spec.'}\n  validations:\n  - expression: \"variables.x.endWith('a') &&\\n  object.foo.lowerAscii() == variables.y\"\n  - {expression: 'objekt.a'}\n";
    let engine = edge(&policy("broken", "Deny", broken));
    assert_eq!(admitted(&engine), ["bad", "good"]);
    let findings = findings(&engine);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(findings[0].starts_with("500 ValidatingAdmissionPolicy/broken spec.variables[0].expression:"));
    assert!(findings[0].contains("line 1, column 13"), "{findings:#?}");
    assert!(findings[0].ends_with("; 2 more expressions of it are wrong"), "{findings:#?}");
}

#[test]
fn an_expression_that_fails_denies_or_is_ignored_as_the_failure_policy_says() {
    let fails =
        "  validations:\n  - expression: \"object.spec.hostnames[0] != '' && object.spec.nothing == 'x'\"\n";
    let engine = edge(&policy("fails", "Deny", fails));
    assert_eq!(admitted(&engine), Vec::<String>::new());
    assert_eq!(engine.rows::<Gateway>().count(), 0);
    assert!(findings(&engine).iter().any(|line| line.starts_with("501 HTTPRoute/team/good spec.hostnames:")
        && line.ends_with("fails: no such key: nothing")));

    let engine = edge(&policy("fails", "Deny", &format!("  failurePolicy: Ignore\n{fails}")));
    assert_eq!(admitted(&engine), ["bad", "good"]);
    assert_eq!(findings(&engine).iter().filter(|line| line.starts_with("503 ")).count(), 3);
}

#[test]
fn a_function_that_only_kubernetes_has_fails_closed_or_open() {
    let authorizer = "  validations:\n  - {expression: \"authorizer.group('').resource('pods').check('get').allowed()\"}\n";
    let engine = edge(&policy("authorizer", "Deny", authorizer));
    assert_eq!(admitted(&engine), Vec::<String>::new());
    let all = findings(&engine);
    let own: Vec<_> = all.iter().filter(|line| line.starts_with("504 ")).collect();
    assert_eq!(own.len(), 1);
    assert!(own[0].contains("authorizer is not served here") && own[0].contains("failurePolicy Fail"));

    let engine = edge(&policy("authorizer", "Deny", &format!("  failurePolicy: Ignore\n{authorizer}")));
    assert_eq!(admitted(&engine), ["bad", "good"]);
}

#[test]
fn messages_come_from_the_expression_the_text_or_the_source() {
    let case = |validation: &str| {
        let spec = format!(
            "  matchConditions:\n  - {{name: bad, expression: \"object.metadata.name == 'bad'\"}}\n  validations:\n  - {validation}\n"
        );
        findings(&edge(&policy("p", "Deny", &spec))).remove(0)
    };
    let all = [
        (
            "{expression: 'false', messageExpression: \"'no ' + object.metadata.name\", message: m}",
            "p: no bad",
        ),
        ("{expression: 'false', messageExpression: \"'a\\\\nb'\", message: m}", "p: m"),
        ("{expression: 'false', messageExpression: \"string(object.nothing)\", message: ' m '}", "p: m"),
        ("{expression: 'false', messageExpression: \"'  '\"}", "p: failed expression: false"),
        ("{expression: ' 1 == 2 '}", "p: failed expression: 1 == 2"),
        (
            "{expression: 'object.metadata.generation', message: m}",
            "p: expression 'object.metadata.generation' gives int, not bool",
        ),
    ];
    for (validation, end) in all {
        let line = case(validation);
        assert!(line.ends_with(end), "{validation}: {line}");
    }
}

#[test]
fn each_validation_that_fails_is_a_finding_and_two_bindings_may_say_the_same() {
    let spec = "  matchConditions:\n  - {name: bad, expression: \"object.metadata.name == 'bad'\"}\n  validations:\n  - {expression: 'false', message: one}\n  - {expression: 'true', message: two}\n  - {expression: 'false', message: three}\n";
    let mut engine = edge(&policy("p", "Deny", spec));
    assert_eq!(findings(&engine).len(), 2);
    apply(
        &mut engine,
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: again}\nspec: {policyName: p, validationActions: [Deny]}\n",
    );
    step(&mut engine);
    assert_eq!(findings(&engine).len(), 2);
    assert_eq!(admitted(&engine), ["good"]);
}

#[test]
fn a_denied_gateway_has_no_listeners_and_says_so_on_its_routes() {
    let spec = "  validations:\n  - {expression: \"object.kind != 'Gateway' || object.spec.listeners.all(l, has(l.hostname))\", message: listeners need a hostname}\n";
    let engine = edge(&policy("gateways", "Deny", spec));
    assert_eq!((engine.rows::<Gateway>().count(), engine.rows::<GatewayListener>().count()), (0, 0));
    assert_eq!(engine.rows::<VirtualHost>().count(), 0);
    let all = findings(&engine);
    assert_eq!(
        all[0],
        "501 Gateway/team/edge spec.listeners: denied by ValidatingAdmissionPolicy gateways: listeners need a hostname"
    );
    assert!(
        all[1].starts_with("220 HTTPRoute/team/bad spec.parentRefs[0]: Gateway team/edge is denied by"),
        "{all:#?}"
    );
}

#[test]
fn a_denied_certificate_is_not_issued() {
    let certificate = "\n---\napiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: self}\nspec: {selfSigned: {}}\n---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: c, namespace: team}\nspec: {secretName: s, dnsNames: [a.other.org], issuerRef: {name: self, kind: ClusterIssuer}}\n";
    let spec = "  validations:\n  - {expression: \"object.kind != 'Certificate' || object.spec.dnsNames.all(n, n.endsWith('.example.com'))\", message: nope}\n";
    let mut engine = edge(&(policy("names", "Deny", spec) + certificate));
    let key = NamespacedName::new("team", "c");
    assert!(engine.get::<CertificateState>(&key).is_none());
    assert_eq!(
        findings(&engine),
        ["501 Certificate/team/c spec.dnsNames: denied by ValidatingAdmissionPolicy names: nope"]
    );
    remove(&mut engine, "ValidatingAdmissionPolicy", "names");
    step(&mut engine);
    assert!(engine.get::<CertificateState>(&key).is_some_and(|state| state.issuing));
}

/// What surely gives another type is refused by an API server, and is not in force here.
#[test]
fn expressions_give_what_they_have_to() {
    let says = |spec: &str| findings(&edge(&policy("p", "Deny", spec)));
    for expression in ["1", "'a' + 'b'", "object.metadata.name.size()", "[true]", "true ? 'a' : 'b'", "null"]
    {
        let all = says(&format!("  validations: [{{expression: \"{expression}\"}}]\n"));
        assert!(all.iter().any(|line| line.contains("must evaluate to bool")), "{expression}: {all:?}");
        assert!(!all.iter().any(|line| line.starts_with("501 ")), "{expression}: {all:?}");
    }
    let message = says("  validations: [{expression: 'true', messageExpression: '1'}]\n");
    assert!(message.iter().any(|line| line.contains("must evaluate to string")), "{message:?}");
    let condition =
        says("  matchConditions: [{name: a, expression: '1'}]\n  validations: [{expression: 'true'}]\n");
    assert!(condition.iter().any(|line| line.contains("must evaluate to bool")), "{condition:?}");
    // What depends on values may be one.
    assert_eq!(
        says("  validations: [{expression: \"has(object.x) ? object.x : true\"}]\n"),
        Vec::<String>::new()
    );
}

/// Of two variables of one name the later counts (`CompiledVariables` is a mapping).
#[test]
fn of_two_variables_of_one_name_the_later_counts() {
    let spec = |first: &str, second: &str| {
        format!(
            "  variables: [{{name: a, expression: '{first}'}}, {{name: a, expression: '{second}'}}]\n  validations: [{{expression: variables.a, message: nope}}]\n"
        )
    };
    let denied =
        |text: &str| findings(&edge(&policy("p", "Deny", text))).iter().any(|line| line.starts_with("501 "));
    assert!(denied(&spec("true", "false")));
    assert!(!denied(&spec("false", "true")));
}
