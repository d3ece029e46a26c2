//! The two rule shapes. A rule holds no state: what it runs for is a slot (map) or a bucket (group).

use std::sync::Arc;

use crate::{
    Cx, Index, Row,
    context::Run,
    row::{typed, typed_key},
    table::gather,
};

pub type MapBody<W, I> = fn(&mut Cx<'_, W>, &Arc<I>);
pub type GroupBody<W, I> = fn(&mut Cx<'_, W>, &<I as Index>::Value, &[Arc<<I as Index>::Row>]);

/// A rule's body without its types: gives it its input as what it is.
pub trait AnyRule: Send {
    fn call(&self, run: Run<'_>, input: u32);
}

pub struct MapRule<W, I>(pub MapBody<W, I>);

impl<W: 'static, I: Row> AnyRule for MapRule<W, I> {
    fn call(&self, run: Run<'_>, input: u32) {
        let table = &run.tables[usize::from(run.declared.input.table)];
        let Some(row) = table.slots[input].row().map(typed) else { return };
        (self.0)(&mut Cx::new(run), &row);
    }
}

pub struct GroupRule<W, I: Index>(pub GroupBody<W, I>);

impl<W: 'static, I: Index> AnyRule for GroupRule<W, I> {
    fn call(&self, run: Run<'_>, input: u32) {
        let of = &run.declared.input;
        let table = &run.tables[usize::from(of.table)];
        let bucket = &table.indexes[usize::from(of.index)].buckets[input];
        let value = typed_key::<I::Value>(bucket.value()).clone();
        let members = gather(&table.slots, &bucket.slots);
        (self.0)(&mut Cx::new(run), &value, &members);
    }
}
