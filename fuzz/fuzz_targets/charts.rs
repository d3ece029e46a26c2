//! Charts of other places: the lock file, what a repository names, the archives that come, and the head of a request at the gate
//! before Helm. A lock is read again as it was written, an archive leaves plain files below one folder, a request is one request.
#![no_main]

use std::{io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};
use portolan_effects::{
    charts::{Digest, LockFile, Locked, Reference, Unpacked},
    fuzzing,
};
use portolan_fuzz::{
    arbitrary::{Result, Unstructured},
    parts, target, tree,
};

/// Most files of one input.
const ENTRIES: usize = 12;
const PATHS: [&str; 12] = [
    "a/Chart.yaml",
    "a/values.yaml",
    "a/templates/x.yaml",
    "./a/Chart.yaml",
    "a/../Chart.yaml",
    "/a/Chart.yaml",
    "b/Chart.yaml",
    "a",
    "a/",
    "a/Chart.yaml/x",
    "a//x",
    "",
];
const KINDS: &[u8] = b"0\x0000001234567LKSxgV";
const MANIFEST: &str = "apiVersion: v2\nname: a\nversion: 1.0.0\n";

fn locks(text: &str) {
    if let Ok(lock) = LockFile::parse(text) {
        same(&lock);
    }
    let mut lock = LockFile::default();
    let all: Vec<&str> = parts(text).collect();
    for part in all.chunks(4) {
        let [repository, chart, asked, version] = part else { break };
        let made = [Reference::new(repository, chart, asked), Reference::oci(repository, asked)];
        for reference in made.into_iter().flatten() {
            // Written as it was understood it is the same.
            let again = Reference::new(&reference.repository, &reference.chart, &reference.asked);
            assert_eq!(again.as_ref(), Ok(&reference));
            assert!(
                !reference.repository.contains(['@', '\n', '"'])
                    || reference.repository.contains(['/', '?', '#'])
            );
            let (host, _) = reference.host();
            assert!(!reference.is_loopback() || reference.outside(false).is_err(), "{host} is this machine");
            let _ = reference.is_range();
            let locked = Locked { version: (*version).to_owned(), digest: Digest::of(chart.as_bytes()) };
            lock.charts.insert(reference, locked);
        }
    }
    same(&lock);
}

fn same(lock: &LockFile) {
    let text = lock.text();
    assert_eq!(LockFile::parse(&text).as_ref(), Ok(lock), "{text}");
}

/// What was unpacked is plain, below one folder, and no more than may be.
fn plain(folder: &Path, top: &Path, depth: usize) -> usize {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).expect("it is there").flatten() {
        let kind = entry.file_type().expect("it is there");
        assert!(depth > 0 || entry.file_name() == top.as_os_str(), "{:?} beside the chart", entry.path());
        if kind.is_dir() {
            bytes += plain(&entry.path(), top, depth + 1);
        } else {
            assert!(kind.is_file(), "{:?} is no file", entry.path());
            bytes += entry.metadata().map_or(0, |data| data.len() as usize);
        }
    }
    bytes
}

fn archive(bytes: &[u8]) {
    let Ok(unpacked) = Unpacked::of(bytes) else { return };
    assert!(plain(unpacked.root(), unpacked.top(), 0) <= 100 << 20);
    for text in [&unpacked.name, &unpacked.version] {
        assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
    }
}

fn packed(tar: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::none());
    gz.write_all(tar).expect("into memory");
    gz.finish().expect("into memory")
}

/// An archive of headers that say what they like.
fn made(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut tar = Vec::new();
    for at in 0..ENTRIES {
        if at > 0 && bytes.is_empty() {
            break;
        }
        let how: u8 = bytes.arbitrary().unwrap_or(0);
        let mut header = [0; 512];
        let path = match how {
            128.. => tree::text(bytes)?,
            how if at > 0 => PATHS[usize::from(how) % PATHS.len()].to_owned(),
            _ => PATHS[0].to_owned(),
        };
        let path = &path.as_bytes()[..path.len().min(100)];
        header[..path.len()].copy_from_slice(path);
        header[100..107].copy_from_slice(b"0000644");
        let kind = if at == 0 { b'0' } else { KINDS[usize::from(bytes.arbitrary::<u8>()?) % KINDS.len()] };
        header[156] = kind;
        let content = if at == 0 { MANIFEST.to_owned() } else { tree::text(bytes)? };
        let said = format!("{:011o}", content.len());
        header[124..135].copy_from_slice(said.as_bytes());
        header[257..265].copy_from_slice(if how & 64 == 0 { b"ustar  \0" } else { b"ustar\x0000" });
        // Any bytes of the header, then a sum that is right.
        let count = if at == 0 { 0 } else { bytes.arbitrary::<u8>()? % 4 };
        for _ in 0..count {
            let place = usize::from(bytes.arbitrary::<u16>()?) % 480;
            let length = bytes.len().min(12);
            header[place..place + length].copy_from_slice(bytes.bytes(length)?);
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        tar.extend(header);
        tar.extend(content.as_bytes());
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.extend([0; 1024]);
    Ok(tar)
}

/// A request that is handed on is one, to the place that was dialled.
fn gate(text: &str) {
    let head = format!("{text}\r\n\r\n");
    let Some((host, port, request)) = fuzzing::gate(&head) else { return };
    assert!(
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'),
        "{host:?}:{port}"
    );
    let Some(request) = request else { return };
    let (inside, end) = request.split_at(request.len() - 4);
    assert!(end == "\r\n\r\n" && !inside.contains("\r\n\r\n"), "{request:?}");
    assert!(!inside.replace("\r\n", "").contains(['\r', '\n']), "{request:?}");
    assert!(inside.ends_with("Connection: close"), "{request:?}");
}

target!(|bytes| {
    let Some(([how], rest)) = bytes.split_first_chunk() else { return };
    match how % 5 {
        0 => std::str::from_utf8(rest).iter().for_each(|text| locks(text)),
        1 => std::str::from_utf8(rest).iter().for_each(|text| gate(text)),
        2 => archive(rest),
        3 => archive(&packed(rest)),
        _ => {
            if let Ok(tar) = made(&mut Unstructured::new(rest)) {
                archive(&packed(&tar));
            }
        }
    }
});
