//! Lists as CEL sees them through their schemas: those of type `set` and `map` have no order.

use std::sync::OnceLock;

use cel::{
    ExecutionError,
    common::{
        traits::{Adder, Container, Indexer, Iterable, Iterator as Items, Sizer, Zeroer},
        types::{CelInt, CelList, CelString, LIST_TYPE, Type},
        value::{CowVal, Val},
    },
};
use portolan_cel::budget;
use serde_json::Value;

use super::{
    escape,
    value::{UNKNOWN, length, typed},
};
use crate::schema::{ListType, Schema};

/// A list.
#[derive(Debug)]
pub(super) struct List<'v> {
    items: &'v [Value],
    schema: &'v Schema,
    made: OnceLock<Vec<Box<dyn Val + 'v>>>,
}

impl<'v> List<'v> {
    pub fn new(items: &'v [Value], schema: &'v Schema) -> Self {
        Self { items, schema, made: OnceLock::new() }
    }

    fn made(&self) -> &[Box<dyn Val + 'v>] {
        let schema = self.schema.items.as_deref().unwrap_or(&UNKNOWN);
        self.made.get_or_init(|| self.items.iter().map(|item| typed(item, schema, false)).collect())
    }

    /// In which order its items stand says nothing.
    fn unordered(&self) -> bool {
        self.schema.list != ListType::Atomic
    }

    /// Whether two items stand for the same one of a list of type `map` or `set`.
    fn same(&self, a: &dyn Val, b: &dyn Val) -> bool {
        match &self.schema.list {
            ListType::Atomic => false,
            ListType::Set => a.equals(b),
            ListType::Map(keys) => keys.iter().all(|key| {
                let name = escape::escape(key).unwrap_or_else(|| key.as_ref().into());
                same_field(a, b, &name)
            }),
        }
    }
}

fn same_field(a: &dyn Val, b: &dyn Val, name: &str) -> bool {
    let name = CelString::from(name);
    let (Some(a), Some(b)) = (a.as_indexer(), b.as_indexer()) else { return false };
    match (a.get(&name), b.get(&name)) {
        (Ok(a), Ok(b)) => a.as_ref().equals(b.as_ref()),
        (Err(_), Err(_)) => true,
        _ => false,
    }
}

impl Val for List<'_> {
    fn get_type(&self) -> &Type {
        &LIST_TYPE
    }
    fn cel_type() -> &'static Type {
        &LIST_TYPE
    }
    fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }
    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }
    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }
    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }
    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }
    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        Some(self)
    }
    fn equals(&self, other: &dyn Val) -> bool {
        if other.get_type().name() != LIST_TYPE.name() {
            return false;
        }
        let theirs = portolan_cel::items(other);
        if theirs.len() != self.items.len() {
            return false;
        }
        let mut mine = self.made().iter();
        let paid = |cost: usize| budget::pay(cost as u64).is_ok();
        if self.unordered() {
            return paid(theirs.len() * theirs.len())
                && mine.all(|item| {
                    theirs.iter().any(|other| self.same(item.as_ref(), *other) && item.equals(*other))
                });
        }
        paid(theirs.len()) && mine.zip(theirs).all(|(item, other)| item.equals(other))
    }
    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(List { items: self.items, schema: self.schema, made: OnceLock::new() })
    }
}

impl Adder for List<'_> {
    /// Items with a key that is there already take its place (`map`) or are left out (`set`).
    fn add<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let mut all: Vec<Box<dyn Val + 'v>> = self.made().iter().map(|item| item.clone_as_boxed()).collect();
        let theirs = portolan_cel::items(other);
        budget::pay((all.len() + theirs.len()) as u64)?;
        for item in theirs {
            let known = if self.unordered() {
                budget::pay(all.len() as u64)?;
                all.iter().position(|mine| self.same(mine.as_ref(), item))
            } else {
                None
            };
            match known {
                Some(at) => all[at] = item.clone_as_boxed(),
                None => all.push(item.clone_as_boxed()),
            }
        }
        Ok(CowVal::owned(CelList::from(all)))
    }
}

impl Container for List<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        budget::pay(self.items.len() as u64)?;
        Ok(self.made().iter().any(|item| item.equals(value)))
    }
}

impl Indexer for List<'_> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let Some(index) = index.downcast_ref::<CelInt>() else {
            return Err(ExecutionError::UnexpectedType {
                got: index.get_type().name().to_owned(),
                want: "int".to_owned(),
            });
        };
        let schema = self.schema.items.as_deref().unwrap_or(&UNKNOWN);
        let item = usize::try_from(*index.inner()).ok().and_then(|at| self.items.get(at));
        match item {
            Some(item) => Ok(CowVal::Owned(typed(item, schema, false))),
            None => Err(ExecutionError::IndexOutOfBounds((*index.inner()).into())),
        }
    }
    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

impl Sizer for List<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(length(self.items.len()))
    }
}

impl Zeroer for List<'_> {
    fn is_zero_value(&self) -> bool {
        self.items.is_empty()
    }
}

impl Iterable for List<'_> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn Items<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Made(self.made().iter()))
    }
}

struct Made<'b, 'v>(std::slice::Iter<'b, Box<dyn Val + 'v>>);

impl<'b, 'a: 'v, 'v> Items<'b, 'v> for Made<'b, 'a> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.0.next().map(|item| {
            let item: &'b (dyn Val + 'a) = item.as_ref();
            item as &'b (dyn Val + 'v)
        })
    }
}
