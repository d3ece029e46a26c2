//! A small world with every kind of read, several writers, a group, conflicts and panics.

use std::sync::Arc;

use crate::{Engine, Index, Row};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub id: u8,
    pub group: u8,
    pub size: u8,
    pub at: i64,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub group: u8,
    pub size: u8,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub id: u8,
    pub group: u8,
    pub fits: Option<bool>,
    pub due: bool,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    pub group: u8,
    pub members: Vec<(u8, Option<bool>)>,
    pub next_limit: bool,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub text: String,
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub group: u8,
    pub keys: Vec<u8>,
    pub count: usize,
    pub sizes: Vec<u8>,
}
/// A place that several items may want: conflicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    pub number: u8,
    pub by: u8,
}
/// What stands on a seat, to see conflicts through a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    pub group: u8,
    pub by: Option<u8>,
}

macro_rules! rows {
    ($($row:ty, $key:ty, $field:ident, $name:literal;)*) => {$(
        impl Row for $row {
            type Key = $key;
            const NAME: &'static str = $name;
            fn key(&self) -> &$key {
                &self.$field
            }
        }
    )*};
}
rows! {
    Item, u8, id, "items";
    Limit, u8, group, "limits";
    Judged, u8, id, "judged";
    Total, u8, group, "totals";
    Note, String, text, "notes";
    Seen, u8, group, "seen";
    Seat, u8, number, "seats";
    Guest, u8, group, "guests";
}

pub struct ItemsByGroup;
impl Index for ItemsByGroup {
    type Row = Item;
    type Value = u8;
    const NAME: &'static str = "items by group";
    fn values(row: &Item, out: &mut Vec<u8>) {
        out.push(row.group);
    }
}
/// Several values per row, and sometimes the same twice.
pub struct JudgedByGroup;
impl Index for JudgedByGroup {
    type Row = Judged;
    type Value = u8;
    const NAME: &'static str = "judged by group";
    fn values(row: &Judged, out: &mut Vec<u8>) {
        out.extend([row.group, row.group / 2]);
    }
}

crate::world! {
    pub struct World from u8 {
        items: Item [ItemsByGroup], limits: Limit [], judged: Judged [JudgedByGroup], totals: Total [], seen: Seen [],
        notes: Note [], seats: Seat [], guests: Guest [],
    }
}
pub type Cx<'a> = crate::Cx<'a, World>;

/// Size at which `judged` panics.
pub const BAD: u8 = 13;

pub fn judged(cx: &mut Cx<'_>, item: &Arc<Item>) {
    let limit = cx.get::<Limit>(&item.group);
    // Branches on what was read, so the set of reads changes from run to run.
    let fits = limit.as_ref().map(|limit| item.size <= limit.size);
    let due = fits == Some(true) && cx.due(item.at);
    if fits == Some(false) {
        cx.emit(Note { text: format!("{} too large", item.id) });
    }
    if item.size == BAD {
        // After reading and putting out, so that both are seen to be handled.
        assert!(limit.is_none_or(|limit| limit.size == BAD), "planted {}", item.id);
    }
    cx.emit(Judged { id: item.id, group: item.group, fits, due });
}

// A group rule takes its value by reference, whatever it is.
#[allow(clippy::trivially_copy_pass_by_ref)]
pub fn totals(cx: &mut Cx<'_>, group: &u8, members: &[Arc<Judged>]) {
    let next_limit = cx.get::<Limit>(&group.wrapping_add(1)).is_some();
    if members.len() > 2 {
        cx.emit(Note { text: format!("group {group} is crowded") });
    }
    let members = members.iter().map(|member| (member.id, member.fits)).collect();
    cx.emit(Total { group: *group, members, next_limit });
}

pub fn seen(cx: &mut Cx<'_>, limit: &Arc<Limit>) {
    let group = limit.group;
    let keys = cx.keys::<ItemsByGroup>(&group.wrapping_add(1));
    let count = cx.count::<JudgedByGroup>(&group);
    let sizes = if limit.size.is_multiple_of(2) {
        cx.find::<ItemsByGroup>(&group).iter().map(|item| item.size).collect()
    } else {
        Vec::new()
    };
    cx.emit(Seen { group, keys, count, sizes });
}

/// Wants a seat by size: several items want the same, and one may want two.
pub fn seats(cx: &mut Cx<'_>, item: &Arc<Item>) {
    cx.emit(Seat { number: item.size, by: item.id });
    if item.group == 0 {
        // The same key, another row: in conflict with itself when size is 0.
        cx.emit(Seat { number: 0, by: 100 + item.id });
    }
}

/// A second writer of seats.
pub fn limit_seats(cx: &mut Cx<'_>, limit: &Arc<Limit>) {
    if limit.size > 3 {
        cx.emit(Seat { number: limit.group, by: 200 + limit.group });
    }
}

pub fn guests(cx: &mut Cx<'_>, limit: &Arc<Limit>) {
    let by = cx.get::<Seat>(&limit.group).map(|seat| seat.by);
    cx.emit(Guest { group: limit.group, by });
}

pub fn engine() -> Engine<World> {
    let mut engine = Engine::<World>::default();
    engine.map("judged", judged).reads::<(Limit,)>().writes::<(Judged, Note)>();
    engine.group::<JudgedByGroup>("totals", totals).reads::<(Limit,)>().writes::<(Total, Note)>();
    engine.map("seen", seen).reads::<(ItemsByGroup, JudgedByGroup)>().writes::<(Seen,)>();
    engine.map("seats", seats).writes::<(Seat,)>();
    engine.map("limit_seats", limit_seats).writes::<(Seat,)>();
    engine.map("guests", guests).reads::<(Seat,)>().writes::<(Guest,)>();
    engine.finish().unwrap();
    engine
}
