//! Repositories of strangers: nothing of what they hold is obeyed by a terminal, none of their secrets is said, and none ends
//! the program.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Output,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_testkit::suites;
use serde_json::{Value, json};

use super::instance::{Instance, envoy, first_steps, portolan};

/// What a terminal obeys or a person does not see, in one word.
const CANARY: &str = "x\u{1b}[31m\u{9b}2J\r\n\u{202e}\u{200b}\u{2066}\u{2028}\u{7}\u{7f}\u{feff}y";
/// A secret, which no output may hold, in any of its forms.
const SECRET: &str = "hunter2-canary-Zr8";

const HASH: &str = "d59aea16";

/// Whether a terminal would obey a part of it, or a person not see it.
fn is_raw(c: char) -> bool {
    c.is_control() && c != '\n'
        || matches!(c as u32, 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe007f)
}

/// Everything that a verb said.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn render(dir: &Path, arguments: &[&str]) -> Output {
    // The log in full: what is written there is read on terminals too.
    portolan().env("PORTOLAN_LOG", "debug").arg("render").arg(dir).args(arguments).output().unwrap()
}

const FORMS: [&[&str]; 3] = [&["--info"], &["--objects"], &["--output", "json"]];

fn plain(what: &str, text: &str) {
    if let Some(at) = text.find(is_raw) {
        let from = text[..at].char_indices().rev().nth(60).map_or(0, |(at, _)| at);
        panic!("{what}: {:?}", text[from..].chars().take(120).collect::<String>());
    }
}

