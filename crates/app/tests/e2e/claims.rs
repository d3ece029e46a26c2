//! What the reference says of the command line, held to the program: every verb and flag that it names is one, every flag that
//! a verb has is named, and the JSON of `explain` has the fields that stand there.

use std::collections::BTreeSet;

use portolan_testkit::suites;
use regex::Regex;
use serde_json::Value;

use crate::instance::{Instance, envoy, first_steps, portolan};

fn reference(name: &str) -> String {
    std::fs::read_to_string(suites::repository().join("docs/reference").join(name)).unwrap()
}

fn help(words: &[&str]) -> String {
    let output = portolan().args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Verbs as `--help` lists them.
fn verbs() -> Vec<String> {
    let help = help(&[]);
    let list = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let word = Regex::new(r"(?m)^  ([a-z]+)").unwrap();
    word.captures_iter(list).map(|found| found[1].to_owned()).filter(|verb| verb != "help").collect()
}

fn flags(text: &str) -> BTreeSet<String> {
    let flag = Regex::new(r"--[a-z][a-z-]*[a-z]").unwrap();
    flag.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

#[test]
fn the_reference_names_every_verb_and_flag_and_no_others() {
    let document = reference("cli.md");
    let table = Regex::new(r"(?m)^\| `([a-z]+)[^`]*`").unwrap();
    let listed: BTreeSet<String> = table.captures_iter(&document).map(|row| row[1].to_owned()).collect();
    let verbs = verbs();
    for verb in &verbs {
        assert!(listed.contains(verb), "{verb} is not in the table of cli.md");
    }
    let mut all = flags(&help(&[]));
    for verb in &verbs {
        let mut text = help(&[verb]);
        if verb == "charts" {
            text += &help(&["charts", "lock"]);
        }
        if verb == "crds" {
            text += &help(&["crds", "apply"]);
        }
        all.extend(flags(&text));
    }
    // What the programs are told that are stood in for, and those of other programs.
    let others = ["--fetch-cert", "--help", "--version", "--recovery-unseal"];
    let said = flags(&document);
    let missing: Vec<&String> =
        all.iter().filter(|flag| !said.contains(*flag) && !others.contains(&&***flag)).collect();
    assert!(missing.is_empty(), "cli.md does not name {missing:?}");
    let unknown: Vec<&String> =
        said.iter().filter(|flag| !all.contains(*flag) && !others.contains(&&***flag)).collect();
    assert!(unknown.is_empty(), "cli.md names {unknown:?}, which no verb has");
}

#[test]
fn explain_takes_an_address_and_its_json_has_the_documented_fields() {
    let Some(envoy) = envoy("e2e explain") else { return };
    let instance = Instance::start(first_steps(), envoy);
    let host = "app1.dev.example.com";
    let port = instance.reach(host, "live")["port"].as_u64().unwrap();
    let explain = |address: String| {
        let output = instance.run(&["explain", &address]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, text) = explain(format!("https://{host}:{port}/some/path?a=b"));
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("ok   port") && text.contains(&format!("port {port} is that of listener")),
        "{text}"
    );
    for (address, says) in [
        (
            format!("https://{host}:9/"),
            format!("nothing listens for {host} on port 9; it is served at https://{host}:{port}/"),
        ),
        (format!("http://{host}:{port}/"), "which speaks HTTPS and not plain HTTP".to_owned()),
        (format!("https://{host}:443/"), format!("is bound at {port}")),
    ] {
        let (code, text) = explain(address.clone());
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(code == Some(1) && text.contains(&says), "{address}: {text}");
    }
    // The redirect of all plain HTTP names no host.
    let (code, text) = explain(format!("http://{host}/"));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(code == Some(0) && text.contains("; there answers HTTPRoute/"), "{text}");
    let wrong = instance.run(&["explain", &format!("{host}:65536")]);
    assert_eq!(wrong.status.code(), Some(2));

    let documented = reference("explain-json.md");
    let output = instance.run(&["explain", host, "-o", "json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let check = |value: &Value, expected: &[&str]| {
        let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, expected);
        for key in keys {
            assert!(documented.contains(&format!("`{key}`")), "{key} is not in explain-json.md");
        }
    };
    check(&json, &["entryPoint", "hostname", "message", "reasons", "state", "steps"]);
    check(&json["steps"][0], &["evidence", "ok", "step"]);
    let reason = &json["reasons"][0];
    check(reason, &["held", "input", "reads", "rule"]);
    check(&reason["reads"][0], &["count", "index", "key", "read", "table"]);
    for step in json["steps"].as_array().unwrap() {
        let step = step["step"].as_str().unwrap();
        assert!(documented.contains(&format!("`{step}`")), "step {step} is not in explain-json.md");
    }
    // Over plain HTTP nobody speaks of a chain.
    assert!(json["steps"].as_array().unwrap().iter().any(|step| {
        step["step"] == "probe" && step["evidence"].as_str().unwrap().ends_with("over a valid chain")
    }));
}
