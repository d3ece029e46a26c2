//! Rendered text, kept by the content that it was rendered from.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;

/// Results that are kept; the oldest go first.
const MOST_KEPT: usize = 400;

/// A name for content that is being put together.
pub(super) struct Key(digest::Context);

impl Key {
    /// Of a kind of content.
    pub(super) fn new(kind: &str) -> Self {
        let mut key = Self(digest::Context::new(&digest::SHA256));
        key.part(kind.as_bytes());
        key
    }

    /// Adds a part.
    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Adds the program that renders, or that there is none.
    pub(super) fn program<E>(&mut self, program: Result<&Path, E>) {
        let program = program.unwrap_or_else(|_| Path::new(""));
        // A link such as .tools/bin/helm names the version in the path that it leads to.
        let real = fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
        self.part(real.display().to_string().as_bytes());
        let stamp = fs::metadata(&real).map_or((0, 0), |meta| (meta.len(), meta.mtime()));
        self.part(format!("{stamp:?}").as_bytes());
    }

    /// The name.
    pub(super) fn text(self) -> String {
        self.0.finish().as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
            text
        })
    }
}

fn file(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{key}.yaml"))
}

/// What is kept under this name.
pub(super) fn taken(folder: &Path, key: &str) -> Option<String> {
    fs::read_to_string(file(folder, key)).ok()
}

/// Keeps a result, unless it holds values of Secrets: those are kept in the store alone.
pub(super) fn keep(folder: &Path, key: &str, text: &str) {
    if holds_secrets(text) {
        return;
    }
    // A cache that cannot be written costs time, not correctness.
    if let Err(why) = write(folder, &file(folder, key), text) {
        tracing::warn!(cache = %folder.display(), %why, "a rendered text could not be kept");
    }
}

/// Whether the text may hold a Secret with its values: rather too often than once too few.
fn holds_secrets(text: &str) -> bool {
    text.match_indices("Secret").any(|(at, _)| {
        let before = text[..at].trim_end_matches(['"', '\'', ' ', '\t', ':']);
        before.ends_with("kind") && !text[at + 6..].starts_with(|c: char| c.is_alphanumeric())
    })
}

fn write(folder: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut temporary = tempfile::Builder::new().prefix(".new").tempfile_in(folder)?;
    temporary.write_all(text.as_bytes())?;
    temporary.persist(path).map_err(|error| error.error)?;
    let mut kept: Vec<(i64, PathBuf)> = fs::read_dir(folder)?
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "yaml"))
        .filter_map(|entry| Some((entry.metadata().ok()?.mtime(), entry.path())))
        .collect();
    if kept.len() > MOST_KEPT {
        kept.sort();
        for (_, path) in kept.iter().take(kept.len() - MOST_KEPT) {
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_secrets_are_known() {
        for text in
            ["kind: Secret\n", "a: 1\nkind: \"Secret\"", "{\"kind\":\"Secret\"}", "kind:  'Secret' # x"]
        {
            assert!(holds_secrets(text), "{text}");
        }
        for text in ["kind: SealedSecret\n", "kind: SecretStore\n", "name: Secret\n", ""] {
            assert!(!holds_secrets(text), "{text}");
        }
    }
}
