use std::fmt::Write as _;

use portolan_model::{
    LabelSelector, NamespacedName,
    input::{ConfigMap, Secret},
};

use super::*;
use crate::secrets::{
    rows::{Mirror, MirrorContent, MirrorKey, MirrorKind, MirrorUnwanted, MirrorWanted, Reach},
    selector,
};

const P: &str = "reflector.v1.k8s.emberstack.com";

/// Namespaces `a` to `c` and what else is given.
fn world_of(text: &str) -> Engine<World> {
    let mut engine = world::engine();
    for (name, labels) in [("a", "team: a"), ("b", "team: b, stage: dev"), ("c", "stage: prod")] {
        namespace(&mut engine, name, labels);
    }
    apply(&mut engine, text);
    step(&mut engine);
    engine
}

fn namespace(engine: &mut Engine<World>, name: &str, labels: &str) {
    apply(
        engine,
        &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n"),
    );
}

fn object(kind: &str, namespace: &str, name: &str, annotations: &[(&str, &str)], more: &str) -> String {
    let mut text = format!(
        "---\napiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: {namespace}\n  annotations:\n    other: 'x'\n"
    );
    for (key, value) in annotations {
        writeln!(text, "    {P}/{key}: {value:?}").unwrap();
    }
    text + more + "\n"
}

fn source(annotations: &[(&str, &str)]) -> String {
    object("Secret", "a", "tls", annotations, "stringData: {k: value}")
}

/// What Portolan writes for a mirror.
fn mirror(namespace: &str, of: &str, data: &str) -> String {
    object(
        "Secret",
        namespace,
        "tls",
        &[("reflects", of), ("auto-reflects", "True")],
        &format!("  labels: {{app.kubernetes.io/managed-by: portolan}}\nstringData: {{k: {data}}}"),
    )
}

#[test]
fn excluded_namespaces_are_neither_source_nor_target() {
    let auto = [("reflection-allowed", "true"), ("reflection-auto-enabled", "true")];
    let mut engine = world_of(&source(&auto));
    assert_eq!(mirrors(&engine), ["b/tls of a/tls", "c/tls of a/tls"]);
    let excluding = |patterns: &[&str]| Reach {
        not_mirrored: patterns.iter().map(|pattern| (*pattern).into()).collect(),
        ..Reach::default()
    };
    engine.put(excluding(&["c*", "kube-?"]));
    step(&mut engine);
    assert_eq!((mirrors(&engine), codes(&engine)), (vec!["b/tls of a/tls".to_owned()], vec![]));
    engine.put(excluding(&["?"]));
    step(&mut engine);
    assert_eq!((mirrors(&engine), codes(&engine)), (vec![], vec![165]));
    // One that a user wrote asks in vain.
    engine.put(excluding(&["a"]));
    apply(&mut engine, &object("Secret", "b", "mine", &[("reflects", "a/tls")], ""));
    step(&mut engine);
    assert_eq!((mirrors(&engine), codes(&engine)), (vec![], vec![165, 162]));
}

fn mirrors(engine: &Engine<World>) -> Vec<String> {
    engine.rows::<Mirror>().map(|m| format!("{} of {}", m.key.name, m.source)).collect()
}

fn wanted(engine: &Engine<World>) -> Vec<String> {
    engine.rows::<MirrorWanted>().map(|m| m.key.name.to_string()).collect()
}

fn unwanted(engine: &Engine<World>) -> Vec<String> {
    engine.rows::<MirrorUnwanted>().map(|m| m.key.name.to_string()).collect()
}

const ALL: [(&str, &str); 2] = [("reflection-allowed", "true"), ("reflection-auto-enabled", "true")];

fn with(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [&ALL[..], more].concat()
}

