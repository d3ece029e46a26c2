//! Steps equal a rebuild, the work of a change does not grow with the tables, panics and conflicts are contained.
#![allow(clippy::unwrap_used)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use proptest::prelude::*;

use crate::{Cx, Engine, Index, Row};

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    id: u8,
    group: u8,
    size: u8,
    at: i64,
}
#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit {
    group: u8,
    size: u8,
}
#[derive(Clone, Debug, PartialEq, Eq)]
struct Judged {
    id: u8,
    group: u8,
    fits: Option<bool>,
    due: bool,
}
#[derive(Clone, Debug, PartialEq, Eq)]
struct Total {
    group: u8,
    fitting: Vec<u8>,
    limits: usize,
}
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    text: String,
}
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    group: u8,
    keys: Vec<u8>,
    count: usize,
    sizes: usize,
}

macro_rules! row {
    ($row:ty, $key:ty, $field:ident, $name:literal) => {
        impl Row for $row {
            type Key = $key;
            const NAME: &'static str = $name;
            fn key(&self) -> $key {
                self.$field.clone()
            }
        }
    };
}
row!(Item, u8, id, "items");
row!(Limit, u8, group, "limits");
row!(Judged, u8, id, "judged");
row!(Total, u8, group, "totals");
row!(Note, String, text, "notes");
row!(Seen, u8, group, "seen");

macro_rules! index {
    ($index:ident, $row:ty, $name:literal, $value:expr) => {
        struct $index;
        impl Index for $index {
            type Row = $row;
            type Value = u8;
            const NAME: &'static str = $name;
            fn values(row: &$row, out: &mut Vec<u8>) {
                let value: fn(&$row) -> Vec<u8> = $value;
                out.extend(value(row));
            }
        }
    };
}
index!(ItemsByGroup, Item, "items by group", |i| vec![i.group]);
// several values per row
index!(JudgedByGroup, Judged, "judged by group", |j| vec![j.group, j.group / 2]);

crate::world! {
    struct World {
        items: Item [ItemsByGroup], limits: Limit [], judged: Judged [JudgedByGroup], totals: Total [], seen: Seen [],
        notes: Note [],
    }
}

static PANIC: AtomicBool = AtomicBool::new(false);

fn judged(cx: &mut Cx<'_, World>, item: &Arc<Item>) {
    let limit = cx.get::<Limit>(&item.group);
    assert!(!(item.size == 255 && PANIC.load(Ordering::Relaxed)), "planted");
    // Branches on what was read, so the set of reads changes from run to run.
    let fits = limit.as_ref().map(|l| item.size <= l.size);
    let due = if fits == Some(true) { cx.due(item.at) } else { false };
    if fits == Some(false) {
        cx.emit(Note { text: format!("{} too large", item.id) });
    }
    cx.emit(Judged { id: item.id, group: item.group, fits, due });
}

fn totals(cx: &mut Cx<'_, World>, group: &u8, members: &[Arc<Judged>]) {
    let limits = usize::from(cx.get::<Limit>(&group.wrapping_add(1)).is_some());
    let fitting: Vec<u8> = members.iter().filter(|j| j.fits == Some(true)).map(|j| j.id).collect();
    if fitting.len() > 2 {
        cx.emit(Note { text: format!("group {group} is crowded") });
    }
    cx.emit(Total { group: *group, fitting, limits });
}

fn seen(cx: &mut Cx<'_, World>, limit: &Arc<Limit>) {
    let group = limit.group;
    let keys = cx.keys::<ItemsByGroup>(&group.wrapping_add(1));
    let count = cx.count::<JudgedByGroup>(&group);
    let sizes = if limit.size % 2 == 0 {
        cx.find::<ItemsByGroup>(&group).iter().map(|i| usize::from(i.size)).sum()
    } else {
        0
    };
    cx.emit(Seen { group, keys, count, sizes });
}

fn engine() -> Engine<World> {
    let mut e = Engine::<World>::default();
    e.map::<Item>("judged", judged).reads::<(Limit,)>().writes::<(Judged, Note)>();
    e.group::<JudgedByGroup>("totals", totals).reads::<(Limit,)>().writes::<(Total, Note)>();
    e.map::<Limit>("seen", seen).reads::<(Item, Judged)>().writes::<(Seen,)>();
    e.finish().unwrap();
    e
}

#[derive(Clone, Debug)]
enum Op {
    Item(Item),
    NoItem(u8),
    Limit(Limit),
    NoLimit(u8),
    Step(i64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..12u8, 0..5u8, 0..6u8, 0..40i64).prop_map(|(id, group, size, at)| Op::Item(Item { id, group, size, at })),
        2 => (0..12u8).prop_map(Op::NoItem),
        2 => (0..6u8, 0..6u8).prop_map(|(group, size)| Op::Limit(Limit { group, size })),
        1 => (0..6u8).prop_map(Op::NoLimit),
        4 => (0..5i64).prop_map(Op::Step),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_series_of_steps_equals_a_rebuild(ops in prop::collection::vec(op(), 1..60)) {
        let mut e = engine();
        let mut now = 0;
        for op in ops {
            match op {
                Op::Item(i) => e.put(i),
                Op::NoItem(id) => e.remove::<Item>(&id),
                Op::Limit(l) => e.put(l),
                Op::NoLimit(g) => e.remove::<Limit>(&g),
                Op::Step(by) => {
                    now += by;
                    let before = e.dump();
                    let step = e.step(now);
                    prop_assert!(step.errors.is_empty() && step.conflicts.is_empty());
                    // a second step at the same instant finds nothing to do
                    let same = e.dump();
                    prop_assert_eq!(e.step(now).runs(), 0);
                    prop_assert_eq!(&same, &e.dump());
                    let _ = before;
                    let mut fresh = engine();
                    for row in e.rows::<Item>() { fresh.put((**row).clone()); }
                    for row in e.rows::<Limit>() { fresh.put((**row).clone()); }
                    fresh.step(now);
                    prop_assert_eq!(e.dump(), fresh.dump());
                }
            }
        }
        // when everything is gone, no read node is left behind
        for id in 0..12 { e.remove::<Item>(&id); }
        for g in 0..6 { e.remove::<Limit>(&g); }
        e.step(now);
        use crate::Has;
        let (items, limits): (&crate::Table<Item>, &crate::Table<Limit>) = (e.world().table(), e.world().table());
        prop_assert_eq!(items.readers.len() + limits.readers.len(), 0);
        let _ : &crate::Table<Item> = <World as Has<Item>>::table(e.world());
    }
}

