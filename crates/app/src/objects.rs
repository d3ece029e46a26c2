//! `portolan get`: stored objects with their computed status. No secret value leaves through here.

mod events;
mod kinds;

use std::collections::BTreeSet;

use portolan_effects::store::{Cache, Stored};
use portolan_model::{
    NamespacedName, Object, Redacted,
    intake::{Fact, intake},
    nearest, veil,
};
use portolan_schema::Definitions;
use serde_json::{Value, json};

use crate::{age, cli::Instance, client::Client, columns, instance, out};

/// Which objects are asked for.
#[derive(Debug)]
pub struct Query {
    /// Kind or its plural, in any case; with `.GROUP` or `.VERSION.GROUP` where several groups have it, the core group being
    /// called `core`.
    pub kind: String,
    /// Namespace; `None` for all, and for kinds without one.
    pub namespace: Option<String>,
    /// Name; `None` for all.
    pub name: Option<String>,
}

/// Arguments of `get`.
#[derive(clap::Args)]
pub struct Get {
    /// Kind, its plural or its short name, in any case: gateway, httproutes, cert; services.serving.knative.dev where
    /// several groups have one; `events` for what happened to objects. KIND/NAME names one object
    kind: String,
    /// NAME or NAMESPACE/NAME of one object, or of the object that events are about; all if left out
    name: Option<String>,
    /// Only what stands in this namespace
    #[arg(long, short)]
    namespace: Option<String>,
    /// What stands in all namespaces; so it is without --namespace too
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    all_namespaces: bool,
    #[command(flatten)]
    instance: Instance,
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
    let (kind, name) = match (args.kind.split_once('/'), &args.name) {
        (Some((kind, name)), None) => (kind.to_owned(), Some(name.to_owned())),
        (Some(_), Some(_)) => anyhow::bail!("write KIND/NAME or KIND NAME, not both"),
        (None, name) => (args.kind.clone(), name.clone()),
    };
    if events::asked_for(&kind) {
        return events::get(&args, name.as_deref()).await;
    }
    let named = named(name.as_deref(), args.namespace.as_deref())?;
    let mut path = vec!["objects", &*kind];
    match &named {
        Some((namespace, name)) if namespace.is_empty() => path.push(name),
        Some((namespace, name)) => path.extend([&**namespace, &**name]),
        None => {}
    }
    let client = Client::new(&instance::find(args.instance.state.as_deref())?)?;
    let mut json = client.get(&path).await?;
    let mut namespaces = BTreeSet::new();
    if let (None, Some(namespace), Some(items)) = (&named, &args.namespace, json["items"].as_array_mut()) {
        let of = |item: &Value| item["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        namespaces.extend(items.iter().map(of).filter(|one| !one.is_empty()));
        items.retain(|item| of(item) == *namespace);
    }
    let empty = json["items"].as_array().is_some_and(Vec::is_empty);
    if let (true, Some(namespace)) = (empty, &args.namespace) {
        crate::status::exists(&client, namespace).await?;
    }
    // One object by name is shown alone, as kubectl does.
    let shown = if named.is_some() { &json["items"][0] } else { &json };
    match args.output {
        Output::Table if empty => out::line(&none(&kind, args.namespace.as_deref(), &namespaces))?,
        Output::Table => out::print(&table(&json))?,
        Output::Yaml => out::yaml(shown)?,
        Output::Json => out::json(shown)?,
    }
    Ok(0)
}

/// That none of a kind is in a namespace, and where there are some.
fn none(kind: &str, namespace: Option<&str>, others: &BTreeSet<String>) -> String {
    let others = others.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let place = namespace.map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
    let other = if others.is_empty() { String::new() } else { format!("; there are some in {others}") };
    format!("there are no objects of kind {kind}{place}{other}")
}

/// Namespace and name of what is written as NAME, NAMESPACE/NAME, or NAME with a namespace.
///
/// # Errors
/// When it is none of them.
pub fn named(name: Option<&str>, namespace: Option<&str>) -> anyhow::Result<Option<(String, String)>> {
    let Some(name) = name else { return Ok(None) };
    let (in_name, name) = name.split_once('/').map_or((None, name), |(ns, name)| (Some(ns), name));
    let namespace = match (in_name, namespace) {
        (Some(one), Some(other)) if one != other => {
            anyhow::bail!("{one}/{name} is not in namespace {other}; leave one of the two away")
        }
        (one, other) => one.or(other).unwrap_or_default(),
    };
    for (what, text) in [("name", name), ("namespace", namespace)] {
        let good = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':'));
        let empty = text.is_empty() && (what == "name" || in_name.is_some());
        anyhow::ensure!(
            good && !empty && !matches!(text, "." | ".."),
            "{text:?} is no {what} of an object; write NAME or NAMESPACE/NAME"
        );
    }
    Ok(Some((namespace.to_owned(), name.to_owned())))
}

