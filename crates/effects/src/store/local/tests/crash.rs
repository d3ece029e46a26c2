//! The machine loses power: of what was written since the last flush, any part may be missing or torn. Everything that
//! the store does to its file is noted once; then the file is made as it would stand after a cut at any point of it.

use std::{
    io,
    sync::{Arc, Mutex},
};

use redb::StorageBackend;

use super::{
    super::disk::Disk,
    Store,
    script::{Dice, last, play},
};

/// What a disk keeps whole.
const SECTOR: usize = 512;
const BATCHES: u64 = 60;
const CUTS: u64 = 400;

#[derive(Clone, Debug)]
enum Done {
    Write(usize, Vec<u8>),
    Length(usize),
    Flush,
    /// The store acknowledged this batch.
    Acknowledged(u64),
}

/// A file in memory that notes what is done to it.
#[derive(Clone, Debug, Default)]
struct Noting(Arc<Mutex<(Vec<u8>, Vec<Done>)>>);

impl Noting {
    fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new((bytes, Vec::new()))))
    }

    fn note(&self, done: Done) {
        let (bytes, notes) = &mut *self.0.lock().unwrap();
        apply(bytes, &done);
        notes.push(done);
    }
}

fn apply(bytes: &mut Vec<u8>, done: &Done) {
    match done {
        Done::Write(at, data) => {
            let end = at + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at..end].copy_from_slice(data);
        }
        Done::Length(length) => bytes.resize(*length, 0),
        Done::Flush | Done::Acknowledged(_) => {}
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Noting {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().0.len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let bytes = &self.0.lock().unwrap().0;
        let from = bytes.get(place(offset)..place(offset) + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn set_len(&self, length: u64) -> Result<(), io::Error> {
        self.note(Done::Length(place(length)));
        Ok(())
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.note(Done::Flush);
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.note(Done::Write(place(offset), data.to_vec()));
        Ok(())
    }
}

fn open(file: Noting) -> Store {
    Store::load(Disk::in_backend(file).unwrap()).unwrap()
}

/// The file after a cut: what was flushed, and of the rest what chance kept.
fn cut(done: &[Done], dice: &mut Dice) -> Vec<u8> {
    let flushed = done.iter().rposition(|done| matches!(done, Done::Flush)).map_or(0, |at| at + 1);
    let mut bytes = Vec::new();
    done[..flushed].iter().for_each(|done| apply(&mut bytes, done));
    for done in &done[flushed..] {
        match (done, dice.below(3)) {
            (Done::Write(..), 0) => {}
            (Done::Write(at, data), 1) => {
                for (nth, sector) in data.chunks(SECTOR).enumerate() {
                    if dice.below(2) == 0 {
                        apply(&mut bytes, &Done::Write(at + nth * SECTOR, sector.to_vec()));
                    }
                }
            }
            (done, _) => apply(&mut bytes, done),
        }
    }
    bytes
}

#[test]
fn a_power_cut_at_any_point_leaves_the_last_acknowledged_batch_and_never_half_of_one() {
    let file = Noting::default();
    let mut store = open(file.clone());
    let opened = file.0.lock().unwrap().1.len();
    for n in 1..=BATCHES {
        play(&mut store, n);
        file.note(Done::Acknowledged(n));
    }
    drop(store);
    let done = file.0.lock().unwrap().1.clone();
    let mut dice = Dice(7);
    let mut torn = 0;
    for _ in 0..CUTS {
        // From the first complete opening on: a file cut off while it is created holds nothing yet.
        let at = opened + place(dice.below((done.len() - opened) as u64));
        let acknowledged = done[..at].iter().rev().find_map(|done| match done {
            Done::Acknowledged(n) => Some(*n),
            _ => None,
        });
        let acknowledged = acknowledged.unwrap_or(0);
        let found = last(&open(Noting::of(cut(&done[..at], &mut dice))));
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "cut at {at} of {}: {acknowledged} was acknowledged, {found} is there",
            done.len()
        );
        torn += u64::from(!matches!(done[at - 1], Done::Flush | Done::Acknowledged(_)));
    }
    assert!(torn > CUTS / 4, "cuts fall into batches: {torn}");
}
