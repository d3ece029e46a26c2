//! For any desired records and any zone: an applied plan is followed by an empty one, nothing that is not ours changes, and what is
//! wanted and not reported stands in the zone.

use std::collections::BTreeMap;

use portolan_model::dns::{GroupResult, RecordSet, Snapshot};
use proptest::prelude::*;

use super::plan::{apply, desired, owned, set, settings, zone};
use crate::dns::{
    Ownership, Part, Policy, Registry, Settings, Verb, WantedRecord, observed::Observed, plan, plan_part,
    rows::DnsSettings,
};

const NAMES: [&str; 6] = ["", "a.", "b.", "a-b.", "*.", "a.b."];
const DATA: [&str; 6] =
    ["A 192.0.2.1", "A ttl=60 192.0.2.2", "A 192.0.2.1 192.0.2.2", "AAAA ::1", "CNAME lb.x", "CNAME lb.y"];

fn record() -> impl Strategy<Value = String> {
    (0..NAMES.len(), 0..DATA.len())
        .prop_map(|(name, data)| format!("{}example.com {}", NAMES[name], DATA[data]))
}

fn desired_records() -> impl Strategy<Value = Vec<WantedRecord>> {
    prop::collection::vec((record(), 0..3_u8).prop_map(|(text, n)| desired(&format!("r{n}"), &text)), 0..8)
}

