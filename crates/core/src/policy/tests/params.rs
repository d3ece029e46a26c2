//! Parameters of policies.

use super::{admitted, apply, edge, findings, policy, step};

const SPEC: &str = r#"  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConditions:
  - {name: routes, expression: "object.kind == 'HTTPRoute'"}
  validations:
  - expression: "object.spec.hostnames.all(h, h.endsWith(params.data.domain))"
    messageExpression: "'only ' + params.data.domain"
"#;

fn with(param: &str) -> String {
    let actions = "validationActions: [Deny]";
    policy("p", "Deny", SPEC).replace(actions, &format!("{actions}, paramRef: {{{param}}}"))
}

fn map(namespace: &str, name: &str, domain: &str) -> String {
    format!(
        "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{use: edge}}}}\ndata: {{domain: {domain}}}\n"
    )
}

#[test]
fn a_parameter_by_name_and_its_edits() {
    let param = "name: m, namespace: ops, parameterNotFoundAction: Deny";
    let mut engine = edge(&with(param));
    assert_eq!(admitted(&engine), Vec::<String>::new());
    assert!(findings(&engine)[0].contains("failed to configure binding: no ConfigMap found"));
    apply(&mut engine, &map("ops", "m", "dev.example.com"));
    step(&mut engine);
    assert_eq!(admitted(&engine), ["good"]);
    assert!(findings(&engine)[0].ends_with("only dev.example.com"));
    apply(&mut engine, &map("ops", "m", "example.com"));
    step(&mut engine);
    assert_eq!(admitted(&engine), ["bad", "good"]);
}

#[test]
fn a_parameter_in_the_objects_namespace_and_one_that_may_be_missing() {
    let own = with("name: m, parameterNotFoundAction: Deny");
    assert_eq!(admitted(&edge(&(own.clone() + &map("team", "m", "dev.example.com")))), ["good"]);
    assert_eq!(admitted(&edge(&(own + &map("other", "m", "dev.example.com")))), Vec::<String>::new());
    assert_eq!(admitted(&edge(&with("name: m, parameterNotFoundAction: Allow"))), ["bad", "good"]);
}

#[test]
fn each_selected_parameter_is_asked() {
    let selected =
        with("selector: {matchLabels: {use: edge}}, namespace: ops, parameterNotFoundAction: Allow");
    let two =
        map("ops", "a", "example.com") + &map("ops", "b", "dev.example.com") + &map("team", "c", "nowhere");
    let engine = edge(&(selected + &two));
    assert_eq!(admitted(&engine), ["good"]);
    assert_eq!(findings(&engine).len(), 1);
}

#[test]
fn without_param_ref_params_is_null_and_without_param_kind_it_is_a_mistake() {
    let spec = "  paramKind: {apiVersion: v1, kind: ConfigMap}\n  validations:\n  - {expression: 'params == null'}\n";
    assert_eq!(findings(&edge(&policy("p", "Deny", spec))), Vec::<String>::new());
    let spec = "  validations:\n  - {expression: 'params == null'}\n";
    assert!(findings(&edge(&policy("p", "Deny", spec)))[0].contains("the policy has no paramKind"));
}

#[test]
fn a_secret_is_no_parameter() {
    let spec = SPEC.replace("kind: ConfigMap", "kind: Secret");
    let text = policy("p", "Deny", &spec).replace(
        "validationActions: [Deny]",
        "validationActions: [Deny], paramRef: {name: s, parameterNotFoundAction: Deny}",
    );
    let secret = "\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: team}\nstringData: {domain: example.com}\n";
    let engine = edge(&(text + secret));
    assert!(findings(&engine).iter().any(|line| line.contains("no Secret found")));
}
