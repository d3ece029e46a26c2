//! Any random series of steps equals a rebuild from scratch.

use std::collections::BTreeMap;

use proptest::{prelude::*, test_runner::TestCaseError};

use super::world::{BAD, Guest, Item, Judged, Limit, Note, Seat, Seen, Total, World, engine};
use crate::{Changes, Engine, Row, Rows};

#[derive(Clone, Debug)]
pub enum Op {
    Item(Item),
    NoItem(u8),
    Limit(Limit),
    NoLimit(u8),
    /// Items of one group at once, so that a bucket is merged rather than edited.
    Many(u8, u8),
    NoneOf(u8),
    /// All that a source yields from now on. Sources share keys with each other and with facts that are put.
    Source(u8, Yield),
    /// A step, so much later than the one before; earlier counts as the same time.
    Step(i64),
}

/// What a source yields.
#[derive(Clone, Debug, Default)]
pub struct Yield {
    items: BTreeMap<u8, Item>,
    limit: Option<Limit>,
}

impl Yield {
    fn rows(&self) -> Rows<World> {
        let mut rows = Rows::none();
        self.items.values().for_each(|item| rows.add(item.clone()));
        self.limit.iter().for_each(|limit| rows.add(limit.clone()));
        rows
    }
}

/// The facts as they were given, for building anew.
#[derive(Default)]
struct Facts {
    items: BTreeMap<u8, Item>,
    limits: BTreeMap<u8, Limit>,
    sources: BTreeMap<u8, Yield>,
}

impl Facts {
    fn built(&self) -> Engine<World> {
        let mut fresh = engine();
        self.items.values().for_each(|item| fresh.put(item.clone()));
        self.limits.values().for_each(|limit| fresh.put(limit.clone()));
        // Last first: whoever came first must not count.
        self.sources.iter().rev().for_each(|(source, yields)| fresh.replace(source, yields.rows()));
        fresh
    }

    /// The items that stand: of those of one key the one that was put, else that of the first source.
    fn standing(&self) -> Vec<&Item> {
        let mut all: BTreeMap<u8, &Item> = BTreeMap::new();
        for of in self.sources.values().rev().map(|yields| &yields.items).chain([&self.items]) {
            all.extend(of.iter().map(|(id, item)| (*id, item)));
        }
        all.into_values().collect()
    }
}

pub const ITEMS: u8 = 40;
const GROUPS: u8 = 6;
const SOURCES: u8 = 4;

fn item() -> impl Strategy<Value = Item> {
    (0..12u8, 0..GROUPS, size(), 0..40i64).prop_map(|(id, group, size, at)| Item { id, group, size, at })
}

fn yields() -> impl Strategy<Value = Yield> {
    let limit = prop::option::of((0..GROUPS, size()).prop_map(|(group, size)| Limit { group, size }));
    (prop::collection::vec(item(), 0..4), limit).prop_map(|(items, limit)| Yield {
        items: items.into_iter().map(|item| (item.id, item)).collect(),
        limit,
    })
}

fn size() -> impl Strategy<Value = u8> {
    prop_oneof![10 => 0..6u8, 1 => Just(BAD)]
}

pub fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => item().prop_map(Op::Item),
        3 => (0..12u8).prop_map(Op::NoItem),
        3 => (0..GROUPS, size()).prop_map(|(group, size)| Op::Limit(Limit { group, size })),
        2 => (0..GROUPS).prop_map(Op::NoLimit),
        1 => (0..GROUPS, 0..6u8).prop_map(|(group, size)| Op::Many(group, size)),
        1 => (0..ITEMS).prop_map(Op::NoneOf),
        2 => (0..SOURCES, yields()).prop_map(|(source, yields)| Op::Source(source, yields)),
        1 => (0..SOURCES).prop_map(|source| Op::Source(source, Yield::default())),
        6 => (-9..5i64).prop_map(Op::Step),
    ];
    prop::collection::vec(op, 1..60)
}

/// Plays `ops` and compares after each step.
pub fn check(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let (mut e, mut facts) = (engine(), Facts::default());
    let mut now = 0;
    e.step(now);
    let put = |e: &mut Engine<World>, facts: &mut Facts, item: Item| {
        facts.items.insert(item.id, item.clone());
        e.put(item);
    };
    let remove = |e: &mut Engine<World>, facts: &mut Facts, id: u8| {
        facts.items.remove(&id);
        e.remove::<Item>(&id);
    };
    for op in ops {
        match op {
            Op::Item(item) => put(&mut e, &mut facts, item),
            Op::NoItem(id) => remove(&mut e, &mut facts, id),
            Op::Limit(limit) => {
                facts.limits.insert(limit.group, limit.clone());
                e.put(limit);
            }
            Op::NoLimit(group) => {
                facts.limits.remove(&group);
                e.remove::<Limit>(&group);
            }
            Op::Many(group, size) => {
                for id in (0..ITEMS).filter(|id| id % 2 == group % 2) {
                    put(&mut e, &mut facts, Item { id, group, size, at: i64::from(id) });
                }
            }
            Op::NoneOf(above) => (above..ITEMS).for_each(|id| remove(&mut e, &mut facts, id)),
            Op::Source(source, yields) => {
                e.replace(&source, yields.rows());
                facts.sources.insert(source, yields);
            }
            Op::Step(by) => {
                step(&mut e, &facts, now, now + by)?;
                now = now.max(now + by);
            }
        }
    }
    // When everything is gone, nothing is left behind.
    (0..ITEMS).for_each(|id| e.remove::<Item>(&id));
    (0..GROUPS).for_each(|group| e.remove::<Limit>(&group));
    (0..SOURCES).for_each(|source| e.replace(&source, Rows::none()));
    let changes = e.step(now);
    prop_assert_eq!((changes.held.len(), changes.conflicts, changes.next_due), (0, vec![], None));
    let left = e.stats();
    prop_assert_eq!(left, crate::Stats::default());
    Ok(())
}

