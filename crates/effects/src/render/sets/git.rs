//! The Git generator over the work tree (argoproj/argo-cd `applicationset/generators/git.go`, `reposerver/repository`).

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use portolan_core::gitops::glob::Glob;
use portolan_model::yaml;
use serde_json::{Map, Value, json};

use super::{
    super::{
        checkout::{self, Checkout},
        touched::Touched,
    },
    Params,
    room::Room,
};

const DEEPEST: usize = 32;

/// What sets have looked at: folders of the repository, and patterns of files.
#[derive(Clone, Debug, Default)]
pub(super) struct Looked {
    /// All folders that there were, if they were looked at.
    folders: Option<BTreeSet<PathBuf>>,
    files: Vec<Glob>,
}

impl Looked {
    /// Whether what is touched may change what was found.
    pub(super) fn touched(&self, root: &Path, touched: &Touched) -> bool {
        let Touched::Paths(paths) = touched else { return true };
        let inside = |path: &Path| path.strip_prefix(root).ok().map(Path::to_owned);
        paths.iter().filter_map(|path| inside(path)).any(|path| {
            let folders = self.folders.as_ref().is_some_and(|known| {
                let parent = path.parent().map(Path::to_owned).unwrap_or_default();
                let is_new = root.join(&path).is_dir() && !known.contains(&path);
                is_new || !known.contains(&parent) && !parent.as_os_str().is_empty() || known.contains(&path)
            });
            let files = !self.files.is_empty() && {
                let shown = path.display().to_string();
                self.files.iter().any(|glob| glob.matches(&shown)) || !root.join(&path).is_file()
            };
            folders || files
        })
    }
}

/// Parameters of the folders that the patterns choose.
pub(super) fn directories(
    checkout: &Checkout,
    generator: &Value,
    go: bool,
    looked: &mut Looked,
) -> Vec<Params> {
    let mut folders = BTreeSet::new();
    walk(checkout.root(), Path::new(""), 0, &mut |path, is_folder| {
        if is_folder {
            folders.insert(path.to_owned());
        }
    });
    let items = generator["directories"].as_array().into_iter().flatten();
    let patterns: Vec<(Glob, bool)> = items
        .filter_map(|item| {
            // Of `path.Match`: a star stays in its folder, and braces are none.
            let pattern = item["path"].as_str()?.replace("**", "*").replace('{', "\\{").replace('}', "\\}");
            Some((Glob::path(pattern.trim_end_matches('/'))?, item["exclude"] == true))
        })
        .collect();
    let prefix = generator["pathParamPrefix"].as_str().unwrap_or_default();
    let chosen = folders.iter().map(|path| path.display().to_string()).filter(|path| {
        let of = |excluded: bool| patterns.iter().any(|(glob, out)| *out == excluded && glob.matches(path));
        of(false) && !of(true)
    });
    let params = chosen.map(|path| with_path(Map::new(), &path, None, prefix, go)).collect();
    looked.folders = Some(folders);
    params
}

/// Parameters of the files that the patterns choose: their content, and where they stand.
///
/// # Errors
/// The file that cannot be read, and why.
pub(super) fn files(
    checkout: &Checkout,
    generator: &Value,
    go: bool,
    looked: &mut Looked,
    room: &mut Room,
) -> Result<Vec<Params>, String> {
    let items = generator["files"].as_array().into_iter().flatten();
    // As Git's pathspecs: a star takes slashes, and a folder stands for all in it.
    let patterns: Vec<(Glob, Option<Glob>, bool)> = items
        .filter_map(|item| {
            let pattern = item["path"].as_str()?.trim_start_matches("./");
            let plain = pattern.replace('{', "\\{").replace('}', "\\}");
            let below = Glob::pathspec(&format!("{}/*", plain.trim_end_matches('/')));
            Some((Glob::pathspec(&plain)?, below, item["exclude"] == true))
        })
        .collect();
    looked
        .files
        .extend(patterns.iter().flat_map(|(glob, below, _)| [Some(glob.clone()), below.clone()]).flatten());
    let mut chosen = BTreeSet::new();
    walk(checkout.root(), Path::new(""), 0, &mut |path, is_folder| {
        let path = path.display().to_string();
        let of = |excluded: bool| {
            patterns.iter().any(|(glob, below, out)| {
                *out == excluded
                    && (glob.matches(&path) || below.as_ref().is_some_and(|below| below.matches(&path)))
            })
        };
        if !is_folder && of(false) && !of(true) {
            chosen.insert(path);
        }
    });
    let prefix = generator["pathParamPrefix"].as_str().unwrap_or_default();
    let mut params = Vec::new();
    for path in chosen {
        let wrong = |why: &dyn std::fmt::Display| format!("unable to process file '{path}': {why}");
        let text = checkout::read_text(&checkout.root().join(&path)).map_err(|why| wrong(&why))?;
        let (documents, errors) = yaml::load(&text);
        if let Some(error) = errors.first() {
            return Err(wrong(&error.message));
        }
        let objects = match documents.into_iter().next().map(|document| document.json) {
            None | Some(Value::Null) => vec![Value::Object(Map::new())],
            Some(Value::Array(all)) => all,
            Some(one) => vec![one],
        };
        for object in objects {
            let Value::Object(object) = object else { return Err(wrong(&"it holds no mapping")) };
            let own = if go { object } else { flat(&object) };
            let made = with_path(own, &path, Some(()), prefix, go);
            room.take(&made)?;
            params.push(made);
        }
    }
    Ok(params)
}

