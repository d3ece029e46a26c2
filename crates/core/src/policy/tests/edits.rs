//! Edits that an API server would refuse.

use portolan_model::{Object, Origin, input::Judged, yaml};

use super::{admitted, apply, edge, findings, policy, step};
use crate::policy::{
    edit::{is_looked_at, judged, refused},
    rows::Denied,
};

fn objects(text: &str) -> Vec<Object> {
    let (documents, errors) = yaml::load(text);
    assert_eq!(errors, []);
    documents.into_iter().map(|d| Object::from_json(d.json, Origin::default()).unwrap()).collect()
}

fn with(expression: &str, more: &str) -> Object {
    let spec = format!("  validations:\n  - {{expression: \"{expression}\", message: nope}}\n{more}");
    objects(&policy("p", "Deny", &spec)).remove(0)
}

fn code(stored: &Object, new: &Object) -> Option<(u16, String)> {
    refused(stored, new).map(|problem| (problem.code.0, problem.field.to_string()))
}

#[test]
fn what_does_not_compile_does_not_replace_what_does() {
    let (good, other, broken) = (with("true", ""), with("false", ""), with("objct.x", ""));
    assert!(is_looked_at(&good));
    assert_eq!(code(&good, &other), None);
    assert_eq!(code(&good, &broken), Some((507, "spec.validations[0].expression".to_owned())));
    let problem = refused(&good, &broken).unwrap();
    assert!(problem.message.contains("stays in force: line 1, column 1"), "{}", problem.message);
    assert!(!problem.hint.is_empty());
    // There is no good version: the newest is shown with its own error.
    assert_eq!(code(&broken, &with("objct.y", "")), None);
    assert_eq!(code(&broken, &good), None);
}

#[test]
fn a_field_that_no_api_server_takes_is_refused_as_well() {
    let good = with("true", "");
    assert_eq!(
        code(&good, &with("true", "  failurePolicy: Sometimes\n")),
        Some((507, "spec.failurePolicy".to_owned()))
    );
    // A misspelt field is a warning there too, and taken.
    assert_eq!(code(&good, &with("true", "  failurPolicy: Ignore\n")), None);
    // Worse than before is refused, as bad as before is taken.
    let odd = with("true", "  failurePolicy: Sometimes\n");
    assert_eq!(code(&odd, &with("objct.x", "")), Some((507, "spec.validations[0].expression".to_owned())));
    assert_eq!(code(&odd, &with("false", "  failurePolicy: Never\n")), None);
}

#[test]
fn bindings_are_looked_at_and_nothing_else_is() {
    let binding = |actions: &str| objects(&policy("p", actions, "  validations: []\n")).remove(1);
    assert_eq!(code(&binding("Deny"), &binding("Denny")), Some((507, "spec.validationActions".to_owned())));
    assert_eq!(code(&binding("Deny"), &binding("Audit")), None);
    let route =
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: ns}\n";
    assert!(!is_looked_at(&objects(route)[0]));
}

fn route(host: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: edited, namespace: ns}}\n\
         spec: {{hostnames: [{host}.example.com]}}\n"
    )
}

fn one(text: &str) -> Object {
    objects(text).remove(0)
}

/// An edit is judged in a row of its own: what is stored stays in force, and a policy that no longer denies the edit says so.
#[test]
fn an_edit_is_judged_beside_what_stands() {
    let strict = policy(
        "hosts",
        "Deny",
        "  validations:\n  - {expression: \"!object.spec.hostnames.exists(h, h.startsWith('no'))\", message: taken}\n",
    );
    let mut engine = edge("");
    apply(&mut engine, &strict.replace("!object", "!has(object.spec.hostnames) || !object"));
    let (stored, new) = (one(&route("yes")), one(&route("no")));
    apply(&mut engine, &route("yes"));
    assert_eq!(judged(&stored, &stored), None, "nothing is edited");
    engine.put(judged(&stored, &new).unwrap());
    step(&mut engine);
    let (object, edit) = (stored.key.clone(), Judged::edit_of(&stored.key));
    assert_eq!((engine.get::<Denied>(&object), engine.get::<Denied>(&edit).is_some()), (None, true));
    assert!(admitted(&engine).contains(&"edited".to_owned()), "{:?}", admitted(&engine));
    let said: Vec<String> = findings(&engine)
        .into_iter()
        .filter(|line| line.starts_with("501 ") && line.contains("edited"))
        .collect();
    assert!(said.len() == 1 && said[0].starts_with("501 HTTPRoute/ns/edited"), "{said:?}");
    assert!(said[0].contains("stood before stays in force: taken"), "{said:?}");

    // Tightened, it denies what stands as well, which is cut; loosened, it denies neither.
    let with = |what: &str| {
        strict
            .replace("!object", "!has(object.spec.hostnames) || !object")
            .replace("h.startsWith('no')", what)
    };
    apply(&mut engine, &with("h.startsWith('y') || h.startsWith('no')"));
    step(&mut engine);
    assert!(engine.get::<Denied>(&object).is_some() && engine.get::<Denied>(&edit).is_some());
    assert!(!admitted(&engine).contains(&"edited".to_owned()));
    apply(&mut engine, &with("h.startsWith('never')"));
    step(&mut engine);
    assert_eq!((engine.get::<Denied>(&object), engine.get::<Denied>(&edit)), (None, None));
}