/// A zone that a server can hold: no CNAME beside anything.
fn zones() -> impl Strategy<Value = Snapshot> {
    let kind = prop_oneof![
        3 => record().prop_map(|text| owned("me", "r1", &text).to_vec()),
        1 => record().prop_map(|text| owned("you", "r1", &text).to_vec()),
        1 => record().prop_map(|text| vec![set(&text)]),
        1 => record().prop_map(|text| owned("me", "r1", &text)[1..].to_vec()),
        1 => (0..NAMES.len()).prop_map(|n| vec![set(&format!("{}example.com TXT hello", NAMES[n]))]),
    ];
    prop::collection::vec(kind, 0..8).prop_map(|groups| {
        let mut sets: BTreeMap<_, RecordSet> = BTreeMap::new();
        for mut set in groups.into_iter().flatten() {
            set.ttl = set.ttl.or(Some(300));
            let clash = sets.keys().any(|(name, r#type)| {
                use portolan_model::dns::RecordType::Cname;
                *name == set.name && (*r#type == Cname) != (set.r#type == Cname)
            });
            if !clash && portolan_model::dns::in_zone(&set.name, super::plan::ZONE) {
                sets.insert(set.key(), set);
            }
        }
        zone(sets.into_values())
    })
}

fn any_settings() -> impl Strategy<Value = Settings> {
    (0..3_u8, prop::option::of(0..2_usize)).prop_map(|(policy, filter)| Settings {
        policy: [Policy::Sync, Policy::UpsertOnly, Policy::CreateOnly][usize::from(policy)],
        domain_filter: filter.map(|n| [".example.com", "b.example.com"][n].into()).into_iter().collect(),
        ..settings()
    })
}

/// Sets that no registry entry of ours speaks of, entries left out.
fn not_ours(snapshot: &Snapshot, settings: &Settings) -> Vec<RecordSet> {
    let observed = Observed::new(snapshot, settings);
    let not_ours = observed.data().filter(|set| observed.ours(set, settings).is_none()).cloned();
    let theirs = snapshot.sets.iter().filter(|set| {
        let entry = set.values.first().and_then(|value| Ownership::parse(value));
        entry.is_some_and(|entry| entry.owner() != Some("me"))
    });
    not_ours.chain(theirs.cloned()).collect()
}

/// Registries under which two names can have one entry.
fn registries() -> impl Strategy<Value = Registry> {
    let affixes = [("", "", ""), ("", "", "b"), ("%{record_type}", "", "a"), ("", ".x", "b"), ("t.", "", "")];
    (0..affixes.len()).prop_map(move |n| {
        let (prefix, suffix, wildcard) = affixes[n];
        Registry::new(prefix, suffix, wildcard).unwrap_or_default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: portolan_testkit::suites::cases(2000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_applied_plan_is_followed_by_an_empty_one(wanted in desired_records(), mut observed in zones(), settings in any_settings()) {
        let before = observed.clone();
        let made = plan(&wanted, &observed, &settings);
        // A CNAME desired record and the registry entry of another name can meet at one name: then the provider refuses the later one,
        // or the plan leaves it until the other is gone. Such a plan says so, and settles in the next rounds.
        let mut refused = false;
        for result in apply(&made, &mut observed) {
            if let GroupResult::Refused { why } = result {
                prop_assert!(why.contains("beside another set"), "{why}");
                refused = true;
            }
        }
        let mut again = plan(&wanted, &observed, &settings);
        if made.problems.is_empty() && !refused {
            prop_assert!(again.is_empty(), "{:#?}\nafter\n{:#?}", again, made);
        }
        for _ in 0..2 {
            apply(&again, &mut observed);
            again = plan(&wanted, &observed, &settings);
        }
        prop_assert!(again.is_empty(), "does not settle: {:#?}\nafter\n{:#?}", again, made);

        for set in not_ours(&before, &settings) {
            prop_assert!(observed.sets.contains(&set), "{set} was not ours and is gone");
        }
        for action in &again.actions {
            if (Verb::Leave { because: crate::dns::Because::AsWanted }) == action.verb {
                let held = observed.sets.iter().find(|set| set.key() == action.set.key());
                prop_assert_eq!(held.map(|set| &set.values), Some(&action.set.values));
            }
        }
        let mut shuffled = wanted.clone();
        shuffled.reverse();
        prop_assert_eq!(plan(&shuffled, &before, &settings).change_set(), made.change_set());
    }

    /// What a plan of some names says of them is what the plan of the zone says.
    #[test]
    fn a_part_is_planned_as_the_whole(
        wanted in desired_records(),
        observed in zones(),
        settings in any_settings(),
        registry in registries(),
        chosen in prop::collection::btree_set(0..NAMES.len(), 0..3),
    ) {
        let settings = Settings { registry, ..settings };
        let component = DnsSettings { plan: settings.clone(), ..DnsSettings::of_folder("me") };
        let chosen: Vec<_> = chosen.into_iter().map(|n| format!("{}example.com", NAMES[n]).into()).collect();
        let part = Part::of(&chosen, &observed.zone, &[component]);
        let whole = plan(&wanted, &observed, &settings);
        let mut sets = observed.sets.clone();
        sets.retain(|set| part.holds(set));
        let seen = Snapshot { sets, ..observed.clone() };
        let wanted: Vec<WantedRecord> =
            wanted.into_iter().filter(|record| part.names.contains(&record.set.name)).collect();
        let made = plan_part(&wanted, &seen, &settings, &part, observed.sets.len());
        let mut actions = whole.actions;
        actions.retain(|action| part.names.contains(&action.set.name));
        prop_assert_eq!(made.actions, actions);
        let mut problems = whole.problems;
        problems.retain(|found| found.about.as_ref().is_some_and(|(name, _)| part.names.contains(name)));
        prop_assert_eq!(made.problems, problems);
    }
}

/// A text of what affixes and names are made of, with what is escaped in them.
fn word(of: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(of), 0..=most).prop_map(|parts| parts.concat())
}

proptest! {
    /// Whatever stands around it, a registry TXT speaks of the name that it was made of.
    #[test]
    fn a_registry_name_is_found_again(
        affix in word(&["a", "w", "-", ".", "%{record_type}", " ", "\\.", "\t", "é", "\\032", "\\097", "\\200", "\\", "1"], 4),
        is_suffix: bool,
        wildcard in word(&["a", "any", ".", "-", " "], 3),
        name in word(&["a", "w", "*", ".", "\\.", "cname", "-", "any"], 5),
    ) {
        let (prefix, suffix) = if is_suffix { ("", affix.as_str()) } else { (affix.as_str(), "") };
        let registry = Registry::new(prefix, suffix, &wildcard).unwrap();
        let Ok(name) = portolan_model::dns::normal_name(&name) else { return Ok(()) };
        for r#type in portolan_model::dns::RecordType::ALL {
            let Ok(txt) = registry.txt_name(&name, r#type) else { continue };
            let spoken = registry.spoken_of(&txt);
            prop_assert!(spoken.contains(&name), "{txt:?} of {name:?} speaks of {spoken:?}");
        }
    }
}
