//! JSON as CEL sees it through its schema (Kubernetes, `apiserver/pkg/cel/common/valuesunstructured.go`): values are looked
//! at where they stand, nothing is copied.

use std::sync::{Arc, LazyLock, OnceLock};

use base64::Engine as _;
use cel::{
    ExecutionError,
    common::{
        traits::{Container, Indexer, Iterable, Iterator as Items, Sizer, Zeroer},
        types::{
            CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelNull, CelString, CelTimestamp, MAP_TYPE,
            Type,
        },
        value::{CowVal, Val},
    },
};
use portolan_cel::{
    budget,
    glance::{Seen, Shape},
};
use serde_json::{Map, Value};

use super::{escape, list::List};
use crate::{
    formats::{self, Format},
    schema::{Additional, Schema, Types},
};

/// What every root has besides what its schema says.
static ROOT: LazyLock<[(&str, Schema); 3]> = LazyLock::new(|| {
    let text = || Schema { types: Types::STRING, ..Schema::default() };
    let named = |name: &str| (Box::from(name), Arc::new(text()));
    let metadata = Schema {
        types: Types::OBJECT,
        properties: Box::new([named("generateName"), named("name")]),
        ..Schema::default()
    };
    [("apiVersion", text()), ("kind", text()), ("metadata", metadata)]
});

/// A value with its schema. `root`: it is an object with `apiVersion`, `kind` and `metadata`, whatever the schema says.
pub fn typed<'v>(value: &'v Value, schema: &'v Schema, root: bool) -> Box<dyn Val + 'v> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(flag) => Box::new(CelBool::from(*flag)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) if !schema.types.is_one() || schema.types != Types::NUMBER => {
                Box::new(CelInt::from(whole))
            }
            _ => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => written(text, schema),
        Value::Array(items) => Box::new(List::new(items, schema)),
        Value::Object(map) => {
            Box::new(Object { map, schema, root: root || schema.embedded, keys: OnceLock::new() })
        }
    }
}

/// A text, or what its format makes of it. One that does not fit stays a text: it is refused for that.
fn written<'v>(text: &'v str, schema: &Schema) -> Box<dyn Val + 'v> {
    let made: Option<Box<dyn Val + 'v>> = match schema.format {
        Some(Format::DateTime) => {
            let time = chrono::DateTime::parse_from_rfc3339(text).ok();
            time.map(|time| Box::new(CelTimestamp::from(time)) as _)
        }
        Some(Format::Date) => {
            let time = chrono::DateTime::parse_from_rfc3339(&format!("{text}T00:00:00Z")).ok();
            time.map(|time| Box::new(CelTimestamp::from(time)) as _)
        }
        Some(Format::Duration) => {
            let duration = formats::duration(text).map(chrono::TimeDelta::nanoseconds);
            duration.map(|duration| Box::new(CelDuration::from(duration)) as _)
        }
        Some(Format::Byte) => base64::engine::general_purpose::STANDARD
            .decode(text)
            .ok()
            .map(|bytes| Box::new(CelBytes::from(bytes)) as _),
        _ => None,
    };
    made.unwrap_or_else(|| Box::new(CelString::from(text)))
}

/// The schema of fields that have none: whatever stands there.
pub(super) static UNKNOWN: LazyLock<Schema> = LazyLock::new(Schema::default);

/// An object with named fields, or a map.
#[derive(Debug)]
struct Object<'v> {
    map: &'v Map<String, Value>,
    schema: &'v Schema,
    root: bool,
    keys: OnceLock<Vec<CelString<'v>>>,
}

impl<'v> Object<'v> {
    /// Fields have names in the schema; else it is a map.
    fn named(&self) -> bool {
        self.root || !self.schema.properties.is_empty()
    }

    fn shape(&self, name: &str) -> Option<&'v Schema> {
        if self.root
            && let Some((_, schema)) = ROOT.iter().find(|(known, _)| *known == name)
        {
            return Some(schema);
        }
        if let Some(schema) = self.schema.property(name) {
            return Some(schema);
        }
        if self.named() {
            return None;
        }
        match &self.schema.additional {
            Additional::Schema(schema) => Some(schema),
            Additional::Any => Some(&UNKNOWN),
            _ => None,
        }
    }

    fn find(&self, name: &str) -> Option<Box<dyn Val + 'v>> {
        let (value, schema) = self.look_up(name)?;
        Some(typed(value, schema, false))
    }

    /// A field as CEL writes it, with its schema.
    fn look_up(&self, name: &str) -> Option<(&'v Value, &'v Schema)> {
        let named = self.named();
        let plain;
        let name = if named {
            plain = escape::unescape(name)?;
            &*plain
        } else {
            name
        };
        let value = self.map.get(name)?;
        if named && value.is_null() {
            return None;
        }
        Some((value, self.shape(name)?))
    }

    fn keys(&self) -> &[CelString<'v>] {
        self.keys.get_or_init(|| {
            let known = self.map.keys().filter(|key| self.shape(key).is_some());
            let named = self.named();
            known
                .map(|key| match escape::escape(key).filter(|_| named) {
                    Some(escaped) => CelString::from(escaped.into_owned()),
                    None => CelString::from(key.as_str()),
                })
                .collect()
        })
    }
}

