//! Numbered places in chunks: growing never copies what is there, and freed numbers are used again.

use std::ops::{Index, IndexMut};

/// Small in tests, so that they cross it.
const CHUNK: usize = if cfg!(test) { 8 } else { 1024 };

#[derive(Debug)]
pub struct Slab<T> {
    chunks: Vec<Vec<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub fn add(&mut self, value: T) -> u32 {
        if let Some(at) = self.free.pop() {
            self[at] = value;
            return at;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            // The first chunk grows as it is filled: most tables are small.
            self.chunks.push(if self.chunks.is_empty() { Vec::new() } else { Vec::with_capacity(CHUNK) });
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut().expect("just made");
        chunk.push(value);
        u32::try_from(before + chunk.len() - 1).expect("fewer than 2^32 places")
    }

    /// Frees a place; the caller sees to it that nothing names it any more.
    pub fn free(&mut self, at: u32) -> T
    where
        T: Default,
    {
        self.free.push(at);
        std::mem::take(&mut self[at])
    }

    /// How many places are in use.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum::<usize>() - self.free.len()
    }

    /// All places, free ones included.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        &self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }
}
