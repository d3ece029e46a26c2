//! Go templates of SealedSecrets by the real Helm: what they come to, and that nothing of a value is said or kept when they fail.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::BTreeMap, path::Path};

use portolan_effects::sealed::{Executed, Templates};
use portolan_model::{
    Name, Object, Origin, Redacted,
    input::SealedSecret,
    intake::{Fact, intake},
};
use portolan_testkit as testkit;
use serde_json::json;

const MARKER: &str = "marker-of-a-value";

fn sealed(template: &[(&str, &str)]) -> SealedSecret {
    let data: BTreeMap<_, _> = template.iter().copied().collect();
    let json = json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "s", "namespace": "n"},
        "spec": {"encryptedData": {"user": "AAAA"}, "template": {"data": data}},
    });
    match intake(&Object::from_json(json, Origin::default()).unwrap()).fact {
        Some(Fact::SealedSecret(sealed)) => sealed,
        other => panic!("{other:?}"),
    }
}

fn values(values: &[(&str, &[u8])]) -> BTreeMap<Name, Redacted> {
    values.iter().map(|(name, value)| ((*name).into(), Redacted::new(value.to_vec()))).collect()
}

fn templates() -> Option<Templates> {
    let Some(helm) = testkit::program("helm") else {
        testkit::skip("effects/sealed_templates", "helm was not found; run scripts/setup demo");
        return None;
    };
    Some(Templates::new(Ok(helm), env!("CARGO_BIN_EXE_portolan-confined").into()))
}

fn text(made: &BTreeMap<Name, Redacted>, name: &str) -> String {
    String::from_utf8(made[name].expose().to_vec()).unwrap()
}

#[test]
fn templates_come_to_what_the_controller_makes_of_them() {
    let Some(templates) = templates() else { return };
    let opened = values(&[
        ("user", b"a\"b: {{ .c }}\n"),
        ("tls.crt", b"line 1\nline 2\n"),
        ("bytes", b"\xff\x00\xfe"),
    ]);
    let sealed = sealed(&[
        ("url", "postgres://{{ .user | trim | urlquery }}@{{ .host }}/db"),
        ("host", "db.example.com"),
        ("same", "{{ .user }}"),
        ("raw", "{{ index . \"bytes\" }}"),
        (
            "both",
            "{{ define \"x\" }}[{{ . }}]{{ end }}{{ template \"x\" (index . \"tls.crt\" | nindent 2) }}",
        ),
        ("json", "{{ index (fromJson \"[1,2]\") 1 }} {{ list 1 | toJson }}"),
        ("missing", "{{ .nothing | default \"d\" }}"),
        // A sealed value is never overwritten.
        ("user", "shadow {{ .host }}"),
    ]);
    let made = templates.execute(&sealed, opened).unwrap();
    assert_eq!(text(&made, "url"), "postgres://a%22b%3A+%7B%7B+.c+%7D%7D@db.example.com/db");
    assert_eq!(text(&made, "same"), "a\"b: {{ .c }}\n", "what a value holds is not executed");
    assert_eq!(made["raw"].expose(), b"\xff\x00\xfe", "any bytes");
    assert_eq!(text(&made, "both"), "[\n  line 1\n  line 2\n  ]");
    assert_eq!(text(&made, "json"), "2 [1]");
    assert_eq!(text(&made, "missing"), "d");
    assert_eq!(text(&made, "user"), "a\"b: {{ .c }}\n");
    assert!(!made.contains_key("host"), "what is plain is no template");
}

/// The sentences of a failure.
fn failed(templates: &Templates, template: &[(&str, &str)]) -> BTreeMap<Name, String> {
    let made: Executed = templates.execute(&sealed(template), values(&[("user", MARKER.as_bytes())]));
    let failed = made.unwrap_err();
    assert!(!failed.again, "it fails each time: {failed:?}");
    failed.why
}

