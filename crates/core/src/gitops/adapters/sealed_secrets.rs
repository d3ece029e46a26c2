//! The sealed-secrets controller: where it opens SealedSecrets, by its flags, as its own parser reads them (pflag). What narrows and is not
//! understood, and what would keep it from starting, opens nothing. Source: `templates/deployment.yaml` of the chart, `cmd/controller/main.go` and
//! `pkg/controller/main.go` at 0.36.

use std::collections::BTreeSet;

use portolan_model::{Name, Severity, nearest};
use serde_json::Value;

use super::{Form, Reader, keys, standing, words};
use crate::{dns::annotations::go_duration_seconds, gitops::ledger::Fate};

/// How the controller's variables begin (`flagEnvPrefix`).
const VARIABLES: &str = "SEALED_SECRETS_";

/// Flags whose value is no text.
const FORMS: [(Is, &str); 4] = [
    (
        Is::Switch,
        "accept-deprecated-v1-data all-namespaces log-info-stdout old-gc-behavior skip-recreate update-status version \
         watch-for-secrets",
    ),
    (Is::Number, "key-size kubeclient-burst max-unseal-retries rate-limit rate-limit-burst"),
    (Is::Fraction, "kubeclient-qps"),
    (Is::Duration, "key-renew-period key-ttl rotate-period"),
];

/// Keys of the chart that become flags, each with its value, where they are not empty.
const OF_THE_CHART: [(&str, &str); 9] = [
    ("additionalNamespaces", "additional-namespaces"),
    ("keyrenewperiod", "key-renew-period"),
    ("keyttl", "key-ttl"),
    ("kubeClientBurst", "kubeclient-burst"),
    ("kubeClientQPS", "kubeclient-qps"),
    ("maxRetries", "max-unseal-retries"),
    ("rateLimit", "rate-limit"),
    ("rateLimitBurst", "rate-limit-burst"),
    ("keycutofftime", "key-cutoff-time"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Text,
    Switch,
    Number,
    Fraction,
    Duration,
}

/// What the sealed-secrets controller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecrets {
    /// Namespace of the component.
    pub namespace: Name,
    /// Namespaces whose SealedSecrets it opens; `None` for all. Empty where it opens none that is known of: it does not
    /// run, or chooses in a way that is not followed.
    pub namespaces: Option<BTreeSet<Name>>,
}

/// A flag as it was given.
struct Given {
    flag: String,
    value: Option<String>,
    field: String,
}

/// Reads what the controller is told.
pub(super) fn read(reader: &mut Reader<'_>, namespace: Name) -> SealedSecrets {
    let given = match reader.values.form {
        Form::Workload => workload(reader),
        Form::Chart | Form::File => chart(reader),
    };
    let namespaces = match given.and_then(|given| followed(reader, given)) {
        None => Some(BTreeSet::new()),
        Some((true, more)) if more.is_empty() => None,
        Some((_, mut more)) => {
            // Whoever names more of them means its own and these (`main.go`, where the informers are started).
            more.insert(namespace.clone());
            Some(more)
        }
    };
    SealedSecrets { namespace, namespaces }
}

/// Whether it looks into all namespaces, and those that it is told of besides its own; `None` if it opens nothing.
fn followed(reader: &mut Reader<'_>, given: Vec<Given>) -> Option<(bool, BTreeSet<Name>)> {
    let (mut everywhere, mut more, mut stopped) = (true, BTreeSet::new(), false);
    for Given { flag, value, field } in given {
        let told = if field.contains('[') { "args" } else { &*field };
        let Some((fate, why)) = keys::sealed_secrets_flag(&flag) else {
            let known = || keys::sealed_secrets_flags();
            let near =
                nearest(&flag, known()).map(|near| format!("; --{near} may be meant")).unwrap_or_default();
            stop(reader, &field, &format!("it would not start: unknown flag: --{flag}{near}"));
            stopped = true;
            continue;
        };
        let value = match value {
            Some(value) => value,
            None if form(&flag) == Is::Switch => "true".to_owned(),
            None => {
                stop(reader, &field, &format!("it would not start: flag needs an argument: --{flag}"));
                stopped = true;
                continue;
            }
        };
        if value.contains("{{") {
            stop(reader, &field, &format!("--{flag} is a template that is not filled in here"));
            stopped = true;
            continue;
        }
        if let Some(wrong) = misfit(form(&flag), &value) {
            stop(reader, &field, &format!("it would not start: --{flag} {value:?} is {wrong}"));
            stopped = true;
            continue;
        }
        match &*flag {
            // The last one counts.
            "all-namespaces" => everywhere = is_true(&value),
            "additional-namespaces" => {
                more = value.split(',').filter(|name| !name.is_empty()).map(Name::from).collect();
            }
            "label-selector" if !value.is_empty() => {
                stopped = true;
                stop(reader, &field, "--label-selector is not followed");
            }
            "version" if is_true(&value) => {
                stopped = true;
                stop(reader, &field, "with --version it says its version and ends");
            }
            _ => {}
        }
        if told == "args" {
            reader.given.push((fate, why, format!("args --{flag}")));
        }
    }
    (!stopped).then_some((everywhere, more))
}

fn form(flag: &str) -> Is {
    let has = |(_, names): &&(Is, &str)| names.split_whitespace().any(|name| name == flag);
    FORMS.iter().find(has).map_or(Is::Text, |(form, _)| *form)
}