#[test]
fn the_lists_take_whole_names_and_labels() {
    let allowed = "reflection-allowed-namespaces";
    let auto = "reflection-auto-namespaces";
    let cases: Vec<(Vec<(&str, &str)>, &str)> = vec![
        (with(&[]), "b c dev-1"),
        (with(&[(allowed, "")]), "b c dev-1"),
        (with(&[(allowed, "b")]), "b"),
        (with(&[(allowed, " b , c ")]), "b c"),
        (with(&[(allowed, "dev")]), ""),
        (with(&[(allowed, "dev-.*")]), "dev-1"),
        (with(&[(allowed, "[bc]"), (auto, "c,dev-1")]), "c"),
        (with(&[(allowed, ",")]), ""),
        // The first alternative that matches decides, and it is not the whole name.
        (with(&[(allowed, "dev|dev-1")]), ""),
        (with(&[(allowed, "dev-1|dev")]), "dev-1"),
        (with(&[("reflection-allowed-namespaces-selector", "team=b")]), "b"),
        (with(&[(allowed, "c"), ("reflection-allowed-namespaces-selector", "team=b")]), "b c"),
        (with(&[("reflection-auto-namespaces-selector", "stage in (dev, prod),!team")]), "c"),
        (vec![("reflection-allowed", "true")], ""),
        (vec![("reflection-auto-enabled", "true")], ""),
        (vec![("reflection-allowed", " True "), ("reflection-auto-enabled", "TRUE")], "b c dev-1"),
        (vec![("reflection-allowed", "yes"), ("reflection-auto-enabled", "true")], ""),
    ];
    for (annotations, expected) in cases {
        let mut engine = world_of(&source(&annotations));
        namespace(&mut engine, "dev-1", "");
        step(&mut engine);
        let found: Vec<String> = engine.rows::<Mirror>().map(|m| m.key.name.namespace.to_string()).collect();
        assert_eq!(found.join(" "), expected, "{annotations:?}");
    }
}

#[test]
fn a_pattern_or_selector_that_cannot_be_used_matches_nothing_and_is_told() {
    let text = source(&with(&[("reflection-allowed-namespaces", "(, [b, c")]));
    let engine = world_of(&text);
    assert_eq!(mirrors(&engine), ["c/tls of a/tls"]);
    assert_eq!(codes(&engine), [161, 161]);
    let engine = world_of(&source(&with(&[("reflection-auto-namespaces-selector", "team in ()")])));
    assert_eq!((mirrors(&engine).len(), codes(&engine)), (0, vec![161]));
    let engine = world_of(&source(&[("reflection-auto-enabled", "true"), ("reflection-alowed", "true")]));
    assert_eq!((mirrors(&engine).len(), codes(&engine)), (0, vec![163, 163]));
}

#[test]
fn namespaces_are_left_out_by_look_ahead() {
    let engine = world_of(&source(&with(&[("reflection-allowed-namespaces", "^(?!(?:b|kube-system)$).*")])));
    assert_eq!((mirrors(&engine), codes(&engine)), (vec!["c/tls of a/tls".to_owned()], vec![]));
    // One that goes back and forth for ever takes nothing, and says so.
    let engine =
        world_of(&source(&with(&[("reflection-allowed-namespaces", "(?=((a|a?)+)+b$)c|(b|b)*(?!.)x")])));
    assert_eq!((mirrors(&engine).len(), codes(&engine).contains(&164)), (0, true));
}

#[test]
fn selectors() {
    let labels = [("team", "a"), ("example.com/stage", "dev"), ("empty", "")];
    let labels = labels.map(|(k, v)| (k.into(), v.into())).into();
    let matches = |text: &str| selector::parse(text).map(|s: LabelSelector| s.matches(&labels));
    for (text, expected) in [
        ("", true),
        ("team=a", true),
        ("team == a , example.com/stage!=prod", true),
        ("team=b", false),
        ("team notin (b,c),empty", true),
        ("example.com/stage in (dev)", true),
        ("!team", false),
        ("other!=x", true),
        ("empty=", true),
    ] {
        assert_eq!(matches(text), Ok(expected), "{text}");
    }
    for bad in
        [",", "a b", "team in ()", "team in a", "-x=y", "UPPER.example/x=y", "x=-", "x in (a b)", "a=b=c"]
    {
        assert!(matches(bad).is_err(), "{bad}");
    }
}

