//! Charts in `charts/` that are archives, as Helm takes them: gzip of several parts, tar, other archives inside.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use tar::Archive;

/// Most bytes of all archives, unpacked.
const MOST_BYTES: u64 = 100 << 20;
const DEEPEST: usize = 8;

/// What looks through the files of one chart, which is called so.
type Look<'a> = dyn Fn(&BTreeMap<PathBuf, Vec<u8>>, &str) -> Option<String> + 'a;

/// What `of` finds in the first archive in which it finds something, or that an archive cannot be looked through.
pub(super) fn charts(files: &BTreeMap<PathBuf, Vec<u8>>, shown: &str, of: &Look<'_>) -> Option<String> {
    let mut left = MOST_BYTES;
    below(files, shown, of, &mut left, 0)
}

fn below(
    files: &BTreeMap<PathBuf, Vec<u8>>,
    shown: &str,
    of: &Look<'_>,
    left: &mut u64,
    depth: usize,
) -> Option<String> {
    files.iter().filter(|(path, _)| is_archive(path)).find_map(|(path, content)| {
        let place = Path::new(shown).join(path).display().to_string();
        if depth > DEEPEST {
            return Some(format!("{place} is nested too deep"));
        }
        let inner = unpacked(content, left);
        if *left == 0 {
            return Some(format!(
                "{place} and the archives before it unpack to more than {} MiB",
                MOST_BYTES >> 20
            ));
        }
        of(&inner, &place).or_else(|| below(&inner, &place, of, left, depth + 1))
    })
}

fn is_archive(path: &Path) -> bool {
    let in_charts = path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "charts");
    in_charts && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tgz"))
}

/// The files of an archive, with the content of schemas and archives alone. Of a broken one what comes before: Helm says the rest.
/// `left` is 0 if it is too much.
fn unpacked(content: &[u8], left: &mut u64) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut archive = Archive::new(MultiGzDecoder::new(content).take(*left));
    for entry in archive.entries().into_iter().flatten() {
        let Ok(mut entry) = entry else { break };
        let Ok(path) = entry.path().map(Cow::into_owned) else { continue };
        let mut content = Vec::new();
        if (path.file_name().is_some_and(|name| name == super::FILE) || is_archive(&path))
            && entry.read_to_end(&mut content).is_err()
        {
            break;
        }
        files.insert(path, content);
    }
    *left = archive.into_inner().limit();
    files
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn told(content: Vec<u8>) -> Option<String> {
        let files = [(PathBuf::from("charts/a-1.0.0.tgz"), content)].into();
        super::super::leads_out(&files, "charts/app")
    }

    #[test]
    fn schemas_in_archives_are_looked_into_and_in_archives_in_them() {
        let bad = archive(&[
            ("a/Chart.yaml", b"name: a"),
            ("a/values.schema.json", br#"{"$ref": "file:///etc/passwd"}"#),
        ]);
        let nested = archive(&[("b/charts/a.tgz", &bad)]);
        for content in [bad, nested.clone()] {
            let text = told(content).unwrap();
            assert!(text.contains("a/values.schema.json") && text.contains("file:///etc/passwd"), "{text}");
        }
        assert!(told(nested).unwrap().starts_with("charts/app/charts/a-1.0.0.tgz/b/charts/a.tgz/a/"));
        let good = archive(&[("a/values.schema.json", br#"{"$ref": "x.json#/a"}"#), ("a/x.json", b"{}")]);
        assert_eq!(told(good.clone()), None);
        assert_eq!(told(good[..good.len() / 2].to_vec()), None);
        assert_eq!(told(b"no archive".to_vec()), None);
    }

    #[test]
    fn what_unpacks_to_too_much_is_not_rendered() {
        let mut zeros = GzEncoder::new(Vec::new(), Compression::fast());
        let mut header = tar::Header::new_gnu();
        header.set_path("a/large").unwrap();
        header.set_size(200 << 20);
        header.set_cksum();
        zeros.write_all(header.as_bytes()).unwrap();
        for _ in 0..200 {
            zeros.write_all(&vec![0; 1 << 20]).unwrap();
        }
        let text = told(zeros.finish().unwrap()).unwrap();
        assert!(text.contains("unpack to more than 100 MiB"), "{text}");
    }
}
