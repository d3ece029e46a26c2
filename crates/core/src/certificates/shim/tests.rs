#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use portolan_engine::Engine;
use portolan_model::{Name, NamespacedName, Object, Origin, input::Maker, intake::intake, yaml};

use crate::{
    World,
    certificates::rows::{Settings, ShimCertificate, ShimSettings},
    door::{Definitions, Door, enter},
    world::{self, Finding},
};

fn engine() -> Engine<World> {
    let mut engine = world::engine();
    engine.put(Settings {
        key: Name::default(),
        cluster_resource_namespace: "cert-manager".into(),
        shim: ShimSettings::default(),
    });
    engine
}

/// Objects come, and what is wanted is made.
fn apply(engine: &mut Engine<World>, text: &str) {
    let (documents, errors) = yaml::load(text);
    assert_eq!(errors, []);
    for document in documents {
        let Door::Taken(object) = enter(&Definitions::builtin(), document.json, Origin::default()).unwrap()
        else {
            panic!("the door refuses {text}")
        };
        world::put(engine, &object.key, intake(&object));
    }
    step(engine);
    let wanted: Vec<Arc<ShimCertificate>> = engine.rows::<ShimCertificate>().cloned().collect();
    for body in wanted.iter().filter_map(|row| row.body.clone()) {
        let object = Object::from_json(body, Origin::default()).unwrap();
        world::put(engine, &object.key, intake(&object).written_by(Maker::Shim.manager()));
    }
    step(engine);
}

fn step(engine: &mut Engine<World>) {
    let changes = engine.step(0);
    assert_eq!((changes.errors, changes.conflicts, changes.held.to_vec()), (vec![], vec![], vec![]));
}

fn gateway(name: &str, annotations: &str, host: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {name}, namespace: a, annotations: {{{annotations}}}}}\nspec:\n  gatewayClassName: c\n  listeners: [{{name: w, port: 443, protocol: HTTPS, hostname: {host}, tls: {{certificateRefs: [{{name: tls}}]}}}}]\n"
    )
}

/// For whom the Certificate is made, and for which names; none where it stays as it is.
fn made(engine: &Engine<World>) -> Option<(String, Option<String>)> {
    let row = engine.get::<ShimCertificate>(&NamespacedName::new("a", "tls"))?;
    let names = row.body.as_ref().map(|body| body["spec"]["dnsNames"].to_string());
    Some((row.source.name.name.to_string(), names))
}

fn codes(engine: &Engine<World>) -> Vec<u16> {
    let all = engine.rows::<Finding>().map(|finding| finding.problem.code.0);
    let mut codes: Vec<u16> = all.filter(|code| (360..370).contains(code)).collect();
    codes.sort_unstable();
    codes
}

const ISSUER: &str = "cert-manager.io/issuer: own";

#[test]
fn an_annotation_that_cannot_be_used_leaves_the_certificate_as_it_was() {
    let mut engine = engine();
    apply(&mut engine, &gateway("g", ISSUER, "a.example.com"));
    assert_eq!(made(&engine), Some(("g".into(), Some("[\"a.example.com\"]".into()))));
    let broken = format!("{ISSUER}, cert-manager.io/duration: 90d");
    apply(&mut engine, &gateway("g", &broken, "b.example.com"));
    assert_eq!((made(&engine), codes(&engine)), (Some(("g".into(), None)), vec![361]));
    apply(&mut engine, &gateway("g", ISSUER, "b.example.com"));
    assert_eq!((made(&engine).unwrap().1, codes(&engine)), (Some("[\"b.example.com\"]".into()), vec![]));
}

#[test]
fn whose_certificate_it_is_keeps_it_whatever_the_names() {
    let mut engine = engine();
    apply(&mut engine, &gateway("z", ISSUER, "z.example.com"));
    apply(&mut engine, &gateway("a", ISSUER, "a.example.com"));
    assert_eq!((made(&engine).unwrap().0, codes(&engine)), ("z".into(), vec![363]));
    // Also while it says something that cannot be used.
    apply(&mut engine, &gateway("z", &format!("{ISSUER}, cert-manager.io/usages: none"), "z.example.com"));
    assert_eq!((made(&engine), codes(&engine)), (Some(("z".into(), None)), vec![361, 363]));
    apply(&mut engine, &gateway("z", "", "z.example.com"));
    assert_eq!((made(&engine).unwrap().0, codes(&engine)), ("a".into(), vec![]));
}

/// Both ask at once: the older Gateway has it, whatever the names, and of one age the first by name.
#[test]
fn of_two_that_ask_at_once_the_older_has_it() {
    let (older, newer) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    for (a, z, whose) in [(newer, older, "z"), (older, newer, "a"), (newer, newer, "a")] {
        let mut engine = engine();
        let of = |name: &str, created: &str| {
            gateway(name, ISSUER, &format!("{name}.example.com"))
                .replace("metadata: {", &format!("metadata: {{creationTimestamp: \"{created}\", "))
        };
        apply(&mut engine, &format!("{}---\n{}", of("a", a), of("z", z)));
        assert_eq!((made(&engine).unwrap().0.as_str(), codes(&engine)), (whose, vec![363]), "{a} {z}");
    }
}

/// As after a restart: the store is there before it is known what cert-manager is told, and the newcomer's name comes first.
#[test]
fn whose_certificate_it_was_has_it_after_a_restart() {
    for (annotations, stays) in [("", false), (", cert-manager.io/duration: xx", true)] {
        let mut before = engine();
        apply(&mut before, &gateway("z", ISSUER, "z.example.com"));
        let stored = before.rows::<ShimCertificate>().next().unwrap().body.clone().unwrap();
        let mut engine = world::engine();
        let stored = Object::from_json(stored, Origin::default()).unwrap();
        world::put(&mut engine, &stored.key, intake(&stored).written_by(Maker::Shim.manager()));
        apply(&mut engine, &gateway("a", ISSUER, "a.example.com"));
        apply(&mut engine, &gateway("z", &format!("{ISSUER}{annotations}"), "z.example.com"));
        assert_eq!(made(&engine), None, "not before it is known");
        engine.put(Settings {
            key: Name::default(),
            cluster_resource_namespace: "cert-manager".into(),
            shim: ShimSettings::default(),
        });
        step(&mut engine);
        let names = (!stays).then(|| "[\"z.example.com\"]".to_owned());
        assert_eq!(made(&engine), Some(("z".into(), names)));
    }
}

#[test]
fn nothing_is_asked_before_it_is_known_what_cert_manager_is_told() {
    let mut engine = world::engine();
    apply(&mut engine, &gateway("g", ISSUER, "a.example.com"));
    assert_eq!(made(&engine), None);
}

#[test]
fn a_denied_gateway_asks_for_nothing() {
    let mut engine = engine();
    let policy = "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: p}\nspec:\n  matchConstraints: {resourceRules: [{apiGroups: [gateway.networking.k8s.io], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [gateways]}]}\n  validations: [{expression: 'false'}]\n---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: p}\nspec: {policyName: p, validationActions: [Deny]}\n---\n";
    apply(&mut engine, &(policy.to_owned() + &gateway("g", ISSUER, "a.example.com")));
    assert_eq!(made(&engine), None);
}
