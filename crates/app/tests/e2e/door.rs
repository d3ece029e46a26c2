//! What an API server would not store is not taken: what was live stays, and what is new is left out.

use serde_json::{Value, json};

use super::instance::{Instance, envoy, first_steps, portolan};

fn refusal(instance: &Instance, object: &str) -> Value {
    instance.wait(&format!("a refusal of {object}"), || {
        let status = instance.status();
        let findings = status["findings"].as_array()?;
        findings.iter().find(|f| f["code"] == "PTL-0005" && f["object"] == object).cloned()
    })
}

#[test]
fn a_refused_edit_leaves_what_was_live_over_a_restart_too() {
    let Some(envoy) = envoy("e2e door") else { return };
    let mut instance = Instance::start(first_steps(), envoy);
    instance.reach("app1.dev.example.com", "live");
    // The edit would take the backend off, if it were taken for none.
    instance.edit("team-a.yaml", "weight: 90", "weight: \"90\"");
    for round in ["while it runs", "after a restart"] {
        let finding = refusal(&instance, "HTTPRoute/team-a/app1");
        assert_eq!(finding["file"], "team-a.yaml", "{round}");
        let line = usize::try_from(finding["line"].as_u64().unwrap()).unwrap();
        let text = std::fs::read_to_string(instance.dir.path().join("team-a.yaml")).unwrap();
        assert!(text.lines().nth(line - 1).unwrap().contains("weight: \"90\""), "{round}: line {line}");
        let words = "spec.rules[2].backendRefs[0].weight in body must be of type integer: \"string\"";
        assert!(finding["message"].as_str().unwrap().contains(words), "{round}: {finding}");
        assert_eq!(instance.reach("app1.dev.example.com", "live")["findings"].as_array().unwrap().len(), 1);
        if round == "while it runs" {
            instance.kill_nine();
            instance.up();
        }
    }
    instance.edit("team-a.yaml", "weight: \"90\"", "weight: 80");
    instance.wait("the finding to go", || {
        let found = instance.status()["findings"].as_array()?.iter().any(|f| f["code"] == "PTL-0005");
        (!found).then_some(())
    });
    // Once it is no longer written at all, it goes.
    instance.edit("team-a.yaml", "weight: 80", "weight: \"80\"");
    refusal(&instance, "HTTPRoute/team-a/app1");
    std::fs::remove_file(instance.dir.path().join("team-a.yaml")).unwrap();
    instance.wait("the host to go", || instance.entry("app1.dev.example.com").is_none().then_some(()));
}

#[test]
fn what_is_new_and_refused_is_left_out_and_render_says_the_same() {
    let Some(envoy) = envoy("e2e door of new objects") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.reach("app1.dev.example.com", "live");
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: wide, namespace: team-a}\nspec:\n  parentRefs: [{name: shared, namespace: gateway-system, sectionName: on}]\n  hostnames: [wide.dev.example.com]\n  rules: [{backendRefs: [{name: app1, port: 80}]}]\n";
    instance.write("wide.yaml", route);
    let finding = refusal(&instance, "HTTPRoute/team-a/wide");
    assert_eq!((&finding["file"], &finding["line"]), (&json!("wide.yaml"), &json!(5)));
    assert_eq!(finding["field"], "spec.parentRefs[0].sectionName");
    assert_eq!(instance.entry("wide.dev.example.com"), None);
    let output = portolan().arg("render").arg(instance.dir.path()).args(["-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let rendered: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rendered["findings"].as_array().unwrap().contains(&finding), "{}", rendered["findings"]);
    // A definition in the repository says otherwise: it wins, and what was refused is judged again.
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: httproutes.gateway.networking.k8s.io}\nspec:\n  group: gateway.networking.k8s.io\n  scope: Namespaced\n  names: {kind: HTTPRoute, plural: httproutes}\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}\n";
    instance.write("definition.yaml", definition);
    instance.wait("the route to be taken", || {
        let findings = instance.status()["findings"].as_array()?.clone();
        let codes: Vec<Value> = findings.iter().map(|finding| finding["code"].clone()).collect();
        // A flag is no name of a listener, whoever takes it.
        (codes == ["PTL-0001"]).then_some(())
    });
}

