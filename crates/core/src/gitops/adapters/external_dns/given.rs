//! What external-dns is given in the end: the chart's values as the flags that the chart makes of them, then `extraArgs`, then
//! variables of the environment (`EXTERNAL_DNS_…`) for flags that are not set; of a workload what its container is given. Read as its
//! own parser does (kingpin): a flag that it does not know, that is repeated although it is no list, or whose value is of another
//! form, ends it.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Severity, nearest};
use serde_json::Value;

use super::{
    super::{Form as From, Reader, standing, words},
    flags::{self, Effect, Form},
    stop, text, values,
};
use crate::{dns::annotations::go_duration_seconds, gitops::ledger::Fate};

/// How its variables begin.
const VARIABLES: &str = "EXTERNAL_DNS_";

/// Since then there is no default for `--policy`.
const POLICY_CHOSEN: u32 = 22;

/// Why flags that cannot change a record here have no effect.
const PROVIDER: &str = "about the provider's API, logs and pace; the embedded zones need none";

/// One argument as it was written.
struct Argument {
    name: String,
    value: Option<String>,
    field: String,
}

/// Flags by name, with their values in order, and where each was set first.
#[derive(Default)]
pub(super) struct Given {
    flags: BTreeMap<&'static str, (Vec<String>, String)>,
    /// What it is given is not known, which was filed.
    pub unread: bool,
    /// Flags whose value is set from elsewhere.
    elsewhere: BTreeSet<&'static str>,
}

impl Given {
    /// Values of a list.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.flags.get(name).map(|(values, _)| values.clone()).unwrap_or_default()
    }

    /// Value of a flag that is no list; empty if it is not set.
    pub fn text(&self, name: &str) -> String {
        self.list(name).pop().unwrap_or_default()
    }

    /// Whether a switch is on.
    pub fn on(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// Whether a flag is set, also to nothing.
    pub fn is_set(&self, name: &str) -> bool {
        self.flags.contains_key(name)
    }

    /// Whether a flag has a value that is not known here.
    pub fn is_elsewhere(&self, name: &str) -> bool {
        self.elsewhere.contains(name)
    }

    /// Where a flag is set.
    pub fn field(&self, name: &str) -> String {
        self.field_or(name, &format!("extraArgs.{name}"))
    }

    /// As [`field`](Self::field), of a flag for which the chart has a value of its own.
    pub fn field_or(&self, name: &str, value: &str) -> String {
        self.flags.get(name).map_or_else(|| value.to_owned(), |(_, field)| field.clone())
    }
}

/// Reads all arguments. What ends or narrows external-dns and is not followed is filed.
pub(super) fn read(reader: &mut Reader<'_>) -> Given {
    let mut given = Given::default();
    let arguments = if reader.values.form == From::Workload {
        let arguments = workload(reader);
        given.unread = arguments.is_none();
        arguments.unwrap_or_default()
    } else {
        let mut arguments = chart(reader);
        extra(reader, &mut arguments);
        arguments
    };
    let variables = words::variables(reader.values);
    for argument in arguments {
        if let Some(argument) = known(reader, &variables, argument) {
            take(reader, &mut given, argument);
        }
    }
    environment(reader, &mut given, &variables);
    if reader.values.form == From::Workload {
        own_defaults(reader, &mut given);
    }
    given
}

/// What a container is given.
fn workload(reader: &mut Reader<'_>) -> Option<Vec<Argument>> {
    if let Some(standing::Idle { field, why, refused }) = standing::is_idle(reader.values) {
        let severity = if refused { Severity::Error } else { Severity::Warning };
        super::stop_with(reader, severity, &field, &format!("{why}, so it does not run"));
    }
    if let Some(field) = words::from_elsewhere(reader.values, VARIABLES) {
        let message = format!("{field} may set any of its flags ({VARIABLES}…) to what is not known here");
        stop(reader, &field, &message);
    }
    match words::words(reader.values, "external-dns") {
        Ok(words) => Some(arguments(reader, words.into_iter().map(|word| (word.field, word.text)).collect())),
        Err((field, why)) => {
            stop(reader, &field, &why);
            None
        }
    }
}

/// What external-dns itself takes where nobody says anything (`defaultConfig`).
fn own_defaults(reader: &mut Reader<'_>, given: &mut Given) {
    if given.text("provider").is_empty() && !given.unread {
        stop(reader, "args", "it would not start: required flag --provider not provided");
    }
    let old = super::version(reader.values).is_none_or(|minor| minor < POLICY_CHOSEN);
    for (flag, value, applies) in [("registry", "txt", true), ("policy", "sync", old)] {
        if applies && given.text(flag).is_empty() {
            given.flags.insert(flag, (vec![value.to_owned()], format!("args --{flag}")));
        }
    }
}

