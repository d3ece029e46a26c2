//! Both ways with the unmodified `kubeseal`.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use portolan_model::{Object, Origin, intake};

use super::*;

fn kubeseal(arguments: &[&str], input: &str) -> Option<Value> {
    let Some(program) = suites::program("kubeseal") else {
        suites::skip("kubeseal", "kubeseal is missing; run scripts/setup test");
        return None;
    };
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(program)
        .args(arguments)
        .args(["-o", "json"])
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn secret() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "example.com/custom",
        "metadata": {"name": "s", "namespace": "ns", "labels": {"l": "x"}, "annotations": {"a": "yes"}},
        "data": {"password": STANDARD.encode("pa\0ss \u{e9}"), "empty": ""}, "stringData": {"file": "line\nline\n"},
    })
}

fn values() -> BTreeMap<String, Vec<u8>> {
    [("password", "pa\0ss \u{e9}"), ("empty", ""), ("file", "line\nline\n")]
        .map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()))
        .into()
}

#[test]
fn what_kubeseal_seals_opens() {
    for scope in SCOPES {
        let certificate = demo("crt");
        let arguments = ["--cert", certificate.to_str().unwrap(), "--scope", scope.as_str()];
        let Some(made) = kubeseal(&arguments, &secret().to_string()) else { return };
        let taken = intake::intake(&Object::from_json(made, Origin::default()).unwrap());
        let Some(intake::Fact::SealedSecret(row)) = taken.fact else { panic!("{taken:?}") };
        assert_eq!(taken.problems, [], "kubeseal's own output has no findings");
        assert_eq!((row.scope, &*row.r#type), (scope, "example.com/custom"));
        let opened = keys().unseal(&row).unwrap();
        let opened: BTreeMap<String, Vec<u8>> =
            opened.into_iter().map(|(key, value)| (key.to_string(), value.expose().to_vec())).collect();
        assert_eq!(opened, values(), "{scope}");
    }
}

#[test]
fn what_we_seal_kubeseal_opens() {
    for scope in SCOPES {
        let how = Sealing { scope: Some(scope), ..Sealing::default() };
        let made = seal_secret(&secret(), how, &certificate()).unwrap();
        let key = demo("key");
        let arguments = ["--recovery-unseal", "--recovery-private-key", key.to_str().unwrap()];
        let Some(opened) = kubeseal(&arguments, &made.to_string()) else { return };
        let data: BTreeMap<String, Vec<u8>> = opened["data"]
            .as_object()
            .unwrap()
            .iter()
            // Go prints an empty value as null.
            .map(|(key, value)| (key.clone(), STANDARD.decode(value.as_str().unwrap_or_default()).unwrap()))
            .collect();
        assert_eq!(data, values(), "{scope}");
        assert_eq!(opened["type"], "example.com/custom");
        assert_eq!(
            (&opened["metadata"]["labels"]["l"], &opened["metadata"]["annotations"]["a"]),
            (&json!("x"), &json!("yes"))
        );
    }
}