fn step(e: &mut Engine<World>, facts: &Facts, earlier: i64, now: i64) -> Result<(), TestCaseError> {
    let before = e.dump();
    let changes = e.step(now);
    let now = now.max(earlier);
    prop_assert!(changes.errors.is_empty());
    net(before, &changes, &e.dump())?;
    let runs = |of: &[(&str, usize)]| of.iter().map(|(_, runs)| *runs).sum::<usize>();
    prop_assert!(runs(&changes.equal) <= runs(&changes.work));
    prop_assert_eq!(e.rows::<Item>().map(|item| &**item).collect::<Vec<_>>(), facts.standing());

    let again = e.step(now);
    prop_assert_eq!((again.runs(), again.is_empty()), (0, true), "a second step finds nothing to do");

    let mut fresh = facts.built();
    let rebuilt = fresh.step(now);
    prop_assert_eq!(&changes.held, &rebuilt.held);
    if changes.held.is_empty() {
        prop_assert_eq!(e.dump(), fresh.dump());
        plain(e)?;
        prop_assert_eq!(&changes.conflicts, &rebuilt.conflicts);
        prop_assert_eq!(changes.next_due, rebuilt.next_due);
        // The records are those of a rebuild too; reader lists may have spare room.
        let (mut kept, mut built) = (e.stats(), fresh.stats());
        (kept.read_bytes, built.read_bytes) = (0, 0);
        prop_assert_eq!(kept, built);
        for (table, anew) in e.machine.tables.iter().zip(&fresh.machine.tables) {
            prop_assert_eq!(table.places(), anew.places());
        }
    }
    Ok(())
}

/// `before` with the changes played on it is `after`, and each change is one.
fn net(mut before: Vec<String>, changes: &Changes, after: &[String]) -> Result<(), TestCaseError> {
    fn lines<R: Row>(changes: &Changes) -> Vec<(Option<String>, Option<String>)> {
        let line = |row: &Option<std::sync::Arc<R>>| row.as_ref().map(|row| format!("{}: {row:?}", R::NAME));
        changes.of::<R>().iter().map(|change| (line(&change.before), line(&change.after))).collect()
    }
    let all = [
        lines::<Item>(changes),
        lines::<Limit>(changes),
        lines::<Judged>(changes),
        lines::<Total>(changes),
        lines::<Seen>(changes),
        lines::<Note>(changes),
        lines::<Seat>(changes),
        lines::<Guest>(changes),
    ];
    for (old, new) in all.concat() {
        prop_assert_ne!(&old, &new, "a change changes something");
        if let Some(old) = old {
            let at = before.iter().position(|line| *line == old);
            prop_assert!(at.is_some(), "{} was not there before the step", old);
            at.map(|at| before.swap_remove(at));
        }
        before.extend(new);
    }
    let mut after = after.to_vec();
    before.sort_unstable();
    after.sort_unstable();
    prop_assert_eq!(before, after, "the changes are the net of the step");
    Ok(())
}

/// What the rules come to, computed plainly from the facts: finds bugs that a rebuild repeats.
fn plain(e: &Engine<World>) -> Result<(), TestCaseError> {
    let items: Vec<_> = e.rows::<Item>().collect();
    let limit = |group| e.rows::<Limit>().find(|limit| limit.group == group).map(|limit| limit.size);
    for group in 0..=GROUPS {
        let members: Vec<(u8, Option<bool>)> = items
            .iter()
            .filter(|item| item.group == group || item.group / 2 == group)
            .map(|item| (item.id, limit(item.group).map(|size| item.size <= size)))
            .collect();
        let ids: Vec<u8> = items.iter().filter(|item| item.group == group + 1).map(|item| item.id).collect();
        if let Some(seen) = e.get::<Seen>(&group) {
            prop_assert_eq!((&seen.keys, seen.count), (&ids, members.len()));
        }
        prop_assert_eq!(e.get::<Seen>(&group).is_some(), limit(group).is_some());
        let total = e.get::<Total>(&group).map(|total| (total.members.clone(), total.next_limit));
        let wanted = (!members.is_empty()).then(|| (members, limit(group + 1).is_some()));
        prop_assert_eq!(total, wanted);
    }
    Ok(())
}

/// Panics on purpose would print thousands of messages; all others still print.
pub fn quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<String>();
            if text.is_none_or(|text| !text.starts_with("planted")) {
                loud(info);
            }
        }));
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_series_of_steps_equals_a_rebuild(ops in ops()) {
        quiet();
        check(ops)?;
    }
}