/// The object with the canary at the end of each text, one object a text.
fn poisoned(object: &Value) -> Vec<Value> {
    fn texts(value: &Value, path: &str, out: &mut Vec<String>) {
        match value {
            Value::String(_) => out.push(path.to_owned()),
            Value::Array(all) => {
                all.iter().enumerate().for_each(|(n, v)| texts(v, &format!("{path}/{n}"), out));
            }
            Value::Object(all) => {
                all.iter().for_each(|(k, v)| {
                    texts(v, &format!("{path}/{}", k.replace('~', "~0").replace('/', "~1")), out);
                });
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    texts(object, "", &mut all);
    let made = all.iter().map(|path| {
        let mut object = object.clone();
        let place = object.pointer_mut(path).unwrap();
        *place = format!("{}{CANARY}", place.as_str().unwrap()).into();
        object
    });
    let mut made: Vec<Value> = made.collect();
    // And a key.
    let mut other = object.clone();
    if let Some(map) = other.as_object_mut() {
        map.insert(CANARY.to_owned(), CANARY.into());
        map.insert("spec".to_owned(), json!({CANARY: {CANARY: [CANARY]}}));
        made.push(other);
    }
    made
}

/// Every object of the gateway room's cases, the example and what stands in for other kinds.
fn objects() -> Vec<Value> {
    let mut all = Vec::new();
    let folders =
        ["examples/first-steps", "crates/core/src/gateway/testdata", "crates/core/src/certificates/testdata"];
    let mut folders: Vec<_> = folders.map(|folder| suites::repository().join(folder)).into();
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    while let Some(folder) = folders.pop() {
        // In one order: which three of a kind are taken decides how many are made of them.
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        let paths: std::collections::BTreeSet<_> = entries.map(|entry| entry.path()).collect();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else if ["input.yaml", "base.yaml"].iter().any(|name| path.ends_with(name))
                || path.starts_with(suites::repository().join("examples"))
            {
                let text = std::fs::read_to_string(&path).unwrap();
                for document in portolan_model::yaml::load(&text).0 {
                    let seen = kinds.entry(document.json["kind"].to_string()).or_default();
                    *seen += 1;
                    // Three of a kind: more say nothing else and take time.
                    if *seen <= 3 {
                        all.push(document.json);
                    }
                }
            }
        }
    }
    all
}

#[test]
fn nothing_of_a_repository_reaches_a_terminal_raw() {
    let dir = tempfile::tempdir().unwrap();
    let mut made = 0;
    for (n, object) in objects().iter().enumerate() {
        let texts: Vec<String> = poisoned(object).iter().map(ToString::to_string).collect();
        made += texts.len();
        std::fs::write(dir.path().join(format!("{n}.yaml")), texts.join("\n---\n")).unwrap();
    }
    assert!(made > 300, "{made} objects are too few to say anything");
    // A name of a file is a text of the repository too.
    let route = "apiVersion: v1\nkind: Namespace\nmetadata: {name: seven}\n---\na: [\n";
    std::fs::write(dir.path().join("a\u{1b}[31m\u{202e}\nb.yaml"), route).unwrap();
    for form in FORMS {
        let output = render(dir.path(), form);
        assert_eq!(output.status.code(), Some(1), "{form:?}: {}", said(&output));
        let text = said(&output);
        plain(&format!("{form:?}"), &text);
        assert!(
            text.contains("u{202e}") || text.contains("u202e"),
            "{form:?}: nothing of the canary was shown"
        );
    }
    // Line breaks of values are written out: no line begins with what a value puts after one.
    let table = String::from_utf8(render(dir.path(), &["--info"]).stdout).unwrap();
    assert!(!table.lines().any(|line| line.starts_with("\\u{202e}")), "a value breaks a line");
}

#[test]
fn words_of_helm_and_of_errors_are_written_out() {
    if suites::program("helm").is_none() {
        suites::skip("e2e hostile helm", "Helm is missing; run scripts/setup demo");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n");
    write("values.yaml", &format!("adminPassword: {SECRET}\ndeep: {{apiToken: [{SECRET}2]}}\n"));
    let fail = format!(
        "{{{{ fail (printf \"%s {}\" .Values.adminPassword) }}}}\n",
        CANARY.escape_unicode().to_string().replace("\\u{", "\\U").replace('}', "")
    );
    write("templates/a.yaml", &fail);
    for form in FORMS {
        let output = render(dir.path(), form);
        plain(&format!("{form:?}"), &said(&output));
        assert!(!said(&output).contains(SECRET), "{}", said(&output));
    }
    // A schema names the value that it refuses.
    write("templates/a.yaml", "a: 1\n");
    write(
        "values.schema.json",
        r#"{"properties": {"adminPassword": {"const": "x"}, "deep": {"properties": {"apiToken": {"items": {"pattern": "^a$"}}}}}}"#,
    );
    let text = said(&render(dir.path(), &["--info"]));
    assert!(text.contains("PTL-0605") && !text.contains(SECRET), "{text}");
    let missing = portolan().args(["render", "/no/such/\u{1b}[31m\u{202e}"]).output().unwrap();
    plain("error", &said(&missing));
}

/// Documents that somebody means to be Secrets, right and wrong in many ways, with the secret in each place.
fn secrets() -> Vec<Value> {
    let (plain, coded) = (SECRET, STANDARD.encode(SECRET));
    let mut all = Vec::new();
    let mut n = 0;
    let mut add = |json: Value| {
        n += 1;
        let mut json = json;
        if json.get("metadata").is_none() {
            json["metadata"] = json!({"name": format!("s{n}"), "namespace": "team-a"});
        }
        all.push(json);
    };
    for kind in ["Secret", "secret", "SECRET", "Secrets", "Secert"] {
        for version in ["v1", "v1beta1", "core/v1", "v2", ""] {
            add(json!({"apiVersion": version, "kind": kind, "stringData": {"password": plain}}));
        }
    }
    for field in ["stringdata", "StringData", "Data", "data", "string_data", "dataa", "spec"] {
        for value in [
            json!({"password": plain}),
            json!(plain),
            json!([plain]),
            json!({"password": {"a": plain}}),
            json!({"p": [coded]}),
        ] {
            add(json!({"apiVersion": "v1", "kind": "Secret", field: value}));
        }
    }
    add(json!({"apiVersion": "v1", "kind": "Secret", "data": {"password": coded}}));
    add(
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": {"tls.crt": coded, "tls.key": coded}}),
    );
    add(
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth", "stringData": {"user": plain}}),
    );
    add(
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": plain}}),
    );
    add(json!({"apiVersion": "v1", "kind": "Secret", "immutable": plain, "data": {"bad key!": coded}}));
    add(
        json!({"apiVersion": "v1", "kind": "Secret", "data": {"password": coded}, "metadata": {"name": "annotated", "namespace": "team-a",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": format!("{{\"stringData\":{{\"a\":\"{plain}\"}}}}")}}}),
    );
    add(
        json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"password": plain}, "metadata": {"name": "Bad_Name", "namespace": "team-a"}}),
    );
    for kind in ["SealedSecret", "sealedsecret"] {
        for version in ["bitnami.com/v1alpha1", "bitnami.com/v1", "v1"] {
            for spec in [
                json!({"encryptedData": {"password": plain}}),
                json!({"encryptedData": plain}),
                json!({"encrypteddata": {"a": plain}}),
                json!({"encryptedData": {}, "template": {"data": {"a": plain}}}),
                json!({"data": plain}),
                json!({"data": coded}),
                json!(plain),
                json!({"encryptedData": {}, "template": {"stringData": {"a": plain}}}),
            ] {
                add(json!({"apiVersion": version, "kind": kind, "spec": spec}));
            }
        }
    }
    all
}