/// Adds where it stands: the folder, of a file the folder that it stands in.
fn with_path(mut params: Params, path: &str, file: Option<()>, prefix: &str, go: bool) -> Params {
    let (folder, name) = match file {
        Some(()) => path.rsplit_once('/').map_or((".", path), |(folder, name)| (folder, name)),
        None => (path, ""),
    };
    let base = folder.rsplit('/').next().unwrap_or(folder);
    let segments: Vec<&str> = folder.split('/').collect();
    if go {
        let mut own = json!({"path": folder, "basename": base, "basenameNormalized": normalized(base), "segments": segments});
        if file.is_some() {
            own["filename"] = name.into();
            own["filenameNormalized"] = normalized(name).into();
        }
        if prefix.is_empty() {
            params.insert("path".into(), own);
        } else {
            params.insert(prefix.into(), json!({"path": own}));
        }
        return params;
    }
    let key = if prefix.is_empty() { "path".to_owned() } else { format!("{prefix}.path") };
    let mut add = |below: &str, value: &str| params.insert(format!("{key}{below}"), value.into());
    add("", folder);
    add(".basename", base);
    add(".basenameNormalized", &normalized(base));
    if file.is_some() {
        add(".filename", name);
        add(".filenameNormalized", &normalized(name));
    }
    for (n, segment) in segments.iter().enumerate().filter(|(_, segment)| !segment.is_empty()) {
        add(&format!("[{n}]"), segment);
    }
    params
}

/// As a name of Kubernetes (`SanitizeName`).
pub(super) fn normalized(name: &str) -> String {
    let name = name.to_lowercase();
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c) { c } else { '-' })
        .collect();
    name.chars().take(253).collect::<String>().trim_matches(['-', '.']).to_owned()
}

/// Nested values under their paths, as text.
pub(super) fn flat(map: &Map<String, Value>) -> Params {
    fn into(out: &mut Params, path: &str, value: &Value) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(map) if !map.is_empty() => {
                map.iter().for_each(|(key, value)| into(out, &below(key), value));
            }
            Value::Array(all) if !all.is_empty() => {
                all.iter().enumerate().for_each(|(n, value)| into(out, &below(&n.to_string()), value));
            }
            Value::String(text) => drop(out.insert(path.to_owned(), text.as_str().into())),
            Value::Null => drop(out.insert(path.to_owned(), "<nil>".into())),
            Value::Number(number) => drop(out.insert(path.to_owned(), shown(number).into())),
            other => drop(out.insert(path.to_owned(), other.to_string().into())),
        }
    }
    let mut out = Map::new();
    map.iter().for_each(|(key, value)| into(&mut out, key, value));
    out
}

/// A number as Go prints it with `%v`: each is a float to it.
fn shown(number: &serde_json::Number) -> String {
    let Some(value) = number.as_f64() else { return number.to_string() };
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}

/// Calls `see` with everything below `root`; hidden folders and links are left out.
fn walk(root: &Path, at: &Path, depth: usize, see: &mut impl FnMut(&Path, bool)) {
    if depth > DEEPEST {
        return;
    }
    for entry in std::fs::read_dir(root.join(at)).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = at.join(entry.file_name());
        if kind.is_dir() && !entry.file_name().as_encoded_bytes().starts_with(b".") {
            see(&path, true);
            walk(root, &path, depth + 1, see);
        } else if kind.is_file() {
            see(&path, false);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn folders_and_files_as_argo_cd_chooses_them() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["apps/A_b/m.yaml", "apps/c/deep/m.yaml", "apps/skip/m.yaml", ".git/x", "other/m.yaml"] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "a: {b: 1, c: [true]}\n").unwrap();
        }
        let checkout = Checkout::open(dir.path()).unwrap();
        let mut looked = Looked::default();
        let generator = json!({"directories": [{"path": "apps/*"}, {"path": "apps/skip", "exclude": true}]});
        let old = directories(&checkout, &generator, false, &mut looked);
        let paths: Vec<_> = old.iter().map(|params| params["path"].as_str().unwrap()).collect();
        assert_eq!(paths, ["apps/A_b", "apps/c"]);
        assert_eq!((&old[0]["path.basenameNormalized"], &old[0]["path[1]"]), (&"a-b".into(), &"A_b".into()));
        let new = directories(&checkout, &generator, true, &mut looked);
        assert_eq!(new[1]["path"]["segments"], json!(["apps", "c"]));
        let generator = json!({"files": [{"path": "apps/*.yaml"}], "pathParamPrefix": "p"});
        let mut room = Room::new(std::time::Duration::from_secs(30));
        let files = files(&checkout, &generator, false, &mut looked, &mut room).unwrap();
        assert_eq!(files.len(), 3, "a star takes slashes: {files:?}");
        assert_eq!(
            (&files[0]["a.b"], &files[0]["a.c.0"], &files[0]["p.path"]),
            (&"1".into(), &"true".into(), &"apps/A_b".into())
        );
        let root = checkout.root();
        let touched = |path: &str| looked.touched(root, &Touched::Paths([root.join(path)].into()));
        assert!(touched("apps/new/m.yaml") && touched("apps/c") && touched("apps/c/deep/m.yaml"));
        assert!(!touched("other/m.yaml"));
    }
}
