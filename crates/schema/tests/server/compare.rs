//! Our verdict beside the server's.

use portolan_schema::{Definitions, admit};
use serde_json::Value;

use super::{
    answers::{Answer, stored},
    bases::Base,
    cases::Case,
    edits::{difference, shown},
};

/// How the two verdicts compare.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a goal of its own")]
pub struct Outcome {
    pub id: String,
    pub ours: Answer,
    pub theirs: Answer,
    pub verdict: bool,
    pub paths: bool,
    pub words: bool,
    pub object: bool,
}

impl Outcome {
    pub fn same(&self) -> bool {
        self.verdict && self.paths && self.words && self.object
    }

    pub fn text(&self, case: &Case) -> String {
        let mut out = String::new();
        line(&mut out, &self.id);
        if !case.edits.is_empty() {
            let edits: Vec<String> = case
                .edits
                .iter()
                .map(|edit| {
                    format!("{} = {}", shown(&edit.place), edit.value.as_ref().map_or("nothing".into(), cut))
                })
                .collect();
            line(&mut out, &format!("    edit   {}", edits.join("; ")));
        }
        for (name, answer) in [("server", &self.theirs), ("ours  ", &self.ours)] {
            let said = if !answer.refused {
                "taken".to_owned()
            } else if answer.causes.is_empty() {
                answer.message.clone()
            } else {
                let causes = answer.causes.iter().map(|(field, words)| format!("{field}: {words}"));
                causes.collect::<Vec<_>>().join("\n           ")
            };
            line(&mut out, &format!("    {name} {said}"));
            if !answer.unknown.is_empty() {
                line(&mut out, &format!("    {name} drops {}", answer.unknown.join(", ")));
            }
        }
        if !self.object && self.verdict {
            for edit in difference(&self.ours.object, &self.theirs.object) {
                let value = edit.value.as_ref().map_or("nothing".to_owned(), cut);
                line(&mut out, &format!("    server has {} = {value}", shown(&edit.place)));
            }
        }
        out
    }
}

/// Without the number that the rig puts behind a name.
fn own_name(words: &str, name: &str) -> String {
    let given = format!("{name}-");
    let Some(at) = words.find(&given) else { return words.to_owned() };
    let rest = words[at + given.len()..].trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() == words.len() - at - given.len() {
        words.to_owned()
    } else {
        format!("{}{name}{rest}", &words[..at])
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn cut(value: &Value) -> String {
    value.to_string().chars().take(300).collect()
}

/// Judges a case as we do, and compares.
pub fn compare(case: &Case, bases: &[Base], theirs: &Answer) -> Outcome {
    let definitions = Definitions::builtin();
    let base = &bases[case.base];
    let old =
        case.update.then(|| admit(&definitions, base.object.clone(), None).expect("bases are valid").object);
    let sent = case.object(bases);
    let kind = &base.definition.kind;
    let version = &base.definition.version;
    let mut ours = Answer {
        refused: false,
        message: String::new(),
        causes: vec![],
        unknown: vec![],
        object: Value::Null,
    };
    match admit(&definitions, sent, old.as_ref()) {
        Ok(admitted) => {
            ours.unknown = admitted.warnings.iter().map(|unknown| unknown.path.clone()).collect();
            if case.strict && !ours.unknown.is_empty() {
                ours.refused = true;
                let fields: Vec<_> =
                    ours.unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
                ours.message = format!(
                    "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: {}",
                    fields.join(", ")
                );
                ours.unknown.clear();
            } else {
                ours.object = stored(admitted.object);
            }
        }
        Err(causes) => {
            ours.refused = true;
            if let [cause] = causes.as_slice()
                && cause.kind == portolan_schema::CauseKind::Decode
            {
                ours.message = cause.to_string();
            } else {
                ours.causes = causes.iter().map(|cause| (cause.path.clone(), cause.body())).collect();
            }
        }
    }
    let mut theirs = theirs.clone();
    if case.update {
        let name = base.object["metadata"]["name"].as_str().unwrap_or_default();
        for (_, words) in &mut theirs.causes {
            *words = own_name(words, name);
        }
        // The rig gives an object that is updated a name of its own.
        for object in [&mut ours.object, &mut theirs.object] {
            object.pointer_mut("/metadata/name").map(Value::take);
            object.pointer_mut("/metadata/labels/kubernetes.io~1metadata.name").map(Value::take);
        }
    }
    ours.causes.sort();
    ours.unknown.sort();
    let paths = |answer: &Answer| -> Vec<String> {
        let mut all: Vec<String> = answer.causes.iter().map(|(path, _)| path.clone()).collect();
        all.dedup();
        all
    };
    let verdict = ours.refused == theirs.refused;
    Outcome {
        id: case.id(bases),
        verdict,
        paths: verdict && paths(&ours) == paths(&theirs),
        words: verdict
            && ours.causes == theirs.causes
            && (!theirs.causes.is_empty() || ours.message == theirs.message),
        object: verdict && ours.object == theirs.object && (ours.refused || ours.unknown == theirs.unknown),
        ours,
        theirs,
    }
}
