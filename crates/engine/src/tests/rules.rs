//! Contracts of rules: order, declarations, conflicts, panics, reasons.

use std::sync::Arc;

use super::{
    property::quiet,
    world::{BAD, Item, ItemsByGroup, Judged, JudgedByGroup, Limit, Note, Seat, Seen, Total, World, engine},
    world::{judged, limit_seats, seats, seen, totals},
};
use crate::{Engine, ReadKind, ReadNote, Rows};

fn item(id: u8, group: u8, size: u8) -> Item {
    Item { id, group, size, at: 0 }
}

#[test]
fn a_read_of_a_later_or_the_same_rules_table_is_refused_with_both_names() {
    let mut e = Engine::<World>::default();
    e.group::<JudgedByGroup>("totals", totals).reads::<(Limit,)>().writes::<(Total, Note)>();
    e.map("judged", judged).reads::<(Limit,)>().writes::<(Judged, Note)>();
    let wrong = e.finish().unwrap_err();
    assert!(wrong[0].contains("totals reads judged, which rule judged writes later"), "{wrong:?}");
    e.put(item(1, 1, 1));
    let changes = e.step(0);
    assert_eq!((changes.errors, changes.work), (wrong, vec![]), "steps refuse to run");

    let mut e = Engine::<World>::default();
    e.map("judged", judged).reads::<(JudgedByGroup,)>().writes::<(Judged,)>();
    assert!(e.finish().unwrap_err()[0].contains("judged reads judged, which it writes itself"));

    let mut e = Engine::<World>::default();
    e.map("seats", seats).writes::<(Seat,)>();
    e.map("seats", limit_seats).writes::<(Seat,)>();
    assert!(e.finish().unwrap_err()[0].contains("two rules are named seats"));
}

#[test]
fn undeclared_reads_and_writes_are_errors_of_the_step_though_panics_are_caught() {
    let mut e = Engine::<World>::default();
    e.map("judged", judged).writes::<(Judged,)>();
    e.map("seen", seen).reads::<(ItemsByGroup,)>();
    e.put(item(1, 1, 1));
    e.put(Limit { group: 1, size: 2 });
    let changes = e.step(0);
    assert_eq!(
        changes.errors,
        [
            "rule judged reads limits, which it does not declare (1 times)",
            "rule seen reads judged by group, which it does not declare (1 times)",
            "rule seen writes seen, which it does not declare (1 times)",
        ]
    );
    assert_eq!(e.rows::<Seen>().len(), 0);
    assert!(e.step(0).errors.is_empty(), "reported once");
}

#[test]
fn a_table_of_rules_takes_no_facts() {
    let mut e = engine();
    e.put(Seat { number: 1, by: 1 });
    e.remove::<Seat>(&1);
    assert_eq!(e.step(0).errors, ["seats takes no facts: rule seats writes it (2 times)"]);
    assert!(e.get::<Seat>(&1).is_none());
}

#[test]
fn a_rule_that_takes_part_late_is_an_error() {
    let mut e = engine();
    e.map("late", judged).writes::<(Judged,)>();
    assert_eq!(e.step(0).errors, ["rule late is registered after finish() (1 times)"]);
}

#[test]
fn a_conflict_is_won_by_rule_order_then_input_key_whoever_came_first() {
    let play = |facts: &[u8]| {
        let mut e = engine();
        for id in facts {
            match id {
                4 => e.put(Limit { group: 4, size: 4 }),
                id => e.put(item(*id, 1, 4)),
            }
            e.step(0);
        }
        let conflicts = e.step(0).conflicts;
        let text: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
        (e.get::<Seat>(&4).unwrap().by, text)
    };
    let expected = [
        "seats 4 is claimed by seats for items 1 and by seats for items 2 and by limit_seats for limits 4; \
          the first is shown",
    ];
    for order in [[1, 2, 4], [4, 2, 1], [2, 4, 1]] {
        assert_eq!(play(&order), (1, expected.map(str::to_owned).to_vec()));
    }
    let mut e = engine();
    for id in [1, 2] {
        e.put(item(id, 1, 4));
    }
    e.step(0);
    e.remove::<Item>(&1);
    let changes = e.step(0);
    assert_eq!((changes.conflicts, e.get::<Seat>(&4).unwrap().by), (vec![], 2), "the next one takes over");
}

