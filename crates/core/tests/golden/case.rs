//! Cases as folders.

use std::path::{Path, PathBuf};

use portolan_model::{Object, Origin, yaml};
use serde_json::Value;

/// One folder `src/<room>/testdata/<case>`.
pub struct Case {
    pub room: String,
    pub folder: PathBuf,
    pub objects: Vec<Object>,
    pub facts: Value,
    pub changes: Vec<Change>,
}

/// What `<n>-change.yaml` and `<n>-facts.yaml` say.
pub struct Change {
    /// The file that says what follows.
    pub out: PathBuf,
    /// Objects that come or change.
    pub objects: Vec<Object>,
    /// Objects that go: documents with `remove: true`.
    pub removed: Vec<Object>,
    /// Replace those of the case, field by field.
    pub facts: Value,
}

fn documents(path: &Path) -> Vec<Value> {
    let Ok(text) = std::fs::read_to_string(path) else { return vec![] };
    let (documents, errors) = yaml::load(&text);
    assert_eq!(errors, [], "{}", path.display());
    documents.into_iter().map(|document| document.json).collect()
}

fn object(json: Value) -> Object {
    Object::from_json(json, Origin::default()).unwrap()
}

fn changes(folder: &Path) -> Vec<Change> {
    let mut found = Vec::new();
    for number in 1.. {
        let (change, facts) =
            (folder.join(format!("{number}-change.yaml")), folder.join(format!("{number}-facts.yaml")));
        if !change.is_file() && !facts.is_file() {
            break;
        }
        let (removed, objects): (Vec<Value>, Vec<Value>) =
            documents(&change).into_iter().partition(|json| json["remove"] == true);
        found.push(Change {
            out: folder.join(format!("{number}.out.yaml")),
            objects: objects.into_iter().map(object).collect(),
            removed: removed.into_iter().map(object).collect(),
            facts: documents(&facts).pop().unwrap_or(Value::Null),
        });
    }
    found
}

pub fn cases() -> Vec<Case> {
    let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = |path: &Path| -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(path) else { return vec![] };
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    };
    let mut cases = Vec::new();
    for room in folders(&rooms) {
        let (name, room) = (room.file_name().unwrap().to_string_lossy().into_owned(), room.join("testdata"));
        for folder in folders(&room).into_iter().filter(|folder| folder.join("input.yaml").is_file()) {
            let mut objects = documents(&room.join("base.yaml"));
            objects.extend(documents(&folder.join("input.yaml")));
            cases.push(Case {
                room: name.clone(),
                objects: objects.into_iter().map(object).collect(),
                facts: documents(&folder.join("facts.yaml")).pop().unwrap_or(Value::Null),
                changes: changes(&folder),
                folder,
            });
        }
    }
    cases
}