/// The argument, if it is known what it says: one whose value is set from elsewhere stops the component, unless it changes nothing here.
fn known(reader: &mut Reader<'_>, variables: &words::Variables, argument: Argument) -> Option<Argument> {
    let value = argument.value.as_deref().unwrap_or_default();
    // Those of a chart are filled in by the kubelet too.
    let (filled, _) = match reader.values.form {
        From::Workload => (value.to_owned(), false),
        _ => words::fill(value, variables),
    };
    if !words::is_from_elsewhere(&format!("{} {filled}", argument.name), variables) {
        return Some(Argument { value: argument.value.map(|_| filled), ..argument });
    }
    match flags::find(&argument.name) {
        Some((_, Form::Text | Form::List, Effect::Nothing)) => Some(argument),
        Some((.., Effect::Nothing)) => None,
        _ => {
            let message = format!("--{} is set from elsewhere: {value:?}", argument.name);
            stop(reader, &argument.field, &message);
            None
        }
    }
}

/// The chart's own values.
fn chart(reader: &mut Reader<'_>) -> Vec<Argument> {
    let mut arguments = Vec::new();
    for (path, flag) in values::FLAGS {
        let Some((name, form, _)) = flags::find(flag) else { continue };
        let Some(value) = reader.take(path) else { continue };
        let mut add = |value| {
            arguments.push(Argument { name: name.to_owned(), value, field: (*path).to_owned() });
        };
        match (form, value) {
            (Form::Switch, Value::Bool(true)) => add(None),
            (Form::Switch, Value::Bool(false)) => {}
            (Form::List, Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    match scalar(item) {
                        Some(text) => add(Some(text)),
                        None => not_text(reader, &format!("{path}[{at}]"), item),
                    }
                }
            }
            (Form::Switch | Form::List, other) => {
                let wanted = if form == Form::List { "a list" } else { "a boolean" };
                let is = super::super::kind(other);
                stop(reader, path, &format!("{path} is {is}, not {wanted}"));
            }
            (_, Value::String(text)) if text.is_empty() => {}
            (_, Value::String(text)) => add(Some(text.clone())),
            // The chart of Bitnami has no schema.
            (_, other) => match scalar(other).filter(|_| is_bitnami(&reader.values.version)) {
                Some(text) => add(Some(text)),
                None => not_text(reader, path, other),
            },
        }
    }
    // `provider: google` in older charts, `provider: {name: google}` since.
    let path = if reader.values.values.get("provider").is_some_and(Value::is_string) {
        "provider"
    } else {
        "provider.name"
    };
    let provider = reader.text(path).unwrap_or_else(|| "aws".to_owned());
    arguments.push(Argument { name: "provider".into(), value: Some(provider), field: path.into() });
    namespace(reader, &mut arguments);
    // What the chart says where nobody else does.
    for (path, name, value) in [
        ("registry", "registry", "txt"),
        ("interval", "interval", "1m"),
        ("logLevel", "log-level", "info"),
        ("logFormat", "log-format", "text"),
    ] {
        if !arguments.iter().any(|argument| argument.field == path) {
            arguments.push(Argument { name: name.into(), value: Some(value.into()), field: path.into() });
        }
    }
    if reader.values.values.get("sources").is_none() {
        for source in ["service", "ingress"] {
            let (name, value) = ("source".to_owned(), Some(source.to_owned()));
            arguments.push(Argument { name, value, field: "sources".into() });
        }
    }
    let keys = reader.values.values.as_object().into_iter().flatten();
    let misspelt: Vec<_> = keys.filter_map(|(key, _)| Some((key, values::meant(key)?))).collect();
    for (key, meant) in misspelt {
        let message = format!("{key} is no value of the chart; {meant} may be meant");
        stop(reader, key, &message);
    }
    arguments
}

/// `namespaced` and `sourceNamespace`.
fn namespace(reader: &mut Reader<'_>, arguments: &mut Vec<Argument>) {
    let other = reader.text("sourceNamespace");
    for path in ["namespaced", "watchReleaseNamespace"] {
        let value = reader.take(path);
        if let Some(other) = value.filter(|value| !value.is_boolean()) {
            let is = super::super::kind(other);
            stop(reader, path, &format!("{path} is {is}, not a boolean"));
        }
        if value.is_some_and(|value| !matches!(value, Value::Bool(false))) {
            let namespace = reader.text("namespaceOverride");
            let namespace =
                other.clone().or(namespace).unwrap_or_else(|| reader.values.namespace.to_string());
            arguments.push(Argument { name: "namespace".into(), value: Some(namespace), field: path.into() });
        }
    }
}

