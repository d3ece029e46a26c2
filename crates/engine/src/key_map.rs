//! Finds the place of a key. Holds places only: the keys and their hashes stand in the places.
//!
//! It grows in segments (extendible hashing): a full segment splits in two, so that the longest pause is that of one
//! segment and not of the whole table (design/engine.md §3.3, the pause when a hash table doubles).

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::{
    fault::{Fault, planted},
    row::AnyKey,
};

/// Entries of a segment before it splits: what `hashbrown` puts into 4,096 buckets. Small in tests, so that they split.
const FULL: usize = if cfg!(test) { 4 } else { 3584 };
/// First bit of a hash that chooses a segment, and how many do at most. `hashbrown` takes the low bits for the position
/// and the top seven for its tag, so these are the bits between.
const FIRST_BIT: u32 = 13;
const MOST_BITS: u32 = 12;

#[derive(Debug, Default)]
struct Segment {
    entries: HashTable<u32>,
    /// How many bits of a hash chose this segment.
    bits: u32,
}

#[derive(Debug, Default)]
pub struct KeyMap {
    segments: Vec<Segment>,
    /// Segment by the chosen bits of a hash; a power of two long, or empty.
    directory: Vec<u16>,
    hasher: DefaultHashBuilder,
}

/// `hashbrown` takes its tag from the top bits and the position from the low ones: give it both.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

fn chosen(hash: u32) -> usize {
    (hash >> FIRST_BIT) as usize & ((1 << MOST_BITS) - 1)
}

impl KeyMap {
    pub fn hash(&self, key: &dyn AnyKey) -> u32 {
        key.hashed(&self.hasher)
    }

    fn segment(&self, hash: u32) -> Option<usize> {
        let mask = self.directory.len().wrapping_sub(1);
        self.directory.get(chosen(hash) & mask).map(|number| usize::from(*number))
    }

    /// The place for which `is` says yes. It is asked of places of other hashes too.
    pub fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let entries = &self.segments[self.segment(hash)?].entries;
        entries.find(spread(hash), |at| is(*at)).copied()
    }

    /// Adds a place whose key is not in the map; `hash_of` gives the hash that stands in a place.
    pub fn insert(&mut self, at: u32, hash_of: impl Fn(u32) -> u32) {
        let hash = hash_of(at);
        let mut number = self.segment(hash).unwrap_or_else(|| {
            self.segments.push(Segment::default());
            self.directory.push(0);
            0
        });
        if self.segments[number].entries.len() >= FULL && self.split(number, &hash_of) {
            number = self.segment(hash).unwrap_or(number);
        }
        let entries = &mut self.segments[number].entries;
        entries.insert_unique(spread(hash), at, |at| spread(hash_of(*at)));
    }

    /// Moves about half of a segment into a new one; `false` if there is no bit left to tell them apart.
    fn split(&mut self, number: usize, hash_of: &impl Fn(u32) -> u32) -> bool {
        let old = &mut self.segments[number];
        if old.bits == MOST_BITS {
            return false;
        }
        let bit = 1 << old.bits;
        old.bits += 1;
        let mut entries = HashTable::with_capacity(FULL);
        for at in old.entries.extract_if(|at| chosen(hash_of(*at)) & bit != 0) {
            entries.insert_unique(spread(hash_of(at)), at, |at| spread(hash_of(*at)));
        }
        let segment = Segment { entries, bits: old.bits };
        if self.directory.len() == bit {
            self.directory.extend_from_within(..);
        }
        let new = u16::try_from(self.segments.len()).expect("at most 4,096 segments");
        self.segments.push(segment);
        for (chosen, name) in self.directory.iter_mut().enumerate() {
            if usize::from(*name) == number && chosen & bit != 0 && !planted(Fault::SplitLosesHalf) {
                *name = new;
            }
        }
        true
    }

    pub fn remove(&mut self, hash: u32, at: u32) {
        let Some(number) = self.segment(hash) else { return };
        if let Ok(entry) = self.segments[number].entries.find_entry(spread(hash), |other| *other == at) {
            entry.remove();
        }
    }

    pub fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.entries.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_found_through_all_splits_and_no_other() {
        let mut map = KeyMap::default();
        let keys: Vec<u32> = (0..3000).collect();
        let hasher = map.hasher.clone();
        let hash_of = |at: u32| at.hashed(&hasher);
        for key in &keys {
            let hash = map.hash(key);
            assert_eq!(map.find(hash, |at| at == *key), None);
            map.insert(*key, hash_of);
        }
        assert!(map.segments.len() > 500, "{} segments", map.segments.len());
        for key in keys.iter().step_by(2) {
            map.remove(map.hash(key), *key);
        }
        for key in &keys {
            let found = map.find(map.hash(key), |at| at == *key);
            assert_eq!(found, (key % 2 == 1).then_some(*key));
        }
        assert_eq!(map.len(), 1500);
    }

    /// Keys of one hash cannot be told apart by any bit: the segment grows instead of splitting for ever.
    #[test]
    fn keys_of_one_hash_stay_together() {
        let mut map = KeyMap::default();
        for at in 0..200 {
            map.insert(at, |_| 7);
        }
        assert_eq!((map.len(), map.find(7, |at| at == 150)), (200, Some(150)));
        assert!(map.segments.len() <= 13);
    }
}