fn silent(what: &str, text: &str) {
    // The first digits of its bare SHA-256: with them a guess can be confirmed.
    for form in [SECRET.to_owned(), STANDARD.encode(SECRET), HASH.to_owned()] {
        if let Some(at) = text.find(&form) {
            let (from, to) = (at.saturating_sub(300), (at + 100).min(text.len()));
            panic!("{what} says {form}: {}", String::from_utf8_lossy(&text.as_bytes()[from..to]));
        }
    }
}

#[test]
fn what_means_to_be_a_secret_is_never_said() {
    let dir = tempfile::tempdir().unwrap();
    let texts: Vec<String> = secrets().iter().map(ToString::to_string).collect();
    std::fs::write(dir.path().join("all.yaml"), texts.join("\n---\n")).unwrap();
    for (n, text) in texts.iter().enumerate() {
        std::fs::write(
            dir.path().join(format!("{n}.yaml")),
            format!("{text}\n---\nkind: Secret\nstringData: {{a: \"{SECRET}\n"),
        )
        .unwrap();
    }
    for form in FORMS {
        silent(&format!("render {form:?}"), &said(&render(dir.path(), form)));
    }
}

fn http(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: LOCALHOST.:80\r\nConnection: close\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.starts_with("HTTP/1.1 200"), "{path}: {text}");
    text
}