#[test]
fn namespaces_come_and_go() {
    let mut engine = world_of(&source(&with(&[("reflection-allowed-namespaces", "b|new")])));
    assert_eq!(wanted(&engine), ["b/tls"]);
    let row = engine.rows::<MirrorWanted>().next().unwrap().mirror.clone();
    let MirrorContent::Secret { data, .. } = &*row.content else { panic!() };
    assert_eq!(data["k"].expose(), b"value");
    assert!(row.auto && !row.volatile);
    namespace(&mut engine, "new", "");
    step(&mut engine);
    assert_eq!(wanted(&engine), ["b/tls", "new/tls"]);
    apply(&mut engine, &(mirror("b", "a/tls", "value") + &mirror("new", "a/tls", "value")));
    step(&mut engine);
    assert_eq!((wanted(&engine), unwanted(&engine)), (vec![], vec![]), "as they shall be");
    remove(&mut engine, "Namespace", "", "new");
    step(&mut engine);
    assert_eq!(unwanted(&engine), ["new/tls"]);
}

#[test]
fn a_mirror_follows_its_source_and_drift_is_repaired() {
    let mut engine =
        world_of(&(source(&with(&[("reflection-allowed-namespaces", "b")])) + &mirror("b", "a/tls", "old")));
    assert_eq!(wanted(&engine), ["b/tls"], "what was kept over a restart is compared with the source");
    apply(&mut engine, &mirror("b", "a/tls", "value"));
    step(&mut engine);
    assert_eq!(wanted(&engine), Vec::<String>::new());
    for drift in [
        mirror("b", "a/tls", "changed"),
        mirror("b", "a/tls", "value").replace("auto-reflects: \"True\"", "auto-reflects: \"False\""),
        mirror("b", "a/tls", "value") + "type: kubernetes.io/tls\n",
    ] {
        apply(&mut engine, &drift);
        step(&mut engine);
        assert_eq!(wanted(&engine), ["b/tls"], "{drift}");
        apply(&mut engine, &mirror("b", "a/tls", "value"));
        step(&mut engine);
        assert_eq!(wanted(&engine), Vec::<String>::new());
    }
    // No longer allowed, switched off, gone: each takes the mirror away.
    for end in [source(&with(&[("reflection-allowed-namespaces", "c")])), source(&ALL[..1]), source(&[])] {
        apply(&mut engine, &end);
        step(&mut engine);
        assert_eq!(unwanted(&engine), ["b/tls"], "{end}");
        apply(&mut engine, &source(&with(&[("reflection-allowed-namespaces", "b")])));
        step(&mut engine);
        assert_eq!(unwanted(&engine), Vec::<String>::new());
    }
    remove(&mut engine, "Secret", "a", "tls");
    step(&mut engine);
    assert_eq!(unwanted(&engine), ["b/tls"]);
}

#[test]
fn an_object_in_the_way_is_never_overwritten() {
    let own = object("Secret", "b", "tls", &[], "stringData: {k: own}");
    let mut engine = world_of(&(source(&ALL) + &own));
    assert_eq!(mirrors(&engine), ["c/tls of a/tls"]);
    let found = findings(&engine);
    assert_eq!(
        (found.len(), found[0].0, found[0].1, &*found[0].2),
        (1, 160, Severity::Warning, "Secret/a/tls")
    );
    assert!(found[0].3.contains("Secret/b/tls, which comes from the repository"), "{}", found[0].3);
    remove(&mut engine, "Secret", "b", "tls");
    step(&mut engine);
    assert_eq!((mirrors(&engine).len(), codes(&engine)), (2, vec![]));
}

#[test]
fn two_sources_of_one_name_share_nothing() {
    let second = object("Secret", "b", "tls", &with(&[("reflection-allowed-namespaces", "c")]), "");
    let first = source(&with(&[("reflection-allowed-namespaces", "c")]));
    let engine = world_of(&(first.clone() + &second));
    assert_eq!(mirrors(&engine), ["c/tls of a/tls"]);
    assert_eq!(codes(&engine), [160]);
    // The one that has the name keeps it, whatever the order.
    let mut engine = world_of(&(first + &second + &mirror("c", "b/tls", "x")));
    assert_eq!(mirrors(&engine), ["c/tls of b/tls"]);
    remove(&mut engine, "Secret", "b", "tls");
    step(&mut engine);
    assert_eq!((mirrors(&engine), codes(&engine)), (vec!["c/tls of a/tls".to_owned()], vec![]));
}

