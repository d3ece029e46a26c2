//! Waking, net changes, time and work.

use super::world::{Guest, Item, Judged, Limit, Note, Seen, Total, engine};
use crate::Engine;

fn item(id: u8, group: u8, size: u8) -> Item {
    Item { id, group, size, at: 0 }
}

fn runs(changes: &crate::Changes, rule: &str) -> usize {
    changes.work.iter().find(|(name, _)| *name == rule).map_or(0, |(_, runs)| *runs)
}

#[test]
fn equal_results_stop_the_wave() {
    let mut e = engine();
    e.put(Limit { group: 1, size: 4 });
    e.put(item(1, 1, 1));
    e.step(0);
    e.put(item(1, 1, 2));
    let changes = e.step(0);
    assert_eq!((runs(&changes, "judged"), runs(&changes, "totals")), (1, 0), "{:?}", changes.work);
    assert!(changes.of::<Judged>().is_empty());
    let change = &changes.of::<Item>()[0];
    assert_eq!((change.key, change.before.as_ref().unwrap().size), (1, 1));
    assert_eq!(change.after.as_ref().unwrap().size, 2);
}

#[test]
fn facts_there_and_back_are_no_change() {
    let mut e = engine();
    e.put(item(1, 1, 2));
    e.step(0);
    e.put(item(1, 1, 3));
    e.put(item(1, 1, 2));
    e.put(item(2, 1, 2));
    e.remove::<Item>(&2);
    e.remove::<Item>(&9);
    let changes = e.step(0);
    assert_eq!((changes.runs(), changes.is_empty()), (0, true));
}

#[test]
fn keys_wakes_on_membership_only_and_count_on_the_number_only() {
    let mut e = engine();
    e.put(Limit { group: 1, size: 3 });
    e.put(item(1, 2, 1));
    e.put(item(2, 2, 1));
    e.step(0);
    assert_eq!(e.get::<Seen>(&1).unwrap().keys, [1, 2]);
    e.put(item(1, 2, 5));
    assert_eq!(runs(&e.step(0), "seen"), 0, "a member changed");
    e.remove::<Item>(&1);
    assert_eq!(runs(&e.step(0), "seen"), 1, "a member went");

    let mut e = engine();
    e.put(Limit { group: 3, size: 3 });
    e.put(item(1, 3, 1));
    e.step(0);
    assert_eq!(e.get::<Seen>(&3).unwrap().count, 1);
    e.put(item(1, 1, 1));
    e.put(item(2, 3, 1));
    assert_eq!(runs(&e.step(0), "seen"), 0, "one went and one came");
}

#[test]
fn absent_keys_and_empty_buckets_wake_when_something_comes_and_again_when_it_goes() {
    let mut e = engine();
    e.put(Limit { group: 1, size: 2 });
    e.step(0);
    assert_eq!(*e.get::<Guest>(&1).unwrap(), Guest { group: 1, by: None });
    for _ in 0..3 {
        e.put(item(7, 1, 1));
        e.step(0);
        assert_eq!((e.get::<Guest>(&1).unwrap().by, e.get::<Seen>(&1).unwrap().sizes.len()), (Some(7), 1));
        e.remove::<Item>(&7);
        e.step(0);
        assert_eq!((e.get::<Guest>(&1).unwrap().by, e.get::<Seen>(&1).unwrap().sizes.len()), (None, 0));
    }
}

#[test]
fn due_wakes_at_its_instant_and_now_never_goes_back() {
    let mut e = engine();
    e.put(Limit { group: 1, size: 4 });
    e.put(Item { id: 1, group: 1, size: 1, at: 50 });
    assert_eq!(e.step(10).next_due, Some(50));
    assert_eq!(e.step(49).runs(), 0);
    let changes = e.step(50);
    assert_eq!((runs(&changes, "judged"), changes.next_due), (1, None));
    assert!(e.get::<Judged>(&1).unwrap().due);
    e.put(Item { id: 1, group: 1, size: 2, at: 50 });
    e.step(20);
    assert!(e.get::<Judged>(&1).unwrap().due, "20 counts as 50");
    // A run that no longer asks is no longer woken.
    e.put(Item { id: 1, group: 1, size: 2, at: 90 });
    assert_eq!(e.step(60).next_due, Some(90));
    e.remove::<Limit>(&1);
    assert_eq!(e.step(61).next_due, None);
}

#[test]
fn a_group_goes_with_its_last_member_and_its_members_are_in_key_order() {
    let mut e = engine();
    for id in [9, 3, 5] {
        e.put(item(id, 2, 1));
        e.step(0);
    }
    let ids: Vec<u8> = e.get::<Total>(&2).unwrap().members.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [3, 5, 9]);
    assert!(e.get::<Note>(&"group 2 is crowded".to_owned()).is_some());
    for id in [3, 5, 9] {
        e.remove::<Item>(&id);
    }
    e.step(0);
    assert!(e.get::<Total>(&2).is_none() && e.get::<Total>(&1).is_none());
}

/// 60,000 distinct items that come and go leave nothing behind: places are used again.
#[test]
fn memory_is_flat_under_churn() {
    let mut e = engine();
    let mut high = 0;
    for round in 0..60_000_u32 {
        let id = (round % 251) as u8;
        e.put(item(id, id % 7, 1));
        e.step(0);
        e.remove::<Item>(&id);
        e.step(0);
        high = high.max(e.machine.core.instances.iter().count() + e.machine.core.nodes.iter().count());
    }
    assert!(high < 20, "{high} places for one item at a time");
    assert_eq!(e.stats(), crate::Stats::default());
}

#[test]
fn work_does_not_grow_with_the_tables() {
    let work = |items: u8| {
        let mut e: Engine<_> = engine();
        for id in 0..items {
            e.put(item(id, id, 1));
            e.put(Limit { group: id, size: 3 });
        }
        e.step(0);
        e.put(item(3, 3, 2));
        e.step(0).work
    };
    assert_eq!(work(20), work(200));
}

/// What stands once for each row, read, run and index value: a word more is half a megabyte among 50,000 hosts, several times.
#[test]
fn what_is_kept_of_each_row_and_read_is_small() {
    use crate::{bucket::Bucket, core::Instance, core::Node, slot::Slot};
    let sizes = [size_of::<Slot>(), size_of::<Node>(), size_of::<Instance>(), size_of::<Bucket>()];
    assert!(sizes.iter().zip([32, 32, 56, 56]).all(|(is, most)| *is <= most), "{sizes:?}");
}
