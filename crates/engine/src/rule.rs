//! The two rule shapes. A rule holds no state: what it runs for is a slot (map) or a bucket (group).

use std::{cmp::Ordering, marker::PhantomData, sync::Arc};

use crate::{
    Cx, Has, Index, Indexed, Row,
    core::{Place, ROW, ReadKind},
    index::IndexStore,
    panics::caught,
};

pub type MapBody<W, I> = fn(&mut Cx<'_, W>, &Arc<I>);
pub type GroupBody<W, I> = fn(&mut Cx<'_, W>, &<I as Index>::Value, &[Arc<<I as Index>::Row>]);

pub trait AnyRule<W>: Send {
    /// Whether there is something to run for.
    fn present(&self, world: &W, input: u32) -> bool;
    /// Runs; an error is what a panic of the rule says.
    fn call(&self, cx: &mut Cx<'_, W>, input: u32) -> Result<(), String>;
    /// Order of two inputs, by key or value.
    fn order(&self, world: &W, a: u32, b: u32) -> Ordering;
    /// Where the input is, for describing it.
    fn place(&self, world: &W) -> Place;
}

pub struct MapRule<W, I: Row>(pub MapBody<W, I>);

impl<W: Has<I>, I: Row> AnyRule<W> for MapRule<W, I> {
    fn present(&self, world: &W, input: u32) -> bool {
        world.table().slots[input].row.is_some()
    }

    fn call(&self, cx: &mut Cx<'_, W>, input: u32) -> Result<(), String> {
        let Some(row) = cx.world.table().slots[input].row.clone() else { return Ok(()) };
        let body = self.0;
        caught(|| body(cx, &row))
    }

    fn order(&self, world: &W, a: u32, b: u32) -> Ordering {
        let slots = &world.table().slots;
        slots[a].key().cmp(slots[b].key())
    }

    fn place(&self, world: &W) -> Place {
        Place { table: world.table().id, index: ROW, kind: ReadKind::Get }
    }
}

pub struct GroupRule<W, I: Index> {
    body: GroupBody<W, I>,
    of: PhantomData<fn(I)>,
}

impl<W, I: Index> GroupRule<W, I> {
    pub fn new(body: GroupBody<W, I>) -> Self {
        Self { body, of: PhantomData }
    }
}

fn store<W: Indexed<I>, I: Index>(world: &W) -> &IndexStore<I> {
    <W as Has<I::Row>>::table(world).index::<I>()
}

impl<W: Indexed<I>, I: Index> AnyRule<W> for GroupRule<W, I> {
    fn present(&self, world: &W, input: u32) -> bool {
        !store::<W, I>(world).buckets[input].slots.is_empty()
    }

    fn call(&self, cx: &mut Cx<'_, W>, input: u32) -> Result<(), String> {
        let table = <W as Has<I::Row>>::table(cx.world).id;
        // A rule that may read its own bucket needs it in place; for all others the members are lent, not copied.
        let copy = cx.declared.reads.iter().any(|access| access.table == table);
        let bucket = &mut <W as Has<I::Row>>::table_mut(cx.world).index_mut::<I>().buckets[input];
        let value = bucket.value().clone();
        let members = if copy { bucket.rows.clone() } else { std::mem::take(&mut bucket.rows) };
        let body = self.body;
        let ended = caught(|| body(cx, &value, &members));
        if !copy {
            <W as Has<I::Row>>::table_mut(cx.world).index_mut::<I>().buckets[input].rows = members;
        }
        ended
    }

    fn order(&self, world: &W, a: u32, b: u32) -> Ordering {
        let buckets = &store::<W, I>(world).buckets;
        buckets[a].value().cmp(buckets[b].value())
    }

    fn place(&self, world: &W) -> Place {
        let index = store::<W, I>(world).position;
        Place { table: <W as Has<I::Row>>::table(world).id, index, kind: ReadKind::Find }
    }
}
