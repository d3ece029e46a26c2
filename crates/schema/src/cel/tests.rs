#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]
use std::{collections::HashSet, sync::Arc};

use serde_json::{Value, json};

use portolan_cel::RuleRun;

use super::{RULE, validate, value};
use crate::{Definitions, read, schema::Schema};

fn every(schema: &Arc<Schema>, seen: &mut HashSet<*const Schema>, out: &mut Vec<Arc<Schema>>) {
    if !seen.insert(Arc::as_ptr(schema)) {
        return;
    }
    out.push(Arc::clone(schema));
    let unions = schema.unions.iter().flat_map(|unions| &unions.all_of);
    let properties = schema.properties.iter().map(|(_, child)| child);
    for child in properties.chain(&schema.items).chain(schema.additional()).chain(unions) {
        every(child, seen, out);
    }
}

#[test]
fn every_rule_that_is_packed_compiles() {
    let (mut seen, mut all) = (HashSet::new(), Vec::new());
    for definition in Definitions::packed() {
        every(definition.schema(), &mut seen, &mut all);
    }
    let mut rules = 0;
    let mut wrong = Vec::new();
    for schema in all {
        for (rule, compiled) in schema.rules.iter().zip(schema.program.of(&schema)) {
            rules += 1;
            match &compiled.expression {
                Err(why) => wrong.push(format!("{}: {why}", rule.rule)),
                Ok(expression) => {
                    wrong.extend(expression.unserved.iter().map(|name| format!("{}: {name}", rule.rule)));
                }
            }
            assert_eq!(compiled.message.is_some(), !rule.message_expression.is_empty(), "{rule:?}");
        }
    }
    assert!(rules > 250, "{rules}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the rules of `schema` say, a line each, in order.
fn said(schema: Value, object: Value, old: Option<Value>) -> Vec<String> {
    let mut causes = Vec::new();
    validate(&read::whole(&schema, 0), &object, old.as_ref(), &mut causes);
    let mut lines: Vec<_> = causes.iter().map(ToString::to_string).collect();
    lines.sort();
    lines
}

/// One property `x` of this schema with a rule on the root.
fn root(x: Value, rule: Value) -> Value {
    json!({"type": "object", "properties": {"x": x}, "x-kubernetes-validations": [rule]})
}

#[test]
fn values_have_the_types_of_their_schemas() {
    let cases = [
        (json!({"type": "string"}), "self.x == 'a'", json!("a")),
        (json!({"type": "integer"}), "self.x + 1 == 3 && type(self.x) == int", json!(2)),
        (json!({"type": "number"}), "self.x * 1.5 == 3.0 && type(self.x) == double", json!(2)),
        (
            json!({"x-kubernetes-int-or-string": true}),
            "type(self.x) == int ? self.x < 5 : self.x == '80%'",
            json!("80%"),
        ),
        (
            json!({"x-kubernetes-int-or-string": true}),
            "type(self.x) == int ? self.x < 5 : self.x == '80%'",
            json!(4),
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            "self.x < timestamp('2027-01-01T00:00:00Z')",
            json!("2026-11-29T08:00:00Z"),
        ),
        (json!({"type": "string", "format": "date"}), "self.x.getFullYear() == 2026", json!("2026-11-29")),
        (json!({"type": "string", "format": "duration"}), "self.x == duration('90m')", json!("1h30m")),
        (json!({"type": "string", "format": "byte"}), "self.x == b'hi'", json!("aGk=")),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            "self.x.all(k, k.startsWith('a') && self.x[k] == 'v')",
            json!({"a": "v", "ab": "v"}),
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            "'a.b/c' in self.x && self.x.size() == 1",
            json!({"a.b/c": "v"}),
        ),
        (
            json!({"type": "object", "properties": {"namespace": {"type": "string"}, "a-b": {"type": "integer"}}}),
            "self.x.__namespace__ == 'n' && self.x.a__dash__b == 1",
            json!({"namespace": "n", "a-b": 1}),
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "nullable": true}}}),
            "!has(self.x.a) && !has(self.x.b)",
            json!({"a": null}),
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}}),
            "self.x == [1, 2] && [1, 2] == self.x && 2 in self.x && self.x.sum() == 3",
            json!([1, 2]),
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}}),
            "self.x + [3] == [1, 3] && [0] + self.x == [0, 1] && self.x.map(i, i + 1) == [2]",
            json!([1]),
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}}),
            "self.x == [2, 1] && self.x + [2, 3] == [1, 2, 3]",
            json!([1, 2]),
        ),
        (
            json!({"type": "array", "items": {"type": "object", "properties": {"n": {"type": "string"}}}}),
            "self.x.exists_one(a, a.n == 'b') && self.x.filter(a, a.n != 'b').size() == 1",
            json!([{"n": "a"}, {"n": "b"}]),
        ),
        (
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
            "has(self.x)",
            json!({"whatever": [1]}),
        ),
        (
            json!({"type": "string"}),
            "self.metadata.name == 'n' && self.kind == 'K' && self.apiVersion == 'v'",
            json!("a"),
        ),
        (json!({"type": "string"}), "self.?x.orValue('') == 'a' && !self.?y.hasValue()", json!("a")),
    ];
    for (schema, rule, x) in cases {
        let object = json!({"apiVersion": "v", "kind": "K", "metadata": {"name": "n"}, "x": x});
        let said = said(root(schema, json!({"rule": rule})), object, None);
        assert!(said.is_empty(), "{rule}: {said:?}");
    }
}