/// A value where it stands, as [`typed`] would make it.
#[derive(Clone, Copy)]
pub struct At<'v> {
    pub value: &'v Value,
    pub schema: &'v Schema,
    pub root: bool,
}

impl Seen for At<'_> {
    fn is(self) -> Shape {
        match self.value {
            Value::Bool(flag) => Shape::Bool(*flag),
            Value::Number(number) => match number.as_i64() {
                Some(whole) if self.schema.types != Types::NUMBER => Shape::Int(whole),
                _ => Shape::Other,
            },
            Value::String(_) if self.schema.format.is_none_or(|format| !makes(format)) => Shape::Text,
            Value::Null | Value::String(_) => Shape::Other,
            Value::Array(items) => Shape::List(items.len()),
            Value::Object(map) => Shape::Map(map.len()),
        }
    }

    fn text<'v>(self) -> Option<&'v str>
    where
        Self: 'v,
    {
        self.value.as_str()
    }

    fn field(self, name: &str) -> Option<Self> {
        let map = self.value.as_object()?;
        let root = self.root || self.schema.embedded;
        let object = Object { map, schema: self.schema, root, keys: OnceLock::new() };
        let (value, schema) = object.look_up(name)?;
        Some(At { value, schema, root: false })
    }

    fn item(self, at: usize) -> Option<Self> {
        let value = self.value.as_array()?.get(at)?;
        let schema = self.schema.items.as_deref().unwrap_or(&UNKNOWN);
        Some(At { value, schema, root: false })
    }
}

/// Whether something else than a text is made of a text of this format.
fn makes(format: Format) -> bool {
    matches!(format, Format::DateTime | Format::Date | Format::Duration | Format::Byte)
}

impl Val for Object<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }
    fn cel_type() -> &'static Type {
        &MAP_TYPE
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
        let (Some(indexer), Some(sizer)) = (other.as_indexer(), other.as_sizer()) else { return false };
        if other.get_type().name() != MAP_TYPE.name() || *sizer.size().inner() != length(self.map.len()) {
            return false;
        }
        self.keys().iter().all(|key| {
            budget::pay(1).is_ok()
                && self
                    .find(key.inner())
                    .is_some_and(|mine| indexer.get(key).is_ok_and(|theirs| mine.equals(theirs.as_ref())))
        })
    }
    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(Object { map: self.map, schema: self.schema, root: self.root, keys: OnceLock::new() })
    }
}

impl Indexer for Object<'_> {
    fn get<'b, 'v>(&'b self, field: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let Some(name) = field.downcast_ref::<CelString<'_>>() else {
            return Err(ExecutionError::UnexpectedType {
                got: field.get_type().name().to_owned(),
                want: "string".to_owned(),
            });
        };
        match self.find(name.inner()) {
            Some(value) => Ok(CowVal::Owned(value)),
            None => Err(ExecutionError::no_such_key(name.inner())),
        }
    }
    fn steal<'v>(self: Box<Self>, field: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(field).map(CowVal::into_owned)
    }
}

impl Container for Object<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(key.downcast_ref::<CelString<'_>>().is_some_and(|key| self.look_up(key.inner()).is_some()))
    }
}

impl Sizer for Object<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(length(self.map.len()))
    }
}

impl Zeroer for Object<'_> {
    fn is_zero_value(&self) -> bool {
        self.map.is_empty()
    }
}

impl Iterable for Object<'_> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn Items<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Keys(self.keys().iter()))
    }
}

struct Keys<'b, 'v>(std::slice::Iter<'b, CelString<'v>>);

impl<'b, 'a: 'v, 'v> Items<'b, 'v> for Keys<'b, 'a> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.0.next().map(|key| key as &'b (dyn Val + 'v))
    }
}

pub(super) fn length(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}
