//! Golden cases: each `testdata/<case>.yaml` is a question to [`plan`], `<case>.out.txt` the answer. `PORTOLAN_ACCEPT=1` writes it.
//!
//! `followed` are objects that apply others now, as the repository has them; those in `empty` bring nothing any more. `leaving`
//! are live objects that left, each with what applied it (`by`) and maybe its `file`; `refused` are objects that no API server takes. `now` is when they left, `released` what a person lets go.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
    sync::Arc,
};

use portolan_model::{Instant, Name, Object, ObjectKey, Origin, Source, yaml};
use serde_json::{Value, json};

use super::{Doubt, Facts, Policy, Reason, Verdict, outcome, plan, stands_for};

/// `team` is an Application, `set/teams`, `ks/team`, `hr/team` and `file/x` are what they say.
fn owner(text: &str) -> ObjectKey {
    let (kind, name) = text.split_once('/').unwrap_or(("app", text));
    match kind {
        "app" => ObjectKey::new("argoproj.io", "Application", "argocd", name),
        "set" => ObjectKey::new("argoproj.io", "ApplicationSet", "argocd", name),
        "ks" => ObjectKey::new("kustomize.toolkit.fluxcd.io", "Kustomization", "argocd", name),
        "hr" => ObjectKey::new("helm.toolkit.fluxcd.io", "HelmRelease", "argocd", name),
        "file" => ObjectKey::new("", "File", "", name),
        "dropped" => ObjectKey::new("", "Dropped", "argocd", name),
        "folder" => ObjectKey::new("", "Folder", "", name),
        "chart" => ObjectKey::new("", "Chart", "", name),
        "namespace" => ObjectKey::new("", "Namespace", "", name),
        other => panic!("{other}"),
    }
}

fn object(json: &Value, by: Option<&str>) -> Object {
    let mut json = json.clone();
    let kind = json["kind"].as_str().unwrap().to_owned();
    if json.get("apiVersion").is_none() {
        json["apiVersion"] = match kind.as_str() {
            "Application" | "ApplicationSet" => "argoproj.io/v1alpha1",
            "Kustomization" => "kustomize.toolkit.fluxcd.io/v1",
            "HelmRelease" => "helm.toolkit.fluxcd.io/v2",
            "HTTPRoute" => "gateway.networking.k8s.io/v1",
            "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
            _ => "v1",
        }
        .into();
    }
    let metadata = json["metadata"].as_object_mut().unwrap();
    let wide = ["Namespace", "CustomResourceDefinition"].contains(&kind.as_str());
    if !wide && !metadata.contains_key("namespace") {
        metadata.insert("namespace".into(), json!("argocd"));
    }
    let owner = by.map(|by| Arc::new(owner(by)));
    Object::from_json(json, Origin { owner, ..Origin::default() }).unwrap()
}

