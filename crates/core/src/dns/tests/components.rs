//! Several components over one zone.

use portolan_model::dns::{RecordSet, RecordType};

use super::plan::{apply, zone};
use crate::dns::{
    Plan, WantedRecord, plan_of,
    rows::{DnsSettings, WantedName},
};

fn component(key: &str, owner: &str) -> DnsSettings {
    let mut made = DnsSettings::of_folder("me");
    made.key = key.into();
    made.plan.owner = owner.into();
    made
}

fn wanted(component: &str, name: &str) -> WantedName {
    let set = RecordSet::new(name, RecordType::A, None, ["192.0.2.1"]);
    let records = vec![WantedRecord { set, resource: "httproute/t/app".into() }];
    WantedName { key: name.into(), component: component.into(), records }
}

#[test]
fn components_with_one_owner_do_not_delete_each_others_records() {
    let all = [component("a", "same"), component("b", "same")];
    let names = [wanted("a", "a.example.com"), wanted("b", "b.example.com")];
    let mut zone = zone([]);
    for component in &all {
        apply(&plan_of(component, &all, &names, &zone, None), &mut zone);
    }
    assert_eq!(zone.sets.len(), 4);
    assert!(all.iter().all(|component| plan_of(component, &all, &names, &zone, None).is_empty()));
    // What neither wants goes.
    let plan: Plan = plan_of(&all[0], &all, &names[..1], &zone, None);
    apply(&plan, &mut zone);
    assert_eq!(zone.sets.len(), 2);
}

#[test]
fn what_stands_for_a_component_that_cannot_be_followed_stays() {
    let mut all = [component("a", "same"), component("b", "same")];
    all[1].plan.domain_filter = vec!["in.example.com".into()];
    let names =
        [wanted("a", "a.example.com"), wanted("a", "gone.example.com"), wanted("b", "b.in.example.com")];
    let mut zone = zone([]);
    for component in &all {
        apply(&plan_of(component, &all, &names, &zone, None), &mut zone);
    }
    assert_eq!(zone.sets.len(), 6);
    all[1].managed = false;
    apply(&plan_of(&all[0], &all, &names[..1], &zone, None), &mut zone);
    let left: Vec<&str> =
        zone.sets.iter().filter(|set| set.r#type == RecordType::A).map(|set| &*set.name).collect();
    assert_eq!(left, ["a.example.com", "b.in.example.com"], "only what is outside of its scope goes");
}