fn not_text(reader: &mut Reader<'_>, field: &str, value: &Value) {
    let is = super::super::kind(value);
    stop(reader, field, &format!("{field} is {is}, not text"));
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// `extraArgs`, as a list (`--a=b`, or `--a` and `b` apart) or as a mapping, with Helm's templates filled in.
fn extra(reader: &mut Reader<'_>, arguments: &mut Vec<Argument>) {
    let values = reader.values;
    let filled = |reader: &mut Reader<'_>, field: &str, value: &str| match text::fill(value, values) {
        Ok(text) => Some(text),
        Err(why) => {
            stop(reader, field, &format!("{field} {value:?} cannot be filled in: {why}"));
            None
        }
    };
    match reader.take("extraArgs") {
        None => {}
        Some(Value::Array(items)) => {
            let mut words = Vec::new();
            for (at, item) in items.iter().enumerate() {
                let field = format!("extraArgs[{at}]");
                match item.as_str() {
                    Some(item) => words.extend(filled(reader, &field, item).map(|text| (field, text))),
                    // The chart gives it to `tpl`, which takes text alone.
                    None => not_text(reader, &field, item),
                }
            }
            arguments.extend(self::arguments(reader, words));
        }
        Some(Value::Object(map)) => {
            for (name, value) in map {
                let field = format!("extraArgs.{name}");
                let mut add = |name: String, value| {
                    arguments.push(Argument { name, value, field: field.clone() });
                };
                match value {
                    Value::Null | Value::Bool(true) => add(name.clone(), None),
                    Value::Bool(false) => add(format!("no-{name}"), None),
                    Value::Array(items) => {
                        for item in items {
                            match scalar(item) {
                                Some(text) => {
                                    if let Some(text) = filled(reader, &field, &text) {
                                        add(name.clone(), Some(text));
                                    }
                                }
                                None => not_text(reader, &field, item),
                            }
                        }
                    }
                    other => match scalar(other) {
                        Some(text) => {
                            if let Some(text) = filled(reader, &field, &text) {
                                add(name.clone(), Some(text));
                            }
                        }
                        None => not_text(reader, &field, other),
                    },
                }
            }
        }
        Some(other) => {
            let is = super::super::kind(other);
            stop(reader, "extraArgs", &format!("extraArgs is {is}, not a list"));
        }
    }
}

/// Whether the version is one of Bitnami's chart, which has the same name: upstream's is 1.N.
fn is_bitnami(version: &str) -> bool {
    let digits: String =
        version.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse::<u32>().is_ok_and(|major| major > 1)
}

/// Words of a command line, with where each stands, as arguments.
fn arguments(reader: &mut Reader<'_>, words: Vec<(String, String)>) -> Vec<Argument> {
    let mut arguments = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some((field, word)) = words.next() {
        let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) else {
            stop(reader, &field, &format!("{field} {word:?} is no flag"));
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, words.next_if(|(_, next)| !next.starts_with('-')).map(|(_, value)| value)),
        };
        arguments.push(Argument { name: name.to_owned(), value, field });
    }
    arguments
}

/// Takes one argument, as external-dns would.
fn take(reader: &mut Reader<'_>, given: &mut Given, argument: Argument) {
    let Argument { name, value, field } = argument;
    let found = flags::find(&name).map(|found| (found, true));
    let negated = || Some((flags::find(name.strip_prefix("no-")?)?, false));
    let Some(((flag, form, effect), positive)) = found.or_else(negated) else {
        let meant = nearest(&name, flags::all().map(|(name, ..)| name));
        let meant = meant.map(|meant| format!("; --{meant} may be meant")).unwrap_or_default();
        stop(reader, &field, &format!("it has no flag --{name}{meant}"));
        return;
    };
    let wrong = match (form, &value) {
        (Form::Switch, Some(_)) => Some("takes no value".to_owned()),
        (Form::Switch, None) => None,
        (_, None) => Some("needs a value".to_owned()),
        _ if !positive => Some("is no switch, so it has no such form".to_owned()),
        (_, Some(value)) => of_form(form, value),
    };
    if let Some(wrong) = wrong {
        stop(reader, &field, &format!("it would not start: --{name} {wrong}"));
        return;
    }
    let value = value.unwrap_or_else(|| positive.to_string());
    if form != Form::List && given.flags.contains_key(flag) {
        let first = given.field(flag);
        let message = format!("it would not start: --{flag} is set twice, by {first} and by {field}");
        stop(reader, &field, &message);
        return;
    }
    effective(reader, flag, effect, &value, &field);
    let (values, _) = given.flags.entry(flag).or_insert_with(|| (Vec::new(), field));
    values.push(value);
}

