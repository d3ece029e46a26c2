//! Which objects a policy and its binding match.

use super::{apply, edge, findings, policy, step};

const NEVER: &str = "  validations:\n  - {expression: 'false', message: nope}\n";
const RULES: &str = "[{apiGroups: [\"*\"], apiVersions: [\"*\"], operations: [CREATE, UPDATE], resources: [httproutes, grpcroutes, gateways, certificates]}]";

/// Objects that are denied when the policy's rules and the binding's `matchResources` are these.
fn denied(rules: &str, binding: &str, spec: &str) -> Vec<String> {
    let text = policy("p", "Deny", &format!("{NEVER}{spec}")).replace(RULES, rules);
    let text = text.replace("validationActions: [Deny]", &format!("validationActions: [Deny]{binding}"));
    let objects = findings(&edge(&text)).into_iter().filter(|line| line.starts_with("501 "));
    objects.map(|line| line.split(' ').nth(1).unwrap().replace("/team", "")).collect()
}

#[test]
fn rules_of_resources() {
    let rule = |fields: &str| {
        let defaults = "apiGroups: [gateway.networking.k8s.io], apiVersions: [v1], operations: ['*'], resources: [httproutes]";
        let merged: Vec<String> = defaults
            .split("], ")
            .map(|field| format!("{}]", field.trim_end_matches(']')))
            .filter(|field| !fields.contains(field.split(':').next().unwrap()))
            .collect();
        denied(
            &format!("[{{{}{}{fields}}}]", merged.join(", "), if fields.is_empty() { "" } else { ", " }),
            "",
            "",
        )
    };
    let (routes, none): (Vec<&str>, Vec<&str>) = (vec!["HTTPRoute/bad", "HTTPRoute/good"], vec![]);
    assert_eq!(rule(""), routes);
    assert_eq!(rule("resources: [gateways, pods]"), ["Gateway/edge"]);
    assert_eq!(
        rule("resources: ['*/*']"),
        ["Gateway/edge", "GatewayClass/edge", "HTTPRoute/bad", "HTTPRoute/good"]
    );
    assert_eq!(rule("resources: ['httproutes/*']"), routes);
    assert_eq!(rule("resources: [httproutes/status]"), none);
    assert_eq!(rule("apiGroups: ['']"), none);
    assert_eq!(rule("apiGroups: ['', '*']"), routes);
    // What stands is judged as if it were created; edits are updates (`edits.rs`).
    assert_eq!(rule("operations: [UPDATE]"), none);
    assert_eq!(rule("operations: [DELETE, CONNECT]"), none);
    assert_eq!(rule("resourceNames: [good, other]"), ["HTTPRoute/good"]);
    assert_eq!(rule("scope: Cluster"), none);
    assert_eq!(rule("scope: Cluster, resources: ['*']"), ["GatewayClass/edge"]);
    assert_eq!(rule("scope: Namespaced, resources: ['*']").len(), 3);
    assert_eq!(rule("scope: Namespaced"), routes);
    // Equivalent versions match, unless the API server serves no such version of the resource.
    assert_eq!(rule("apiVersions: [v1beta1]"), routes);
    assert_eq!(rule("apiVersions: [v1alpha2]"), none);
}

#[test]
fn what_the_binding_matches_besides_and_what_is_left_out() {
    let all = ["Gateway/edge", "HTTPRoute/bad", "HTTPRoute/good"];
    assert_eq!(denied(RULES, "", ""), all);
    assert_eq!(denied(RULES, ", matchResources: {}", ""), all);
    let one = "{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: [httproutes], resourceNames: [bad]}";
    assert_eq!(
        denied(RULES, &format!(", matchResources: {{resourceRules: [{one}]}}"), ""),
        ["HTTPRoute/bad"]
    );
    assert_eq!(
        denied(RULES, &format!(", matchResources: {{excludeResourceRules: [{one}]}}"), ""),
        ["Gateway/edge", "HTTPRoute/good"]
    );
    // The same, written into the policy.
    let inside = format!("{RULES}\n    excludeResourceRules: [{one}]");
    assert_eq!(denied(&inside, "", ""), ["Gateway/edge", "HTTPRoute/good"]);
}