#[test]
fn a_key_that_moves_between_inputs_in_one_step_is_no_conflict_and_one_change() {
    let mut e = engine();
    e.put(item(2, 1, 4));
    e.put(item(1, 1, 3));
    e.step(0);
    e.put(item(2, 1, 3));
    e.put(item(1, 1, 4));
    let changes = e.step(0);
    assert!(changes.conflicts.is_empty());
    let owners: Vec<_> = changes.of::<Seat>().iter().map(|c| c.after.as_ref().unwrap().by).collect();
    assert_eq!(owners, [2, 1]);
}

#[test]
fn what_a_source_yields_is_replaced_as_a_whole() {
    let rows = |items: &[Item]| {
        let mut rows = Rows::none();
        items.iter().for_each(|item| rows.add(item.clone()));
        rows
    };
    let mut e = engine();
    e.replace(&1, rows(&[item(1, 1, 1), item(2, 1, 1)]));
    e.step(0);
    e.replace(&1, rows(&[item(3, 1, 1), item(2, 1, 1)]));
    let changes = e.step(0);
    let ids = |e: &Engine<World>| e.rows::<Item>().map(|item| item.id).collect::<Vec<_>>();
    assert_eq!(
        (ids(&e), changes.of::<Item>().len()),
        (vec![2, 3], 2),
        "the row that is the same is no change"
    );
    // Another source of the same key: the first in order is shown, and removing the other takes nothing away.
    e.replace(&0, rows(&[item(2, 4, 4)]));
    let conflicts = |changes: &crate::Changes| {
        let of_items = changes.conflicts.iter().filter(|conflict| conflict.table == "items");
        of_items.map(ToString::to_string).collect::<Vec<_>>()
    };
    let conflict = conflicts(&e.step(0)).concat();
    assert_eq!(conflict, "items 2 is claimed by source 0 and by source 1; the first is shown");
    assert_eq!(e.get::<Item>(&2).unwrap().group, 4);
    e.replace(&0, Rows::none());
    assert!(conflicts(&e.step(0)).is_empty());
    assert_eq!(e.get::<Item>(&2).unwrap().group, 1);
    // A fact of no source stands before them, and removing it removes no other.
    e.put(item(2, 5, 5));
    e.step(0);
    assert_eq!(e.get::<Item>(&2).unwrap().group, 5);
    e.remove::<Item>(&2);
    e.step(0);
    assert_eq!(e.get::<Item>(&2).unwrap().group, 1);
    e.remove::<Item>(&2);
    e.replace(&1, rows(&[]));
    e.step(0);
    assert_eq!(e.stats(), crate::Stats::default());
}

#[test]
fn a_panic_keeps_the_last_good_rows_marks_them_and_is_repaired() {
    quiet();
    let mut e = engine();
    e.put(Limit { group: 1, size: 2 });
    e.put(item(1, 1, 1));
    e.step(0);
    e.put(item(1, 1, BAD));
    let changes = e.step(0);
    assert_eq!(changes.held[0].to_string(), "rule judged for items 1 panicked: planted 1");
    assert_eq!(e.get::<Judged>(&1).unwrap().fits, Some(true));
    assert!(e.is_held::<Judged>(&1) && !e.is_held::<Seat>(&BAD));
    assert!(e.get::<Note>(&"1 too large".to_owned()).is_none(), "what it put out before is dropped");
    assert!(e.reasons::<Judged>(&1)[0].held);
    assert_eq!(e.step(0).held, changes.held, "still held");

    e.put(Limit { group: 1, size: BAD });
    assert!(e.step(0).held.is_empty(), "what the failed run had read wakes it");
    assert!(!e.is_held::<Judged>(&1));

    e.put(Limit { group: 1, size: 2 });
    assert_eq!(e.step(0).held.len(), 1);
    e.remove::<Item>(&1);
    assert!(e.step(0).held.is_empty());
    assert!(e.get::<Judged>(&1).is_none(), "a held row goes with its input");
}

