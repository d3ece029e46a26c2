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
    let engine = edge(&(text.clone() + secret));
    assert!(findings(&engine).iter().any(|line| line.contains("whose values policies are not shown here")));
    // Whatever is said of parameters that are missing: it is there.
    let allowed = edge(&(text.replace("Action: Deny", "Action: Allow") + secret));
    assert!(admitted(&allowed).is_empty(), "{:?}", findings(&allowed));
    let ignored = edge(
        &text
            .replace("Action: Deny", "Action: Allow")
            .replace("spec:\n  matchC", "spec:\n  failurePolicy: Ignore\n  matchC"),
    );
    assert_eq!(admitted(&ignored), ["bad", "good"]);
}

const ALLOW: &str = "name: m, parameterNotFoundAction: Allow";

fn of_kind(version: &str, kind: &str, param: &str) -> String {
    with(param).replace(
        "paramKind: {apiVersion: v1, kind: ConfigMap}",
        &format!("paramKind: {{apiVersion: {version}, kind: {kind}}}"),
    )
}

fn definition(scope: &str, versions: &[&str]) -> String {
    let versions: Vec<String> =
        versions.iter().map(|version| format!("{{name: {version}, served: true, storage: false}}")).collect();
    format!(
        "\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: limits.rules.example.com}}\n\
         spec:\n  group: rules.example.com\n  scope: {scope}\n  names: {{plural: limits, kind: Limits}}\n  versions: [{}]\n",
        versions.join(", ")
    )
}

/// What an API server could not follow is no parameter that is missing: `failurePolicy` decides.
#[test]
fn a_reference_that_cannot_be_followed_closes() {
    let limits = |namespace: &str| {
        format!(
            "\n---\napiVersion: rules.example.com/v1\nkind: Limits\nmetadata: {{name: m{namespace}}}\ndata: {{domain: example.com}}\n"
        )
    };
    let says = |text: &str, what: &str| {
        let engine = edge(text);
        let all = findings(&engine);
        assert!(
            admitted(&engine).is_empty() && all.iter().any(|line| line.contains(what)),
            "{what}: {all:?}"
        );
        let ignoring = edge(&text.replacen("spec:\n  matchC", "spec:\n  failurePolicy: Ignore\n  matchC", 1));
        assert_eq!(admitted(&ignoring), ["bad", "good"], "{what}");
    };
    let limited = |param: &str| of_kind("rules.example.com/v1", "Limits", param);
    says(
        &limited(ALLOW),
        "failed to find resource referenced by paramKind: 'rules.example.com/v1, Kind=Limits'",
    );
    says(
        &(limited(ALLOW) + &definition("Namespaced", &["v2"]) + &limits(", namespace: team")),
        "failed to find resource",
    );
    says(
        &of_kind("v2", "ConfigMap", ALLOW),
        "failed to find resource referenced by paramKind: 'v2, Kind=ConfigMap'",
    );
    says(
        &(limited(&format!("namespace: team, {ALLOW}")) + &definition("Cluster", &["v1"]) + &limits("")),
        "paramRef.namespace must not be provided for a cluster-scoped",
    );
    // One that is defined elsewhere is found where it stands, and one that is defined here by its scope.
    for text in [
        limited(ALLOW) + &limits(", namespace: team"),
        limited(ALLOW) + &limits(""),
        limited(ALLOW) + &definition("Cluster", &["v1"]) + &limits(""),
    ] {
        let engine = edge(&text);
        assert_eq!(admitted(&engine), ["bad", "good"], "{:?}", findings(&engine));
    }
}

#[test]
fn a_parameter_in_a_namespace_is_none_of_an_object_without_one() {
    let of_classes = |more: &str| {
        with(&format!("name: m, {more}parameterNotFoundAction: Allow"))
            .replace(
                "resources: [httproutes, grpcroutes, gateways, certificates]",
                "resources: [gatewayclasses]",
            )
            .replace("object.kind == 'HTTPRoute'", "true")
            .replace(
                "object.spec.hostnames.all(h, h.endsWith(params.data.domain))",
                "params.data.domain == 'example.com'",
            )
    };
    let all = findings(&edge(&(of_classes("") + &map("team", "m", "example.com"))));
    assert!(
        all.iter().any(|line| line
            .contains("cannot use namespaced paramRef in policy binding that matches cluster-scoped")),
        "{all:?}"
    );
    assert_eq!(
        findings(&edge(&(of_classes("namespace: team, ") + &map("team", "m", "example.com")))),
        Vec::<String>::new()
    );
}