#[test]
fn other_versions_match_unless_the_policy_says_exact() {
    let older =
        "[{apiGroups: ['*'], apiVersions: [v1beta1], operations: ['*'], resources: [httproutes, gateways]}]";
    assert_eq!(denied(older, "", "").len(), 3);
    let exact = |version: &str| format!("{}\n    matchPolicy: Exact", older.replace("v1beta1", version));
    assert_eq!(denied(&exact("v1beta1"), "", ""), Vec::<String>::new());
    assert_eq!(denied(&exact("v1"), "", "").len(), 3);
    assert_eq!(denied(&exact("'*'"), "", "").len(), 3);
    // Of the binding too, and of what is left out.
    let binding =
        |policy: &str| format!(", matchResources: {{resourceRules: {older}, matchPolicy: {policy}}}");
    assert_eq!(denied(RULES, &binding("Equivalent"), "").len(), 3);
    assert_eq!(denied(RULES, &binding("Exact"), ""), Vec::<String>::new());
    let out = format!("{RULES}\n    excludeResourceRules: {older}\n    matchPolicy: Exact");
    assert_eq!(denied(&out, "", "").len(), 3);

    // The object is seen in the version of the rule, and the request says both.
    let seen = "object.apiVersion == 'gateway.networking.k8s.io/v1beta1' && request.kind.version == 'v1beta1' && request.resource.version == 'v1beta1' && request.requestKind.version == 'v1'";
    let spec = format!("  validations:\n  - {{expression: \"{seen}\", message: nope}}\n");
    let engine = edge(&policy("p", "Deny", &spec).replace(RULES, older));
    // That `*` means deletions too is another story.
    let mut found = findings(&engine);
    found.retain(|found| !found.starts_with("511 "));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn selectors_of_namespaces_and_objects() {
    let with = |selector: &str| denied(RULES, &format!(", matchResources: {{{selector}}}"), "").len();
    assert_eq!(with("namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: team}}"), 3);
    assert_eq!(with("namespaceSelector: {matchLabels: {env: prod}}"), 0);
    assert_eq!(with("namespaceSelector: {matchExpressions: [{key: env, operator: DoesNotExist}]}"), 3);
    assert_eq!(with("objectSelector: {matchLabels: {a: b}}"), 0);

    let selector =
        "validationActions: [Deny], matchResources: {namespaceSelector: {matchLabels: {env: prod}}}";
    let text = policy("p", "Deny", NEVER).replace("validationActions: [Deny]", selector);
    let mut engine = edge(&text);
    assert_eq!(findings(&engine).len(), 0);
    // The label comes later and is seen; so does its end.
    let namespace = |labels: &str| {
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: team, labels: {{{labels}}}}}\n")
    };
    apply(&mut engine, &namespace("env: prod"));
    step(&mut engine);
    assert_eq!(findings(&engine).iter().filter(|line| line.starts_with("501 ")).count(), 3);
    apply(&mut engine, &namespace("env: dev"));
    step(&mut engine);
    assert_eq!(findings(&engine).len(), 0);
}

#[test]
fn match_conditions() {
    let with = |conditions: &str| denied(RULES, "", &format!("  matchConditions: [{conditions}]\n"));
    assert_eq!(with("{name: a, expression: \"object.metadata.name == 'good'\"}"), ["HTTPRoute/good"]);
    assert_eq!(with("{name: a, expression: 'true'}, {name: b, expression: 'false'}").len(), 0);
    // One that fails denies under Fail, unless another says that the policy does not apply.
    assert_eq!(with("{name: a, expression: 'object.nothing == 1'}").len(), 3);
    assert_eq!(with("{name: a, expression: 'object.nothing == 1'}, {name: b, expression: 'false'}").len(), 0);
    // The API server gives them no namespace, other than validations.
    let of_namespace = "\"namespaceObject.metadata.labels['kubernetes.io/metadata.name'] == 'nowhere'\"";
    assert_eq!(with(&format!("{{name: a, expression: {of_namespace}}}")).len(), 3);
    assert_eq!(with("{name: a, expression: 'namespaceObject != null'}").len(), 0);
}

#[test]
fn the_request_and_the_old_object() {
    let holds = |rules: &str, expression: &str| {
        let spec = format!("  validations:\n  - {{expression: \"{expression}\", message: nope}}\n");
        let engine = edge(&policy("p", "Deny", &spec).replace(RULES, rules));
        assert_eq!(findings(&engine), Vec::<String>::new(), "{expression}");
    };
    holds(
        RULES,
        "request.operation == 'CREATE' && oldObject == null && request.namespace == object.metadata.namespace",
    );
    holds(
        RULES,
        "request.name == object.metadata.name && request.kind.kind == object.kind && request.dryRun == false",
    );
    holds(RULES, "request.resource.resource in ['httproutes', 'gateways'] && request.kind.version == 'v1'");
    holds(RULES, "request.options.kind == 'CreateOptions'");
    holds(RULES, "namespaceObject.metadata.labels['kubernetes.io/metadata.name'] == 'team'");
}

/// What is not judged is said of each policy that asks for it, and makes the verdict incomplete.
#[test]
fn what_is_not_judged_is_said() {
    let said = |rules: &str, expression: &str| {
        let spec = format!("  validations:\n  - {{expression: \"{expression}\", message: nope}}\n");
        findings(&edge(&policy("p", "Deny", &spec).replace(RULES, rules)))
    };
    let who = said(RULES, "request.userInfo.username == 'portolan'");
    assert!(who.len() == 1 && who[0].starts_with("511 ValidatingAdmissionPolicy/p"), "{who:?}");
    assert!(who[0].contains("who writes (request.userInfo)"), "{who:?}");
    let deletions = said(&RULES.replace("CREATE, UPDATE", "DELETE"), "false");
    assert!(deletions.len() == 1 && deletions[0].contains("it judges deletions"), "{deletions:?}");
    // `*` means them too: there an expression is asked of an object that is null.
    let all = said(&RULES.replace("CREATE, UPDATE", "'*'"), "true");
    assert!(all.len() == 1 && all[0].contains("it judges deletions"), "{all:?}");
}
