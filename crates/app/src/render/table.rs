//! The same for people: one table a room, then what is wrong.

use std::fmt::Write as _;

use portolan_model::shown;
use serde_json::Value;

use crate::{columns, out::Shown, status};

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => shown::text(text).into_owned(),
        Value::Null => "-".to_owned(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A table of some fields of some rows; nothing if there are none.
fn section(out: &mut String, title: &str, rows: &Value, fields: &[(&'static str, &str)]) {
    let Some(rows) = rows.as_array().filter(|rows| !rows.is_empty()) else { return };
    let optional = [
        "WHAT IT DROPS",
        "READ FROM",
        "NAMESPACE",
        "PROTOCOL",
        "ROUTES",
        "TTL",
        "RULES",
        "KEYS",
        "CERTIFICATE",
        "ROUTE",
    ];
    let mut table = columns::Columns::new(fields.iter().map(|(head, _)| *head)).optional(&optional);
    for row in rows {
        table.row(fields.iter().map(|(_, field)| text(row.pointer(field).unwrap_or(&Value::Null))));
    }
    let _ = writeln!(out, "{title}\n{}", table.lines());
}

/// Whose records they are: the owner, or with several components each with its own.
fn owners(components: &Value) -> String {
    let all: Vec<&Value> = components.as_array().into_iter().flatten().collect();
    let named = |c: &&Value| format!("{} of {}", text(&c["owner"]), text(&c["component"]));
    match &all[..] {
        [one] => format!("owner {}", text(&one["owner"])),
        all => format!("owners {}", all.iter().map(named).collect::<Vec<_>>().join(", ")),
    }
}

/// Every room.
pub(super) fn all(wanted: &Shown, info: bool, all: bool) -> String {
    let mut out = String::new();
    let count = |field: &str| wanted[field].as_array().map_or(0, Vec::len);
    let told = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    // A folder that is read as it stands is no Application.
    let is_root = |app: &Value| {
        let key = app["application"].as_str().unwrap_or_default();
        ["File/", "Chart/", "Folder/"].iter().any(|kind| key.starts_with(kind))
    };
    let apps = wanted["applications"].as_array().into_iter().flatten().filter(|app| !is_root(app)).count();
    let of = if apps == 0 { String::new() } else { format!(" of {}", told(apps, "Application")) };
    let _ = writeln!(
        out,
        "{}: {}{of}, {}\n",
        text(&wanted["environment"]),
        told(count("objects"), "object"),
        status::totals(&wanted["findings"])
    );
    section(
        &mut out,
        "Applications",
        &wanted["applications"],
        &[
            ("WAVE", "/wave"),
            ("APPLICATION", "/application"),
            ("NAMESPACE", "/namespace"),
            ("OBJECTS", "/objects"),
            ("READ FROM", "/sources"),
            ("WHAT IT DROPS", "/removed"),
        ],
    );
    section(
        &mut out,
        "Policy: kept out",
        &wanted["policy"]["denied"],
        &[("OBJECT", "/object"), ("POLICY", "/policy"), ("WHY", "/message")],
    );
    section(
        &mut out,
        "Secrets that are made",
        &wanted["secrets"],
        &[("OBJECT", "/object"), ("FROM", "/from"), ("KEYS", "/keys")],
    );
    section(
        &mut out,
        "Certificates",
        &wanted["certificates"],
        &[
            ("CERTIFICATE", "/certificate"),
            ("SECRET", "/secret"),
            ("NAMES", "/names"),
            ("ISSUER", "/issuer"),
            ("BY", "/by/type"),
            ("WAITS FOR", "/message"),
        ],
    );
    section(
        &mut out,
        "Listeners",
        &wanted["gateway"]["listeners"],
        &[
            ("GATEWAY", "/gateway"),
            ("LISTENER", "/name"),
            ("HOSTNAME", "/hostname"),
            ("PORT", "/port"),
            ("PROTOCOL", "/protocol"),
            ("SECRET", "/secret"),
            ("ROUTES", "/attachedRoutes"),
            ("WRONG", "/message"),
        ],
    );
    section(
        &mut out,
        "Hosts, once all that they wait for is there",
        &wanted["gateway"]["hosts"],
        &[
            ("STATE", "/state"),
            ("HOSTNAME", "/hostname"),
            ("WHY", "/message"),
            ("NOT ENFORCED", "/unenforced"),
            ("CERTIFICATE", "/secret"),
            ("RULES", "/rules"),
            ("ROUTE", "/route"),
        ],
    );
    status::others::lines(&mut out, &wanted["otherGateways"]);
    section(
        &mut out,
        &format!("DNS names, {}", owners(&wanted["dns"]["components"])),
        &wanted["dns"]["names"],
        &[
            ("NAME", "/name"),
            ("POINTS TO", "/targets"),
            ("TTL", "/ttl"),
            ("ROUTE", "/route"),
            ("LEFT OUT", "/outside"),
        ],
    );
    for (title, field) in [("Listed and not run:", "hooks"), ("Substituted:", "substitutions")] {
        let lines: Vec<String> = wanted[field].as_array().into_iter().flatten().map(text).collect();
        if !lines.is_empty() {
            let _ = writeln!(out, "{title}\n  {}\n", lines.join("\n  "));
        }
    }
    if count("noManifests") > 0 {
        let _ = writeln!(out, "{} files hold no objects; --output json lists them\n", count("noManifests"));
    }
    // Where nothing was read, why says it all.
    if count("objects") > 0 {
        status::ledger::table(&mut out, &wanted["ledger"]);
    }
    status::findings(&mut out, &wanted["findings"], info, all);
    if count("findings") > 0 {
        let _ = writeln!(out, "{}", status::totals(&wanted["findings"]));
    }
    status::verdict::lines(&mut out, wanted);
    out
}

/// Every object, in the order of writing.
pub(super) fn objects(wanted: &Shown) -> String {
    let mut out = String::new();
    for object in wanted["objects"].as_array().into_iter().flatten() {
        let (wave, application) = (text(&object["wave"]), text(&object["application"]));
        let _ = writeln!(
            out,
            "{wave:>4} {application:24} {} {}",
            text(&object["object"]),
            text(&object["source"])
        );
    }
    out
}