#[test]
fn causes_are_in_the_words_of_the_server() {
    let text = || json!({"type": "string"});
    let of = |rule: Value| said(root(text(), rule), json!({"x": "a"}), None);
    let mut shown = Vec::new();
    shown.extend(of(json!({"rule": "self.x == 'b'"})));
    shown.extend(of(json!({"rule": "self.x == 'b'", "message": " must be b "})));
    shown
        .extend(of(json!({"rule": "self.x == 'b'", "message": "m", "messageExpression": "'not ' + self.x"})));
    shown.extend(of(
        json!({"rule": "self.x == 'b'", "message": "m", "messageExpression": "self.x.substring(5)"}),
    ));
    shown.extend(of(json!({"rule": "self.x == 'b'", "message": "m", "fieldPath": ".x"})));
    shown.extend(of(
        json!({"rule": "self.x == 'b'", "message": "m", "reason": "FieldValueForbidden", "fieldPath": ".x"}),
    ));
    shown.extend(of(json!({"rule": "self.x == 'b'", "message": "m", "reason": "FieldValueRequired"})));
    shown.extend(of(json!({"rule": "self.y == 'b'", "message": "m"})));
    shown.extend(of(json!({"rule": "[1][2] == 0"})));
    shown.extend(of(json!({"rule": "1 / 0 == 0"})));
    let leaf =
        json!({"type": "string", "x-kubernetes-validations": [{"rule": "self == 'b'", "message": "m"}]});
    let list = json!({"type": "array", "items": leaf});
    let map = json!({"type": "object", "additionalProperties": leaf});
    let schema = json!({"type": "object", "properties": {"l": list, "m": map, "s": leaf}});
    shown.extend(said(schema, json!({"l": ["b", "c"], "m": {"k.x": "c"}, "s": "c"}), None));
    assert_eq!(
        shown,
        [
            "<nil>: Invalid value: failed rule: self.x == 'b'",
            "<nil>: Invalid value: must be b",
            "<nil>: Invalid value: not a",
            "<nil>: Invalid value: m",
            "x: Invalid value: m",
            "x: Forbidden: m",
            "<nil>: Required value: m",
            "<nil>: Invalid value: \"object\": no such key: y evaluating rule: m",
            "<nil>: Invalid value: \"object\": index out of bounds: 2 evaluating rule: [1][2] == 0",
            "<nil>: Invalid value: \"object\": division by zero evaluating rule: 1 / 0 == 0",
            "l[1]: Invalid value: \"c\": m",
            "m[k.x]: Invalid value: \"c\": m",
            "s: Invalid value: \"c\": m",
        ]
    );
}

