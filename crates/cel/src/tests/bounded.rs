//! No expression hangs, fills memory or overflows the stack.

use std::sync::Arc;

use serde_json::json;

use super::{Expression, Inputs, Run, Scope, compile, object};

#[test]
fn the_deepest_expressions_fit_the_stack() {
    let shapes: [fn(usize) -> String; 10] = [
        |n| format!("1{} == 1", " + 1".repeat(n)),
        |n| format!("has(object{})", ".object".repeat(n)),
        |n| format!("{}true{}", "(".repeat(n), ")".repeat(n)),
        |n| format!("{}true", "!".repeat(n)),
        |n| format!("{}1{} == []", "[".repeat(n), "]".repeat(n)),
        |n| format!("{}true{}", "[1].all(x, ".repeat(n), ")".repeat(n)),
        |n| format!("{}true{}", "true ? (".repeat(n), ") : false".repeat(n)),
        |n| format!("{}true", "false ? false : ".repeat(n)),
        |n| format!("'a'{} == ''", ".trim()".repeat(n)),
        |n| format!("{}'a'{} == ''", "string(".repeat(n), ")".repeat(n)),
    ];
    let object = object();
    for shape in shapes {
        // The test's thread has 2 MiB, less than any thread of the program; small depths run on it, greater ones do not.
        let mut depth = 1;
        while let Ok(expression) = compile(&shape(depth)) {
            let inputs = Inputs { object: &object, old: None, request: None, params: None, namespace: None };
            let _ = Run::new(inputs, &[]).truth(&expression);
            depth += if (3..21).contains(&depth) || depth > 70 { 1 } else { 3 };
        }
        assert!((20..200).contains(&depth), "{depth}: {}", shape(1));
        let message = compile(&shape(depth)).unwrap_err().message;
        assert!(message.contains("nested deeper"), "{depth} of {}: {message}", shape(1));
        for depth in [500, 3_000] {
            assert!(compile(&shape(depth)).is_err());
        }
    }
}

#[test]
fn brackets_in_texts_and_comments_do_not_count() {
    let text = format!("'{}' != '' && \"{}\" != '' // {}", "(".repeat(300), "[".repeat(300), "{".repeat(300));
    assert!(compile(&text).is_ok());
    assert!(compile(&format!(r#"r'\' + """'{}""" != ''"#, "(".repeat(300))).is_ok());
    // Alternatives side by side are balanced: they do not nest.
    let many = vec!["object.metadata.name == 'a'"; 300].join(" || ");
    assert!(compile(&many).is_ok());
    assert!(compile(&format!("object.metadata.name in [{}]", vec!["'a'"; 1_000].join(", "))).is_ok());
}

#[test]
fn an_expression_that_is_too_long_is_refused() {
    let long = format!("object.kind in [{}]", vec!["'a'"; 10_000].join(", "));
    assert!(compile(&long).unwrap_err().message.contains("bytes"));
}

/// What an expression over 2,000 numbers and 2,000 texts comes to.
fn over_much(source: &str, variables: &[(&str, &str)]) -> Result<bool, String> {
    let mut scope = Scope::default();
    for (name, source) in variables {
        let expression = Expression::compile(source, &scope).unwrap();
        scope.variables.push((Arc::from(*name), Arc::new(expression)));
    }
    let expression = Expression::compile(source, &scope).unwrap();
    let numbers: Vec<usize> = (0..2_000).collect();
    let texts: Vec<String> = numbers.iter().map(|n| format!("host-{n}.example.com")).collect();
    let object = json!({"n": numbers, "t": texts, "text": "a".repeat(100_000)});
    let inputs = Inputs { object: &object, old: None, request: None, params: None, namespace: None };
    Run::new(inputs, &scope.variables).truth(&expression).map_err(|failure| failure.0)
}

#[test]
fn work_is_bounded() {
    let doubling = |source: &str| {
        let mut all = vec![("v0".to_owned(), source.to_owned())];
        for at in 1..40 {
            all.push((format!("v{at}"), format!("variables.v{} + variables.v{0}", at - 1)));
        }
        let all: Vec<(&str, &str)> = all.iter().map(|(name, source)| (&**name, &**source)).collect();
        over_much("variables.v39.size() > 0", &all)
    };
    let outcomes = [
        over_much("object.n.all(a, object.n.all(b, object.n.all(c, a + b + c >= 0)))", &[]),
        over_much("object.n.exists(a, object.n.all(b, object.n.exists(c, a + b + c < 0)) || false)", &[]),
        over_much("object.n.map(a, object.t).map(x, x.map(y, y)).size() > 0", &[]),
        over_much("object.n.all(a, object.t == object.t)", &[]),
        over_much("object.n.all(a, object.t.exists(t, t == 'x') || true)", &[]),
        over_much("object.text.replace('a', object.text).size() > 0", &[]),
        over_much("object.text.split('').join(object.text).size() > 0", &[]),
        over_much("object.n.all(a, ('(' + string(a) + ')').matches('[(]' + string(a) + '[)]'))", &[]),
        over_much("object.n.all(a, object.text.matches('(a|b)*c') || true)", &[]),
        over_much("sets.contains(object.n, object.n) && sets.equivalent(object.t, object.t)", &[]),
        over_much("object.n.all(a, a in object.t || true)", &[]),
        over_much("object.n.all(a, [object, object, object].size() == 3)", &[]),
        over_much("object.n.all(a, object.n.max() == object.t.join(',').size() || true)", &[]),
        doubling("object.t"),
        doubling("object.text"),
    ];
    for (at, outcome) in outcomes.into_iter().enumerate() {
        assert!(
            outcome.as_ref().is_err_and(|why| why.contains("more than 1000000 steps")),
            "{at}: {outcome:?}"
        );
    }
}

#[test]
fn ordinary_work_on_large_objects_is_not_refused() {
    for source in [
        "object.t.all(t, t.endsWith('.example.com') && t.matches('^host-[0-9]+[.]'))",
        "object.t.map(t, t.split('.')[0]).all(h, h.startsWith('host-'))",
        "object.t.all(t, t.size() > 0) && object.n.sum() > 0 && object.n.all(n, n in [1, 2, 3] || n >= 0)",
    ] {
        assert_eq!(over_much(source, &[]), Ok(true), "{source}");
    }
}

#[test]
fn one_run_spends_one_budget() {
    let object = object();
    let inputs = Inputs { object: &object, old: None, request: None, params: None, namespace: None };
    let expression = compile("object.spec.hostnames.all(h, h != '')").unwrap();
    let mut run = Run::with_budget(inputs, &[], 60);
    let first = (0..10).take_while(|_| run.truth(&expression).is_ok()).count();
    assert!((1..9).contains(&first), "{first}");
    assert!(run.truth(&compile("true || object.spec.hostnames.all(h, false)").unwrap()).is_err());
    assert_eq!(Run::with_budget(inputs, &[], 60).truth(&expression), Ok(true));
}
