//! Finds the place of a key. Holds hashes and places only: the keys stand in the places, so that a table that doubles
//! moves eight bytes an entry and hashes nothing again.

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    at: u32,
}

#[derive(Debug, Default)]
pub struct KeyMap {
    entries: HashTable<Entry>,
    hasher: DefaultHashBuilder,
}

/// `hashbrown` takes its tag from the top bits and the position from the low ones: give it both.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl KeyMap {
    pub fn hash<K: Hash>(&self, key: &K) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }

    /// The place for which `is` says yes.
    pub fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.entries.find(spread(hash), |entry| entry.hash == hash && is(entry.at)).map(|entry| entry.at)
    }

    /// Adds a place whose key is not in the map.
    pub fn insert(&mut self, hash: u32, at: u32) {
        self.entries.insert_unique(spread(hash), Entry { hash, at }, |entry| spread(entry.hash));
    }

    pub fn remove(&mut self, hash: u32, at: u32) {
        if let Ok(entry) = self.entries.find_entry(spread(hash), |entry| entry.at == at) {
            entry.remove();
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}
