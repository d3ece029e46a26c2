//! `portolan get`: stored objects with their computed status. No secret value leaves through here.

mod events;

use std::path::PathBuf;

use portolan_effects::store::{Store, Stored};
use portolan_model::intake::{Fact, intake};
use serde_json::{Value, json};

use crate::{client::Client, columns, instance};

/// Which objects are asked for.
#[derive(Debug)]
pub struct Query {
    /// Kind or its plural, in any case.
    pub kind: String,
    /// Namespace; `None` for all, and for kinds without one.
    pub namespace: Option<String>,
    /// Name; `None` for all.
    pub name: Option<String>,
}

/// Arguments of `get`.
#[derive(clap::Args)]
pub struct Get {
    /// Kind or its plural, in any case: gateway, httproutes, Certificate; `events` for what happened to objects
    kind: String,
    /// NAMESPACE/NAME of one object, or of the object that events are about (NAME alone for kinds without a namespace); all if left out
    name: Option<String>,
    /// State directory of the instance. Default: the only one that runs
    #[arg(long)]
    state: Option<PathBuf>,
    /// Form of the output
    #[arg(long, short, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Table,
    Yaml,
    Json,
}

/// `portolan get`.
///
/// # Errors
/// When the instance does not answer, or has no such object.
pub async fn get(args: Get) -> anyhow::Result<u8> {
    let mut path = format!("/v1/objects/{}", args.kind);
    if let Some(name) = &args.name {
        path = format!("{path}/{name}");
    }
    let json = Client::new(&instance::find(args.state)?)?.get(&path).await?;
    // One object by name is shown alone, as kubectl does.
    let alone = args.name.is_some() && !events::asked_for(&args.kind);
    let shown = if alone { &json["items"][0] } else { &json };
    match args.output {
        Output::Table if events::asked_for(&args.kind) => anstream::print!("{}", events::table(&json)),
        Output::Table => anstream::print!("{}", table(&json)),
        Output::Yaml => anstream::print!("{}", serde_saphyr::to_string(shown)?),
        Output::Json => anstream::println!("{}", serde_json::to_string_pretty(shown)?),
    }
    Ok(0)
}

/// The objects that a query names.
///
/// # Errors
/// A sentence if there is none.
pub fn find(store: &Store, query: &Query) -> Result<Value, String> {
    if events::asked_for(&query.kind) {
        return Ok(events::find(store, query));
    }
    let wanted = query.kind.to_ascii_lowercase();
    let of_kind: Vec<&Stored> =
        store.list().filter(|stored| is_kind(&stored.object.key.kind.kind, &wanted)).collect();
    if of_kind.is_empty() {
        let mut kinds: Vec<&str> = store.list().map(|s| &*s.object.key.kind.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        return Err(format!("no object of kind {} is stored; stored are: {}", query.kind, kinds.join(", ")));
    }
    let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
    let items: Vec<Value> = of_kind
        .into_iter()
        .filter(|s| fits(&query.namespace, &s.object.key.name.namespace))
        .filter(|s| fits(&query.name, &s.object.key.name.name))
        .map(|stored| show(store, stored))
        .collect();
    if items.is_empty() {
        let namespace = query.namespace.as_ref().map(|n| format!("{n}/")).unwrap_or_default();
        return Err(format!(
            "{} {namespace}{} does not exist",
            query.kind,
            query.name.as_deref().unwrap_or("*")
        ));
    }
    Ok(json!({"items": items}))
}

/// Whether `wanted` (lower-case) is the kind or its English plural.
fn is_kind(kind: &str, wanted: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    let plural = match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if kind.ends_with('s') => format!("{kind}es"),
        None => format!("{kind}s"),
    };
    // `gateway` ends in a y after a vowel.
    kind == wanted || plural == wanted || format!("{kind}s") == wanted
}

fn show(store: &Store, stored: &Stored) -> Value {
    let object = &stored.object;
    let mut json = object.stamped();
    let Some(map) = json.as_object_mut() else { return json };
    let taken = intake(object);
    if !taken.ours {
        // Nobody knows which values of a foreign kind are secret (an env of a Deployment, values of a chart).
        map.retain(|key, _| matches!(key.as_str(), "apiVersion" | "kind" | "metadata"));
    }
    if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut)
        && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
    {
        // kubectl's copy of the whole object, values of Secrets included.
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    if let Some(Fact::Secret(secret)) = &taken.fact {
        // What may be shown of a value: the fingerprint that all of Portolan's output uses.
        for field in ["data", "stringData"] {
            for (key, value) in map.get_mut(field).and_then(Value::as_object_mut).into_iter().flatten() {
                *value = secret.data.get(key.as_str()).map_or(Value::Null, |v| format!("{v:?}").into());
            }
        }
    }
    match store.status(&object.key) {
        Some(status) => map.insert("status".into(), status),
        None => map.remove("status"),
    };
    json
}

fn table(json: &Value) -> String {
    let mut table = columns::table(["NAMESPACE", "NAME", "CONDITIONS", "MESSAGE"]);
    for item in json["items"].as_array().into_iter().flatten() {
        let (words, message) = summary(&item["status"]);
        let text =
            |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        table.add_row([text("/metadata/namespace"), text("/metadata/name"), words, message]);
    }
    columns::lines(&table)
}

/// All conditions in one line, and the message of the first that is not good.
fn summary(status: &Value) -> (String, String) {
    let mut words: Vec<String> = Vec::new();
    let mut message = String::new();
    let parts = status["parents"].as_array().into_iter().flatten().chain(std::iter::once(status));
    for condition in parts.flat_map(|part| part["conditions"].as_array().into_iter().flatten()) {
        let text = |key: &str| condition[key].as_str().unwrap_or_default();
        let good = text("status") == "True";
        let word = if good {
            text("type").to_owned()
        } else {
            format!("{}={}({})", text("type"), text("status"), text("reason"))
        };
        if !words.contains(&word) {
            words.push(word);
        }
        if !good && message.is_empty() {
            text("message").clone_into(&mut message);
        }
    }
    // Orders and Challenges have a state instead.
    if words.is_empty()
        && let Some(state) = status["state"].as_str()
    {
        return (state.to_owned(), status["reason"].as_str().unwrap_or_default().to_owned());
    }
    (words.join(" "), message)
}

#[cfg(test)]
mod tests;