#[test]
fn the_list_of_held_runs_is_the_same_pointer_until_something_about_them_changes() {
    quiet();
    let mut e = engine();
    e.put(Limit { group: 1, size: 2 });
    e.put(item(1, 1, BAD));
    let first = e.step(0).held;
    e.put(item(2, 2, 1));
    assert!(Arc::ptr_eq(&e.step(0).held, &first) && Arc::ptr_eq(&e.held(), &first));
    e.put(item(3, 1, BAD));
    assert_eq!(e.step(0).held.len(), 2);
}

#[test]
fn runs_that_change_nothing_are_counted() {
    let mut e = engine();
    e.put(Limit { group: 1, size: 4 });
    (1..=3).for_each(|id| e.put(item(id, 1, id)));
    e.step(0);
    // All three fit before and after; the limit's other readers see another row or the same too.
    e.put(Limit { group: 1, size: 3 });
    let changes = e.step(0);
    let equal = |rule| changes.equal.iter().find(|(name, _)| *name == rule).map_or(0, |(_, runs)| *runs);
    let ran = |rule| changes.work.iter().find(|(name, _)| *name == rule).map_or(0, |(_, runs)| *runs);
    assert_eq!((ran("judged"), equal("judged")), (3, 3));
    assert_eq!((ran("totals"), equal("totals")), (1, 1), "that of group 0 asks whether there is a limit");
    assert_eq!((ran("limit_seats"), equal("limit_seats")), (1, 0), "its seat went");
}

#[test]
fn reasons_are_the_recorded_reads() {
    let mut e = engine();
    e.put(item(1, 4, 1));
    e.put(item(2, 5, 1));
    e.put(Limit { group: 4, size: 2 });
    e.step(0);
    let reason = &e.reasons::<Seen>(&4)[0];
    assert_eq!((reason.rule, &*reason.input), ("seen", "limits 4"));
    let note = |table, index, what: &str, kind, count, sample: &[&str]| ReadNote {
        table,
        index,
        what: what.to_owned(),
        kind,
        count,
        sample: sample.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(reason.from, Some(note("limits", None, "4", ReadKind::Get, 1, &[])));
    assert_eq!(
        reason.reads,
        [
            note("items", Some("items by group"), "5", ReadKind::Keys, 1, &["2"]),
            note("judged", Some("judged by group"), "4", ReadKind::Count, 1, &["1"]),
            note("items", Some("items by group"), "4", ReadKind::Find, 1, &["1"]),
        ]
    );
    let absent = &e.reasons::<Judged>(&2)[0].reads;
    assert_eq!(absent, &[note("limits", None, "5", ReadKind::Get, 0, &[])]);
    assert_eq!(e.reasons::<Item>(&1)[0].input, "items 1");
    assert!(e.reasons::<Item>(&9).is_empty());
    let total = &e.reasons::<Total>(&4)[0];
    assert_eq!((&*total.input, total.from.as_ref().map(|from| from.count)), ("judged by group 4", Some(1)));
    assert!(
        e.diagram().contains("seen: limits [items by group, judged by group] -> seen\n"),
        "{}",
        e.diagram()
    );
}

#[test]
fn the_engine_and_its_changes_go_to_other_threads() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    let mut e = send(engine());
    e.put(item(1, 1, 1));
    let changes = e.step(0);
    let copy = changes.clone();
    let row = std::thread::spawn(move || copy.of::<Item>()[0].after.clone()).join().unwrap().unwrap();
    assert!(Arc::ptr_eq(&row, changes.of::<Item>()[0].after.as_ref().unwrap()));
}
