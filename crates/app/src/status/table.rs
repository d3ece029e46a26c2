//! The status and an explanation in lines for people: what is wrong comes first.

use std::fmt::Write as _;

use portolan_model::shown;
use serde_json::Value;

use super::{causes, dns, kept, ledger, others, verdict};
use crate::{age, columns, out::Shown};

fn text(value: &Value) -> String {
    shown::text(value.as_str().unwrap_or("")).into_owned()
}

/// The status as tables with the findings below; `info`: also findings that are only for information;
/// `all`: each by itself.
pub fn table(status: &Shown, info: bool, all: bool) -> String {
    let heads = ["STATE", "HOSTNAME", "WHY", "URL", "CERTIFICATE", "EXPIRES", "DNS", "ROUTE"];
    let mut table = columns::Columns::new(heads).optional(&["ROUTE", "CERTIFICATE", "DNS", "EXPIRES", "URL"]);
    let rank = |entry: &Value| match entry["state"].as_str() {
        Some("refused") => 0,
        Some("unknown") => 1,
        Some("pending") => 2,
        _ => 3,
    };
    let mut entries: Vec<&Value> = status["entryPoints"].as_array().into_iter().flatten().collect();
    entries.sort_by_key(|entry| rank(entry));
    for entry in entries {
        let certificate = &entry["certificate"];
        table.row([
            text(&entry["state"]),
            text(&entry["hostname"]),
            text(&entry["message"]),
            text(&entry["url"]),
            text(&certificate["issuer"]),
            age::until(&text(&certificate["notAfter"])),
            dns::summary(&entry["dns"]),
            text(&entry["route"]),
        ]);
    }
    let mut out = if !table.is_empty() {
        table.lines()
    } else if status["starting"] == true {
        "the repository is not read yet\n".to_owned()
    } else {
        "no route asks for a hostname\n".to_owned()
    };
    let mut table = columns::Columns::new(["HEALTH", "APPLICATION", "WHY", "OBJECTS", "WAVE"])
        .optional(&["WAVE", "OBJECTS"]);
    for app in status["applications"].as_array().into_iter().flatten() {
        let key = text(&app["application"]);
        // A root that is none: what stands in it is listed.
        if ["File/", "Chart/", "Folder/"].iter().any(|kind| key.starts_with(kind)) {
            continue;
        }
        table.row([
            text(&app["health"]),
            // Those of Flux are told by their kind.
            key.strip_prefix("Application/").unwrap_or(&key).to_owned(),
            text(&app["message"]),
            app["objects"].to_string(),
            app["wave"].to_string(),
        ]);
    }
    if !table.is_empty() {
        let _ = write!(out, "\n{}", table.lines());
    }
    if status["otherGateways"].as_array().is_some_and(|others| !others.is_empty()) {
        out.push('\n');
        others::lines(&mut out, &status["otherGateways"]);
    }
    kept::lines(&mut out, &status["kept"]);
    let stood_in = status["substitutions"].as_array().map_or(0, Vec::len);
    if stood_in > 0 {
        let (what, which) =
            if stood_in == 1 { ("substitution", "says which") } else { ("substitutions", "lists them") };
        let _ = writeln!(out, "\n{stood_in} {what}; --output json {which}");
    }
    ledger::line(&mut out, &status["ledger"]);
    if !status["findings"].as_array().is_some_and(Vec::is_empty) {
        let _ = writeln!(out, "\n{}", causes::totals(&status["findings"]));
    }
    causes::findings(&mut out, &status["findings"], info, all);
    verdict::lines(&mut out, status);
    out
}

/// A finding in lines for people.
pub fn line(finding: &Value) -> String {
    let text = |key: &str| self::text(&finding[key]);
    let mut out = format!("{} {} {}: {}", text("severity"), text("code"), place(finding), text("message"));
    if !text("hint").is_empty() {
        let _ = write!(out, "\n    hint: {}", text("hint"));
    }
    out
}

/// The object of a finding, its field, and where it stands.
pub(super) fn place(finding: &Value) -> String {
    let text = |key: &str| self::text(&finding[key]);
    let place = match (text("file"), finding["line"].as_u64()) {
        (file, _) if file.is_empty() => String::new(),
        (file, Some(line)) => format!(" ({file}:{line})"),
        (file, None) => format!(" ({file})"),
    };
    let field = if text("field").is_empty() { String::new() } else { format!(" {}", text("field")) };
    format!("{}{field}{place}", text("object"))
}

/// An explanation in lines for people.
pub fn explanation(json: &Shown) -> String {
    let mut out = columns::folded_text(&format!(
        "{} is {}: {}",
        text(&json["hostname"]),
        text(&json["state"]),
        text(&json["message"])
    ));
    let mut table = columns::Columns::new(["OK", "STEP", "WHAT IS KNOWN"]);
    for step in json["steps"].as_array().into_iter().flatten() {
        let mark = if step["ok"] == true { "ok" } else { "NO" };
        table.row([mark.to_owned(), text(&step["step"]), text(&step["evidence"])]);
    }
    if !table.is_empty() {
        out.push_str(&table.lines());
    }
    out
}