fn of_form(form: Form, value: &str) -> Option<String> {
    let fits = match form {
        Form::Number => value.parse::<i64>().is_ok(),
        Form::Duration => {
            go_duration_seconds(value.strip_prefix('-').unwrap_or(value)).is_some() || value == "0"
        }
        Form::Choice(choices) => choices.contains(&value),
        Form::Text | Form::List | Form::Switch => true,
    };
    match form {
        _ if fits => None,
        Form::Number => Some("is no whole number".to_owned()),
        Form::Duration => Some("is no duration such as 5m".to_owned()),
        Form::Choice(choices) => {
            let near = nearest(value, choices.iter().copied().filter(|choice| !choice.is_empty()));
            let near = near.map_or_else(String::new, |near| format!("; {near} may be meant"));
            Some(format!("has a value that is not one of those that it may have: {value:?}{near}"))
        }
        _ => None,
    }
}

/// Says what a flag narrows that is not followed, or that it has no effect.
fn effective(reader: &mut Reader<'_>, flag: &str, effect: Effect, value: &str, field: &str) {
    match effect {
        Effect::Stops(_) if value.is_empty() || value == "false" => {}
        Effect::Stops(what) => {
            stop(reader, field, &format!("--{flag} is not followed: {what}"));
        }
        Effect::Zones if value.eq_ignore_ascii_case("private") => {
            let message = format!(
                "--{flag}={value} is not followed: the zones here stand for the public ones of the provider"
            );
            stop(reader, field, &message);
        }
        Effect::Zones | Effect::Read => {}
        Effect::Nothing if field.starts_with("extraArgs") => {
            reader.given.push((Fate::Irrelevant, PROVIDER, format!("extraArgs --{flag}")));
        }
        Effect::Nothing if reader.values.form == From::Workload => {
            reader.given.push((Fate::Irrelevant, PROVIDER, format!("args --{flag}")));
        }
        Effect::Nothing
            if reader.values.values.pointer(&format!("/{}", field.replace('.', "/"))).is_none() => {}
        Effect::Nothing => reader.given.push((Fate::Irrelevant, PROVIDER, field.to_owned())),
    }
}

/// `env`: a variable stands for a flag that is not set otherwise, and is read as strictly; an empty one is none (kingpin).
fn environment(reader: &mut Reader<'_>, given: &mut Given, set: &words::Variables) {
    let variables: Vec<&Value> =
        reader.values.values.get("env").and_then(Value::as_array).into_iter().flatten().collect();
    let named =
        |variable: &Value| variable.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (at, variable) in variables.iter().enumerate() {
        let name = named(variable);
        // Of two of one name the last is set.
        if variables[at + 1..].iter().any(|later| named(later) == name) {
            continue;
        }
        let Some(flag) = name.strip_prefix(VARIABLES) else { continue };
        let flag = flag.to_ascii_lowercase().replace('_', "-");
        let Some((flag, form, effect)) =
            flags::find(&flag).filter(|(flag, ..)| !given.flags.contains_key(flag))
        else {
            continue;
        };
        let field = format!("env[{at}]");
        let Some(value) = set.get(&name).and_then(Option::as_deref) else {
            given.elsewhere.insert(flag);
            if effect != Effect::Nothing {
                let message = format!("{name} is set from elsewhere, and stands for --{flag}");
                stop(reader, &field, &message);
            }
            continue;
        };
        if value.is_empty() {
            continue;
        }
        let values: Vec<&str> = match form {
            Form::List => value.trim_end_matches('\n').split('\n').collect(),
            _ => vec![value],
        };
        for value in values {
            let value = match (form, value) {
                (Form::Switch, "1" | "t" | "T" | "true" | "TRUE" | "True") => None,
                (Form::Switch, "0" | "f" | "F" | "false" | "FALSE" | "False") => continue,
                (Form::Switch, other) => {
                    let message =
                        format!("it would not start: {name} is {other:?}, which is neither true nor false");
                    stop(reader, &field, &message);
                    continue;
                }
                (_, value) => Some(value.to_owned()),
            };
            take(reader, given, Argument { name: flag.to_owned(), value, field: field.clone() });
        }
    }
}