#[test]
fn a_mirror_written_by_hand_is_filled_where_the_source_allows_it() {
    let hand = |of: &str| object("Secret", "b", "copy", &[("reflects", of)], "type: kubernetes.io/tls");
    let mut engine = world_of(&(source(&[("reflection-allowed", "true")]) + &hand("a/tls")));
    let row = engine.rows::<MirrorWanted>().next().unwrap().mirror.clone();
    assert_eq!((row.key.name.to_string(), row.auto), ("b/copy".to_owned(), false));
    apply(&mut engine, &(hand("a/tls") + "stringData: {k: value}\n"));
    step(&mut engine);
    assert_eq!((wanted(&engine), codes(&engine)), (vec![], vec![]), "its own type is no drift");

    for (of, text) in [
        ("a/none", "does not exist"),
        ("b/copy", "names itself"),
        ("tls", "not namespace/name"),
        ("b/second", "is itself a mirror"),
    ] {
        let second =
            object("Secret", "b", "second", &[("reflects", "a/tls"), ("reflection-allowed", "true")], "");
        let engine = world_of(&(source(&[("reflection-allowed", "true")]) + &hand(of) + &second));
        let found: Vec<_> = findings(&engine).into_iter().filter(|f| f.2 == "Secret/b/copy").collect();
        assert_eq!((found.len(), found[0].0, found[0].1), (1, 162, Severity::Warning), "{found:?}");
        assert!(found[0].3.contains(text), "{}", found[0].3);
    }
    let denied = source(&[("reflection-allowed", "true"), ("reflection-allowed-namespaces", "c")]);
    let engine = world_of(&(denied + &hand("a/tls")));
    assert_eq!((mirrors(&engine).len(), codes(&engine)), (0, vec![162]));
    assert_eq!(unwanted(&engine), Vec::<String>::new(), "what a user wrote is never removed");
}

#[test]
fn a_mirror_by_hand_in_the_place_of_an_automatic_one_is_filled() {
    let hand = object("Secret", "b", "tls", &[("reflects", "a/tls")], "");
    let engine = world_of(&(source(&ALL) + &hand));
    assert_eq!(mirrors(&engine), ["b/tls of a/tls", "c/tls of a/tls"]);
    let key = MirrorKey { kind: MirrorKind::Secret, name: NamespacedName::new("b", "tls") };
    assert!(!engine.get::<Mirror>(&key).unwrap().auto);
    assert_eq!(codes(&engine), Vec::<u16>::new());
}

#[test]
fn mirrors_of_unsealed_values_stay_in_memory() {
    let unsealed = source(&ALL).replace(
        "  annotations:",
        "  labels: {app.kubernetes.io/managed-by: portolan}\n  ownerReferences: [{apiVersion: bitnami.com/v1alpha1, kind: SealedSecret}]\n  annotations:",
    );
    let engine = world_of(&unsealed);
    assert!(engine.rows::<Mirror>().count() == 2 && engine.rows::<Mirror>().all(|m| m.volatile));
    let shown = format!("{:?}", engine.rows::<Mirror>().collect::<Vec<_>>());
    assert!(!shown.contains("value"), "{shown}");
}

#[test]
fn config_maps_are_mirrored_whole() {
    let text = object("ConfigMap", "a", "conf", &ALL, "data: {k: v}\nbinaryData: {b: AAAA}");
    let mut engine = world_of(&text);
    let row = engine.rows::<MirrorWanted>().next().unwrap().mirror.clone();
    let MirrorContent::ConfigMap { data, binary } = &*row.content else { panic!() };
    assert_eq!((&*data["k"], &*binary["b"]), ("v", "AAAA"));
    let copy = object(
        "ConfigMap",
        "b",
        "conf",
        &[("reflects", "a/conf"), ("auto-reflects", "True")],
        "  labels: {app.kubernetes.io/managed-by: portolan}\ndata: {k: v}\nbinaryData: {b: AAAA}",
    );
    apply(&mut engine, &copy);
    step(&mut engine);
    assert_eq!(wanted(&engine), ["c/conf"]);
    remove(&mut engine, "ConfigMap", "a", "conf");
    step(&mut engine);
    assert_eq!(unwanted(&engine), ["b/conf"]);
    assert!(engine.get::<ConfigMap>(&NamespacedName::new("b", "conf")).is_some());
    assert_eq!(engine.rows::<Secret>().count(), 0);
}