#[test]
fn what_was_there_before_is_compared_where_it_can_be_told() {
    let fixed = json!([{"rule": "self == oldSelf", "message": "fixed"}]);
    let leaf = json!({"type": "string", "x-kubernetes-validations": fixed});
    let item = json!({"type": "object", "properties": {"n": {"type": "string"}, "v": leaf}});
    let by_name = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": item});
    let schema = json!({"type": "object", "properties": {
        "s": leaf, "map": {"type": "object", "additionalProperties": leaf},
        "list": {"type": "array", "items": item}, "named": by_name}});
    let before = json!({"s": "a", "map": {"k": "a"}, "list": [{"n": "1", "v": "a"}], "named": [{"n": "1", "v": "a"}, {"n": "2", "v": "b"}]});
    let after = json!({"s": "b", "map": {"k": "b", "new": "b"}, "list": [{"n": "1", "v": "b"}], "named": [{"n": "2", "v": "c"}, {"n": "1", "v": "a"}, {"n": "3", "v": "d"}]});
    assert_eq!(
        said(schema.clone(), after.clone(), Some(before.clone())),
        [
            "map[k]: Invalid value: \"b\": fixed",
            "named[0].v: Invalid value: \"c\": fixed",
            "s: Invalid value: \"b\": fixed"
        ]
    );
    assert!(said(schema.clone(), after, None).is_empty());
    assert!(said(schema, before.clone(), Some(before)).is_empty());
    // With optionalOldSelf a rule runs for a new object too.
    let optional = json!({"rule": "oldSelf.hasValue() || self.x == 'a'", "optionalOldSelf": true, "message": "starts as a"});
    let schema = root(json!({"type": "string"}), optional);
    assert_eq!(said(schema.clone(), json!({"x": "b"}), None), ["<nil>: Invalid value: starts as a"]);
    assert!(said(schema, json!({"x": "b"}), Some(json!({"x": "a"}))).is_empty());
}

#[test]
fn an_update_is_not_refused_for_what_it_leaves_as_it_was() {
    let leaf =
        json!({"type": "string", "x-kubernetes-validations": [{"rule": "self == 'b'", "message": "m"}]});
    let schema = json!({"type": "object", "properties": {"l": {"type": "array", "items": leaf}, "s": leaf, "t": {"type": "string"}}});
    let before = json!({"l": ["x"], "s": "x", "t": "1"});
    assert!(said(schema.clone(), json!({"l": ["x"], "s": "x", "t": "2"}), Some(before.clone())).is_empty());
    assert_eq!(
        said(schema, json!({"l": ["x", "b"], "s": "y", "t": "1"}), Some(before)),
        ["l[0]: Invalid value: \"x\": m", "s: Invalid value: \"y\": m"]
    );
}

#[test]
fn rules_of_what_is_not_there_or_has_no_type_are_not_asked() {
    let never = json!([{"rule": "false", "message": "never"}]);
    let schema = json!({"type": "object", "properties": {
        "absent": {"type": "string", "x-kubernetes-validations": never},
        "null": {"type": "string", "nullable": true, "x-kubernetes-validations": never},
        "untyped": {"x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-validations": never}}});
    assert!(said(schema, json!({"null": null, "untyped": {"a": 1}}), None).is_empty());
    let all_of = json!({"type": "object", "properties": {"x": {"type": "string"}},
        "allOf": [{"x-kubernetes-validations": [{"rule": "self.x == 'b'", "message": "of allOf"}]}]});
    assert_eq!(said(all_of, json!({"x": "a"}), None), ["<nil>: Invalid value: of allOf"]);
}

#[test]
fn evaluation_is_bounded() {
    let schema = root(
        json!({"type": "array", "items": {"type": "integer"}}),
        json!({"rule": "self.x.all(a, self.x.all(b, self.x.all(c, a + b + c >= 0)))", "message": "m"}),
    );
    let said = said(schema, json!({"x": (0..500).collect::<Vec<_>>()}), None);
    assert!(said.len() == 1 && said[0].contains("no further validation rules will be run"), "{said:?}");
}

