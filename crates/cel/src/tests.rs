#![allow(clippy::unwrap_used)]
mod bounded;
mod vectors;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Expression, Fault, Inputs, Names, Run, Scope};

fn compile(source: &str) -> Result<Expression, Fault> {
    Expression::compile(source, &Scope { names: Names::Policy { params: true }, ..Scope::default() })
}

fn object() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": "app", "namespace": "team-a",
            "labels": {"owner": "team-a", "tier": "web"},
            "annotations": {"example.com/hosts": "a.dev.example.com,b.dev.example.com"},
        },
        "spec": {
            "hostnames": ["app.dev.example.com", "API.dev.example.com"],
            "parentRefs": [{"name": "edge", "namespace": "infra", "port": 443}],
            "rules": [
                {"matches": [{"path": {"type": "PathPrefix", "value": "/v1"}}], "backendRefs": [{"name": "a", "weight": 90}]},
                {"backendRefs": [{"name": "b", "weight": 10}], "timeouts": {"request": "10s"}},
            ],
            "ratio": 0.5, "big": 9_007_199_254_740_993_i64, "none": null, "empty": [],
        },
    })
}

/// `true`, `false`, the text of another value, `refused: …` or `fails: …`.
fn outcome(source: &str) -> String {
    let expression = match compile(source) {
        Ok(expression) => expression,
        Err(fault) => return format!("refused: {}:{} {}", fault.line, fault.column, fault.message),
    };
    let (object, params) = (object(), json!({"data": {"domain": "dev.example.com"}}));
    let inputs = Inputs { object: &object, old: None, request: None, params: Some(&params), namespace: None };
    match Run::new(inputs, &[]).truth(&expression) {
        Ok(flag) => flag.to_string(),
        Err(failure) => failure.0.replace(&format!("expression '{}' ", expression.source), ""),
    }
}

/// `request` and `namespaceObject` have declared types: what they do not have is refused, also where `has` asks.
#[test]
fn fields_that_are_not_declared_are_refused() {
    for (source, field) in [
        ("request.object == object", "object"),
        ("!has(request.object)", "object"),
        ("request.foo == 1", "foo"),
        ("request.kind.plural == 'x'", "plural"),
        ("request.userInfo.name == 'x'", "name"),
        ("namespaceObject.metadata.foo == 1", "foo"),
        ("!has(namespaceObject.metadata.managedFields)", "managedFields"),
        ("[1].exists(x, request.foo == x)", "foo"),
    ] {
        let fault = compile(source).unwrap_err();
        assert_eq!(fault.message, format!("undefined field '{field}'"), "{source}");
    }
    assert_eq!(
        compile("request.username == 'x' || request.DryRun").unwrap_err().message,
        "undefined field 'username'"
    );
    assert_eq!(compile("request.dryrun").unwrap_err().hint, "did you mean dryRun?");
    for source in [
        "request.userInfo.extra.anything == 'x' && request.options.anything",
        "namespaceObject.metadata.labels.anything == 'x' && has(namespaceObject.status.phase)",
        "object.foo == 1 && params.foo == 1",
        "[{'foo': 1}].all(request, request.foo == 1)",
    ] {
        assert!(compile(source).is_ok(), "{source}");
    }
}

#[test]
fn variables_are_lazy_and_used_in_order() {
    let mut scope = Scope::default();
    for (name, source) in [
        ("hosts", "object.spec.hostnames"),
        ("missing", "object.spec.missing"),
        ("first", "variables.hosts[0]"),
        ("both", "variables.first + variables.missing"),
    ] {
        let expression = Expression::compile(source, &scope).unwrap();
        scope.variables.push((Arc::from(name), Arc::new(expression)));
    }
    let object = object();
    let inputs = Inputs { object: &object, old: None, request: None, params: None, namespace: None };
    let mut run = Run::new(inputs, &scope.variables);
    let mut truth = |source: &str| run.truth(&Expression::compile(source, &scope).unwrap());
    assert_eq!(truth("variables.first.startsWith('app.')"), Ok(true));
    // A variable that fails does so where it is used, and not where its use is never reached.
    assert_eq!(truth("true || variables.missing == 1"), Ok(true));
    assert_eq!(truth("variables.hosts.size() == 2 ? true : variables.both == ''"), Ok(true));
    assert_eq!(
        truth("variables.both == ''").unwrap_err().0,
        "expression 'object.spec.missing' fails: no such key: missing"
    );
    assert_eq!(truth("has(variables.hosts)"), Ok(true));
    assert_eq!(truth("[1].all(variables, variables == 1)"), Ok(true));
    for source in
        ["variables", "variables['first']", "variables.unknown", "variables.first.all(x, variables.y)"]
    {
        assert!(Expression::compile(source, &scope).is_err(), "{source}");
    }
    // Conditions and earlier variables do not see later ones.
    assert!(Expression::compile("variables.first", &Scope::default()).is_err());
}

#[test]
fn the_place_of_a_mistake() {
    let place = |source: &str| compile(source).map_err(|f| (f.line, f.column)).unwrap_err();
    assert_eq!(place("object.kind ==\n  nothing"), (2, 3));
    assert_eq!(place("'äöü' == nothing"), (1, 10));
    assert_eq!(place("object.spec.hostnames.all(h, h.endWith('x'))"), (1, 39));
    let fault = compile("object.kind.endWith('x')").unwrap_err();
    assert_eq!(
        (&*fault.message, &*fault.hint),
        ("undeclared reference to function 'endWith'", "did you mean endsWith?")
    );
}

#[test]
fn what_an_expression_is_about() {
    let about = |source: &str| compile(source).unwrap().field(&object());
    assert_eq!(about("object.kind == 'X' || object.spec.hostnames.all(h, h == '')"), "spec.hostnames");
    assert_eq!(about("has(object.spec.timeouts.request)"), "spec");
    assert_eq!(about("object.metadata.labels['a'] == 'b'"), "metadata.labels");
    assert_eq!(about("object.metadata.name == 'b'"), "");
    assert_eq!(about("size(object.spec.rules) < 3"), "spec.rules");
}
