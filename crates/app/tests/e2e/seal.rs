//! `portolan seal` as a user calls it.

use std::{io::Write as _, process::Stdio};

use portolan_testkit::suites;
use serde_json::Value;

use super::instance::portolan;

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\nstringData: {a: clear-text}\n";

fn demo(ending: &str) -> String {
    let file = format!("examples/platform/demo-sealing-key/PUBLIC-DEMO-ONLY.{ending}");
    suites::repository().join(file).to_str().unwrap().to_owned()
}

fn seal(arguments: &[&str], input: &str) -> std::process::Output {
    let mut child = portolan()
        .arg("seal")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A refused command line ends before it reads.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_secret_is_sealed_in_both_forms() {
    let yaml = text(&seal(&["--cert", &demo("crt")], SECRET));
    let (documents, errors) = portolan_model::yaml::load(&yaml);
    assert_eq!(errors, [], "{yaml}");
    let key = demo("key");
    let arguments = ["--sealing-key", &key, "--scope", "cluster-wide", "--name", "t", "-o", "json"];
    let json: Value = serde_json::from_str(&text(&seal(&arguments, SECRET))).unwrap();
    for (made, name) in [(&documents[0].json, "s"), (&json, "t")] {
        assert_eq!(made["kind"], "SealedSecret");
        assert_eq!(made["metadata"]["name"], name);
        assert!(made["spec"]["encryptedData"]["a"].as_str().unwrap().starts_with("Ag"));
    }
    assert_eq!(json["metadata"]["annotations"]["sealedsecrets.bitnami.com/cluster-wide"], "true");

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{SECRET}---\n{SECRET}")).unwrap();
    let path = file.path().to_str().unwrap();
    let two = text(&seal(&["--cert", &demo("crt"), path], ""));
    assert_eq!(two.matches("---\n").count(), 2);

    let raw = text(&seal(&["--raw", "--cert", &demo("crt"), "-n", "ns", "--name", "s"], "clear-text"));
    assert!(raw.starts_with("Ag") && raw.trim().len() > 700, "{raw}");
    assert!(![yaml, two, raw].concat().contains("clear-text"));
}

#[test]
fn what_cannot_be_sealed_prints_nothing_and_exits_with_2() {
    let crt = demo("crt");
    let key = demo("key");
    let nameless = SECRET.replace("name: s, ", "");
    let lost = SECRET.replace(", namespace: ns", "");
    let half = format!("{SECRET}---\nkind: ConfigMap\n");
    for (arguments, input, wanted) in [
        (vec!["--cert", &crt], "", "no Secret"),
        (vec!["--cert", &crt], &nameless, "--name"),
        (vec!["--cert", &crt], &lost, "--namespace"),
        (vec!["--cert", &crt], &half, "ConfigMap"),
        (vec!["--cert", &key], SECRET, "no PEM certificate"),
        (vec!["--cert", "/nonexistent"], SECRET, "cannot be read"),
        (vec!["--sealing-key", &crt], SECRET, "no private key"),
        (vec![], SECRET, "--cert"),
        (vec!["--raw", "--cert", &crt, "-n", "ns"], "v", "--name"),
        (vec!["--raw", "--cert", &crt], "v", "--namespace"),
    ] {
        let output = seal(&arguments, input);
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(wanted) && !said.contains("clear-text"), "{said}");
    }
}