fn answer(case: &Value) -> String {
    let list = |field: &str| case[field].as_array().cloned().unwrap_or_default();
    let names = |field: &str| -> BTreeSet<ObjectKey> {
        list(field).iter().map(|name| owner(name.as_str().unwrap())).collect()
    };
    let mut followed: BTreeMap<ObjectKey, Policy> = BTreeMap::new();
    for json in list("followed") {
        let object = object(&json, None);
        followed.insert(object.key.clone(), Policy::of(&object).unwrap());
    }
    followed.insert(owner("folder/."), Policy::Whole);
    let leaving: BTreeMap<ObjectKey, Object> = list("leaving")
        .iter()
        .map(|one| {
            let mut object = object(&one["object"], one["by"].as_str());
            object.origin.source = one["file"].as_str().map(|file| Source { file: file.into(), line: 1 });
            (object.key.clone(), object)
        })
        .collect();
    let leaving = leaving.iter().map(|(key, object)| (key.clone(), object)).collect();
    let (empty, stands) = (names("empty"), names("stands"));
    let released = list("released").iter().map(|key| key.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let now = case["now"].as_str().and_then(Instant::parse).unwrap_or_default();
    let all: &BTreeMap<ObjectKey, &Object> = &leaving;
    let facts = Facts {
        followed: &followed,
        stands: &|key| stands.contains(key),
        brings: &|key| !empty.contains(key),
        instead: &|object| {
            let refused = list("refused");
            let mut refused = refused.iter().map(|one| {
                let source = one["file"].as_str().map(|file| Source { file: file.into(), line: 1 });
                let object = self::object(&one["object"], one["by"].as_str());
                (object.key, Origin { source, ..object.origin })
            });
            refused.find(|(key, origin)| stands_for(object, key, origin)).map(|(key, _)| key)
        },
        released: &all.keys().filter(|key| released.contains(&key.to_string())).cloned().collect(),
        since: &|_| now,
    };
    let mut out = String::new();
    for (key, verdict) in plan(&facts, all) {
        let let_go = verdict.let_go().map(|by| format!("; from now on of {by}")).unwrap_or_default();
        let _ = match verdict {
            Verdict::Goes => writeln!(out, "{key}: goes"),
            Verdict::Stays(reason) => {
                writeln!(out, "{key}: stays ({:?}): {reason}{let_go}", reason.severity())
            }
        };
    }
    out
}

/// What of `unwanted` has left for certain; with `verdicts`, what follows for those.
fn doubt(case: &Value) -> String {
    let list = |field: &str| case[field].as_array().cloned().unwrap_or_default();
    let texts = |field: &str| -> BTreeSet<String> {
        list(field).iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let objects = |field: &str| -> BTreeMap<ObjectKey, Origin> {
        let origin = |one: &Value| {
            let source = one["file"].as_str().map(|file| Source { file: file.into(), line: 1 });
            let object = object(&one["object"], one["by"].as_str());
            (object.key, Origin { source, ..object.origin })
        };
        list(field).iter().map(origin).collect()
    };
    let owners = |names: &Value| -> BTreeSet<ObjectKey> {
        names.as_array().into_iter().flatten().map(|name| owner(name.as_str().unwrap())).collect()
    };
    let (followed, unwanted) = (owners(&case["followed"]), objects("unwanted"));
    let live: BTreeMap<ObjectKey, Origin> = objects("live").into_iter().chain(unwanted.clone()).collect();
    let (refused, unsure) = (texts("refused"), texts("unsure").iter().map(|name| Name::new(name)).collect());
    let doubt = Doubt {
        followed: followed.iter().collect(),
        unwanted: &unwanted.keys().cloned().collect(),
        live: &|key| live.get(key),
        refused: &|key| refused.contains(&key.to_string()),
        unsure: &unsure,
        unsure_files: &texts("unsureFiles"),
        elsewhere: &BTreeMap::new(),
    };
    let mut out = String::new();
    let mut doubted = BTreeMap::new();
    for (key, origin) in &unwanted {
        let gone = doubt.is_gone(key, origin);
        let _ = writeln!(out, "{key}: {}", if gone { "has left" } else { "in doubt" });
        if !gone && let Some(by) = origin.owner.as_deref() {
            doubted.insert(by.clone(), key.clone());
        }
    }
    let verdicts = &case["verdicts"];
    let goes = owners(&verdicts["goes"]).into_iter().map(|key| (key, Verdict::Goes));
    let unread = owners(&verdicts["unread"]).into_iter();
    let unread = unread.map(|key| (key.clone(), Verdict::Stays(Reason::Unread(key))));
    let by_hand = owners(&verdicts["byHand"]).into_iter().map(|key| (key, Verdict::Stays(Reason::ByHand)));
    let outcome = outcome(goes.chain(unread).chain(by_hand).collect(), &doubt.followed, &doubted);
    for key in outcome.go {
        let _ = writeln!(out, "{key} is removed");
    }
    for (key, reason) in outcome.kept {
        let _ = writeln!(out, "{key} stays: {reason}");
    }
    out
}

#[test]
fn cases() {
    check("", 6, answer);
    check("doubt", 6, doubt);
}

fn check(folder: &str, least: usize, answer: fn(&Value) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gitops/sync/testdata").join(folder);
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    names.sort();
    assert!(names.len() >= least, "{names:?}");
    let mut wrong = Vec::new();
    for path in names {
        let (documents, errors) = yaml::load(&std::fs::read_to_string(&path).unwrap());
        assert!(errors.is_empty() && documents.len() == 1, "{}: {errors:?}", path.display());
        let answer = answer(&documents[0].json);
        let expected = path.with_extension("out.txt");
        if std::env::var_os("PORTOLAN_ACCEPT").is_some() {
            std::fs::write(&expected, &answer).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap() != answer {
            wrong.push(format!("{}:\n{answer}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_stays_stays_whoever_else_leaves() {
    // Each object is judged by itself but for what waits: taking one of them away changes no other answer.
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gitops/sync/testdata/argo-prune.yaml"),
    )
    .unwrap();
    let case = yaml::load(&text).0.remove(0).json;
    let whole = answer(&case);
    let count = case["leaving"].as_array().unwrap().len();
    assert!(count > 5);
    for at in 0..count {
        let mut less = case.clone();
        less["leaving"].as_array_mut().unwrap().remove(at);
        let lines = answer(&less);
        assert_eq!(lines.lines().count(), count - 1);
        assert!(lines.lines().all(|line| whole.lines().any(|other| other == line)), "{lines}");
    }
}

#[test]
fn ignored_differences_are_no_reason_to_sync_and_may_be_respected() {
    let app = |more: &str| {
        let text = format!(
            "{{kind: Application, metadata: {{name: a}}, spec: {{ignoreDifferences: [{{group: '*', kind: Service, jsonPointers: [/spec/a~1b, /spec/ports/0/port, /spec/none/x]}}, {{group: '', kind: Service, name: other, jsonPointers: [/spec/free]}}]{more}}}}}"
        );
        Policy::of(&object(&yaml::load(&text).0.remove(0).json, None)).unwrap()
    };
    let (ignores, respects) = (app(""), app(", syncPolicy: {syncOptions: [RespectIgnoreDifferences=true]}"));
    let service =
        |spec: Value| object(&json!({"kind": "Service", "metadata": {"name": "s"}, "spec": spec}), None);
    let live = service(json!({"a/b": 1, "ports": [{"port": 80}], "free": 1}));
    let ignored = service(json!({"ports": [{"port": 90}], "free": 1}));
    assert_eq!(ignores.applied(&live, &ignored), Some(Value::clone(&live.json)));
    let more = service(json!({"a/b": 2, "ports": [{"port": 90}], "free": 2}));
    // Another difference: all of it is synced, unless the ignored ones are respected.
    assert_eq!(ignores.applied(&live, &more), None);
    let kept = service(json!({"a/b": 1, "ports": [{"port": 80}], "free": 2}));
    assert_eq!(respects.applied(&live, &more), Some(Value::clone(&kept.json)));
    let map = object(&json!({"kind": "ConfigMap", "metadata": {"name": "s"}}), None);
    assert_eq!(respects.applied(&map, &map), None);
}

#[test]
fn flux_makes_some_objects_only_where_they_are_not_present() {
    let policy =
        Policy::of(&object(&json!({"kind": "Kustomization", "metadata": {"name": "k"}}), None)).unwrap();
    let map = |value: i64, ssa: &str| {
        let annotations = json!({"kustomize.toolkit.fluxcd.io/ssa": ssa});
        object(
            &json!({"kind": "ConfigMap", "metadata": {"name": "m", "annotations": annotations}, "v": value}),
            None,
        )
    };
    let (live, new) = (map(1, "IfNotPresent"), map(2, "IfNotPresent"));
    assert_eq!(policy.applied(&live, &new), Some(Value::clone(&live.json)));
    assert_eq!(policy.applied(&live, &map(2, "Merge")), None);
}

#[test]
fn a_set_that_may_not_update_leaves_applications_as_they_are() {
    let app = |path: &str| {
        object(
            &json!({"kind": "Application", "metadata": {"name": "a"}, "spec": {"source": {"path": path}}}),
            None,
        )
    };
    let applied = |policy: &str| {
        let spec = json!({"syncPolicy": {"applicationsSync": policy}});
        let set = object(&json!({"kind": "ApplicationSet", "metadata": {"name": "s"}, "spec": spec}), None);
        Policy::of(&set).unwrap().applied(&app("v1"), &app("v2"))
    };
    for policy in ["create-only", "create-delete"] {
        assert_eq!(applied(policy), Some(Value::clone(&app("v1").json)), "{policy}");
    }
    for policy in ["sync", "create-update", ""] {
        assert_eq!(applied(policy), None, "{policy}");
    }
}