/// `request` and `matchConstraints` see the object's own group and kind.
#[test]
fn an_edit_is_matched_as_its_object() {
    let narrow = policy(
        "p",
        "Deny",
        "  validations:\n  - {expression: \"request.kind.group != 'gateway.networking.k8s.io' || request.kind.kind != 'HTTPRoute'\", message: seen}\n",
    );
    let mut engine = edge(&narrow.replace("apiGroups: [\"*\"]", "apiGroups: [gateway.networking.k8s.io]"));
    let (stored, new) = (one(&route("a")), one(&route("b")));
    engine.put(judged(&stored, &new).unwrap());
    step(&mut engine);
    assert!(engine.get::<Denied>(&Judged::edit_of(&stored.key)).is_some(), "{:?}", findings(&engine));
}

fn labelled(host: &str, labels: &str) -> Object {
    one(&route(host).replace("namespace: ns}", &format!("namespace: ns, labels: {{{labels}}}}}")))
}

/// An edit is an update: `oldObject` is what stands, whether the policy matches creations too or not.
#[test]
fn an_edit_is_judged_with_what_stands() {
    let fixed = "  validations:\n  - {expression: \"request.operation == 'CREATE' || object.spec.hostnames == oldObject.spec.hostnames\", message: fixed}\n";
    for operations in ["UPDATE", "CREATE, UPDATE", "'*'"] {
        let text = policy("p", "Deny", fixed)
            .replace("operations: [CREATE, UPDATE]", &format!("operations: [{operations}]"));
        let text = text.replace(
            "resources: [httproutes, grpcroutes, gateways, certificates]",
            "resources: [httproutes]",
        );
        let mut engine = edge(&text);
        apply(&mut engine, &route("a"));
        step(&mut engine);
        // An update may change nothing else: what is there, and what comes, is not denied by it.
        assert_eq!(
            findings(&engine).iter().filter(|line| line.starts_with("501 ")).count(),
            0,
            "{operations}: {:?}",
            findings(&engine)
        );
        let edit = Judged::edit_of(&one(&route("a")).key);
        engine.put(judged(&one(&route("a")), &one(&route("b"))).unwrap());
        step(&mut engine);
        assert!(engine.get::<Denied>(&edit).is_some(), "{operations}: {:?}", findings(&engine));
        engine.put(judged(&one(&route("a")), &labelled("a", "x: y")).unwrap());
        step(&mut engine);
        assert!(engine.get::<Denied>(&edit).is_none(), "{operations}: {:?}", findings(&engine));
    }
}

/// Who takes away the label by which a policy chooses does not get by.
#[test]
fn an_edit_is_chosen_by_the_labels_that_it_takes_away() {
    let never = policy("p", "Deny", "  validations:\n  - {expression: 'false', message: nope}\n");
    let text = never.replace(
        "validationActions: [Deny]",
        "validationActions: [Deny], matchResources: {objectSelector: {matchLabels: {guarded: 'yes'}}}",
    );
    let mut engine = edge(&text.replace("operations: [CREATE, UPDATE]", "operations: [UPDATE]"));
    let edit = Judged::edit_of(&one(&route("a")).key);
    for (from, to, denied) in
        [("guarded: 'yes'", "a: b", true), ("a: b", "guarded: 'yes'", true), ("a: b", "c: d", false)]
    {
        engine.put(judged(&labelled("a", from), &labelled("a", to)).unwrap());
        step(&mut engine);
        assert_eq!(engine.get::<Denied>(&edit).is_some(), denied, "{from} to {to}: {:?}", findings(&engine));
    }
}