#[test]
fn work_does_not_grow_with_the_tables() {
    let work = |n: u8| {
        let mut e = engine();
        for id in 0..n {
            e.put(Item { id, group: id, size: 1, at: 0 });
            e.put(Limit { group: id, size: 3 });
        }
        e.step(0);
        e.put(Item { id: 3, group: 3, size: 2, at: 0 });
        e.step(0).work
    };
    assert_eq!(work(20), work(200));
}

#[test]
fn equal_results_stop_the_wave_and_changes_are_net() {
    let mut e = engine();
    e.put(Limit { group: 1, size: 4 });
    e.put(Item { id: 1, group: 1, size: 1, at: 0 });
    e.step(0);
    e.put(Item { id: 1, group: 1, size: 2, at: 0 });
    let step = e.step(0);
    assert!(step.work.iter().all(|(rule, _)| *rule != "totals"), "{:?}", step.work);
    assert!(e.changes::<Judged>().is_empty());
    assert_eq!(e.changes::<Item>().len(), 1);
    e.put(Item { id: 1, group: 1, size: 3, at: 0 });
    e.put(Item { id: 1, group: 1, size: 2, at: 0 });
    e.step(0);
    assert!(e.changes::<Item>().is_empty(), "there and back is no change");
}

#[test]
fn a_panic_keeps_the_last_good_row_and_is_repaired() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut e = engine();
    e.put(Limit { group: 1, size: 255 });
    e.put(Item { id: 1, group: 1, size: 7, at: 0 });
    e.step(0);
    PANIC.store(true, Ordering::Relaxed);
    e.put(Item { id: 1, group: 1, size: 255, at: 0 });
    let step = e.step(0);
    PANIC.store(false, Ordering::Relaxed);
    assert_eq!(step.held, ["judged for items 1"]);
    assert!(e.get::<Judged>(&1).is_some());
    e.put(Limit { group: 1, size: 254 });
    assert!(e.step(0).held.is_empty(), "what the failed run had read wakes it");
    assert_eq!(e.get::<Judged>(&1).unwrap().fits, Some(false));
}

#[test]
fn order_is_checked_at_start_and_undeclared_reads_are_reported() {
    let mut e = Engine::<World>::default();
    e.group::<JudgedByGroup>("totals", totals).reads::<(Limit,)>().writes::<(Total, Note)>();
    e.map::<Item>("judged", judged).reads::<(Limit,)>().writes::<(Judged, Note)>();
    assert!(e.finish().unwrap_err()[0].contains("totals reads judged, which rule judged writes"));

    let mut e = Engine::<World>::default();
    e.map::<Item>("judged", judged).reads::<()>().writes::<(Judged,)>();
    e.finish().unwrap();
    e.put(Item { id: 1, group: 1, size: 1, at: 0 });
    assert!(e.step(0).errors[0].contains("reads limits undeclared"));
}

#[test]
fn conflicts_are_chosen_by_content_and_reported() {
    fn first(cx: &mut Cx<'_, World>, item: &Arc<Item>) {
        cx.emit(Seen { group: item.group, keys: vec![item.id], count: 0, sizes: 0 });
    }
    let run = |ids: [u8; 2]| {
        let mut e = Engine::<World>::default();
        e.map::<Item>("first", first).reads::<()>().writes::<(Seen,)>();
        e.finish().unwrap();
        for id in ids {
            e.put(Item { id, group: 1, size: 1, at: 0 });
            e.step(0);
        }
        let step = e.step(0);
        let shown = e.get::<Seen>(&1).unwrap().keys.clone();
        e.remove::<Item>(&shown[0]);
        let after = e.step(0);
        (step.conflicts, shown, after.conflicts, e.get::<Seen>(&1).unwrap().keys.clone())
    };
    assert_eq!(run([1, 2]), run([2, 1]));
    assert_eq!(run([1, 2]), (vec!["seen 1".into()], vec![1], vec![], vec![2]));
}

#[test]
fn reasons_are_the_recorded_reads() {
    let mut e = engine();
    e.put(Item { id: 1, group: 4, size: 1, at: 0 });
    e.step(0);
    let reasons = e.reasons::<Judged>(&1);
    assert_eq!(reasons[0].rule, "judged");
    assert_eq!(reasons[0].reads, vec![("limits", "4".into(), crate::ReadKind::Get, 0)]);
    assert!(e.diagram().contains("judged: items [limits] -> judged, notes"));
}
