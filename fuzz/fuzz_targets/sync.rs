//! What a repository says of removal: options, policies and ignored differences of what applies objects, and the plan for objects
//! that nothing brings any more. What a person released goes, what stands apart stays, and nothing else is judged.
#![no_main]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use portolan_core::gitops::sync::{Facts, Policy, Verdict, flux_leaves, plan};
use portolan_fuzz::{
    arbitrary::{Result, Unstructured},
    samples, target, tree,
};
use portolan_model::{Instant, Object, ObjectKey, Origin};
use serde_json::Value;

static SAMPLES: LazyLock<Vec<Value>> =
    LazyLock::new(|| samples::documents(include_str!("../samples/sync.yaml")));
/// Most objects of one input.
const MOST: usize = 12;

/// An object of the samples, edited or not, with what applied it.
fn object(bytes: &mut Unstructured<'_>, owners: &[ObjectKey]) -> Result<Option<Object>> {
    let how: u8 = bytes.arbitrary()?;
    let sample = SAMPLES[usize::from(how >> 2) % SAMPLES.len()].clone();
    let json = if how & 1 == 0 { sample } else { tree::edited(sample, bytes, &SAMPLES) };
    let by = usize::from(bytes.arbitrary::<u8>()?) % (owners.len() + 2);
    let owner = match owners.get(by) {
        Some(owner) => Some(Arc::new(owner.clone())),
        None if by == owners.len() => None,
        None => Object::from_json(json.clone(), Origin::default()).ok().map(|object| Arc::new(object.key)),
    };
    Ok(Object::from_json(json, Origin { owner, ..Origin::default() }).ok())
}

fn judge(bytes: &mut Unstructured<'_>) -> Result<()> {
    let mut owners: Vec<ObjectKey> = SAMPLES
        .iter()
        .filter_map(|json| Object::from_json(json.clone(), Origin::default()).ok())
        .map(|it| it.key)
        .collect();
    owners.push(ObjectKey::new("", "File", "", "root.yaml"));
    owners.push(ObjectKey::new("", "Folder", "", "dev"));
    let mut objects = Vec::new();
    while objects.len() < MOST && !bytes.is_empty() {
        objects.extend(object(bytes, &owners)?);
    }
    let (mut followed, mut leaving) = (BTreeMap::new(), BTreeMap::new());
    for (at, object) in objects.iter().enumerate() {
        let _ = flux_leaves(&object.json);
        let policy = Policy::of(object);
        if let Some(policy) = &policy {
            assert!(!policy.shown().is_empty());
            for live in objects.iter().filter(|live| live.key == object.key) {
                if let Some(json) = policy.applied(live, object) {
                    // Ignored or not: what is applied is this object and no other.
                    let again = Object::from_json(json, Origin::default());
                    assert_eq!(again.map(|again| again.key).ok(), Some(object.key.clone()), "applied");
                }
            }
        }
        match policy {
            Some(policy) if at % 2 == 0 => drop(followed.insert(object.key.clone(), policy)),
            _ => drop(leaving.insert(object.key.clone(), object)),
        }
    }
    leaving.retain(|key, _| !followed.contains_key(key));
    let ask = |released: &BTreeSet<ObjectKey>| {
        let stands = |key: &ObjectKey| followed.contains_key(key);
        plan(
            &Facts {
                followed: &followed,
                stands: &stands,
                brings: &stands,
                instead: &|_| None,
                released,
                since: &|_| Instant(0),
            },
            &leaving,
        )
    };
    let none = BTreeSet::new();
    let verdicts = ask(&none);
    assert!(verdicts.keys().eq(leaving.keys()), "all that leave are judged, and nothing else");
    assert_eq!(ask(&none), verdicts, "it is judged the same again");
    for (key, verdict) in &verdicts {
        let object = leaving[key];
        if let Verdict::Stays(reason) = verdict {
            assert!(!reason.to_string().is_empty());
        }
        // Its own `Prune=false` keeps it while what applied it is there and is an Application.
        let said = object.annotation("argocd.argoproj.io/sync-options");
        let by = object.origin.owner.as_ref().and_then(|owner| followed.get(&**owner));
        if said == Some("Prune=false") && matches!(by, Some(Policy::Application(_))) {
            assert!(matches!(verdict, Verdict::Stays(_)), "{key}: pruned against its annotation");
        }
    }
    let all: BTreeSet<ObjectKey> = leaving.keys().cloned().collect();
    for (key, verdict) in ask(&all) {
        let own = leaving[&key].origin.owner.as_deref() == Some(&key);
        assert!(own || verdict == Verdict::Goes, "{key} was released: {verdict:?}");
    }
    Ok(())
}

target!(|bytes| {
    let _ = judge(&mut Unstructured::new(bytes));
});
