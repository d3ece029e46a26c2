//! `portolan.lock`: which version and which content each chart is that a repository names. Text that is reviewed: one block a
//! chart, in the order of their names, and the same for the same charts whoever wrote it.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use portolan_model::yaml;
use serde::Deserialize;

use super::{
    reference::Reference,
    store::{self, Digest, Unpacked},
};
use crate::typed;

/// Its name, at the root of the work tree.
pub const FILE: &str = "portolan.lock";
/// Larger ones are not read.
const MOST_BYTES: u64 = 4 << 20;
const HEAD: &str = "# Written by `portolan charts lock`, to be committed: charts of other places that this repository names, by content.\n\
                    # `portolan render` and `portolan up` take them by these digests and fetch nothing.\n";

/// What a chart was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Version in its `Chart.yaml`.
    pub version: String,
    /// Of the archive.
    pub digest: Digest,
}

impl Locked {
    /// Whether a chart is the one that was locked, and the one that is asked for.
    ///
    /// # Errors
    /// What else it is, as the rest of a sentence.
    pub fn agrees(&self, reference: &Reference, chart: &Unpacked) -> Result<(), String> {
        if chart.name != reference.chart {
            return Err(format!("the archive calls itself {:?}", chart.name));
        }
        if chart.version != self.version {
            return Err(format!(
                "the archive has version {:?}, and the lock says {:?}",
                chart.version, self.version
            ));
        }
        reference.may_be(&self.version)
    }
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockFile {
    /// By what is asked for.
    pub charts: BTreeMap<Reference, Locked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    #[serde(default)]
    charts: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    repository: String,
    chart: String,
    asked: String,
    version: String,
    digest: String,
}

impl LockFile {
    /// Reads that of a work tree; what is not there is empty.
    ///
    /// # Errors
    /// A sentence about the file.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(FILE);
        // It may lead anywhere, and what is wrong with a file is told with its words.
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
            return Err("it is a link, and not read; write the file itself".to_owned());
        }
        match store::read(&path, MOST_BYTES) {
            Ok(bytes) => Self::parse(&String::from_utf8(bytes).map_err(|_| "it is no UTF-8 text")?),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(why) => Err(format!("it cannot be read: {why}")),
        }
    }

    /// Reads its text.
    ///
    /// # Errors
    /// A sentence about the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut documents, errors) = yaml::load(text);
        if let Some(error) = errors.first() {
            return Err(format!("YAML error at line {}: {}", error.line, error.message));
        }
        if documents.len() != 1 {
            return Err(format!("it holds {} documents in place of one", documents.len()));
        }
        // What the decoder says of it would show values.
        let written = typed::read::<Written>(&documents.swap_remove(0).json).map_err(|_| {
            "it does not have the form that `portolan charts lock` writes: version, and charts with chart, repository, asked, \
             version and digest, all text"
        })?;
        if written.version != 1 {
            return Err(format!("it has version {}, and this Portolan reads version 1", written.version));
        }
        let mut charts = BTreeMap::new();
        for (n, entry) in written.charts.into_iter().enumerate() {
            let at = |why: &dyn std::fmt::Display| format!("charts[{n}]: {why}");
            let reference = Reference::new(&entry.repository, &entry.chart, &entry.asked)
                .map_err(|why| at(&format!("chart {:?}: {why}", entry.chart)))?;
            let digest = Digest::parse(&entry.digest)
                .ok_or_else(|| at(&"digest: \"sha256:\" and 64 digits in hexadecimal are wanted"))?;
            let locked = Locked { version: entry.version, digest };
            if charts.insert(reference.clone(), locked).is_some() {
                // A merge of two branches that took one side of each: which is meant, nobody knows.
                return Err(at(&format!("{reference} stands there twice")));
            }
        }
        Ok(Self { charts })
    }

    /// Its text.
    pub fn text(&self) -> String {
        let mut text = format!("{HEAD}version: 1\n");
        text.push_str(if self.charts.is_empty() { "charts: []\n" } else { "charts:\n" });
        for (Reference { repository, chart, asked }, Locked { version, digest }) in &self.charts {
            let _ = write!(
                text,
                "- chart: {}\n  repository: {}\n  asked: {}\n  version: {}\n  digest: {digest}\n",
                quoted(chart),
                quoted(repository),
                quoted(asked),
                quoted(version)
            );
        }
        text
    }

    /// Writes it, whole or not at all. It is written also where it says the same: who watches it reads the charts then.
    ///
    /// # Errors
    /// The system's own.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        use std::{io::Write as _, os::unix::fs::PermissionsExt as _};
        let mut new = tempfile::Builder::new().prefix(".portolan.lock").tempfile_in(folder)?;
        new.write_all(self.text().as_bytes())?;
        new.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        new.as_file().sync_all()?;
        new.persist(folder.join(FILE)).map_err(|error| error.error)?;
        Ok(())
    }
}

/// A text in double quotes. JSON's is not enough: DEL and U+FFFF may stand there as they are, and in a file of YAML may not
/// (YAML 1.2.2 §5.1).
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            ' '..='~' => write!(quoted, "{c}"),
            '\0'..='\u{ffff}' => write!(quoted, "\\u{:04x}", u32::from(c)),
            _ => write!(quoted, "\\U{:08x}", u32::from(c)),
        };
    }
    quoted.push('"');
    quoted
}