/// The same while it runs: every verb, the API, metrics, events, and what `up` itself says.
#[test]
fn a_running_instance_says_neither_secrets_nor_what_a_terminal_obeys() {
    let Some(envoy) = envoy("e2e hostile up") else { return };
    let dir = first_steps();
    let texts: Vec<String> = secrets().iter().map(ToString::to_string).collect();
    std::fs::write(dir.path().join("secrets.yaml"), texts.join("\n---\n")).unwrap();
    let poison: Vec<String> = objects().iter().flat_map(poisoned).map(|object| object.to_string()).collect();
    std::fs::write(dir.path().join("poison.yaml"), poison.join("\n---\n")).unwrap();
    let instance = Instance::start(dir, envoy);
    instance.reach("app1.dev.example.com", "live");
    let check = |what: &str, text: &str| {
        silent(what, text);
        plain(what, text);
    };
    let api = instance.status()["run"]["api"].as_str().unwrap().to_owned();
    let mut kinds = vec!["events".to_owned()];
    let none = said(&instance.run(&["get", "nosuchkind"]));
    kinds.extend(
        none.split("stored are: ")
            .nth(1)
            .unwrap_or_default()
            .split(", ")
            .filter(|kind| !kind.contains(['\\', '.']))
            .map(|kind| kind.trim().to_owned()),
    );
    assert!(kinds.len() > 5, "{none}");
    for kind in &kinds {
        for form in ["table", "yaml", "json"] {
            check(&format!("get {kind} {form}"), &said(&instance.run(&["get", kind, "--output", form])));
        }
        let body = http(&api, &format!("/v1/objects/{kind}"));
        check(&format!("API {kind}"), body.split_once("\r\n\r\n").unwrap().1);
    }
    for arguments in [
        &["status", "--info"][..],
        &["status", "--output", "json"],
        &["explain", "app1.dev.example.com"],
        &["explain", "app1.dev.example.com", "--output", "json"],
    ] {
        check(&format!("{arguments:?}"), &said(&instance.run(arguments)));
    }
    for path in ["/v1/status", "/metrics", "/v1/explain/app1.dev.example.com"] {
        check(path, http(&api, path).split_once("\r\n\r\n").unwrap().1);
    }
    // An edit of a stored Secret that is refused is said too, and so is what is gone.
    instance.write(
        "secrets.yaml",
        &format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s1, namespace: team-a}}\ndata: {SECRET}\n"),
    );
    instance.wait("the refused edit", || {
        let status = instance.status().to_string();
        status.contains("Secret/team-a/s1").then_some(())
    });
    check("status", &said(&instance.run(&["status", "--info"])));
    let log = std::fs::read_to_string(instance.dir.path().join("up.log")).unwrap();
    check("up", &log);
    // A name that a page rebinds to this address is no name of ours.
    let mut stream = TcpStream::connect(&api).unwrap();
    write!(stream, "GET /v1/status HTTP/1.1\r\nHost: rebound.example.com\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
}

/// Files that would take all memory are a finding each, and the rest of the folder is read.
#[test]
fn what_would_take_all_memory_is_one_finding() {
    let dir = first_steps();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: team-a}\n";
    write(
        "alias.yaml",
        &format!("{head}x: &s \"{}\"\ndata: [{}]\n", "y".repeat(1 << 20), vec!["*s"; 20_000].join(",")),
    );
    let mut laughs = format!("{head}a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for n in 1..9 {
        laughs.push_str(&format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(",")));
    }
    write("laughs.yaml", &laughs);
    write("keys.yaml", &format!("{head}? {}\n: [{}]\n", "k".repeat(1 << 20), "1,".repeat(100_000)));
    write("deep.yaml", &format!("{head}data: {}\n", "[".repeat(1_000_000)));
    write("deep.json", &format!("{{\"a\":{}", "[".repeat(1_000_000)));
    // What looks like no object need not be YAML: this does.
    write("many.yaml", &format!("# metadata\n{}", "---\n%\n".repeat(200_000)));
    std::fs::File::create(dir.path().join("large.yaml")).unwrap().set_len(100 << 20).unwrap();
    // What it may take at most, of which the program itself takes a part.
    let output = std::process::Command::new("prlimit")
        .arg(format!("--data={}", 1_u64 << 30))
        .arg(env!("CARGO_BIN_EXE_portolan"))
        .arg("render")
        .arg(dir.path())
        .args(["--output", "json"])
        .output()
        .unwrap();
    let wanted: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    let findings = wanted["findings"].as_array().unwrap();
    for file in ["alias.yaml", "laughs.yaml", "keys.yaml", "deep.yaml", "deep.json", "large.yaml"] {
        let of = findings.iter().filter(|finding| finding["file"] == file).count();
        // Of JSON that is no manifest nothing is told.
        assert!(of == 1 || of == 0 && file == "deep.json", "{file}: {findings:#?}");
    }
    let many = findings.iter().filter(|finding| finding["file"] == "many.yaml").count();
    assert!((1..=50).contains(&many), "{many} findings");
    let hosts = wanted["gateway"]["hosts"].as_array().unwrap();
    assert!(
        hosts.iter().any(|host| host["hostname"] == "app1.dev.example.com" && host["state"] == "live"),
        "{hosts:?}"
    );
}
