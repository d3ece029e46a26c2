//! A log of what names of zones hold: entries, appended and flushed. An entry says all that its names hold after it, so
//! that playing one twice, or over a newer state that it led to, changes nothing.
//!
//! What is written at once is one line. It begins with a checksum. What was being written when the machine stopped is a last line that does not match: it
//! was never reported as written, and is cut off. A line that does not match and is followed by others is damage.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use aws_lc_rs::digest::{SHA256, digest};
use portolan_model::{
    Name,
    dns::{RecordSet, Snapshot},
};

use crate::dns::embedded::{Contents, ZoneContents};

/// What some names of a zone hold.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    zone: Name,
    serial: u32,
    names: Vec<Name>,
    sets: Vec<RecordSet>,
    /// The zone is served no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
}

impl Entry {
    /// A zone that is served no more.
    pub fn gone(zone: &Name) -> Self {
        Self { zone: zone.clone(), serial: 0, names: Vec::new(), sets: Vec::new(), gone: true }
    }

    /// These names, as they stand in a snapshot that has all of them.
    pub fn of(names: &BTreeSet<Name>, snapshot: Snapshot) -> Self {
        let Snapshot { zone, serial, sets, .. } = snapshot;
        Self { zone, serial, names: names.iter().cloned().collect(), sets, gone: false }
    }
}

fn line(entries: &[Entry]) -> std::io::Result<Vec<u8>> {
    let json = serde_json::to_vec(entries).map_err(std::io::Error::other)?;
    let mut line = checksum(&json).into_bytes();
    line.push(b' ');
    line.extend(json);
    line.push(b'\n');
    Ok(line)
}

fn parse(line: &[u8]) -> Option<Vec<Entry>> {
    let at = line.iter().position(|byte| *byte == b' ')?;
    let json = &line[at + 1..];
    (line[..at] == *checksum(json).as_bytes()).then(|| serde_json::from_slice(json).ok())?
}

fn checksum(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    hash.as_ref().iter().take(4).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The file.
#[derive(Debug)]
pub struct Log {
    file: File,
    bytes: u64,
}

impl Log {
    /// Opens it, makes it if there is none, and reads it.
    ///
    /// # Errors
    /// It cannot be read, or it is damaged.
    pub fn open(path: &Path) -> Result<(Self, Vec<Entry>), String> {
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(false).mode(0o600);
        let read = || -> std::io::Result<(File, Vec<u8>)> {
            let mut file = open.open(path)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok((file, bytes))
        };
        let (file, bytes) = read().map_err(|error| error.to_string())?;
        let mut entries = Vec::new();
        let (mut whole, mut lines) = (0, 0);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            lines += 1;
            let Some(written) = line.strip_suffix(b"\n").and_then(parse) else {
                if whole + line.len() < bytes.len() {
                    return Err(format!("line {lines} is damaged"));
                }
                break;
            };
            whole += line.len();
            entries.extend(written);
        }
        let mut log = Self { file, bytes: whole as u64 };
        if whole < bytes.len() {
            log.cut().map_err(|error| error.to_string())?;
        }
        Ok((log, entries))
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends entries and waits until they are on the disk; gives how many bytes they are.
    ///
    /// # Errors
    /// What the file system says; nothing was appended then.
    pub fn append(&mut self, entries: &[Entry]) -> std::io::Result<u64> {
        let line = line(entries)?;
        // What a failed attempt left is written over or cut off.
        self.file.seek(SeekFrom::Start(self.bytes))?;
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            let _ = self.cut();
            return Err(error);
        }
        self.bytes += line.len() as u64;
        Ok(line.len() as u64)
    }

    /// Empties it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn clear(&mut self) -> std::io::Result<()> {
        self.bytes = 0;
        self.cut()
    }

    /// Goes on in another file.
    #[cfg(test)]
    pub fn replace_file(&mut self, file: File) {
        self.file = file;
    }

    fn cut(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.bytes)?;
        self.file.sync_data()
    }
}

/// Brings contents to what the entries say, one after the other.
pub fn play(contents: &mut Contents, entries: Vec<Entry>) {
    use std::collections::BTreeMap;
    let mut zones: BTreeMap<Name, (u32, BTreeMap<Name, Vec<RecordSet>>)> = BTreeMap::new();
    if entries.is_empty() {
        return;
    }
    for zone in std::mem::take(&mut contents.zones) {
        let (serial, by_name) = zones.entry(zone.zone).or_default();
        *serial = zone.serial;
        for set in zone.sets {
            by_name.entry(set.name.clone()).or_default().push(set);
        }
    }
    for entry in entries {
        if entry.gone {
            zones.remove(&entry.zone);
            continue;
        }
        let (serial, by_name) = zones.entry(entry.zone).or_default();
        // A state that is newer than the log stays as far as it is; serials wrap (RFC 1982).
        if entry.serial.wrapping_sub(*serial) < u32::MAX / 2 {
            *serial = entry.serial;
        }
        for name in &entry.names {
            by_name.remove(name);
        }
        for set in entry.sets {
            by_name.entry(set.name.clone()).or_default().push(set);
        }
    }
    contents.zones = zones
        .into_iter()
        .map(|(zone, (serial, by_name))| {
            let mut sets: Vec<RecordSet> = by_name.into_values().flatten().collect();
            sets.sort_unstable();
            ZoneContents { zone, serial, sets }
        })
        .collect();
}
