//! Expressions of policies and of schemas' rules: compiled, and run within their budget.
#![no_main]

use std::sync::{Arc, LazyLock};

use portolan_cel::{Expression, Inputs, Names, Run, Scope};
use portolan_fuzz::{parts, target};
use serde_json::{Value, json};

static OBJECT: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "app", "namespace": "team-a", "labels": {"owner": "team-a"},
            "annotations": {"example.com/hosts": "a.example.com,b.example.com"}},
        "spec": {"hostnames": ["app.example.com", "API.example.com"], "parentRefs": [{"name": "edge", "port": 443}],
            "ratio": 0.5, "big": 9_007_199_254_740_993_i64, "none": null, "empty": [],
            "memory": "1.5Gi", "cidr": "10.0.0.0/8", "ip": "::1", "url": "https://a.example.com:8443/x?y=z"},
    })
});

target!(|bytes| {
    let Some(([how], rest)) = bytes.split_first_chunk() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let names = if how % 4 == 3 { Names::Rule } else { Names::Policy { params: how % 2 == 1 } };
    let mut scope = Scope { names, ..Scope::default() };
    let parts: Vec<&str> = parts(text).take(4).collect();
    let Some((last, variables)) = parts.split_last() else { return };
    for (at, source) in variables.iter().enumerate() {
        if let Ok(expression) = Expression::compile(source, &scope) {
            scope.variables.push((Arc::from(format!("v{at}")), Arc::new(expression)));
        }
    }
    let expression = match Expression::compile(last, &scope) {
        Ok(expression) => expression,
        Err(fault) => {
            assert!(!fault.message.is_empty() && !fault.hint.is_empty(), "{fault:?}");
            assert!(fault.line > 0 && fault.column > 0, "{fault:?}");
            let _ = (fault.text(), fault.cel_go(last.trim()));
            return;
        }
    };
    if names == Names::Rule {
        return;
    }
    let params = json!({"data": {"domain": "example.com"}});
    let inputs = Inputs { object: &OBJECT, old: None, request: None, params: Some(&params), namespace: None };
    let truth = Run::new(inputs, &scope.variables).truth(&expression);
    let again = Run::new(inputs, &scope.variables).truth(&expression);
    assert_eq!(truth, again, "it has one value");
    let _ = Run::new(inputs, &scope.variables).text(&expression);
});
