//! What a repository says, read as types. A list is no mapping: the code that `derive` makes takes one for a struct, field by
//! field in their order, and would read `[a, b]` as something that nobody wrote.

use serde::{
    Deserializer,
    de::{DeserializeOwned, Error as _, IntoDeserializer, Unexpected, Visitor, value},
    forward_to_deserialize_any,
};
use serde_json::{Error, Value};

/// Reads a part of a document.
///
/// # Errors
/// What it should be and is not.
pub(crate) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    T::deserialize(Strict(value))
}

/// A value of which a list is never taken for a struct, nor one in it.
#[derive(Clone, Copy)]
struct Strict<'a>(&'a Value);

impl<'de> Deserializer<'de> for Strict<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = value::SeqDeserializer::<_, Error>::new(items.iter().map(Strict));
                let read = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(read)
            }
            Value::Object(map) => {
                let pairs = map.iter().map(|(key, value)| (key.as_str(), Strict(value)));
                let mut pairs = value::MapDeserializer::<_, Error>::new(pairs);
                let read = visitor.visit_map(&mut pairs)?;
                pairs.end()?;
                Ok(read)
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.0.is_array() {
            return Err(Error::invalid_type(Unexpected::Seq, &visitor));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Strict<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Outer {
        name: String,
        inner: Option<Inner>,
        all: Vec<Inner>,
        map: BTreeMap<String, String>,
        any: Value,
        number: u32,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Inner {
        a: String,
        b: Option<i64>,
    }

    #[test]
    fn a_list_is_no_struct_however_deep() {
        for wrong in [
            json!([]),
            json!(["x", null]),
            json!({"inner": ["x", 1]}),
            json!({"inner": []}),
            json!({"all": [["x"]]}),
        ] {
            let why = read::<Outer>(&wrong).unwrap_err().to_string();
            assert!(why.starts_with("invalid type: sequence, expected struct"), "{wrong}: {why}");
            assert!(
                Outer::deserialize(&wrong).is_ok(),
                "{wrong}: only what serde itself takes is of interest"
            );
        }
    }

    #[test]
    fn all_else_is_read_as_serde_reads_it() {
        for value in [
            json!({"name": "x", "inner": {"a": "y", "b": -1}, "all": [{"a": "z"}, {}], "map": {"k": "v"}, "any": [{"b": [1.5, null]}], "number": 7}),
            json!({"inner": null, "any": null}),
            json!({}),
        ] {
            assert_eq!(read::<Outer>(&value).unwrap(), Outer::deserialize(&value).unwrap(), "{value}");
        }
        for wrong in [
            json!({"name": 1}),
            json!({"map": ["x"]}),
            json!({"all": {}}),
            json!({"number": -1}),
            json!("x"),
            json!({"name": null}),
        ] {
            let (own, serde) = (read::<Outer>(&wrong).unwrap_err(), Outer::deserialize(&wrong).unwrap_err());
            assert_eq!(own.to_string(), serde.to_string(), "{wrong}");
        }
    }
}