#[test]
fn a_failure_says_where_and_nothing_of_a_value() {
    let Some(templates) = templates() else { return };
    for (text, says) in [
        ("{{ .user", "unclosed action"),
        ("{{ .user | nosuch }}", "nosuch"),
        ("ok\n{{ if .user }}", "line 2: unexpected EOF"),
        ("{{ lookup \"v1\" \"Secret\" \"n\" \"s\" }}", "function \"lookup\" not defined"),
        ("{{ env \"HOME\" }}", "function \"env\" not defined"),
        ("{{ hasKey . \"user\" }}", "the function hasKey cannot take all values"),
        ("ok\n{{ fail .user }}", "it fails with the values"),
        ("{{ index .user 99999 }}", "it fails with the values"),
        ("{{ .user.field }}", "it fails with the values"),
        ("{{ regexReplaceAll .user .user (dict \"a\" .user) }}", "it fails with the values"),
    ] {
        let found = failed(&templates, &[("good", "{{ .user }}"), ("wrong", text)]);
        assert_eq!(found.keys().map(|name| &**name).collect::<Vec<_>>(), ["wrong"], "{text}: {found:?}");
        assert!(found["wrong"].contains(says), "{text}: {}", found["wrong"]);
        assert!(
            !format!("{found:?}").contains(MARKER) && !format!("{found:?}").contains("marker"),
            "{found:?}"
        );
    }
    let long = format!("{{{{ repeat {} .user }}}}", 100_000);
    assert!(failed(&templates, &[("long", &long)])["long"].contains("1 MiB"), "more than a Secret holds");
    let none = Templates::new(Err("helm was not found".to_owned()), "/proc/self/exe".into());
    assert!(failed(&none, &[("a", "{{ .user }}")])["a"].contains("helm was not found"));
}

/// One that cannot be run may come to something another time.
#[test]
fn an_engine_that_cannot_be_run_is_no_fault_of_the_template() {
    let there = || Ok("/bin/sh".into());
    let none = Templates::new(there(), "/nonexistent/portolan".into());
    let failed = none.execute(&sealed(&[("a", "{{ .user }}")]), values(&[("user", MARKER.as_bytes())]));
    let failed = failed.unwrap_err();
    assert!(failed.again && failed.why["a"].contains("cannot be run"), "{failed:?}");
}

/// Whether a file below holds the marker, as it is or in base64.
fn holds(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path);
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
        text.contains(MARKER) || text.contains("bWFya2VyLW9mLWEtdmFsdWU")
    })
}

/// Its folders, arguments and variables while it runs: a Helm of ours that keeps all of them, and then is the real one.
#[test]
fn no_file_argument_or_variable_holds_a_value() {
    let Some(helm) = testkit::program("helm") else {
        return testkit::skip("sealed templates on disk", "no helm");
    };
    let dir = tempfile::tempdir().unwrap();
    let seen = dir.path().join("seen");
    std::fs::create_dir(&seen).unwrap();
    let between = dir.path().join("between");
    // Stands where our own program does: `__confined RULES HELM ARGUMENTS…`.
    let script = format!(
        "#!/bin/sh\nset -e\nprintf '%s\\n' \"$@\" > {seen}/arguments\nenv > {seen}/environment\n\
         for last; do case $last in */chart) cp -r \"$last\" {seen}/chart;; esac; done\n\
         shift 3\n{} \"$@\"\nstatus=$?\ncp -r . {seen}/home\nexit $status\n",
        helm.display(),
        seen = seen.display(),
    );
    std::fs::write(&between, script).unwrap();
    std::fs::set_permissions(&between, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let templates = Templates::new(Ok(helm), between);
    let made = templates
        .execute(&sealed(&[("a", "<{{ .user }}>")]), values(&[("user", MARKER.as_bytes())]))
        .unwrap();
    assert_eq!(text(&made, "a"), format!("<{MARKER}>"));
    assert!(seen.join("chart/templates/_t0.tpl").exists() && seen.join("home").exists(), "it was looked at");
    assert!(!holds(&seen));
}