#[test]
fn an_edit_that_the_webhook_of_cert_manager_refuses_keeps_the_certificate() {
    let Some(envoy) = envoy("e2e door of certificates") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.reach("app1.dev.example.com", "live");
    // By schema it is a text, and so taken; only the webhook knows what an hour is.
    instance.edit("certificates.yaml", "    - dev.example.com\n", "    - dev.example.com\n  duration: 30m\n");
    let finding = refusal(&instance, "Certificate/gateway-system/wildcard-dev");
    let words = "as cert-manager's webhook refuses it: spec.duration: certificate duration must be greater than 1h0m0s; spec.renewBefore: ";
    assert!(finding["message"].as_str().unwrap().contains(words), "{finding}");
    assert_eq!(finding["field"], "spec.duration");
    let output = instance.run(&["get", "certificate", "gateway-system/wildcard-dev", "--output", "json"]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = list.to_string();
    assert!(text.contains("wildcard-dev") && !text.contains("30m"), "{text}");
    assert!(text.contains("Certificate is up to date and has not expired"), "{text}");
    instance.reach("app1.dev.example.com", "live");
    instance.edit("certificates.yaml", "  duration: 30m\n", "  duration: 2200h\n");
    instance.wait("the edit to be taken", || {
        let found = instance.status()["findings"].as_array()?.iter().any(|f| f["code"] == "PTL-0005");
        (!found).then_some(())
    });
    instance.reach("app1.dev.example.com", "live");
}

const WIDE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: wide, namespace: team-a}\nspec:\n  parentRefs: [{name: shared, namespace: gateway-system}]\n  hostnames: [wide.dev.example.com]\n  rules: [{backendRefs: [{name: app1, port: 80}]}]\n";

/// Argo CD, Flux and `kubectl apply --prune` fail at what there is not, and remove nothing then.
#[test]
fn a_misspelt_kind_group_or_name_removes_nothing() {
    let Some(envoy) = envoy("e2e misspelt kinds") else { return };
    let instance = Instance::start(first_steps(), envoy);
    instance.write("wide.yaml", WIDE);
    instance.reach("wide.dev.example.com", "live");
    let kept = || {
        instance.wait("what stays", || {
            let status = instance.status();
            let findings = status["findings"].as_array()?;
            let kept = findings.iter().find(|finding| finding["code"] == "PTL-0670")?;
            Some(kept["message"].as_str()?.to_owned())
        })
    };
    for (right, wrong) in [
        ("kind: HTTPRoute", "kind: HttpRoute"),
        ("gateway.networking.k8s.io", "gateway.networking.k8s.oi"),
        ("name: wide,", "name: Wide,"),
    ] {
        instance.write("wide.yaml", &WIDE.replacen(right, wrong, 1));
        let message = kept();
        assert!(message.contains("which no API server takes"), "{wrong}: {message}");
        instance.reach("wide.dev.example.com", "live");
        let status = instance.status();
        assert_eq!(status["verdict"]["complete"], wrong.contains("Wide"), "{wrong}: {}", status["verdict"]);
        instance.write("wide.yaml", WIDE);
        instance.wait("nothing to be said", || {
            instance.status()["findings"].as_array()?.is_empty().then_some(())
        });
    }
    // A name that a route can have is that of another route.
    instance.write(
        "wide.yaml",
        &WIDE.replacen("name: wide,", "name: wider,", 1).replace("wide.dev", "wider.dev"),
    );
    instance.reach("wider.dev.example.com", "live");
    instance.wait("the old host to go", || instance.entry("wide.dev.example.com").is_none().then_some(()));
}

/// A definition that becomes narrower takes nothing away, and lets edits of other fields in (KEP-4008).
#[test]
fn what_stands_keeps_its_faults_where_a_definition_becomes_narrower() {
    let Some(envoy) = envoy("e2e ratcheting") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let definition = |limit: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.example.com}}\nspec:\n  group: example.com\n  scope: Namespaced\n  names: {{kind: Widget, plural: widgets}}\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, properties: {{num: {{type: integer{limit}}}, other: {{type: string}}}}}}}}}}}}\n"
        )
    };
    let widget = |num: u8, other: &str| {
        format!(
            "apiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: w, namespace: team-a}}\nspec: {{num: {num}, other: {other}}}\n"
        )
    };
    // What stands in objects of kinds that are not known is not shown.
    let generation = || {
        let output = instance.run(&["get", "widget", "team-a/w", "--output", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).ok()?;
        json["metadata"]["generation"].as_i64()
    };
    let reaches = |wanted| {
        let what = format!("generation {wanted}");
        instance.wait(&what, || generation().filter(|is| *is == wanted));
    };
    let refused = || {
        let status = instance.status();
        let findings = status["findings"].as_array().unwrap();
        findings.iter().any(|finding| finding["code"] == "PTL-0005")
    };
    instance.write("definition.yaml", &definition(""));
    instance.write("widget.yaml", &widget(15, "first"));
    reaches(1);
    instance.write("definition.yaml", &definition(", maximum: 10"));
    instance.write("widget.yaml", &widget(15, "second"));
    reaches(2);
    assert!(!refused(), "{}", instance.status()["findings"]);
    instance.write("widget.yaml", &widget(16, "third"));
    refusal(&instance, "Widget/team-a/w");
    assert_eq!(generation(), Some(2));
    instance.write("widget.yaml", &widget(15, "fourth"));
    reaches(3);
    instance.wait("the refusal to go", || (!refused()).then_some(()));
}
