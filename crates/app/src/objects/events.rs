//! `portolan get events`: what happened to objects, as `kubectl get events` shows it.

use portolan_effects::store::{Cache, Recorded};
use serde_json::{Value, json};

use super::{Get, Output, Query};
use crate::{age, client::Client, columns::Columns, instance, out};

/// Whether a query asks for events.
pub(super) fn asked_for(kind: &str) -> bool {
    ["event", "events"].iter().any(|name| kind.eq_ignore_ascii_case(name))
}

/// The events of a query: all, or those about objects of a namespace and name. Oldest first.
///
/// # Errors
/// A sentence if there is no such object, and was none that had a finding.
pub(super) fn find(store: &dyn Cache, query: &Query) -> Result<Value, String> {
    let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
    let events = store.events(None);
    let fitting = events.iter().filter(|recorded| {
        let name = &recorded.event.regarding.name;
        fits(&query.namespace, &name.namespace) && fits(&query.name, &name.name)
    });
    let items: Vec<Value> = fitting.map(Recorded::json).collect();
    let stored = || {
        let mut names = store.list().map(|stored| &stored.object.key.name);
        names.any(|name| fits(&query.namespace, &name.namespace) && fits(&query.name, &name.name))
    };
    if let Some(name) = query.name.as_ref().filter(|_| items.is_empty() && !stored()) {
        let name =
            query.namespace.as_ref().map_or_else(|| name.clone(), |namespace| format!("{namespace}/{name}"));
        return Err(format!(
            "there is no object {name}, and none of that name had a finding since the start"
        ));
    }
    Ok(json!({"kind": "EventList", "items": items}))
}

/// What is written as NAME, NAMESPACE/NAME, KIND/NAME or KIND/NAMESPACE/NAME: the kind, if there is one, and the rest. No namespace
/// begins with a capital.
fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((kind, rest)) if rest.contains('/') || kind.starts_with(|c: char| c.is_ascii_uppercase()) => {
            (Some(kind), rest)
        }
        _ => (None, text),
    }
}

/// Whether an event is about an object of a kind as it was typed, with or without its group.
fn is_about(event: &Value, kind: &str) -> bool {
    let lower = kind.to_ascii_lowercase();
    let word = lower.split('.').next().unwrap_or_default();
    event["involvedObject"]["kind"].as_str().is_some_and(|own| super::is_kind(own, super::kinds::full(word)))
}

/// `portolan get events`.
///
/// # Errors
/// When the instance does not answer, or there is no such object or namespace.
pub(super) async fn get(args: &Get, name: Option<&str>) -> anyhow::Result<u8> {
    let (mut kind, text) = name.map_or((None, None), |name| {
        let (kind, rest) = split(name);
        (kind, Some(rest))
    });
    let mut named = super::named(text, args.namespace.as_deref())?;
    let client = Client::new(&instance::find(args.instance.state.as_deref())?)?;
    let mut answer = ask(&client, named.as_ref()).await;
    // `httproute/app1`: no namespace of the name, and a kind.
    if let (true, None, Some((first, own))) =
        (answer.is_err(), kind, text.and_then(|text| text.split_once('/')))
        && client.get(&["objects", first, own]).await.is_ok()
    {
        kind = Some(first);
        named = super::named(Some(own), args.namespace.as_deref())?;
        answer = ask(&client, named.as_ref()).await;
    }
    let path = |kind| {
        let (namespace, name) = named.as_ref()?;
        Some(
            ["objects", kind, namespace, name]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>(),
        )
    };
    // There is none because nothing was found, or because there is no such object: the latter is said.
    let of_kind = kind.and_then(path);
    if let (Err(_), Some(path)) = (&answer, &of_kind) {
        client.get(path).await?;
    }
    let mut json = answer?;
    if let Some(items) = json["items"].as_array_mut() {
        items.retain(|item| {
            let of = |field: &str| item["involvedObject"][field].as_str().unwrap_or_default();
            kind.is_none_or(|kind| is_about(item, kind))
                && (named.is_some()
                    || args.namespace.as_deref().is_none_or(|namespace| of("namespace") == namespace))
        });
    }
    let empty = json["items"].as_array().is_some_and(Vec::is_empty);
    if let Some(path) = of_kind.filter(|_| empty) {
        client.get(&path).await?;
    }
    if let (true, None, Some(namespace)) = (empty, &named, &args.namespace) {
        crate::status::exists(&client, namespace).await?;
    }
    match (args.output, &named, &args.namespace) {
        (Output::Table, Some(_), _) if empty => {
            out::line("there are no events of it: it had no finding since the start")?;
        }
        (Output::Table, None, Some(namespace)) if empty => {
            out::line(&format!(
                "there are no events: no object of namespace {namespace} had a finding since the start"
            ))?;
        }
        (Output::Table, None, None) if empty => {
            out::line("there are no events: no object had a finding since the start")?;
        }
        (Output::Table, ..) => out::print(&table(&json))?,
        (Output::Yaml, ..) => out::yaml(&json)?,
        (Output::Json, ..) => out::json(&json)?,
    }
    Ok(0)
}

async fn ask(client: &Client, named: Option<&(String, String)>) -> anyhow::Result<Value> {
    let mut path = vec!["objects", "events"];
    if let Some((namespace, name)) = named {
        path.extend((!namespace.is_empty()).then_some(&**namespace));
        path.push(name);
    }
    client.get(&path).await
}

/// The table of a list of events.
pub(super) fn table(json: &Value) -> String {
    let heads = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"];
    let mut table = Columns::new(heads).optional(&["COUNT", "TYPE"]);
    for item in json["items"].as_array().into_iter().flatten() {
        let text =
            |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let object = ["/involvedObject/kind", "/involvedObject/namespace", "/involvedObject/name"].map(text);
        let object: Vec<&str> = object.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        table.row([
            age::since(&text("/lastTimestamp")),
            text("/type"),
            text("/reason"),
            object.join("/"),
            item["count"].to_string(),
            text("/message"),
        ]);
    }
    table.lines()
}
