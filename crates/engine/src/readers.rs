//! Who read what. A node stands for one read value, present or absent; it goes when its last reader leaves.

use std::{collections::BTreeSet, hash::Hash};

use hashbrown::HashMap;

/// One run of one rule for one input.
pub(crate) type InstanceId = u32;

#[derive(Debug)]
pub(crate) struct Readers<K> {
    ids: HashMap<K, u32>,
    nodes: Vec<Option<(K, BTreeSet<InstanceId>)>>,
    free: Vec<u32>,
}

impl<K> Default for Readers<K> {
    fn default() -> Self {
        Self { ids: HashMap::new(), nodes: Vec::new(), free: Vec::new() }
    }
}

impl<K: Clone + Eq + Hash> Readers<K> {
    /// Adds a reader and names the node.
    pub fn add(&mut self, key: &K, reader: InstanceId) -> u32 {
        let id = if let Some(id) = self.ids.get(key) {
            *id
        } else {
            let id = self.free.pop().unwrap_or_else(|| {
                self.nodes.push(None);
                u32::try_from(self.nodes.len() - 1).expect("fewer than 2^32 read values")
            });
            self.ids.insert(key.clone(), id);
            self.nodes[id as usize] = Some((key.clone(), BTreeSet::new()));
            id
        };
        let (_, readers) = self.nodes[id as usize].as_mut().expect("a mapped node exists");
        readers.insert(reader);
        id
    }

    /// Removes a reader; the node goes with the last one.
    pub fn remove(&mut self, node: u32, reader: InstanceId) {
        let Some(slot) = self.nodes.get_mut(node as usize) else { return };
        let Some((_, readers)) = slot else { return };
        readers.remove(&reader);
        if readers.is_empty() {
            if let Some((key, _)) = slot.take() {
                self.ids.remove(&key);
            }
            self.free.push(node);
        }
    }

    pub fn of(&self, key: &K) -> impl Iterator<Item = InstanceId> + '_ {
        self.ids
            .get(key)
            .and_then(|id| self.nodes[*id as usize].as_ref())
            .into_iter()
            .flat_map(|(_, readers)| readers.iter().copied())
    }

    pub fn key(&self, node: u32) -> Option<&K> {
        self.nodes.get(node as usize)?.as_ref().map(|(key, _)| key)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.ids.len()
    }
}