/// A Certificate as NAME or NAMESPACE/NAME, also where its kind is written before it, as `get` and `prune` have it.
///
/// # Errors
/// When another kind is written.
pub fn of_certificate(text: &str) -> anyhow::Result<&str> {
    let Some((kind, rest)) = text.split_once('/') else { return Ok(text) };
    // Two words are namespace and name, and no namespace begins with a capital.
    if !rest.contains('/') && !kind.starts_with(|c: char| c.is_ascii_uppercase()) {
        return Ok(text);
    }
    let lower = kind.to_ascii_lowercase();
    let (word, group) = lower.split_once('.').unwrap_or((&lower, "cert-manager.io"));
    anyhow::ensure!(
        is_kind("Certificate", kinds::full(word)) && group.ends_with("cert-manager.io"),
        "{kind} is no Certificate: write NAMESPACE/NAME of one; they are listed by: portolan get certificates"
    );
    Ok(rest)
}

/// The objects that a query names.
///
/// # Errors
/// A sentence if there is none.
pub fn find(store: &dyn Cache, query: &Query) -> Result<Value, String> {
    if events::asked_for(&query.kind) {
        return events::find(store, query);
    }
    let of_kind = of_kind(store, &query.kind);
    if of_kind.is_empty() {
        if query.name.is_none() && is_known(store, &query.kind) {
            return Ok(json!({"items": []}));
        }
        return Err(no_kind(store, &query.kind));
    }
    let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
    let items: Vec<&Stored> = of_kind
        .into_iter()
        // Of a kind without namespaces it says nothing, as for kubectl.
        .filter(|s| {
            let own = &s.object.key.name.namespace;
            own.is_empty() && query.name.is_some() || fits(&query.namespace, own)
        })
        .filter(|s| fits(&query.name, &s.object.key.name.name))
        .collect();
    let items = match (&items[..], &query.name, &query.namespace) {
        // NAME alone of a kind with namespaces: the only one of that name is meant.
        ([one, two, ..], Some(name), None) => {
            let places = [one, two].map(|stored| stored.object.key.name.to_string()).join(", ");
            return Err(format!("several are called {name} ({places}, …); write NAMESPACE/NAME"));
        }
        _ => items,
    };
    let items: Vec<Value> = items.into_iter().map(|stored| show(store, stored)).collect();
    if items.is_empty() {
        let namespace = query.namespace.as_ref().map(|n| format!("{n}/")).unwrap_or_default();
        let name = query.name.as_deref().unwrap_or("*");
        let kind = query.kind.to_ascii_lowercase();
        let near = near(store, &kind, query.namespace.as_deref(), name);
        return Err(format!("{} {namespace}{name} does not exist{near}", query.kind));
    }
    Ok(json!({"items": items}))
}

/// The namespaces that there are: by a Namespace, or by what stands in one.
pub fn namespaces(store: &dyn Cache) -> Value {
    let of = |stored: &Stored| {
        let key = &stored.object.key;
        if key.kind.is("", "Namespace") { key.name.name.to_string() } else { key.name.namespace.to_string() }
    };
    let all: BTreeSet<String> = store.list().map(of).filter(|name| !name.is_empty()).collect();
    json!({"items": all})
}

