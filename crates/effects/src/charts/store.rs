//! Archives of charts by their content. Nothing in the folder is trusted: what is read is hashed each time.

use std::{
    fmt,
    fs::{self, DirBuilder, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use aws_lc_rs::digest;
use flate2::read::MultiGzDecoder;
use portolan_model::yaml;

/// Largest archive that is fetched and read.
pub(super) const MOST_BYTES: u64 = 64 << 20;
/// Most bytes of an archive, unpacked, and of one file of it (Helm's own limits are 100 and 5 MiB).
const MOST_UNPACKED: u64 = 100 << 20;
/// Most files and folders of an archive.
const MOST_FILES: usize = 20_000;
/// Deepest that a file may lie: charts hold charts, and nobody removes thousands of folders in each other without a descriptor for
/// each.
const DEEPEST: usize = 64;

/// SHA-256 of an archive.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    /// Of this content.
    pub fn of(content: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, content);
        Self(hash.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
            text
        }))
    }

    /// `sha256:` and 64 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        plain.then(|| Self(digits.to_owned()))
    }

    /// Its digits.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a chart that is locked cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damaged {
    /// It is not in the folder.
    Missing,
    /// It is not what the lock says, or no chart; the rest of a sentence.
    Wrong(String),
}

/// A folder of archives.
#[derive(Clone, Debug)]
pub struct Store(PathBuf);

impl Store {
    /// In this folder, which need not be there.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    fn place(&self, digest: &Digest) -> PathBuf {
        self.0.join("sha256").join(format!("{}.tgz", digest.digits()))
    }

    /// Takes over an archive.
    ///
    /// # Errors
    /// The system's own.
    pub fn put(&self, content: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(content);
        let place = self.place(&digest);
        let folder = place.parent().unwrap_or(&self.0);
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut new = tempfile::Builder::new().prefix(".new").tempfile_in(folder)?;
        new.write_all(content)?;
        new.persist(place).map_err(|error| error.error)?;
        Ok(digest)
    }

    /// The archive of this digest.
    ///
    /// # Errors
    /// Why it cannot be taken.
    pub fn get(&self, digest: &Digest) -> Result<Vec<u8>, Damaged> {
        let place = self.place(digest);
        let content = match read(&place, MOST_BYTES) {
            Ok(content) => content,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Err(Damaged::Missing),
            Err(why) => return Err(Damaged::Wrong(format!("{} cannot be read: {why}", place.display()))),
        };
        let is = Digest::of(&content);
        if is != *digest {
            return Err(Damaged::Wrong(format!("{} holds {is}", place.display())));
        }
        Ok(content)
    }

    /// The chart of this digest, in a temporary folder.
    ///
    /// # Errors
    /// Why it cannot be taken.
    pub fn unpacked(&self, digest: &Digest) -> Result<Unpacked, Damaged> {
        Unpacked::of(&self.get(digest)?).map_err(Damaged::Wrong)
    }
}

/// The whole file, of what is a file and not larger than that.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut content = Vec::new();
    file.take(most + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most {
        return Err(io::Error::other(format!("it is larger than {} MiB", most >> 20)));
    }
    Ok(content)
}

/// Makes the folders that a file of an archive lies in; how many were not there.
fn folders(root: &Path, file: &Path) -> io::Result<usize> {
    let (mut at, mut made) = (root.to_owned(), 0);
    for part in file.parent().unwrap_or(Path::new("")) {
        at.push(part);
        match fs::create_dir(&at) {
            Ok(()) => made += 1,
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            Err(why) => return Err(why),
        }
    }
    Ok(made)
}

/// A chart that was unpacked. The folder goes with it.
#[derive(Debug)]
pub struct Unpacked {
    folder: tempfile::TempDir,
    /// Folder of the chart, relative to it.
    top: PathBuf,
    /// `name` of its `Chart.yaml`.
    pub name: String,
    /// `version` of its `Chart.yaml`.
    pub version: String,
}

impl Unpacked {
    /// Unpacks an archive: plain files below one folder, as Helm packs them. Links and whatever else an archive may hold are
    /// left out, as Helm leaves them out.
    ///
    /// # Errors
    /// Why it is no chart.
    pub fn of(archive: &[u8]) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("portolan-chart")
            .tempdir()
            .map_err(|why| format!("it cannot be unpacked: {why}"))?;
        let mut tar = tar::Archive::new(MultiGzDecoder::new(archive).take(MOST_UNPACKED));
        let no_archive = |why: io::Error| format!("it is no archive of a chart: {why}");
        let mut top: Option<PathBuf> = None;
        let (mut files, mut bytes) = (0, 0);
        let large = || format!("it unpacks to more than {} MiB", MOST_UNPACKED >> 20);
        for entry in tar.entries().map_err(no_archive)? {
            let mut entry = entry.map_err(no_archive)?;
            // A sparse file may say that it is as large as it likes.
            bytes = entry.size().saturating_add(bytes);
            if bytes > MOST_UNPACKED {
                return Err(large());
            }
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path().map_err(no_archive)?.into_owned();
            let plain: Option<PathBuf> = path
                .components()
                .filter(|part| !matches!(part, Component::CurDir))
                .map(|part| if let Component::Normal(name) = part { Some(name) } else { None })
                .collect();
            let plain =
                plain.ok_or_else(|| format!("its file {:?} leads out of it", path.display().to_string()))?;
            if plain.components().count() > DEEPEST {
                let begin: PathBuf = plain.components().take(3).collect();
                return Err(format!(
                    "a file below {:?} lies deeper than {DEEPEST} folders",
                    begin.display().to_string()
                ));
            }
            let first = plain.iter().next().map(PathBuf::from).filter(|first| *first != plain);
            match (&top, first) {
                (None, Some(first)) => top = Some(first),
                (Some(top), Some(first)) if *top == first => {}
                _ => return Err("it holds more than one folder".to_owned()),
            }
            let place = folder.path().join(&plain);
            let broken = |why: io::Error| format!("its file {:?}: {why}", plain.display().to_string());
            files += 1 + folders(folder.path(), &plain).map_err(broken)?;
            if files > MOST_FILES {
                return Err(format!("it holds more than {MOST_FILES} files and folders"));
            }
            let mut write = || {
                // Never a second time: what stands there stays.
                let mut file = File::create_new(&place)?;
                io::copy(&mut entry, &mut file)
            };
            write().map_err(broken)?;
        }
        if tar.into_inner().limit() == 0 {
            return Err(large());
        }
        let top = top.ok_or("it is empty")?;
        let manifest = folder.path().join(&top).join("Chart.yaml");
        let text = fs::read_to_string(manifest).map_err(|why| format!("its Chart.yaml: {why}"))?;
        let (documents, _) = yaml::load(&text);
        let field = |name: &str| {
            let text = documents.first()?.json.get(name)?.as_str()?;
            (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
        };
        let name = field("name").ok_or("its Chart.yaml has no name")?;
        let version = field("version").ok_or("its Chart.yaml has no version")?;
        Ok(Self { folder, top, name, version })
    }

    /// The temporary folder.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The chart's folder in it.
    pub fn top(&self) -> &Path {
        &self.top
    }
}
