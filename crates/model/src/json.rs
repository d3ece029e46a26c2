//! JSON of an object, kept as compact text: a tree takes some ten times as much, and most objects are looked into once.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;

/// JSON as compact text. Equal if the values are: maps are sorted and the text has one form. Values of Secrets are in
/// here: it prints as its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed(Arc<[u8]>);

impl Packed {
    /// Packs a value.
    pub fn of(value: &Value) -> Self {
        Self(serde_json::to_vec(value).expect("JSON with text keys can be written").into())
    }

    /// The text itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value, parsed.
    pub fn unpack(&self) -> Value {
        serde_json::from_slice(&self.0).expect("it was written from a value")
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes of JSON]", self.0.len())
    }
}

/// Trees that were made by looking into packed JSON, since somebody asked last.
static UNPACKED: AtomicUsize = AtomicUsize::new(0);

/// The JSON of an object: text, and its tree from when it is looked into until it is packed again.
#[derive(Clone)]
pub struct Json {
    text: Packed,
    tree: OnceLock<Arc<Value>>,
}

impl Json {
    /// Its text, shared.
    pub fn packed(&self) -> Packed {
        self.text.clone()
    }

    /// The value, out of the tree if there is one.
    pub fn into_value(self) -> Value {
        self.tree.into_inner().map_or_else(|| self.text.unpack(), Arc::unwrap_or_clone)
    }

    /// Lets go of the tree.
    pub fn pack(&mut self) {
        self.tree = OnceLock::new();
    }

    /// Changes it.
    pub fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        let mut value = (**self).clone();
        change(&mut value);
        *self = value.into();
    }

    /// How many trees were made by looking into packed JSON since this was asked last: whoever keeps many objects packs
    /// them again when it is many.
    pub fn unpacked() -> usize {
        UNPACKED.swap(0, Ordering::Relaxed)
    }
}

impl Deref for Json {
    type Target = Value;
    fn deref(&self) -> &Value {
        self.tree.get_or_init(|| {
            UNPACKED.fetch_add(1, Ordering::Relaxed);
            Arc::new(self.text.unpack())
        })
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Arc::new(value).into()
    }
}

impl From<Arc<Value>> for Json {
    fn from(value: Arc<Value>) -> Self {
        Self { text: Packed::of(&value), tree: OnceLock::from(value) }
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Json {}

/// The values of Secrets are in here: as [`Packed`].
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_packed_is_what_it_was() {
        let value = json!({"b": [1, 2.5, null, -0.0, 1e300], "a": {"z": "\u{0}☃\"", "y": u64::MAX}});
        let mut packed = Json::from(value.clone());
        packed.pack();
        assert_eq!(*packed, value);
        let other = Json::from(serde_json::from_str::<Value>(&value.to_string()).unwrap_or_default());
        assert_eq!(packed, other);
        packed.edit(|value| value["a"]["y"] = 1.into());
        assert_ne!(packed, other);
        assert_eq!(packed.pointer("/a/y"), Some(&1.into()));
    }

    #[test]
    fn it_prints_no_value() {
        let text = format!("{:?}", Json::from(json!({"data": "secret"})));
        assert_eq!(text, "[17 bytes of JSON]");
    }
}
