use portolan_model::{
    Name,
    dns::{Content, GroupResult, Precondition, RecordSet, RecordType, Snapshot},
};

use crate::dns::{Ownership, Plan, Policy, Registry, Settings, Verb, WantedRecord, merge, plan};

pub const ZONE: &str = "example.com";

pub fn settings() -> Settings {
    Settings { owner: "me".into(), ..Settings::default() }
}

pub fn set(text: &str) -> RecordSet {
    let mut words = text.split_whitespace();
    let (name, r#type) = (words.next().unwrap(), words.next().unwrap());
    let r#type = RecordType::ALL.into_iter().find(|t| t.as_str() == r#type).unwrap();
    let mut words = words.peekable();
    let ttl = words.peek().and_then(|word| word.strip_prefix("ttl=")).map(|ttl| ttl.parse().unwrap());
    if ttl.is_some() {
        words.next();
    }
    RecordSet::new(name, r#type, ttl, words)
}

pub fn desired(resource: &str, text: &str) -> WantedRecord {
    WantedRecord { set: set(text), resource: resource.into() }
}

pub fn zone(sets: impl IntoIterator<Item = RecordSet>) -> Snapshot {
    let mut sets: Vec<_> = sets.into_iter().collect();
    sets.sort();
    Snapshot { zone: ZONE.into(), serial: 1, complete: true, sets }
}

/// A set with its registry TXT.
pub fn owned(owner: &str, resource: &str, text: &str) -> [RecordSet; 2] {
    let set = set(text);
    let txt = Registry::default().txt_name(&set.name, set.r#type).unwrap();
    let txt = RecordSet::new(txt, RecordType::Txt, Some(300), [Ownership::new(owner, resource).text()]);
    [set, txt]
}

/// Applies a plan as a provider does, with the default TTL 300, and returns the results.
pub fn apply(plan: &Plan, snapshot: &mut Snapshot) -> Vec<GroupResult> {
    let mut results = Vec::new();
    'groups: for group in plan.change_set().groups {
        let mut sets = snapshot.sets.clone();
        for change in &group.changes {
            let (name, r#type) = change.key();
            let before = snapshot.sets.iter().find(|set| set.key() == (name.clone(), r#type));
            let holds = match &change.precondition {
                Precondition::Any => true,
                Precondition::Absent => before.is_none(),
                Precondition::Equals(expected) => before == Some(expected),
            };
            if !holds {
                results.push(GroupResult::Refused { why: format!("{change:?} against {before:?}") });
                continue 'groups;
            }
            sets.retain(|set| set.key() != (name.clone(), r#type));
            if let Content::Set(set) = &change.content {
                sets.push(RecordSet { ttl: set.ttl.or(Some(300)), ..set.clone() });
            }
        }
        let alias = |set: &RecordSet| sets.iter().any(|o| o.name == set.name && o.r#type != set.r#type);
        if let Some(bad) = sets.iter().find(|set| set.r#type == RecordType::Cname && alias(set)) {
            results.push(GroupResult::Refused { why: format!("{bad} beside another set") });
            continue;
        }
        sets.sort();
        snapshot.sets = sets;
        snapshot.serial += 1;
        results.push(GroupResult::Applied);
    }
    results
}

/// Plan in short: one line a decision, `verb name type`, and the codes of the problems.
fn short(plan: &Plan) -> Vec<String> {
    let actions = plan.actions.iter().map(|action| {
        let verb = match &action.verb {
            Verb::Create => "create".to_owned(),
            Verb::Update { .. } => "update".to_owned(),
            Verb::Delete => "delete".to_owned(),
            Verb::Leave { because } => format!("leave({because:?})"),
        };
        format!("{verb} {}", action.set)
    });
    actions.chain(plan.problems.iter().map(|finding| finding.problem.code().to_string())).collect()
}

fn check(wanted: &[WantedRecord], mut observed: Snapshot, settings: &Settings, expected: &[&str]) {
    let first = plan(wanted, &observed, settings);
    assert_eq!(short(&first), expected);
    for result in apply(&first, &mut observed) {
        assert_eq!(result, GroupResult::Applied, "{:?}", short(&first));
    }
    let second = plan(wanted, &observed, settings);
    assert!(second.is_empty(), "after applying: {:?}", short(&second));
}

#[test]
fn a_new_name_gets_its_set_and_its_entry_in_one_group() {
    let wanted = [desired("httproute/a/app", "app.example.com A 192.0.2.1")];
    let made = plan(&wanted, &zone([]), &settings());
    let groups = made.change_set().groups;
    assert_eq!(groups.len(), 1);
    let keys: Vec<_> = groups[0].changes.iter().map(|change| change.key().0).collect();
    assert_eq!(keys, ["app.example.com", "a-app.example.com"]);
    assert!(groups[0].changes.iter().all(|change| change.precondition == Precondition::Absent));
    check(&wanted, zone([]), &settings(), &["create app.example.com A [192.0.2.1]"]);
}

#[test]
fn what_differs_is_updated_and_what_does_not_is_left() {
    let ours = || zone(owned("me", "r", "app.example.com A ttl=60 192.0.2.1"));
    for (text, expected) in [
        ("app.example.com A 192.0.2.1", "leave(AsWanted) app.example.com A [192.0.2.1]"),
        ("app.example.com A ttl=60 192.0.2.1", "leave(AsWanted) app.example.com A [192.0.2.1]"),
        ("app.example.com A ttl=61 192.0.2.1", "update app.example.com A [192.0.2.1]"),
        ("app.example.com A 192.0.2.2", "update app.example.com A [192.0.2.2]"),
    ] {
        check(&[desired("r", text)], ours(), &settings(), &[expected]);
    }
    let moved = [desired("other", "app.example.com A 192.0.2.1")];
    check(&moved, ours(), &settings(), &["update app.example.com A [192.0.2.1]"]);
}

#[test]
fn names_and_addresses_are_compared_without_regard_to_their_spelling() {
    let txt = owned("me", "r", "app.example.com CNAME x").into_iter().nth(1).unwrap();
    let spelled = RecordSet {
        name: "app.example.com".into(),
        r#type: RecordType::Cname,
        ttl: Some(300),
        values: vec!["LB.Example.NET.".to_owned()],
    };
    let wanted = [desired("r", "app.example.com CNAME lb.example.net")];
    check(
        &wanted,
        zone([spelled, txt]),
        &settings(),
        &["leave(AsWanted) app.example.com CNAME [lb.example.net]"],
    );
}

#[test]
fn what_is_not_ours_is_never_touched() {
    let wanted = [desired("r", "app.example.com A 192.0.2.9")];
    let left = "leave(NotOurs { owner: None }) app.example.com A [192.0.2.9]";
    // Made by hand, in the same type or another one.
    check(&wanted, zone([set("app.example.com A 192.0.2.1")]), &settings(), &[left, "PTL-0410"]);
    check(&wanted, zone([set("app.example.com AAAA ::1")]), &settings(), &[left, "PTL-0410"]);
    check(&wanted, zone([set("app.example.com CNAME x.y")]), &settings(), &[left, "PTL-0410"]);
    // Another owner's.
    let theirs = "leave(NotOurs { owner: Some(\"you\") }) app.example.com A [192.0.2.9]";
    let observed = zone(owned("you", "r", "app.example.com A 192.0.2.1"));
    check(&wanted, observed, &settings(), &[theirs, "PTL-0410"]);
    // Only another owner's entry is left of it.
    let [_, txt] = owned("you", "r", "app.example.com A 192.0.2.1");
    check(&wanted, zone([txt]), &settings(), &[theirs, "PTL-0410"]);
    // Nobody wants it: not even mentioned.
    let observed =
        zone(owned("you", "r", "b.example.com A ::1").into_iter().chain([set("c.example.com A 1.1.1.1")]));
    check(&[], observed, &settings(), &[]);
}

#[test]
fn foreign_text_beside_addresses_does_no_harm_but_forbids_an_alias() {
    let spf = || zone([set("app.example.com TXT v=spf1")]);
    let address = [desired("r", "app.example.com A 192.0.2.1")];
    check(&address, spf(), &settings(), &["create app.example.com A [192.0.2.1]"]);
    let alias = [desired("r", "app.example.com CNAME lb.x")];
    check(&alias, spf(), &settings(), &["leave(Problem) app.example.com CNAME [lb.x]", "PTL-0416"]);
}

#[test]
fn an_orphaned_entry_of_ours_is_taken_up_again() {
    let [_, txt] = owned("me", "old", "app.example.com A 192.0.2.1");
    let wanted = [desired("r", "app.example.com A 192.0.2.1")];
    check(&wanted, zone([txt]), &settings(), &["create app.example.com A [192.0.2.1]"]);
}

#[test]
fn a_taken_registry_name_is_a_problem() {
    let wanted = [desired("r", "app.example.com A 192.0.2.1")];
    let left = "leave(Problem) app.example.com A [192.0.2.1]";
    check(&wanted, zone([set("a-app.example.com TXT hello")]), &settings(), &[left, "PTL-0411"]);
    check(&wanted, zone([set("a-app.example.com CNAME x.y")]), &settings(), &[left, "PTL-0411"]);
}

#[test]
fn a_withdrawn_desired_record_deletes_set_and_entry() {
    let observed = zone(owned("me", "r", "app.example.com A 192.0.2.1"));
    let mut after = observed.clone();
    apply(&plan(&[], &observed, &settings()), &mut after);
    assert_eq!(after.sets, []);
    check(&[], observed, &settings(), &["delete app.example.com A [192.0.2.1]"]);
}

#[test]
fn other_values_of_an_entrys_set_survive_its_deletion() {
    let [a, mut txt] = owned("me", "r", "app.example.com A 192.0.2.1");
    txt.values.push("zzz of somebody".to_owned());
    let mut after = zone([a, txt]);
    let made = plan(&[], &after, &settings());
    apply(&made, &mut after);
    assert_eq!(after.sets.iter().map(|s| s.values.join("|")).collect::<Vec<_>>(), ["zzz of somebody"]);
}

#[test]
fn policies_limit_what_is_done() {
    let observed = || {
        zone(owned("me", "r", "app.example.com A 192.0.2.1").into_iter().chain(owned(
            "me",
            "r",
            "gone.example.com A 192.0.2.1",
        )))
    };
    let wanted = [desired("r", "app.example.com A 192.0.2.2"), desired("r", "new.example.com A 192.0.2.2")];
    let upsert = Settings { policy: Policy::UpsertOnly, ..settings() };
    check(
        &wanted,
        observed(),
        &upsert,
        &[
            "update app.example.com A [192.0.2.2]",
            "leave(Policy) gone.example.com A [192.0.2.1]",
            "create new.example.com A [192.0.2.2]",
        ],
    );
    let create = Settings { policy: Policy::CreateOnly, ..settings() };
    check(
        &wanted,
        observed(),
        &create,
        &[
            "leave(Policy) app.example.com A [192.0.2.2]",
            "leave(Policy) gone.example.com A [192.0.2.1]",
            "create new.example.com A [192.0.2.2]",
            "PTL-0418",
        ],
    );
}

#[test]
fn a_change_of_type_is_one_group() {
    let observed = zone(owned("me", "r", "app.example.com A 192.0.2.1").into_iter().chain(owned(
        "me",
        "r",
        "app.example.com AAAA ::1",
    )));
    let wanted = [desired("r", "app.example.com CNAME lb.x")];
    assert_eq!(plan(&wanted, &observed, &settings()).change_set().groups.len(), 1);
    check(&wanted, observed.clone(), &settings(), &["update app.example.com CNAME [lb.x]"]);
    let upsert = Settings { policy: Policy::UpsertOnly, ..settings() };
    check(
        &wanted,
        observed,
        &upsert,
        &[
            "leave(Policy) app.example.com A [192.0.2.1]",
            "leave(Policy) app.example.com AAAA [::1]",
            "leave(Policy) app.example.com CNAME [lb.x]",
            "PTL-0418",
        ],
    );
    let back = zone(owned("me", "r", "app.example.com CNAME lb.x"));
    let wanted = [desired("r", "app.example.com A 192.0.2.1"), desired("r", "app.example.com AAAA ::1")];
    check(
        &wanted,
        back,
        &settings(),
        &["update app.example.com A [192.0.2.1]", "create app.example.com AAAA [::1]"],
    );
}

#[test]
fn lost_targets_hold_what_stands() {
    let observed = zone(owned("me", "r", "app.example.com A 192.0.2.1"));
    check(
        &[desired("r", "app.example.com A")],
        observed,
        &settings(),
        &["leave(NoTargets) app.example.com A []", "leave(NoTargets) app.example.com A [192.0.2.1]"],
    );
}

#[test]
fn conflicts_are_decided_as_upstream_decides_them() {
    let few = "app.example.com A 192.0.2.200";
    let many = "app.example.com A 192.0.2.1 192.0.2.2";
    let low = "app.example.com A 192.0.2.30";
    // On create: fewer targets, then the lower address (by number, not by text).
    check(
        &[desired("a", many), desired("b", few), desired("c", low)],
        zone([]),
        &settings(),
        &[
            "leave(Problem) app.example.com A [192.0.2.1, 192.0.2.2]",
            "leave(Problem) app.example.com A [192.0.2.200]",
            "create app.example.com A [192.0.2.30]",
            "PTL-0415",
            "PTL-0415",
        ],
    );
    // On update: the one that has it keeps it.
    check(
        &[desired("a", many), desired("b", few)],
        zone(owned("me", "a", many)),
        &settings(),
        &[
            "leave(AsWanted) app.example.com A [192.0.2.1, 192.0.2.2]",
            "leave(Problem) app.example.com A [192.0.2.200]",
            "PTL-0415",
        ],
    );
    // Equal desired records are no conflict; an address beats an alias.
    check(
        &[desired("a", few), desired("b", few), desired("c", "app.example.com CNAME lb.x")],
        zone([]),
        &settings(),
        &[
            "create app.example.com A [192.0.2.200]",
            "leave(Problem) app.example.com CNAME [lb.x]",
            "PTL-0416",
        ],
    );
}

#[test]
fn equal_desired_records_of_several_routes_are_merged_before() {
    let merged = merge([
        desired("b", "app.example.com A 192.0.2.2"),
        desired("a", "app.example.com A 192.0.2.1"),
        desired("c", "app.example.com A ttl=5 192.0.2.1"),
        desired("d", "app.example.com CNAME x"),
        desired("e", "app.example.com CNAME y"),
    ]);
    assert_eq!(
        merged,
        [
            desired("a", "app.example.com A 192.0.2.1 192.0.2.2"),
            desired("c", "app.example.com A ttl=5 192.0.2.1"),
            desired("d", "app.example.com CNAME x"),
            desired("e", "app.example.com CNAME y"),
        ]
    );
}

#[test]
fn the_apex_needs_a_prefix_that_ends_in_a_dot() {
    let wanted = [desired("r", "example.com A 192.0.2.1")];
    check(&wanted, zone([]), &settings(), &["leave(Problem) example.com A [192.0.2.1]", "PTL-0412"]);
    let registry = Registry::new("x-%{record_type}.", "", "").unwrap();
    let with_prefix = Settings { registry, ..settings() };
    check(&wanted, zone([]), &with_prefix, &["create example.com A [192.0.2.1]"]);
    let alias = [desired("r", "example.com CNAME lb.x")];
    check(&alias, zone([]), &with_prefix, &["leave(Problem) example.com CNAME [lb.x]", "PTL-0417"]);
}

#[test]
fn filters_end_at_label_boundaries() {
    let scope = |domain: &[&str], exclude: &[&str], name: &str| {
        let list = |texts: &[&str]| texts.iter().map(|t| Name::new(t)).collect();
        Settings { domain_filter: list(domain), exclude: list(exclude), ..settings() }.in_scope(name)
    };
    assert!(scope(&[], &[], "a.example.com"));
    assert!(scope(&["Example.com."], &[], "a.example.com"));
    assert!(scope(&["example.com"], &[], "example.com"));
    assert!(!scope(&["example.com"], &[], "aexample.com"));
    assert!(!scope(&[".example.com"], &[], "example.com"));
    assert!(scope(&[".example.com"], &[], "a.example.com"));
    assert!(!scope(&["example.com"], &["dev.example.com"], "a.dev.example.com"));
    assert!(scope(&["example.com"], &["dev.example.com"], "adev.example.com"));
    let filtered = Settings { domain_filter: vec!["dev.example.com".into()], ..settings() };
    let observed = zone(owned("me", "r", "old.example.com A 192.0.2.1"));
    check(
        &[desired("r", "app.example.com A 192.0.2.1")],
        observed,
        &filtered,
        &["leave(Filtered) app.example.com A [192.0.2.1]"],
    );
}

#[test]
fn deleting_most_of_a_zone_needs_approval() {
    let ours = |count: usize| {
        zone((0..count).flat_map(|n| owned("me", "r", &format!("h{n}.example.com A 192.0.2.1"))))
    };
    let deletions = |kept: usize, count: usize, settings: &Settings| {
        let wanted: Vec<_> =
            (0..kept).map(|n| desired("r", &format!("h{n}.example.com A 192.0.2.1"))).collect();
        let made = plan(&wanted, &ours(count), settings);
        (made.change_set().groups.len(), made.problems.first().map(|f| f.problem.code().0))
    };
    assert_eq!(deletions(0, 10, &settings()), (10, None), "ten are few");
    assert_eq!(deletions(0, 11, &settings()), (0, Some(420)));
    assert_eq!(deletions(70, 100, &settings()), (30, None), "30 % are not more than 30 %");
    assert_eq!(deletions(69, 100, &settings()), (0, Some(420)));
    let approved = Settings { allow_mass_deletion: true, ..settings() };
    assert_eq!(deletions(0, 100, &approved), (100, None));
}

#[test]
fn nothing_is_planned_on_an_incomplete_snapshot() {
    let observed = Snapshot { complete: false, ..zone(owned("me", "r", "old.example.com A 192.0.2.1")) };
    check(&[desired("r", "app.example.com A 192.0.2.1")], observed, &settings(), &["PTL-0421"]);
}

#[test]
fn desired_records_that_cannot_be_are_reported() {
    check(
        &[desired("r", "app.example.org A 192.0.2.1")],
        zone([]),
        &settings(),
        &["leave(Problem) app.example.org A [192.0.2.1]", "PTL-0422"],
    );
    check(
        &[desired("r", "a..example.com A 192.0.2.1")],
        zone([]),
        &settings(),
        &["leave(Problem) a..example.com A [192.0.2.1]", "PTL-0402"],
    );
}

#[test]
fn an_entry_that_could_mean_two_sets_makes_neither_ours() {
    let registry = Registry::new("", "", "any").unwrap();
    let with_any = Settings { registry, ..settings() };
    let [wild, txt] = owned("me", "r", "any.example.com A 192.0.2.1");
    let wild = RecordSet { name: "*.example.com".into(), ..wild };
    // A host made by hand beside our wildcard: deleting the wildcard's desired record must not delete the host.
    let both = zone([wild.clone(), txt.clone(), set("any.example.com A 192.0.2.7")]);
    check(&[], both, &with_any, &[]);
    // A desired record for the host is not made while the wildcard holds the entry, nor both at once.
    let wanted = [desired("r", "*.example.com A 192.0.2.1"), desired("r", "any.example.com A 192.0.2.2")];
    let left = "leave(Problem) any.example.com A [192.0.2.2]";
    check(&wanted, zone([]), &with_any, &["create *.example.com A [192.0.2.1]", left, "PTL-0411"]);
    // A wildcard made by hand forbids the host: its entry would make the wildcard ours.
    check(&wanted[1..], zone([wild]), &with_any, &[left, "PTL-0411"]);
}