/// Every value with rules, with its schema and whether it is a root.
fn each_value<'v>(
    schema: &'v Schema,
    value: &'v Value,
    root: bool,
    out: &mut Vec<(&'v Schema, &'v Value, bool)>,
) {
    if !schema.rules.is_empty() {
        out.push((schema, value, root));
    }
    match value {
        Value::Array(items) => {
            for item in items {
                schema.items.iter().for_each(|each| each_value(each, item, each.embedded, out));
            }
        }
        Value::Object(map) => {
            for (name, value) in map {
                if let Some(child) = schema.property(name).or(schema.additional()) {
                    each_value(child, value, child.embedded, out);
                }
            }
        }
        _ => {}
    }
}

/// The same object with one value taken away, emptied, or made another, for each value of it.
fn mutated(value: &Value, out: &mut Vec<Value>) {
    let mut places = vec![String::new()];
    let mut at = 0;
    while let Some(place) = places.get(at).cloned() {
        at += 1;
        match value.pointer(&place) {
            Some(Value::Object(map)) => places.extend(map.keys().map(|key| format!("{place}/{key}"))),
            Some(Value::Array(items)) => {
                places.extend((0..items.len()).map(|item| format!("{place}/{item}")));
            }
            _ => {}
        }
    }
    for place in places.iter().filter(|place| !place.is_empty()) {
        let (parent, name) = place.rsplit_once('/').unwrap();
        let mut without = value.clone();
        match without.pointer_mut(parent).unwrap() {
            Value::Object(map) => drop(map.remove(name)),
            Value::Array(items) => drop(items.remove(name.parse().unwrap())),
            _ => {}
        }
        out.push(without);
        let mut twice = value.clone();
        if let Value::Array(items) = twice.pointer_mut(parent).unwrap() {
            let item = items[name.parse::<usize>().unwrap()].clone();
            items.push(item);
            out.push(twice);
        }
        for other in [json!(""), json!("Exact"), json!("/a//b"), json!(0), json!(true), json!([]), json!({})]
        {
            let mut changed = value.clone();
            *changed.pointer_mut(place).unwrap() = other;
            out.push(changed);
        }
    }
}

#[test]
fn a_glance_never_says_more_than_the_rule() {
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "parentRefs": [
                {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw", "namespace": "net", "sectionName": "https"},
                {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw", "namespace": "net", "sectionName": "http"},
            ],
            "rules": [{
                "name": "a",
                "matches": [
                    {"path": {"type": "PathPrefix", "value": "/api"}, "headers": [{"type": "Exact", "name": "a", "value": "b"}]},
                    {"path": {"type": "RegularExpression", "value": "/[a-z]+"}, "method": "GET"},
                ],
                "filters": [
                    {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x", "value": "y"}]}},
                    {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}},
                ],
                "backendRefs": [{"group": "", "kind": "Service", "name": "web", "port": 80, "weight": 1}],
                "timeouts": {"request": "10s", "backendRequest": "2s"},
            }],
        },
    });
    let definition = Definitions::packed().find(|d| &*d.kind == "HTTPRoute").unwrap();
    let mut all = vec![route.clone()];
    mutated(&route, &mut all);
    let (mut seen, mut asked) = (0, 0);
    for object in &all {
        let mut values = Vec::new();
        each_value(definition.schema(), object, true, &mut values);
        for (schema, value, root) in values {
            for compiled in schema.program.of(schema) {
                let Ok(expression) = &compiled.expression else { continue };
                asked += 1;
                let at = value::At { value, schema, root };
                if expression.glance.as_ref().is_some_and(|glance| glance.holds(at)) {
                    seen += 1;
                    let held = RuleRun::new(value::typed(value, schema, root), None).holds(expression, RULE);
                    assert_eq!(held, Ok(true), "{} of {value}", expression.source);
                }
            }
        }
    }
    assert!(all.len() > 300, "{}", all.len());
    assert!(seen * 10 > asked * 9, "most is seen at a glance: {seen} of {asked}");
}