/// Kinds with their groups and plurals, in small letters: those that are packed, and those that the repository defines.
fn kinds(store: &dyn Cache) -> BTreeSet<[String; 3]> {
    let small = |texts: [&str; 3]| texts.map(str::to_ascii_lowercase);
    let packed = Definitions::packed().map(|one| small([&one.kind, &one.plural, &one.group]));
    let defined = store
        .list()
        .filter(|stored| stored.object.key.kind.is("apiextensions.k8s.io", "CustomResourceDefinition"));
    let defined = defined.map(|stored| {
        let text = |pointer| {
            stored.object.json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let of = ["/spec/names/kind", "/spec/names/plural", "/spec/group"].map(text);
        small([&of[0], &of[1], &of[2]])
    });
    packed.chain(defined).collect()
}

/// Whether there is such a kind, with or without objects.
fn is_known(store: &dyn Cache, wanted: &str) -> bool {
    let wanted = wanted.to_ascii_lowercase();
    let (name, group) = match wanted.split_once('.') {
        Some((name, group)) => (name, Some(group)),
        None => (&*wanted, None),
    };
    let name = kinds::full(name);
    kinds(store).iter().any(|[kind, plural, of]| {
        let in_group = group.is_none_or(|group| {
            group == of
                || of.is_empty() && group == "core"
                || group.strip_suffix(&**of).is_some_and(|version| version.ends_with('.'))
        });
        in_group && (plural == name || is_kind(kind, name))
    })
}

/// What to say of a kind that there is not, or of which none is stored.
fn no_kind(store: &dyn Cache, wanted: &str) -> String {
    if is_known(store, wanted) {
        return format!("no object of kind {wanted} is stored");
    }
    let stored: BTreeSet<String> = store.list().map(|s| s.object.key.kind.to_string()).collect();
    let known = kinds(store);
    // Those that are stored are meant most often.
    let small: BTreeSet<String> = stored.iter().map(|kind| kind.to_ascii_lowercase()).collect();
    let near = nearest(wanted, small.iter().map(String::as_str)).or_else(|| {
        nearest(wanted, known.iter().flat_map(|[kind, plural, _]| [plural, kind]).map(|one| &**one))
    });
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let stored = stored.into_iter().collect::<Vec<_>>().join(", ");
    format!("there is no kind {wanted}{near}; stored are: {stored}")
}

/// What to say of an object that there is not.
pub fn missing(store: &dyn Cache, kind: &str, name: &NamespacedName) -> String {
    let near = near(store, &kind.to_ascii_lowercase(), Some(&name.namespace), &name.name);
    format!("{kind} {name} does not exist{near}")
}

/// The name that may be meant (the nearest of the namespace, else the same of another), else how to list what there is.
fn near(store: &dyn Cache, kind: &str, namespace: Option<&str>, name: &str) -> String {
    let all: Vec<&NamespacedName> =
        of_kind(store, kind).into_iter().map(|stored| &stored.object.key.name).collect();
    let own = all.iter().filter(|one| namespace.is_none_or(|namespace| *one.namespace == *namespace));
    let found = nearest(name, own.clone().map(|one| &*one.name));
    let found = found.and_then(|found| own.clone().find(|one| &*one.name == found));
    match found.or_else(|| all.iter().find(|one| &*one.name == name)) {
        Some(meant) => format!("; did you mean {}?", meant.to_string().trim_start_matches('/')),
        None => format!("; they are listed by: portolan get {kind}"),
    }
}

/// The objects of a kind. Where several groups have a kind of the name, those of one: the kind that the name commonly
/// means, else the first group in order; the others are asked for as `services.serving.knative.dev`.
fn of_kind<'a>(store: &'a dyn Cache, wanted: &str) -> Vec<&'a Stored> {
    let wanted = wanted.to_ascii_lowercase();
    let (name, group) = match wanted.split_once('.') {
        Some((name, group)) => (name, Some(group)),
        None => (&*wanted, None),
    };
    let name = kinds::full(name);
    let in_group = |object: &Object| {
        let own = &*object.key.kind.group;
        // As kinds are shown, and as nobody else can be called: a group has a dot, or is one of Kubernetes'.
        let core = own.is_empty() && group == Some("core");
        core || group.is_none_or(|group| group == own || group == format!("{}.{own}", object.version))
    };
    let mut found: Vec<&Stored> = store
        .list()
        .filter(|stored| is_kind(&stored.object.key.kind.kind, name) && in_group(&stored.object))
        .collect();
    let kind = |stored: &&Stored| stored.object.key.kind.clone();
    let first = found.iter().map(kind).min_by_key(|kind| (kind.is_namesake(), kind.group.clone()));
    found.retain(|stored| Some(kind(stored)) == first);
    found
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

fn show(store: &dyn Cache, stored: &Stored) -> Value {
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
    let known = match &taken.fact {
        Some(Fact::Secret(secret)) => Some(secret),
        _ => None,
    };
    if veil::means_secret(&object.json) {
        // What may be shown of a value: the fingerprint that all of Portolan's output uses.
        for (field, values) in map.iter_mut() {
            match (field.as_str(), known) {
                ("apiVersion" | "kind" | "metadata" | "type" | "immutable", _) => {}
                ("data" | "stringData", Some(secret)) => {
                    for (key, value) in values.as_object_mut().into_iter().flatten() {
                        *value =
                            secret.data.get(key.as_str()).map_or(Value::Null, |v| format!("{v:?}").into());
                    }
                }
                _ => hide(values),
            }
        }
    } else {
        map.values_mut().for_each(hide_fields);
    }
    match store.status(&object.key) {
        Some(status) => map.insert("status".into(), status),
        None => map.remove("status"),
    };
    json
}

/// Every text below as its fingerprint: a SealedSecret may hold by mistake what it should have sealed.
fn hide(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(map) => map.values_mut().for_each(hide),
        Value::Null | Value::Bool(_) => {}
        value => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            *value = format!("{:?}", Redacted::from(&*text)).into();
        }
    }
}

/// What stands right in a field that holds a secret, such as the password of a keystore.
fn hide_fields(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(hide_fields),
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(_) | Value::Number(_) if veil::is_secret_field(key) => hide(value),
                    value => hide_fields(value),
                }
            }
        }
        _ => {}
    }
}

fn table(json: &Value) -> String {
    let heads = ["NAMESPACE", "NAME", "AGE", "CONDITIONS", "MESSAGE"];
    let mut table = columns::Columns::new(heads).optional(&["AGE", "NAMESPACE"]);
    for item in json["items"].as_array().into_iter().flatten() {
        let (words, message) = summary(&item["status"]);
        let text =
            |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let age = age::since(&text("/metadata/creationTimestamp"));
        table.row([text("/metadata/namespace"), text("/metadata/name"), age, words, message]);
    }
    table.lines()
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
