//! Findings as people read them: one cause is one of them, with all objects that it touches; worst first, and of equally bad
//! ones what is nearest to the root: files and charts before Secrets, those before certificates, routes and names.

use std::{collections::HashMap, fmt::Write as _};

use serde_json::Value;

use super::table;
use crate::columns;

/// Objects that are named of one cause, without `--all`.
const MOST: usize = 8;

/// One cause: the finding that was met first, and the others.
struct Cause<'a> {
    first: &'a Value,
    others: Vec<&'a Value>,
}

/// Writes the findings; `info`: also those that are only for information; `all`: each by itself.
pub fn findings(out: &mut String, findings: &Value, info: bool, all: bool) {
    let list: Vec<&Value> = findings.as_array().into_iter().flatten().collect();
    for severity in ["error", "warning", "info"] {
        let mut of: Vec<&Value> =
            list.iter().copied().filter(|finding| finding["severity"] == severity).collect();
        if severity == "info" && !info && !of.is_empty() {
            let (many, them) = if of.len() == 1 { ("finding", "it") } else { ("findings", "them") };
            let _ = writeln!(out, "{} {many} for information; --info shows {them}", of.len());
            continue;
        }
        of.sort_by_key(|finding| root_first(finding));
        let causes = if all {
            of.into_iter().map(|first| Cause { first, others: Vec::new() }).collect()
        } else {
            grouped(of)
        };
        for cause in causes {
            out.push_str(&columns::folded_text(&cause.lines()));
        }
    }
}

/// How many there are: "2 errors and 1 warning".
pub fn totals(findings: &Value) -> String {
    let count = |severity: &str| {
        findings.as_array().into_iter().flatten().filter(|finding| finding["severity"] == severity).count()
    };
    let told = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    match (count("error"), count("warning")) {
        (0, 0) => "no errors and no warnings".to_owned(),
        (errors, warnings) => format!("{} and {}", told(errors, "error"), told(warnings, "warning")),
    }
}

/// The hundreds of codes in the order in which one thing causes the next.
fn root_first(finding: &Value) -> (usize, String) {
    let code = finding["code"].as_str().unwrap_or_default();
    let room = code.strip_prefix("PTL-").and_then(|code| code.get(..2)).unwrap_or_default();
    let order = ["06", "00", "05", "01", "03", "02", "04"];
    (order.iter().position(|one| *one == room).unwrap_or(order.len()), code.to_owned())
}

/// Groups of one code whose messages differ in nothing but the object that they are about.
fn grouped(findings: Vec<&Value>) -> Vec<Cause<'_>> {
    let mut causes: Vec<Cause<'_>> = Vec::new();
    let mut known: HashMap<(String, String, String), usize> = HashMap::new();
    for finding in findings {
        let text = |field: &str| finding[field].as_str().unwrap_or_default();
        let key = (
            text("code").to_owned(),
            without_own_name(text("message"), text("object")),
            text("hint").to_owned(),
        );
        if let Some(at) = known.get(&key) {
            causes[*at].others.push(finding);
        } else {
            known.insert(key, causes.len());
            causes.push(Cause { first: finding, others: Vec::new() });
        }
    }
    causes
}

/// A message without the names of its object, which tell nothing of the cause.
fn without_own_name(message: &str, object: &str) -> String {
    let named = object.split_once('/').map_or(object, |(_, named)| named);
    let message = message.replace(object, "");
    // A name alone may be part of other words.
    let message = if named.contains('/') { message.replace(named, "") } else { message };
    let name = named.rsplit('/').next().unwrap_or(named);
    let is_part = |c: char| c.is_alphanumeric() || "-._".contains(c);
    let mut words = String::with_capacity(message.len());
    for word in message.split_inclusive(|c: char| !is_part(c)) {
        words.push_str(if word.trim_end_matches(|c: char| !is_part(c)) == name { "" } else { word });
    }
    words
}

