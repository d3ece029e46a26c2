//! What tells one content from the next without reading it.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, SystemTime},
};

/// A file whose last change is younger than this may change again without a new time stamp (the kernel's clock ticks
/// every few milliseconds), so it says nothing.
const YOUNG: Duration = Duration::from_millis(100);

/// Of a file or of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// The file as its folder knows it.
    File { inode: u64, length: u64, modified: (i64, i64), changed: (i64, i64) },
    /// Hash of all that the chart is rendered from.
    Chart(String),
}

impl Stamp {
    /// The stamp of a file, to be taken before it is read. `None` if it says nothing.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        settled(&meta).then(|| Self::File {
            inode: meta.ino(),
            length: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

fn settled(meta: &Metadata) -> bool {
    let changed = Duration::new(
        u64::try_from(meta.ctime()).unwrap_or(0),
        u32::try_from(meta.ctime_nsec()).unwrap_or(0),
    );
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + changed).is_ok_and(|age| age > YOUNG)
}
