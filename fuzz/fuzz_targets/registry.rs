//! Names and the TXT registry of external-dns: what stands in a zone that others write too, and the plan for it.
#![no_main]

use portolan_core::dns::{
    Ownership, Policy, Registry, Settings, WantedRecord, merge, plan, registry::resource_label,
};
use portolan_fuzz::{parts, target};
use portolan_model::{
    Name, ObjectKey,
    dns::{
        Change, Content, Group, Precondition, RecordSet, RecordType, Snapshot, in_zone, labels, normal_name,
        text_of,
    },
};

/// A name that is taken has one form, and its labels say the same.
fn names(text: &str) -> Option<Name> {
    let name = normal_name(text).ok()?;
    assert_eq!(normal_name(&name).as_ref(), Ok(&name), "a normal form is its own");
    let wire = labels(&name).expect("it is a name");
    assert_eq!(text_of(&wire), *name);
    assert!(wire.iter().map(|label| label.len() + 1).sum::<usize>() < 255);
    assert!(in_zone(&name, "") && in_zone(&name, &name));
    Some(name)
}

fn entry(text: &str) -> Option<Ownership> {
    let entry = Ownership::parse(text)?;
    let written = entry.text();
    let again = Ownership::parse(&written);
    // What `=` and `,` cut is cut for good; what is left says the same again.
    assert_eq!(again.as_ref(), Some(&entry), "{written:?}");
    Some(entry)
}

/// Every registry name is found again from the name that it is about.
fn registry(affix: &str, suffix: bool, wildcard: &str, zone: &Name, name: &Name) -> Option<Registry> {
    let (prefix, suffix) = if suffix { ("", affix) } else { (affix, "") };
    let registry = if affix == "folder" {
        Registry::of_folder().at(zone)
    } else {
        Registry::new(prefix, suffix, wildcard).ok()?
    };
    for r#type in RecordType::ALL {
        if let Ok(txt) = registry.txt_name(name, r#type) {
            assert_eq!(normal_name(&txt).as_ref(), Ok(&txt));
            let spoken = registry.spoken_of(&txt);
            assert!(spoken.contains(name), "{txt:?} of {name:?} speaks of {spoken:?}");
        }
    }
    Some(registry)
}

target!(|bytes| {
    let Some(([how, policy], rest)) = bytes.split_first_chunk() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let mut parts = parts(text);
    let mut part = || parts.next().unwrap_or_default();
    let zone = Name::new("example.com");
    let (first, affix, wildcard) = (part(), part(), part());
    let found = names(first);
    let owned = entry(first);
    let name = found.unwrap_or_else(|| zone.clone());
    let Some(registry) = registry(affix, how & 1 == 1, wildcard, &zone, &name) else { return };
    // A zone that holds what a stranger wrote, and what we want of it.
    let mut sets: Vec<RecordSet> = Vec::new();
    while let Some((name, value)) = part().split_once(' ') {
        let Some(name) = names(name).filter(|name| in_zone(name, &zone)) else { continue };
        let r#type = RecordType::ALL[value.len() % 4];
        let value = if r#type == RecordType::Txt { value.to_owned() } else { normal(r#type, value) };
        if !sets.iter().any(|set| set.name == name && set.r#type == r#type) {
            sets.push(RecordSet::new(name, r#type, Some(300), [value]));
        }
    }
    sets.sort();
    let settings = Settings {
        owner: owned.as_ref().and_then(Ownership::owner).unwrap_or("dev").into(),
        policy: [Policy::Sync, Policy::UpsertOnly, Policy::CreateOnly][usize::from(*policy) % 3],
        registry,
        allow_mass_deletion: how & 2 == 2,
        ..Settings::default()
    };
    let wanted = sets.iter().take(usize::from(how >> 4)).filter(|set| set.r#type != RecordType::Txt);
    let resource = resource_label(&ObjectKey::new("", "Service", "team-a", "b"));
    let wanted = wanted
        .map(|set| WantedRecord { set: RecordSet { ttl: None, ..set.clone() }, resource: resource.clone() });
    let wanted = merge(wanted);
    let mut snapshot = Snapshot { zone: zone.clone(), serial: 1, complete: true, sets };
    let made = plan(&wanted, &snapshot, &settings);
    for group in made.change_set().groups {
        apply(&mut snapshot, group);
    }
    let after = plan(&wanted, &snapshot, &settings);
    assert!(after.is_empty(), "a plan that was applied is followed by {after:?}");
});

/// A value that fits the type.
fn normal(r#type: RecordType, text: &str) -> String {
    match r#type {
        RecordType::A => format!("192.0.2.{}", text.len() % 256),
        RecordType::Aaaa => format!("2001:db8::{:x}", text.len()),
        _ => normal_name(text).map_or_else(|_| "example.net".to_owned(), |name| name.to_string()),
    }
}

/// Makes the changes of a group, all of which must be possible as the zone is.
fn apply(snapshot: &mut Snapshot, group: Group) {
    let before = snapshot.sets.clone();
    let at = |key: &(Name, RecordType)| before.iter().find(|set| set.key() == *key);
    for Change { precondition, content } in group.changes {
        let key = match &content {
            Content::Set(set) => set.key(),
            Content::Nothing { name, r#type } => (name.clone(), *r#type),
        };
        assert!(in_zone(&key.0, &snapshot.zone), "{key:?} is outside of the zone");
        match precondition {
            Precondition::Any => {}
            Precondition::Absent => assert_eq!(at(&key), None),
            Precondition::Equals(set) => assert_eq!(at(&key), Some(&set)),
        }
        snapshot.sets.retain(|set| set.key() != key);
        if let Content::Set(set) = content {
            snapshot.sets.push(set);
        }
    }
    snapshot.sets.sort();
}