/// `strconv.ParseBool`; what it cannot read is no boolean.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

fn misfit(form: Is, value: &str) -> Option<&'static str> {
    let duration = |value: &str| value == "0" || go_duration_seconds(value).is_some();
    match form {
        Is::Switch if !is_true(value) && !matches!(value, "0" | "f" | "F" | "false" | "FALSE" | "False") => {
            Some("neither true nor false")
        }
        Is::Number if value.parse::<i64>().is_err() => Some("no whole number"),
        Is::Fraction if value.parse::<f32>().is_err() => Some("no number"),
        Is::Duration if !duration(value.trim_start_matches(['-', '+'])) => Some("no duration such as 720h"),
        _ => None,
    }
}

/// What the chart gives it; `None` if it runs nothing that is known.
fn chart(reader: &mut Reader<'_>) -> Option<Vec<Given>> {
    if reader.take("createController") == Some(&Value::Bool(false)) {
        stop(reader, "createController", "the chart makes no controller");
        return None;
    }
    let filled = |value: &&Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Bool(true) => true,
    };
    let (command, args) = (reader.take("command").filter(filled), reader.take("args").filter(filled));
    let has_args = args.is_some();
    let mut own = None;
    // They stand in place of all that the chart would give.
    if command.is_some() || has_args {
        match words::words(reader.values, "controller") {
            Ok(words) => own = Some(words),
            Err((field, why)) => {
                stop(reader, &field, &why);
                return None;
            }
        }
    }
    let mut given = match own {
        Some(words) => flags(reader, words)?,
        None => Vec::new(),
    };
    if has_args {
        // What they leave out is not given.
        reader.take("additionalNamespaces");
        return Some(given);
    }
    for (key, flag) in OF_THE_CHART {
        let Some(value) = reader.values.values.get(key).filter(filled) else { continue };
        let value = match value {
            // `join` of Sprig.
            Value::Array(items) if key == "additionalNamespaces" => {
                let items: Option<Vec<String>> =
                    items.iter().filter(|item| !item.is_null()).map(scalar).collect();
                items.map(|items| items.join(","))
            }
            value => scalar(value),
        };
        let Some(value) = value else {
            let wanted = if key == "additionalNamespaces" { "a list of names" } else { "text" };
            stop(reader, key, &format!("{key} is {}, not {wanted}", super::kind(&reader.values.values[key])));
            return None;
        };
        given.push(Given { flag: flag.to_owned(), value: Some(value), field: key.to_owned() });
    }
    reader.take("additionalNamespaces");
    Some(given)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// What its container is given; `None` if that is not known, or it does not run.
fn workload(reader: &mut Reader<'_>) -> Option<Vec<Given>> {
    if let Some(standing::Idle { field, why, .. }) = standing::is_idle(reader.values) {
        stop(reader, &field, &format!("{why}, so the controller does not run"));
        return None;
    }
    if let Some(field) = words::from_elsewhere(reader.values, VARIABLES) {
        stop(reader, &field, &format!("{field} may set any of its flags ({VARIABLES}…)"));
        return None;
    }
    let mut given = Vec::new();
    for (name, value) in words::variables(reader.values) {
        let Some(flag) = name.strip_prefix(VARIABLES) else { continue };
        let flag = flag.to_ascii_lowercase().replace('_', "-");
        // It asks for those of its flags alone.
        if keys::sealed_secrets_flag(&flag).is_none()
            || flag.to_uppercase().replace('-', "_") != name[VARIABLES.len()..]
        {
            continue;
        }
        if value.is_none() {
            stop(reader, "env", &format!("{name} is set from elsewhere"));
            return None;
        }
        given.push(Given { flag, value, field: "env".to_owned() });
    }
    match words::words(reader.values, "controller") {
        Ok(words) => given.extend(flags(reader, words)?),
        Err((field, why)) => {
            stop(reader, &field, &why);
            return None;
        }
    }
    Some(given)
}

/// Words of a command line as flags. A word that belongs to none is passed over, as upstream does it; `None`: it would not start.
fn flags(reader: &mut Reader<'_>, words: Vec<words::Word>) -> Option<Vec<Given>> {
    let mut given = Vec::new();
    let mut words = words.into_iter();
    while let Some(words::Word { field, text }) = words.next() {
        if text == "--" {
            break;
        }
        let Some(flag) = text.strip_prefix("--") else {
            if text.starts_with('-') && text != "-" {
                let why = format!(
                    "it would not start: unknown shorthand flag in {text}; its flags begin with two dashes"
                );
                stop(reader, &field, &why);
                return None;
            }
            continue;
        };
        let (flag, value) = match flag.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            // Whatever comes next is the value; a switch takes none.
            None if form(flag) == Is::Switch || keys::sealed_secrets_flag(flag).is_none() => (flag, None),
            None => (flag, words.next().map(|word| word.text)),
        };
        given.push(Given { flag: flag.to_owned(), value, field });
    }
    Some(given)
}

/// Files that no SealedSecret is opened because of a field.
fn stop(reader: &mut Reader<'_>, field: &str, why: &str) {
    reader.given.push((Fate::Refused, "it opens nothing with it", field.to_owned()));
    let message = format!("{why}; no SealedSecret is opened");
    let hint = match reader.values.form {
        Form::Workload => "correct it, or leave the workload out for this environment",
        Form::Chart | Form::File => "correct it, or leave it out of the values for this environment",
    };
    reader.problem(648, Severity::Error, field, &message, hint);
}