impl Cause<'_> {
    fn lines(&self) -> String {
        if self.others.is_empty() {
            return table::line(self.first);
        }
        let text = |key: &str| self.first[key].as_str().unwrap_or("");
        let all = || std::iter::once(&self.first).chain(&self.others);
        let mut objects: Vec<String> = all().map(|finding| table::place(finding)).collect();
        objects.dedup();
        // What names its own object is said of each of them.
        let such = if self.others.iter().any(|other| other["message"] != self.first["message"]) {
            "such as: "
        } else {
            ""
        };
        let mut out = format!(
            "{} {} {} times{} {such}{}",
            text("severity"),
            text("code"),
            self.others.len() + 1,
            if such.is_empty() { ":" } else { "," },
            text("message")
        );
        for object in objects.iter().take(MOST) {
            let _ = write!(out, "\n    {object}");
        }
        if objects.len() > MOST {
            let _ = write!(out, "\n    and {} more; --all lists them", objects.len() - MOST);
        }
        if !text("hint").is_empty() {
            let _ = write!(out, "\n    hint: {}", text("hint"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finding(code: &str, severity: &str, object: &str, message: &str) -> Value {
        json!({"code": code, "severity": severity, "object": object, "field": "spec.parentRefs[0]", "message": message, "hint": "create it"})
    }

    #[test]
    fn a_short_name_is_no_part_of_other_words() {
        let list = json!([
            finding("PTL-0680", "error", "ConfigMap/a", "nothing of apps is applied"),
            finding("PTL-0680", "error", "ConfigMap/app", "nothing of apps is applied"),
        ]);
        let mut out = String::new();
        findings(&mut out, &list, false, false);
        assert!(out.starts_with("error PTL-0680 2 times: nothing of apps is applied\n"), "{out}");
    }

    #[test]
    fn one_cause_is_one_finding_and_the_root_comes_first() {
        let route = |name: &str| {
            finding(
                "PTL-0220",
                "error",
                &format!("HTTPRoute/shop/{name}"),
                "Gateway edge/edge does not exist",
            )
        };
        let seal = |name: &str| {
            finding(
                "PTL-0151",
                "error",
                &format!("SealedSecret/shop/{name}"),
                &format!("no key opens SealedSecret/shop/{name} ({name})"),
            )
        };
        let mut all: Vec<Value> = (0..22).map(|n| route(&format!("r{n}"))).collect();
        all.extend([
            seal("a"),
            seal("b"),
            finding("PTL-0605", "error", "Application/argocd/x", "chart does not render"),
        ]);
        all.push(finding("PTL-0226", "warning", "HTTPRoute/shop/w", "a name"));
        let all = Value::Array(all);
        let mut out = String::new();
        findings(&mut out, &all, false, false);
        let heads: Vec<&str> = out.lines().filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(heads.len(), 4, "{out}");
        assert!(
            heads[0].contains("PTL-0605")
                && heads[1].contains("PTL-0151 2 times, such as: no key opens SealedSecret/shop/a"),
            "{out}"
        );
        assert!(heads[2].contains("PTL-0220 22 times: Gateway edge/edge"), "{out}");
        assert!(out.contains("HTTPRoute/shop/r7 ") && !out.contains("HTTPRoute/shop/r8 "), "{out}");
        assert!(out.contains("and 14 more"), "{out}");
        let mut whole = String::new();
        findings(&mut whole, &all, false, true);
        assert_eq!(whole.matches("PTL-0220").count(), 22);
        assert_eq!(totals(&all), "25 errors and 1 warning");
    }

    #[test]
    fn other_messages_are_other_causes() {
        let one = finding("PTL-0223", "error", "HTTPRoute/a/web", "Service a/web does not exist");
        let two = finding("PTL-0223", "error", "HTTPRoute/b/web", "Service b/api does not exist");
        assert_eq!(grouped(vec![&one, &two]).len(), 2);
    }
}
