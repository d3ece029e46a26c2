//! Cases as folders.

use std::path::{Path, PathBuf};

use portolan_core::door::{self, Definitions, Door};
use portolan_model::{Object, Origin, Problem, yaml};
use serde_json::Value;

/// One folder `src/<room>/testdata/<case>`.
pub struct Case {
    pub room: String,
    pub folder: PathBuf,
    pub objects: Vec<Object>,
    /// Objects that the door refuses.
    pub refused: Vec<Problem>,
    pub facts: Value,
    pub changes: Vec<Change>,
}

/// What `<n>-change.yaml` and `<n>-facts.yaml` say.
pub struct Change {
    /// The file that says what follows.
    pub out: PathBuf,
    /// Objects that come or change.
    pub objects: Vec<Object>,
    /// Objects that the door refuses: what was there stays.
    pub refused: Vec<Problem>,
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

/// The objects that the door takes, and why it does not take the others.
fn objects(documents: Vec<Value>) -> (Vec<Object>, Vec<Problem>) {
    let definitions = Definitions::builtin();
    let (mut objects, mut refused) = (vec![], vec![]);
    for json in documents {
        match door::enter(&definitions, json, Origin::default()).unwrap() {
            Door::Taken(object) => objects.push(object),
            Door::Refused(_, problem) => refused.push(problem),
            Door::Restricts(object, problem) => {
                objects.push(object);
                refused.push(problem);
            }
        }
    }
    (objects, refused)
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
        let (objects, refused) = self::objects(objects);
        let removed = removed.into_iter().map(|json| Object::from_json(json, Origin::default()).unwrap());
        found.push(Change {
            out: folder.join(format!("{number}.out.yaml")),
            objects,
            refused,
            removed: removed.collect(),
            facts: documents(&facts).pop().unwrap_or(Value::Null),
        });
    }
    found
}

pub fn cases() -> Vec<Case> {
    // Fingerprints of values are random otherwise.
    portolan_model::redacted::key_fingerprints(b"golden cases");
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
            let (objects, refused) = self::objects(objects);
            cases.push(Case {
                room: name.clone(),
                objects,
                refused,
                facts: documents(&folder.join("facts.yaml")).pop().unwrap_or(Value::Null),
                changes: changes(&folder),
                folder,
            });
        }
    }
    cases
}
