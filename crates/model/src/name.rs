//! Interned text: one allocation per distinct text, pointer equality, reference-counted and swept.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::HashSet,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::{LazyLock, Mutex, PoisonError},
};

use arcstr::ArcStr;

const SHARDS: usize = 16;

static INTERNED: LazyLock<[Mutex<Shard>; SHARDS]> =
    LazyLock::new(|| std::array::from_fn(|_| Mutex::default()));

#[derive(Default)]
struct Shard {
    texts: HashSet<ArcStr>,
    sweep_at: usize,
}

/// An interned text: object names, namespaces, hostnames, label keys. Cloning is a counter increment and equality a
/// pointer comparison, which is what makes large fan-outs cheap (design/engine.md §6).
///
/// It is one pointer wide: a host's rows and keys hold more than a hundred of them.
///
/// Texts that nothing refers to any more are swept when a shard has doubled since its last sweep, so distinct names
/// that come and go do not leak.
#[derive(Clone)]
pub struct Name(ArcStr);

impl Name {
    /// Interns `text`.
    pub fn new(text: &str) -> Self {
        let shard = &INTERNED[shard_of(text)];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = shard.texts.get(text) {
            return Self(found.clone());
        }
        if shard.texts.len() >= shard.sweep_at {
            // A text without a count is a constant.
            shard.texts.retain(|text| ArcStr::strong_count(text) != Some(1));
            shard.sweep_at = (shard.texts.len() * 2).max(1024);
        }
        let made = ArcStr::from(text);
        shard.texts.insert(made.clone());
        Self(made)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn shard_of(text: &str) -> usize {
    // FNV-1a of the tail: names in one namespace share their head, not their end.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.as_bytes().iter().rev().take(16) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    usize::try_from(hash % SHARDS as u64).unwrap_or(0)
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        ArcStr::ptr_eq(&self.0, &other.0)
    }
}
impl Eq for Name {}
impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // By text, so that `Borrow<str>` look-ups agree and hashes do not depend on addresses.
        self.0.hash(state);
    }
}
impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        if ArcStr::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}
impl Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}
impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
impl From<String> for Name {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}
impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}
impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}
impl Default for Name {
    fn default() -> Self {
        Self::new("")
    }
}
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}
