//! Go templates in `spec.template.data` of a SealedSecret, executed over its opened values as the controller does
//! (bitnami/sealed-secrets `sealedsecret_expansion.go`, 0.40: text/template with sprig, without functions that look outside;
//! plain keys of the template are values too). The engine is Helm's, closed in as for charts. What is secret reaches it by its
//! standard input and comes back by its output: no file, no argument, no variable holds it, and what it says when it fails is not
//! passed on, since it may quote a value.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_model::{Name, Redacted, input::SealedSecret, yaml};
use serde_json::{Value, json};

use super::dot;
use crate::{
    confined::run::{self, Ended, Limits, Run},
    render::{helm::tidy, sets::strict::rewrite_for},
};

/// Begins every action.
const ACTION: &str = "{{";
const KIND: &str = "PortolanTexts";
/// Most that an API server takes as the data of a Secret, in bytes.
const MOST: usize = 1 << 20;
/// Functions of Helm that the controller's engine does not have.
const UNKNOWN: [&str; 16] = [
    "include",
    "tpl",
    "required",
    "lookup",
    "toToml",
    "mustToToml",
    "fromToml",
    "toYaml",
    "mustToYaml",
    "toYamlPretty",
    "fromYaml",
    "fromYamlArray",
    "fromJsonArray",
    "getHostByName",
    "env",
    "expandenv",
];
/// Of more templates than that it is not looked which one fails.
const MOST_ALONE: usize = 8;
const UNSAID: &str =
    "it fails with the values that were sealed; what the engine says may quote them, and is not shown";

/// What the templates come to, or why they do not.
pub type Executed = Result<BTreeMap<Name, Redacted>, Unexecuted>;

/// Templates that were not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexecuted {
    /// Why, for each of them; never with a part of a value.
    pub why: BTreeMap<Name, String>,
    /// The engine was stopped or could not be run: another try may come to something. Else they fail each time.
    pub again: bool,
}

/// Whether anything of it has to be executed.
pub fn is_templated(sealed: &SealedSecret) -> bool {
    sealed.template.values().any(|text| text.contains(ACTION))
}

/// Executes templates.
#[derive(Clone, Debug)]
pub struct Templates {
    helm: Result<PathBuf, String>,
    through: PathBuf,
    limits: Limits,
}

impl Templates {
    /// By this `helm`, or the sentence why there is none; `through` is our own program (`confined`).
    pub fn new(helm: Result<PathBuf, String>, through: PathBuf) -> Self {
        let limits = Limits { time: Duration::from_secs(10), memory: 512 << 20, output: 4 << 20 };
        Self { helm, through, limits }
    }

    /// The opened values with what the templates come to; a sealed value is never overwritten. Waits for a program.
    ///
    /// # Errors
    /// Why, for each template; never with a part of a value.
    pub fn execute(&self, sealed: &SealedSecret, values: BTreeMap<Name, Redacted>) -> Executed {
        let texts: Vec<(&Name, &str)> = sealed
            .template
            .iter()
            .filter(|(_, text)| text.contains(ACTION))
            .map(|(name, text)| (name, text.as_str()))
            .collect();
        if texts.is_empty() {
            return Ok(values);
        }
        let every = |why: &str, again| {
            let why = texts.iter().map(|(name, _)| ((*name).clone(), why.to_owned())).collect();
            Err(Unexecuted { why, again })
        };
        let all = |why: &str| every(why, false);
        let helm = match &self.helm {
            Ok(helm) => helm,
            Err(why) => return all(&format!("{why}, which executes it")),
        };
        let (mut wrong, mut rewritten) = (BTreeMap::new(), Vec::new());
        for (name, text) in &texts {
            match rewrite_for(text, false, &known) {
                Ok(made) => match dot::refused(text) {
                    Some(why) => drop(wrong.insert((*name).clone(), why)),
                    None => rewritten.push(made),
                },
                Err(why) => drop(wrong.insert((*name).clone(), why)),
            }
        }
        if !wrong.is_empty() {
            return Err(Unexecuted { why: wrong, again: false });
        }
        let ended = match self.run(helm, &rewritten, Some(given(sealed, &values))) {
            Ok(ended) => ended,
            Err(why) => return every(&why, true),
        };
        if !ended.success {
            return match self.why(helm, &texts, &rewritten, &|| given(sealed, &values)) {
                Ok(why) => Err(Unexecuted { why, again: false }),
                Err(why) => every(&why, true),
            };
        }
        let Some(made) = read(&Redacted::new(ended.stdout)).filter(|made| made.len() == texts.len()) else {
            return all("the engine gave nothing back");
        };
        let mut values = values;
        for ((name, _), made) in texts.iter().zip(made) {
            values.entry((*name).clone()).or_insert(made);
        }
        let plain = sealed.template.iter().filter(|(name, _)| !values.contains_key(*name));
        let size: usize =
            values.values().map(|value| value.expose().len()).chain(plain.map(|(_, text)| text.len())).sum();
        if size > MOST {
            return all("the Secret would hold more than 1 MiB, which no API server takes");
        }
        Ok(values)
    }

