//! A disk that fails for a while, and one that gives back other bytes than were written.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use redb::StorageBackend;

use super::{
    super::disk::Disk,
    Store, apply, object,
    script::{Dice, last, play},
};
use portolan_model::Instant;

/// Bytes of the file that are flipped, one at a time.
const FLIPS: usize = 400;

/// A file in memory that refuses to be written after so many more writes.
#[derive(Clone, Debug, Default)]
struct Failing {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Writes until it is full.
    left: Arc<AtomicUsize>,
}

impl Failing {
    fn room(&self, writes: usize) {
        self.left.store(writes, Ordering::Relaxed);
    }

    fn take(&self) -> io::Result<()> {
        let left = self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| io::ErrorKind::StorageFull.into())
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Failing {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let bytes = self.bytes.lock().unwrap();
        let from = bytes.get(place(offset)..place(offset) + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn set_len(&self, length: u64) -> Result<(), io::Error> {
        self.take()?;
        self.bytes.lock().unwrap().resize(place(length), 0);
        Ok(())
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.take()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.take()?;
        let mut bytes = self.bytes.lock().unwrap();
        let end = place(offset) + data.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[place(offset)..end].copy_from_slice(data);
        Ok(())
    }
}

/// Whenever it fails, and however often: what was acknowledged stands, and goes on as soon as there is room.
#[test]
fn a_store_whose_disk_was_full_goes_on_when_there_is_room() {
    let disk = Failing::default();
    disk.room(usize::MAX);
    let mut store = Store::load(Disk::in_backend(disk.clone()).unwrap()).unwrap();
    let mut dice = Dice(7);
    let mut failures = 0;
    for n in 1..=60 {
        disk.room(place(dice.below(40)));
        let tried = store.write(vec![apply("extra", i64::try_from(n).unwrap())], Instant(0));
        failures += usize::from(tried.is_err());
        if tried.is_err() {
            disk.room(place(dice.below(5)));
            let again = store.write(vec![apply("extra", 0)], Instant(0));
            assert!(again.is_err() || store.get(&object("extra", 0).key).is_some());
        }
        disk.room(usize::MAX);
        play(&mut store, n);
        store.write(vec![super::Write::Delete(object("extra", 0).key, "git")], Instant(0)).unwrap();
        let mut fresh = Vec::new();
        fresh.clone_from(&disk.bytes.lock().unwrap());
        let copy = Failing { bytes: Arc::new(Mutex::new(fresh)), ..Failing::default() };
        copy.room(usize::MAX);
        let kept = Store::load(Disk::in_backend(copy).unwrap()).unwrap();
        assert_eq!(last(&kept), n);
    }
    assert!(failures > 10, "{failures} of 60 writes failed");
}

/// Whatever byte of the file is another one: an error, or what is there is what was written and the rest is told.
#[test]
fn no_flipped_byte_of_the_file_panics_or_changes_an_object_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c", "d", "e"];
    {
        let mut store = Store::open(dir.path()).unwrap();
        for (n, name) in names.iter().enumerate() {
            store.write(vec![apply(name, i64::try_from(n).unwrap())], Instant(0)).unwrap();
        }
    }
    let file = dir.path().join("store.redb");
    let whole = std::fs::read(&file).unwrap();
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0 || at % 4096 < 8).collect();
    let mut dice = Dice(3);
    let (mut refused, mut told, mut unseen) = (0, 0, 0);
    for _ in 0..FLIPS {
        let at = used[place(dice.below(used.len() as u64))];
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << dice.below(8);
        std::fs::write(&file, &flipped).unwrap();
        match Store::open(dir.path()) {
            Err(error) => {
                assert!(error.to_string().contains("store.redb"), "{error}");
                refused += 1;
            }
            Ok(store) => {
                for (n, name) in names.iter().enumerate() {
                    let key = object(name, 0).key;
                    match store.get(&key) {
                        Some(stored) => {
                            assert_eq!(stored.object.json.pointer("/spec/value").unwrap(), n, "byte {at}");
                        }
                        None => {
                            assert!(store.damaged().contains(&key), "byte {at}: {name} is gone in silence");
                        }
                    }
                }
                told += usize::from(!store.damaged().is_empty());
                unseen += usize::from(store.damaged().is_empty());
            }
        }
    }
    assert!(refused > 0 && told > 0 && unseen > 0, "{refused} refused, {told} told, {unseen} harmless");
}

fn flip(dir: &Path, of: &str, to: &str) {
    let file = dir.join("store.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    let mut found = 0;
    for at in 0..bytes.len() - of.len() {
        if bytes[at..].starts_with(of.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "{of} does not stand in the file");
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_damaged_row_is_told_until_it_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path()).unwrap().write(vec![apply("a", 4711), apply("b", 2)], Instant(0)).unwrap();
    flip(dir.path(), "4711", "4712");
    let key = object("a", 0).key;
    for _ in 0..2 {
        let store = Store::open(dir.path()).unwrap();
        assert!(store.get(&key).is_none() && store.get(&object("b", 0).key).is_some());
        assert_eq!(store.damaged().iter().collect::<Vec<_>>(), [&key], "it stays, also over a restart");
    }
    let mut store = Store::open(dir.path()).unwrap();
    store.write(vec![apply("a", 5)], Instant(0)).unwrap();
    assert!(store.damaged().is_empty());
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert!(store.get(&key).is_some() && store.damaged().is_empty());
}

/// A store that was killed and whose file was damaged since: what is not as it was written last is told, whichever byte it is.
#[test]
fn what_is_lost_of_a_store_that_was_not_closed_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (file, last) = (dir.path().join("store.redb"), dir.path().join("store.last"));
    let (image, noted) = {
        let mut store = Store::open(dir.path()).unwrap();
        for n in 0..5 {
            store.write(vec![apply("a", n), apply(&format!("b{n}"), n)], Instant(0)).unwrap();
        }
        // As a kill leaves them.
        (std::fs::read(&file).unwrap(), std::fs::read(&last).unwrap())
    };
    let open = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        std::fs::write(&last, &noted).unwrap();
        Store::open(dir.path())
    };
    let value = |store: &Store, name: &str| {
        let stored = store.get(&object(name, 0).key)?;
        stored.object.json.pointer("/spec/value").unwrap().as_i64()
    };
    let store = open(&image).unwrap();
    assert!(!store.lost() && store.damaged().is_empty(), "nothing was");
    drop(store);
    let used: Vec<usize> = (0..image.len()).filter(|at| image[*at] != 0 || at % 4096 < 8).collect();
    let mut dice = Dice(11);
    let mut lost = 0;
    for _ in 0..FLIPS / 2 {
        let at = used[place(dice.below(used.len() as u64))];
        let mut flipped = image.clone();
        flipped[at] ^= 1 << dice.below(8);
        let Ok(store) = open(&flipped) else { continue };
        for n in 0..5 {
            let key = object(&format!("b{n}"), 0).key;
            assert!(
                store.get(&key).is_some() || store.damaged().contains(&key),
                "byte {at}: b{n} is gone in silence"
            );
        }
        let is_whole = value(&store, "a") == Some(4);
        assert!(is_whole || store.lost() || store.damaged().contains(&object("a", 0).key), "byte {at}");
        lost += usize::from(store.lost());
        drop(store);
        // It is told until another takes its place, and only once that something was lost.
        if let Ok(again) = Store::open(dir.path()) {
            assert!(!again.lost(), "byte {at}");
        }
    }
    assert!(lost > 0, "none of them");
}
