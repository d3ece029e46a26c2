//! docs/reference/findings.md is held to the code: each code that a source makes stands there with its severity, and each
//! that stands there is made somewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use portolan_testkit::suites;
use regex::Regex;

/// The sources of what runs, without their tests.
fn sources(folder: &Path, out: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tests" && name != "testdata" {
                sources(&path, out);
            }
        } else if path.extension().is_some_and(|end| end == "rs") && name != "tests.rs" {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
            out.push((path.display().to_string(), text));
        }
    }
}

#[test]
fn the_list_of_findings_is_that_of_the_code() {
    let root = suites::repository();
    let listed = std::fs::read_to_string(root.join("docs/reference/findings.md")).unwrap();
    let rows = Regex::new(r"(?m)^\| PTL-(\d{4}) \| (.*) \|$").unwrap();
    let listed: BTreeMap<u16, String> =
        rows.captures_iter(&listed).map(|row| (row[1].parse().unwrap(), row[2].to_owned())).collect();
    assert!(listed.len() > 100, "{}", listed.len());

    let mut all = Vec::new();
    for part in ["model", "core", "effects", "app", "schema"] {
        sources(&root.join("crates").join(part).join("src"), &mut all);
    }
    let with_severity = Regex::new(r"\b(\d{1,3}),\s*(?:Severity::)?(Error|Warning|Info)\b").unwrap();
    let alone = Regex::new(r"\bCode\((\d{1,3})\)").unwrap();
    let number = Regex::new(r"\b\d{1,3}\b").unwrap();
    let (mut wrong, mut anywhere) = (Vec::new(), BTreeSet::new());
    for (file, text) in &all {
        for found in with_severity.captures_iter(text) {
            let code: u16 = found[1].parse().unwrap();
            let severity = found[2].to_ascii_lowercase();
            match listed.get(&code) {
                _ if code == 0 => {}
                None => wrong.push(format!("{file}: {code} is not listed")),
                // Tables of one severity do not repeat it.
                Some(row) => {
                    let cell = row.split(" | ").next().unwrap_or_default();
                    let says = ["error", "warning", "info"].iter().any(|word| cell.starts_with(word));
                    if says && !row.contains(&severity) {
                        wrong.push(format!("{file}: {code} is {severity}, and listed as {cell}"));
                    }
                }
            }
        }
        for found in alone.captures_iter(text) {
            let code: u16 = found[1].parse().unwrap();
            if !listed.contains_key(&code) {
                wrong.push(format!("{file}: {code} is not listed"));
            }
        }
        anywhere.extend(number.find_iter(text).filter_map(|found| found.as_str().parse::<u16>().ok()));
    }
    let unmade = listed.keys().filter(|code| !anywhere.contains(code));
    wrong.extend(unmade.map(|code| format!("PTL-{code:04} is listed and made nowhere")));
    assert!(wrong.is_empty(), "docs/reference/findings.md:\n{}", wrong.join("\n"));
}