    /// Runs the templates; without values they are only parsed.
    fn run(&self, helm: &Path, texts: &[String], values: Option<Redacted>) -> Result<Ended, String> {
        let failed = |why: &dyn std::fmt::Display| format!("it cannot be handed to the engine: {why}");
        let chart = json!({"apiVersion": "v2", "name": "sealed", "version": "0.0.0"}).to_string();
        let named = texts
            .iter()
            .enumerate()
            .map(|(n, text)| (PathBuf::from(format!("chart/templates/_t{n}.tpl")), text.clone()));
        let files: Vec<(PathBuf, String)> = named
            .chain([
                ("chart/Chart.yaml".into(), chart),
                (
                    "chart/templates/out.yaml".into(),
                    if values.is_some() { calls(texts.len()) } else { String::new() },
                ),
            ])
            .collect();
        let work = run::copy(files.iter().map(|(path, text)| (path.as_path(), text.as_bytes())))
            .map_err(|why| failed(&why))?;
        let mut args =
            vec!["template".to_owned(), "sealed".to_owned(), work.path().join("chart").display().to_string()];
        if values.is_some() {
            args.extend(["--values".to_owned(), "-".to_owned()]);
        }
        let run = Run {
            through: &self.through,
            program: helm,
            starts: None,
            args: args.into_iter().map(Into::into).collect(),
            read: vec![work.path().to_owned()],
            write: None,
            connect: Vec::new(),
            folders: &["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS"],
            env: Vec::new(),
            limits: self.limits,
        };
        let ended = match values {
            Some(values) => run.ended_with(values),
            None => run.ended(),
        };
        ended.map_err(|stopped| format!("the engine {}", stopped.why))
    }

    /// Why it failed: what is said without values, which can quote none; else which of them fail with the values. An error where
    /// the engine was stopped meanwhile.
    fn why(
        &self,
        helm: &Path,
        texts: &[(&Name, &str)],
        rewritten: &[String],
        values: &dyn Fn() -> Redacted,
    ) -> Result<BTreeMap<Name, String>, String> {
        let of = |which: &[usize], why: &str| {
            which.iter().map(|n| (texts[*n].0.clone(), why.to_owned())).collect::<BTreeMap<_, _>>()
        };
        let all: Vec<usize> = (0..texts.len()).collect();
        let parsed = self.run(helm, rewritten, None)?;
        if !parsed.success {
            return Ok(match place(&tidy(&String::from_utf8_lossy(&parsed.stderr))) {
                Some((n, why)) if n < texts.len() => of(&[n], &why),
                _ => of(&all, "it cannot be parsed"),
            });
        }
        let alone = |n: &usize| {
            let run = self.run(helm, std::slice::from_ref(&rewritten[*n]), Some(values()));
            run.is_ok_and(|ended| !ended.success)
        };
        let failing: Vec<usize> = all.iter().take(MOST_ALONE).copied().filter(|n| alone(n)).collect();
        Ok(of(if failing.is_empty() { &all } else { &failing }, UNSAID))
    }
}

/// Of what cannot be parsed (`parse error at (sealed/templates/_t0.tpl:2): words`): which, and line and words.
fn place(said: &str) -> Option<(usize, String)> {
    let (_, rest) = said.split_once("templates/_t")?;
    let (number, rest) = rest.split_once(".tpl:")?;
    let (line, words) = rest.split_once("): ")?;
    Some((number.parse().ok()?, format!("line {line}: {words}")))
}

/// What stands in Helm's engine for a function of the controller's.
fn known(name: &str) -> Result<&str, String> {
    match name {
        // Helm's own reads mappings only.
        "fromJson" => Ok("mustFromJson"),
        name if UNKNOWN.contains(&name) => Err(format!("function \"{name}\" not defined")),
        name => Ok(name),
    }
}

/// The values as Helm reads them: in base64, since a value may be any bytes.
fn given(sealed: &SealedSecret, values: &BTreeMap<Name, Redacted>) -> Redacted {
    let mut text = String::from("{\"values\":{");
    let plain = sealed.template.iter().filter(|(name, _)| !values.contains_key(*name));
    let plain = plain.map(|(name, text)| (name, text.as_bytes()));
    let mut first = true;
    for (name, value) in values.iter().map(|(name, value)| (name, value.expose())).chain(plain) {
        if !std::mem::take(&mut first) {
            text.push(',');
        }
        text.push_str(&Value::from(&**name).to_string());
        text.push_str(":\"");
        STANDARD.encode_string(value, &mut text);
        text.push('"');
    }
    text.push_str("}}");
    Redacted::new(text.into_bytes())
}

/// Each template called with a copy of all values; what they come to in base64.
fn calls(texts: usize) -> String {
    let calls: Vec<String> = (0..texts)
        .map(|n| format!(" (include \"sealed/templates/_t{n}.tpl\" (deepCopy $v) | b64enc)"))
        .collect();
    let calls = calls.concat();
    format!(
        "{{{{- $v := dict }}}}{{{{- range $key, $value := .Values.values }}}}{{{{- $_ := set $v $key (b64dec $value) }}}}{{{{- end }}}}\n\
         {{{{ dict \"apiVersion\" \"portolan.dev/internal\" \"kind\" {KIND:?} \"metadata\" (dict \"name\" \"texts\") \"texts\" (list{calls}) | toJson }}}}\n"
    )
}

fn read(output: &Redacted) -> Option<Vec<Redacted>> {
    let text = std::str::from_utf8(output.expose()).ok()?;
    let found = yaml::load(text).0.into_iter().find(|document| document.json["kind"] == KIND)?;
    let texts = found.json["texts"].as_array()?;
    texts.iter().map(|text| STANDARD.decode(text.as_str()?).ok().map(Redacted::new)).collect()
}
